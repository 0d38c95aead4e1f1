"""JSON in any of its shapes."""

from __future__ import annotations

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.statements import records

ONE = '{"date": "2026-11-01", "amount": 5}'


@pytest.mark.parametrize(
    "text",
    [
        f"[{ONE}]",
        f"\n {ONE}",
        f'{{"data": {{"records": [{ONE}], "page": 1}}}}',
        f'{{"error": 0, "data": {ONE}}}',
        f'{{"accounts": [{{"a": 1}}], "transactions": [{ONE}]}}',
        f'{{"data": {{"x": [{{"a": 1}}]}}, "items": [{{}}], "records": [{ONE}]}}',
    ],
)
def test_the_list_is_found(text: str):
    assert records.is_json(text)
    table = records.read(text)
    assert (table.header, table.rows, table.unit) == (["date", "amount"], [(1, ("2026-11-01", 5))], "element")


def test_json_lines_are_read_by_their_lines():
    table = records.read(f'{ONE}\r\n\n{{"id": 7}}\n')
    assert table.rows == [(1, ("2026-11-01", 5, None)), (3, (None, None, 7))]
    assert table.unit == "line"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "element 1 of the statement is not a JSON object: 1"),
        ("{}", "the statement has no list of transfers"),
        (
            '{"a": [{}], "b": {"c": [{}]}}',
            "the statement has several lists, and none is named transactions: a, b.c",
        ),
        ('{"a": 1', "the statement is not JSON"),
        (f'{ONE}\n{{"a"', "line 2 of the statement is not JSON"),
        ('[{"a": 1, "a": 2}]', "the field 'a' occurs twice"),
        ('[{"a": NaN}]', "NaN is not a number"),
        ("[" * 100_000, "nested too deeply"),
        (
            f"[{', '.join(f'{{{chr(34)}k{n}{chr(34)}: 1}}' for n in range(301))}]",
            "more than 300 different fields",
        ),
    ],
)
def test_what_has_no_transfers_is_refused(text: str, message: str):
    assert records.is_json(text)
    with pytest.raises(InvalidInput, match=message):
        records.read(text)


@pytest.mark.parametrize("text", ["date,amount", "[Sao ke] thang 11\ndate,amount", ""])
def test_csv_is_not_json(text: str):
    assert not records.is_json(text)
