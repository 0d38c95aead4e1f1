"""JSON as JavaScript writes it. The expected texts were printed by Node.js."""

import pytest

from orderctl import documents
from orderctl.payments.providers.javascript import stringify


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("599000.0", "599000"),
        ("5.99e5", "599000"),
        ("1.10", "1.1"),
        ("-0", "0"),
        ("-1.50", "-1.5"),
        ("0.000001", "0.000001"),
        ("5e-7", "5e-7"),
        ("-1.5e-9", "-1.5e-9"),
        ("1e21", "1e+21"),
        ("9.999e22", "9.999e+22"),
        ("12345678901234567890", "12345678901234567000"),
        ("123456789012345678901", "123456789012345680000"),
        ("9" * 400, "null"),
        ("true", "true"),
        ("null", "null"),
        (r'"\u0111 \/ \" \\ \b \n \u0001 \u007f \u2028"', '"đ / \\" \\\\ \\b \\n \\u0001 \x7f \u2028"'),
        (r'"\ud83d\ude00 \ud800"', '"😀 \\ud800"'),
        ('[1, 2,\t{"b": [], "a": {}}]', '[1,2,{"b":[],"a":{}}]'),
    ],
)
def test_a_value_is_written_as_by_javascript(text: str, written: str) -> None:
    assert stringify(documents.parse(text, "it"), into_lists=False) == written


def test_keys_are_sorted_in_objects_and_if_wanted_in_lists() -> None:
    document = documents.parse('{"b": [{"z": {"y": 1, "x": 2}, "a": 3}], "a": {"d": 1, "c": [2]}}', "it")

    assert stringify(document, into_lists=False) == '{"a":{"c":[2],"d":1},"b":[{"z":{"y":1,"x":2},"a":3}]}'
    assert stringify(document, into_lists=True) == '{"a":{"c":[2],"d":1},"b":[{"a":3,"z":{"x":2,"y":1}}]}'


def test_keys_are_compared_by_their_units_of_utf_16() -> None:
    assert stringify({"\ue000": 1, "😀": 2, "z": 3}, into_lists=False) == '{"z":3,"😀":2,"\ue000":1}'
