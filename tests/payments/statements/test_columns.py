"""Columns that the user names."""

from __future__ import annotations

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments import statements
from orderctl.payments.statements import Options


def read(text: str, columns: dict[str, str]) -> statements.Line:
    [line] = statements.read(text.encode(), Options(columns=columns)).lines
    return line


def test_columns_are_named_as_in_the_file():
    line = read(
        "Wann\tWie viel\tWas\n2026-11-01\t5\tDH1", {"wann": "date", "WIE-VIEL": "amount", "Was": "content"}
    )
    assert (line.amount, line.content) == (5, "DH1")


def test_a_named_column_counts_instead_of_a_known_one():
    assert read("Date,Amount,Fee\n2026-11-01,5,6", {"Fee": "amount"}).amount == 6
    assert read("Date,Amount,So tien\n2026-11-01,5,6", {"amount": "ignore"}).amount == 6
    assert read("Date,Amount,Ref,Key\n2026-11-01,5,a,b", {"Key": "reference"}).names == ("b", "a")
    assert read("Date,Amount,Text,Note\n2026-11-01,5,a,b", {"Text": "content"}).content == "a"


def test_a_column_is_named_by_its_place():
    assert read("Date,Amount,Amount\n2026-11-01,5,6", {"#3": "amount"}).amount == 6
    assert read("Date,,x\n2026-11-01,5,6", {"#2": "amount"}).amount == 5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": "date"}, "the column 'x' is not there: the statement's columns are Date, #2, #3, +/-"),
        ({"#9": "date"}, "the column '#9' is not there"),
        ({"": "date"}, "the column '' is not there"),
        ({"amount": "amount"}, "the column 'amount' occurs several times"),
        (
            {"Date": "day"},
            "'day' is not a field of a statement: allowed is date, time, amount, credit, debit, direction, ",
        ),
        ({"#2": "amount", "#3": "amount"}, "--map names two columns for amount"),
    ],
)
def test_an_unknown_column_or_field_is_refused(columns: dict[str, str], message: str):
    with pytest.raises(InvalidInput) as error:
        read("Date,Amount,Amount,+/-\n2026-11-01,5,6,+", columns)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("When we met,x\n1,2", "--map 'When we met=date'"), ("Date,It's\n1,2", "--map 'It'\"'\"'s=amount'"),
     ("Date,Amount,Amount\n1,2,3", "--map '#2=amount'")],
)  # fmt: skip
def test_a_message_has_an_example_to_paste(text: str, hint: str):
    with pytest.raises(InvalidInput) as error:
        read(text, {})
    assert error.value.hint == hint
