from __future__ import annotations

import json
from decimal import Decimal

import pytest

from orderctl import documents
from orderctl.errors import InvalidInput


def nested(depth: int) -> str:
    return '{"a":[' * (depth // 2) + "1.50" + "]}" * (depth // 2)


def test_numbers_are_exact():
    assert documents.parse('{"a": [1.10, 2]}', "it") == {"a": [Decimal("1.10"), 2]}


def test_values_may_be_nested_and_be_written_again():
    value = documents.parse(nested(48), "it")

    assert json.dumps(value, default=str).count("[") == 24


@pytest.mark.parametrize("text", [nested(52), nested(100_000), "[" * 51 + "]" * 51])
def test_values_that_are_nested_too_deeply_are_refused(text: str):
    with pytest.raises(InvalidInput, match="it is not valid: its values are nested too deeply"):
        documents.parse(text, "it")


def test_a_field_that_occurs_twice_is_named_however_many_there_are():
    # With a search for each name this takes a minute of a thread, for a stranger's document of 1 MB.
    fields = ",".join(f'"field{number}": 1' for number in range(60_000))

    with pytest.raises(InvalidInput, match="it is not JSON: the field 'field59999' occurs twice"):
        documents.parse(f'{{{fields}, "field59999": 2}}', "it")


def test_a_long_name_is_shortened():
    name = "x" * 10_000

    with pytest.raises(InvalidInput, match=r"the field 'x+\.\.\. \(10,002 characters\) occurs twice"):
        documents.parse(f'{{"{name}": 1, "{name}": 2}}', "it")


@pytest.mark.parametrize("number", ["9" * 5000, "1e999", "0." + "1" * 5000])
def test_a_number_that_is_out_of_range_is_named(number: str):
    with pytest.raises(InvalidInput, match=r"it is not JSON: '.*is not a number in the range of amounts$"):
        documents.parse(f'{{"a": {number}}}', "it")
