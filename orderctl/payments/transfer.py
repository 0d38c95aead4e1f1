"""A transfer of money as a bank or a person tells of it. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from orderctl import money, texts
from orderctl.capacity import Limits
from orderctl.errors import InvalidInput

#: The provider of transfers that a person types.
MANUAL: Final = "manual"
#: The provider of transfers that a bank's statement lists.
STATEMENT: Final = "statement"
#: The provider of payments that the audit log told of before there was a ledger.
AUDIT_LOG: Final = "audit_log"
#: Providers that send nothing themselves.
WITHOUT_SENDER: Final = (MANUAL, AUDIT_LOG, STATEMENT)

#: What the ledger's column for amounts holds: DECIMAL(30,4).
LIMITS: Final = Limits(Decimal("9" * 26 + ".9999"), 4)
_MOST_BANK: Final = 120
_MOST_ACCOUNT: Final = 64
#: Characters of a transfer's text that are kept and searched for an order's code.
MOST_CONTENT: Final = 1000


class Direction(StrEnum):
    """Whether the shop got the money or paid it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer of money, or an event of a provider that is none.

    Attributes:
        provider: The name of the provider that tells of it, or :data:`MANUAL`.
        amount: Above zero, in the unit of ``currency``; None only for an event that is no transfer.
        provider_id: The provider's own id of the transfer, which is what it is known by; None: it gives none.
        reference: The bank's reference of the transfer.
        alias: Another name under which the provider may have told of it.
        code: What the provider's field for the order's code contains.
        content: The text that the customer gave the transfer.
        direction: Whether the shop got the money.
        currency: The code of the currency (ISO 4217); None: the shop's.
        bank: The name of the bank.
        account: The shop's account.
        happened_at: When the bank booked it, with a zone.
        ignored: Why it is no transfer to the shop, such as ``a test``; None: it is one.
        raw: What was told, as JSON can hold it; decimals are exact.
    """

    provider: str
    amount: Decimal | None = None
    provider_id: str | None = None
    reference: str | None = None
    alias: str | None = None
    code: str | None = None
    content: str | None = None
    direction: Direction = Direction.IN
    currency: str | None = None
    bank: str | None = None
    account: str | None = None
    happened_at: datetime | None = None
    ignored: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def why_ignored(self) -> str | None:
        """Why it pays nothing, whatever the orders are; None for money that came in."""
        if self.ignored is not None:
            return self.ignored
        if self.direction is Direction.OUT:
            return "outgoing"
        return "its amount is 0" if not self.amount and self.provider != MANUAL else None

    def checked(self) -> Transfer:
        """Return the transfer with what can be stored: texts in one line, shortened where only people read them.

        Raises:
            InvalidInput: The amount is missing or no amount of money.
        """
        if self.amount is not None:
            LIMITS.check(self.amount)
        elif self.ignored is None:
            raise InvalidInput("the transfer has no amount")
        return replace(
            self,
            # In one spelling: SQLite has it as a text.
            amount=None if self.amount is None else Decimal(money.shown(self.amount)),
            provider_id=texts.identifier(self.provider_id) or self._content_id(),
            reference=texts.identifier(self.reference),
            alias=texts.identifier(self.alias),
            code=texts.line(self.code, MOST_CONTENT),
            content=texts.line(self.content, MOST_CONTENT),
            currency=texts.line(self.currency, 8),
            bank=texts.line(self.bank, _MOST_BANK),
            account=texts.line(self.account, _MOST_ACCOUNT),
        )

    def _content_id(self) -> str | None:
        """Return an id for an event that is no transfer and has none: it is known by all that was told."""
        if self.ignored is None or self.reference or not self.raw:
            return None
        return f"sha256:{hashlib.sha256(dump(self.raw).encode()).hexdigest()}"


def dump(raw: Mapping[str, Any]) -> str:
    """Return what a provider told as JSON, in ASCII, which each database stores. The amount has a column of its own.

    Raises:
        InvalidInput: It is nested too deeply.
    """
    try:
        return json.dumps(
            raw, default=lambda value: float(value) if isinstance(value, Decimal) else str(value)
        )
    except RecursionError:
        raise InvalidInput("the payment is not valid: its values are nested too deeply") from None
