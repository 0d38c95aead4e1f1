"""A statement and its lines, as the ledger is compared with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orderctl.payments.transfer import STATEMENT, Direction, Transfer


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer in a statement.

    Attributes:
        number: The line of the file where its record begins, or the element of a JSON list; from 1.
        direction: Whether the shop got the money.
        amount: Above zero, in the unit of ``currency``.
        begin: When the bank booked it, in UTC; of a date without a time the begin of the day.
        end: The end of the second, minute or day that begins at ``begin``: as precise as the statement is; exclusive.
        names: The bank's references and ids, best first.
        content: The text that the customer gave the transfer.
        code: What the statement's field for the order's code contains.
        currency: The code of the currency (ISO 4217); None: the shop's.
        account: The shop's account.
        bank: The name of the bank.
        balance: The balance of the account after it.
        key: What identifies it, also in another export of the same days.
    """

    number: int
    direction: Direction
    amount: Decimal
    begin: datetime
    end: datetime
    names: tuple[str, ...]
    content: str | None
    code: str | None
    currency: str | None
    account: str | None
    bank: str | None
    balance: Decimal | None
    key: str

    def transfer(self) -> Transfer:
        """Return the line as a transfer that the ledger can record."""
        return Transfer(
            provider=STATEMENT,
            amount=self.amount,
            provider_id=self.key,
            reference=self.names[0] if self.names else None,
            alias=self.names[1] if len(self.names) > 1 else None,
            code=self.code,
            content=self.content,
            direction=self.direction,
            currency=self.currency,
            bank=self.bank,
            account=self.account,
            happened_at=self.begin,
        ).checked()


@dataclass(frozen=True, slots=True)
class Statement:
    """What a file of a bank lists.

    Attributes:
        lines: The transfers, in the order of the file.
        skipped: The numbers of records that are not transfers: totals, balances, and records of 0.
        repeated: The numbers of records that were left out, because an earlier one is the same transfer.
        remarks: What was assumed, for people.
        part: Which part of a list the file is, such as "page 1 of 2"; None: all of it, as far as it says.
        path: The names that lead to the list in a JSON document.
    """

    lines: tuple[Line, ...]
    skipped: tuple[int, ...]
    repeated: tuple[int, ...]
    remarks: tuple[str, ...]
    part: str | None = None
    path: tuple[str, ...] = ()
