"""JSON as JavaScript's ``JSON.stringify`` writes it, with sorted keys: what Casso signs. No I/O."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Final

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
#: Where JavaScript begins to write exponents.
_SMALLEST: Final = 1e-6
_LARGEST: Final = 1e21


def stringify(value: Any, *, into_lists: bool) -> str:
    """Return a JSON value as text without blanks, the keys of objects sorted.

    Args:
        value: The value. Numbers are ``int`` or ``Decimal``.
        into_lists: Whether the keys of objects inside lists are sorted, too.

    Raises:
        RecursionError: The values are nested too deeply.
    """
    return _stringify(value, into_lists=into_lists, is_sorted=True)


def _stringify(value: Any, *, into_lists: bool, is_sorted: bool) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=_units) if is_sorted else list(value)
        pairs = (
            f"{_text(name)}:{_stringify(value[name], into_lists=into_lists, is_sorted=is_sorted)}"
            for name in names
        )
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list):
        inside = is_sorted and into_lists
        return f"[{','.join(_stringify(one, into_lists=into_lists, is_sorted=inside) for one in value)}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value) if value is None or isinstance(value, bool) else _number(value)


def _units(name: str) -> bytes:
    """Return by what JavaScript compares texts: the units of UTF-16."""
    return name.encode("utf-16-be", "surrogatepass")


def _text(text: str) -> str:
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _number(value: int | Decimal) -> str:
    """Return a number as JavaScript writes it: a double in its fewest digits."""
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        return "null"
    if double == 0 or _SMALLEST <= abs(double) < _LARGEST:
        digits = f"{Decimal(repr(abs(double))):f}"
        digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
        return f"-{digits}" if double < 0 else digits
    digits, _, exponent = repr(double).partition("e")
    return f"{digits}e{int(exponent):+d}"
