"""Reads JSON documents of users and of banks strictly: what is ambiguous or out of range is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from orderctl import money
from orderctl.errors import InvalidInput


def parse(text: str, what: str, *, hint: str | None = None) -> Any:
    """Return the value of a JSON document; numbers with a decimal point or an exponent are exact.

    Args:
        text: The document.
        what: What it is, for messages, such as ``the payment``.
        hint: The hint of an error.

    Raises:
        InvalidInput: It is empty, not JSON, nested too deeply, names a field twice, or has a number that is out of
            range.
    """
    if not text.strip():
        raise InvalidInput(f"{what} is empty", hint=hint)
    try:
        return json.loads(
            text, parse_float=_number, parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except RecursionError:
        raise InvalidInput(f"{what} is not valid: its values are nested too deeply", hint=hint) from None
    except ValueError as error:
        raise InvalidInput(f"{what} is not JSON: {error}", hint=hint) from None


def _number(text: str) -> Decimal:
    return money.parse(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return found
