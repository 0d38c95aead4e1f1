"""Parse amounts of money exactly, and write them."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import Final

from orderctl import texts

#: More digits than any column for amounts has, before and after the decimal point.
_MOST_DIGITS: Final = 65
#: Calculates with as many digits as two amounts have; the default context stops at 28.
EXACT: Final = Context(prec=140)


def parse(value: object) -> Decimal:
    """Return the exact amount of a text or a number.

    Args:
        value: A text, an integer or a Decimal. A float is refused: it cannot hold cents exactly.

    Raises:
        TypeError: The value has another type.
        ValueError: The text is not a number, or its number is far out of the range of amounts.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError(f"a {type(value).__name__} is not a valid amount: an int, a str or a Decimal")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError(f"{texts.shown(value)} is not a number")
    # Calculations with an exponent of 18 digits end in errors, or take all memory.
    if abs(amount.adjusted()) > _MOST_DIGITS or -int(amount.as_tuple().exponent) > _MOST_DIGITS:
        raise ValueError(f"{texts.shown(value)} is not a number in the range of amounts")
    return amount


def shown(amount: Decimal) -> str:
    """Return a finite amount as a message names it: every digit, without an exponent and without trailing zeros."""
    return f"{amount.normalize(EXACT) or Decimal(0):f}"
