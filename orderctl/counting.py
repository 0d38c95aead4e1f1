"""A count and its noun in texts for people: ``1 worker``, ``2 workers``."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun in the form that belongs to it.

    Args:
        number: How many there are.
        noun: The noun for one of them.
        plural: The noun for any other number; the noun with an ``s`` when None.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
