"""What the columns of the shop can hold: lengths of texts, amounts, and the errors of what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from orderctl import money, texts
from orderctl.counting import counted
from orderctl.errors import Conflict, InvalidInput, OrderctlError

if TYPE_CHECKING:
    from orderctl.shape import Shape

#: The bits of the types that have no digits of their own.
_BITS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
#: Too long, out of range, not of the column's type or character set.
DOES_NOT_FIT: Final = {1264, 1265, 1292, 1366, 1406, 1690, 3140, 3141, 3854, 3988}
#: NULL or nothing where a value is needed, or a CHECK of the shop.
_NOT_ALLOWED: Final = {1048, 1364, 3819, 4025}


def room(there: Shape, table: str, column: str, most: int) -> int:
    """Return the number of characters that a column can hold.

    Args:
        there: The shop's tables.
        table: The table.
        column: The column.
        most: The highest number to return, also for a column of unknown length.
    """
    found = there.column(table, column)
    return most if found is None or found.characters is None else min(most, found.characters)


@dataclass(frozen=True, slots=True)
class Limits:
    """Which amounts a column can hold exactly.

    Attributes:
        highest: The highest amount.
        decimals: The largest number of decimals.
    """

    highest: Decimal = Decimal("9999999999.99")
    decimals: int = 2

    @classmethod
    def of(cls, there: Shape) -> Limits:
        """Return the limits of the shop's column for amounts; those of DECIMAL(12,2) if they are unknown."""
        column = there.column("orders", "total_amount")
        if column is None:
            return cls()
        if column.type in _BITS:
            return cls(Decimal(2 ** (_BITS[column.type] - (not column.unsigned)) - 1), 0)
        if column.type != "decimal" or column.precision is None:
            return cls()
        decimals = column.scale or 0
        return cls(Decimal(10**column.precision - 1).scaleb(-decimals, money.EXACT), decimals)

    def check(self, amount: Decimal) -> None:
        """Refuse an amount that the column cannot hold exactly.

        Raises:
            InvalidInput: The amount is negative, not a number, too large or has too many decimals.
        """
        if not self.holds(amount):
            decimals = f"at most {counted(self.decimals, 'decimal')}" if self.decimals else "no decimals"
            raise InvalidInput(
                f"{texts.shown(str(amount))} is not a valid amount: 0 to {self.highest:f} with {decimals}"
            )

    def holds(self, amount: Decimal) -> bool:
        """Whether the column can hold the amount exactly."""
        if not amount.is_finite() or not 0 <= amount <= self.highest:
            return False
        return amount == amount.quantize(Decimal(1).scaleb(-self.decimals), context=money.EXACT)


def explain(code: int | None, reason: str) -> OrderctlError | None:
    """Return the error to raise for a value that the server did not accept, or None for another error.

    The lengths and the ranges are checked before, as far as they are known; the shop may change them meanwhile.

    Args:
        code: The server's number.
        reason: The server's text, which names the column.
    """
    if code in DOES_NOT_FIT:
        return InvalidInput(f"a value does not fit into its column of the shop: {reason}")
    if code in _NOT_ALLOWED:
        return Conflict(f"the shop's table does not allow it: {reason}")
    return None
