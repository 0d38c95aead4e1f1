"""Amounts of money, read exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def parse(value: object) -> Decimal:
    """An exact amount out of a text, or out of a number that came without a loss.

    Args:
        value: A text, an integer or a decimal. A float has lost its cents already.

    Raises:
        TypeError: When it is something else.
        ValueError: When the text is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError(f"a {type(value).__name__} is not a valid amount: an int, a str or a Decimal")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
