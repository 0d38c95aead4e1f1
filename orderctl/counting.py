"""Counts in texts for people: with a noun (``1 worker``, ``2 workers``), and of bytes (``1.5 GiB``)."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun in the form that belongs to it.

    Args:
        number: How many there are.
        noun: The noun for one of them.
        plural: The noun for any other number; the noun with an ``s`` when None.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(number: float) -> str:
    """Return a number of bytes as text: ``1.5 GiB``."""
    at = 0
    while abs(number) >= _STEP and at < len(_UNITS) - 1:
        number, at = number / _STEP, at + 1
    return f"{number:.1f} {_UNITS[at]}" if at else f"{number:,.0f} {_UNITS[0]}"
