"""Parse amounts of money exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def parse(value: object) -> Decimal:
    """Return the exact amount of a text or a number.

    Args:
        value: A text, an integer or a Decimal. A float is refused: it cannot hold cents exactly.

    Raises:
        TypeError: The value has another type.
        ValueError: The text is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError(f"a {type(value).__name__} is not a valid amount: an int, a str or a Decimal")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
