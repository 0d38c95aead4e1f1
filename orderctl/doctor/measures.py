"""Measured values as text."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
#: Of a unit of time so many are shown in the smaller one.
_TWO: Final = 2
#: Numbers from this one on are shown without decimals.
_LARGE: Final = 100


def time(seconds: float) -> str:
    """Return a length of time as text: ``40 ms``, ``1.5 s``, ``3 min``, ``7.0 h``, ``12 days``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _TWO * _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _TWO * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < _TWO * _DAY else f"{seconds / _DAY:.0f} days"


def number(value: float) -> str:
    """Return a number of things as text: one decimal of a small one that is not whole."""
    return f"{value:,.0f}" if value >= _LARGE or value == int(value) else f"{value:,.1f}"
