"""Reads JSON documents of users and of banks strictly: what is ambiguous or out of range is refused."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, NoReturn

from orderctl import money, texts
from orderctl.errors import InvalidInput

#: How deeply the values of a document may be nested: so deep that nothing which reads or writes it again reaches a limit.
_DEEPEST: Final = 50


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
        value = json.loads(
            text,
            parse_float=money.parse,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
        _check_depth(value)
    except RecursionError:
        raise InvalidInput(f"{what} is not valid: its values are nested too deeply", hint=hint) from None
    except ValueError as error:
        raise InvalidInput(f"{what} is not JSON: {error}", hint=hint) from None
    return value


def _check_depth(value: Any) -> None:
    """Raise RecursionError for values that are nested too deeply."""
    values = [value]
    for _ in range(_DEEPEST):
        values = [inner for one in values for inner in _inner(one)]
        if not values:
            return
    raise RecursionError


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python's limit of digits: the time for more grows with their square
        raise ValueError(f"{texts.shown(text)} is not a number in the range of amounts") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the field {texts.shown(name)} occurs twice")
    return found
