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
