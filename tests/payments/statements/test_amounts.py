"""Amounts as statements write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.statements.amounts import Notation, Written, code, read
from orderctl.payments.transfer import Direction


def value(*written: str, currency: str = "VND", decimal: str | None = None) -> list[Decimal | None]:
    found = [read(text) for text in written]
    notation = Notation.of(((f"line {place}", one) for place, one in enumerate(found) if one), decimal)
    return [one and notation.value(one, currency) for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300000", "300000"),
        ("300,000", "300000"),
        ("300.000", "300000"),
        ("300 000", "300000"),
        ("300\xa0000", "300000"),
        ("300\u202f000", "300000"),
        ("300'000", "300000"),
        ("300\u2019000", "300000"),
        ("300,000.00", "300000"),
        ("300.000,00", "300000"),
        ("300 000,5", "300000.5"),
        ("1.300.000", "1300000"),
        ("1,300,000.25", "1300000.25"),
        ("1234.567", "1234.567"),
        ("0.500", "0.5"),
        (".5", "0.5"),
        ("12,50", "12.5"),
        ("300,-", "300"),
        ("300.000 \u20ab", "300000"),
        ("300.000\u0111", "300000"),
        ("VND 300,000", "300000"),
        ("\uff13\uff10\uff10\uff0c\uff10\uff10\uff10", "300000"),
        ("0.000", "0"),
    ],
)
def test_an_amount_is_read(text: str, expected: str):
    assert value(text) == [Decimal(expected)]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("-50,000", Written("50,000", negative=True)),
        ("\u221250,000", Written("50,000", negative=True)),
        ("50,000-", Written("50,000", negative=True)),
        ("(50,000)", Written("50,000", negative=True)),
        ("- 50.000 VND", Written("50.000", negative=True, currency="VND")),
        ("+300,000 VND", Written("300,000", currency="VND")),
        ("300,000 CR", Written("300,000", direction=Direction.IN)),
        ("300,000DR", Written("300,000", direction=Direction.OUT)),
        ("$12.50", Written("12.50", currency="USD")),
        (Decimal("-12.50"), Written("12.50", negative=True)),
        (7, Written("7")),
    ],
)
def test_what_stands_beside_an_amount_is_read(text: object, written: Written):
    assert read(text) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "12x4",
        "1 2 3 a",
        "--5",
        "-5-",
        "(5",
        "5)",
        "5 CR DR",
        "5 VND USD",
        "1e5",
        "5" * 101,
        True,
        None,
    ],
)
def test_what_is_not_an_amount_is_noticed(text: object):
    assert read(text) is None


@pytest.mark.parametrize("text", ["1,00,000", "1.00.000,5", "3 00 0", "1,300.000,5", "1300,000,000"])
def test_an_amount_with_other_groups_than_of_three_digits_is_not_read(text: str):
    assert value(text) == [None]


def test_one_amount_tells_the_notation_of_all():
    assert value("300.000", "1.5", currency="USD") == [Decimal(300), Decimal("1.5")]
    assert value("300.000", "1.5", currency="VND", decimal=".") == [Decimal(300), Decimal("1.5")]
    assert value("300.000", "1.300.000", currency="USD") == [Decimal(300000), Decimal(1300000)]
    assert value("300.000", currency="USD", decimal=",") == [Decimal(300000)]
    assert value("300.000", currency="USD", decimal=".") == [Decimal(300)]


@pytest.mark.parametrize("amounts", [("1.5", "2,5"), ("1.300.000", "1,300,000"), ("300.000", "300,000")])
def test_amounts_that_contradict_each_other_are_refused(amounts: tuple[str, str]):
    with pytest.raises(InvalidInput, match=r"\(line [01]\) and .* \(line [01]\) mean different things"):
        value(*amounts)


def test_an_ambiguous_amount_is_refused_in_a_currency_with_decimals():
    with pytest.raises(
        InvalidInput, match=r"300\.000 is ambiguous: \. may group digits or begin the decimals"
    ) as error:
        value("300.000", currency="USD")
    assert "--decimal" in error.value.hint


def test_three_decimals_are_refused_in_a_currency_without_decimals():
    with pytest.raises(InvalidInput, match=r"300\.000 is ambiguous"):
        value("300.000", "1,300,000.00", currency="VND")


def test_the_code_of_a_currency_is_read():
    assert [code(text) for text in ("vnd", "VN\u0110", "\u20ab", "usd", "?", "CR", "")] == [
        "VND", "VND", "VND", "USD", None, None, None,
    ]  # fmt: skip
