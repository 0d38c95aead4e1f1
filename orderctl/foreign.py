"""Values that other programs wrote into the shared tables, as the values that orderctl works with.

A column may hold anything: the shop's own column types, empty fields, dates of zeros, bytes, JSON of any shape.
No function here raises for any value that a driver returns. What cannot be read as the wanted type is None, or
for JSON the text itself.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from typing import Any, Final

#: JSON that is nested deeper is shown as text: ``json`` is recursive. MySQL's JSON has the same limit.
MAX_DEPTH: Final = 100
#: Numbers in JSON with more digits do not fit in a double, and are shown as text.
MAX_DIGITS: Final = 308
#: The digits before and behind the point of the longest DECIMAL of MySQL and MariaDB.
_AMOUNT_DIGITS: Final = 65
_AMOUNT_DECIMALS: Final = 30
_EXACT: Final = Context(prec=2 * _AMOUNT_DIGITS)
_CENT: Final = Decimal("0.01")
_FINEST: Final = Decimal(1).scaleb(-_AMOUNT_DECIMALS)
_TOO_LARGE: Final = 2**64
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
#: Sequelize writes times on SQLite as ``2026-01-31 10:00:00.000 +00:00``.
_SPACE_BEFORE_ZONE: Final = re.compile(r" (?=[+-]\d\d:?\d\d$)")
_LONGEST_TIME: Final = 64


def text(value: Any) -> str | None:
    r"""Return a value as text; bytes that are not UTF-8 become escapes such as ``\xe9``."""
    if value is None or isinstance(value, str):
        return value
    return decode(value) if isinstance(value, bytes) else str(value)


def decode(value: bytes) -> str:
    r"""Return bytes as text; those that are not UTF-8 become escapes such as ``\xe9``."""
    return value.decode("utf-8", "backslashreplace")


def whole(value: Any) -> int | None:
    """Return a value as a whole number; None if it is not one."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) or (isinstance(value, Decimal) and value.is_finite()):
        return int(value) if abs(float(value)) < _TOO_LARGE and value == int(value) else None
    shown = text(value)
    return int(shown) if shown is not None and _WHOLE.fullmatch(shown) else None


def amount(value: Any) -> Decimal | None:
    """Return a value as an exact amount with at least two decimals; None if DECIMAL cannot hold it."""
    shown = text(value)
    try:
        exact = None if shown is None else Decimal(shown)
    except ArithmeticError:
        return None
    if exact is None or not exact.is_finite() or exact.adjusted() >= _AMOUNT_DIGITS:
        return None
    if int(exact.as_tuple().exponent) < -_AMOUNT_DECIMALS:
        exact = exact.quantize(_FINEST, context=_EXACT)
    least = exact.normalize(_EXACT)
    finer = int(least.as_tuple().exponent) < int(_CENT.as_tuple().exponent)
    return least if finer else least.quantize(_CENT, context=_EXACT)


def moment(value: Any) -> datetime | None:
    """Return a value as a time: in UTC if it names a zone, else naive. None for zeros and what is not a time."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    elif isinstance(value, str | bytes):
        value = _parse_time(text(value) or "")
    if not isinstance(value, datetime) or value.tzinfo is None:
        return value if isinstance(value, datetime) else None
    try:
        return value.astimezone(UTC)
    except OverflowError:  # in year 1 or 9999
        return None


def _parse_time(shown: str) -> datetime | None:
    shown = shown.strip()
    if len(shown) > _LONGEST_TIME:
        return None
    try:
        return datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub("", shown))
    except ValueError:
        return None


def document(value: Any) -> Any:
    """Parse JSON. What is not JSON, or is nested too deep, is returned as text.

    Numbers that a double cannot hold, NaN and Infinity are texts in it: they would not be valid JSON when it
    is written again.
    """
    if isinstance(value, int | float):  # SQLite stores numbers in a column of the type JSON as numbers
        return value if math.isfinite(value) else str(value)
    shown = text(value)
    if shown is None:
        return None
    try:
        found = _DECODER.decode(shown)
    except (ValueError, RecursionError):
        return shown
    # To measure costs more than to count, and few documents have so many brackets.
    many = shown.count("[") + shown.count("{") > MAX_DEPTH
    return shown if many and _is_deeper(found, MAX_DEPTH) else found


def _real(literal: str) -> float | str:
    number = float(literal)
    return number if math.isfinite(number) else literal


def _digits(literal: str) -> int | str:
    return int(literal) if len(literal) <= MAX_DIGITS else literal


_DECODER: Final = json.JSONDecoder(parse_float=_real, parse_int=_digits, parse_constant=str)


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
