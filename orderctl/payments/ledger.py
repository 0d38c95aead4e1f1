"""The ledger: every transfer of money that orderctl was told of, each in one row of ``orderctl_payments``."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from orderctl import money, texts, walks
from orderctl.errors import InvalidInput, PaymentNotFound
from orderctl.payments.transfer import MANUAL, STATEMENT, Transfer
from orderctl.schema import columns, orders, payments
from orderctl.states import PaymentOutcome

#: Begins each ``provider_id`` that the provider did not give: ids have no blank at their ends.
UNNAMED: Final = " "


@dataclass(frozen=True, slots=True)
class Payment:
    """A row of the ledger, with the code of its order. ``provider_id`` is None if the provider gave none."""

    id: int
    provider: str
    provider_id: str | None
    order_id: int | None
    order_code: str | None
    amount: Decimal | None
    currency: str | None
    direction: str
    bank: str | None
    account: str | None
    reference: str | None
    code: str | None
    content: str | None
    told_at: datetime | None
    happened_at: datetime | None
    outcome: str
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which payments are wanted; None means any. ``until`` is exclusive."""

    outcomes: Collection[str] | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names of transfers as they may stand in a column.

    Attributes:
        equal: Names.
        begun: What a name may begin with, if a separator follows.
    """

    equal: Collection[str]
    begun: Collection[str] = ()

    def of(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that a column has one of them: ranges of its index."""
        longer = [and_(column > one, column < f"{one}\uffff") for one in self.begun]
        return or_(column.in_(self.equal), *longer)


class Page(NamedTuple):
    """A page of payments, newest first; ``cursor`` leads to the next page, None at the end."""

    payments: list[Payment]
    cursor: str | None


def find(connection: Connection, payment_id: int) -> Payment:
    """Return the payment with this id.

    Raises:
        PaymentNotFound: There is none.
    """
    found = _first(connection, payments.c.id == payment_id)
    if found is None:
        raise PaymentNotFound(f"payment {payment_id} not found", hint="orderctl payments list")
    return found


def find_by_key(connection: Connection, provider: str, key: str) -> Payment | None:
    """Return the payment with this key, see :func:`key_of`."""
    return _first(connection, payments.c.provider == provider, payments.c.provider_id == key)


def with_reference(connection: Connection, transfer: Transfer) -> list[Payment]:
    """Return the payments of a transfer's provider, reference and amount that may be this transfer, oldest first.

    Two that have ids of their provider are one only if the ids are equal.
    """
    p = payments.c
    same = [p.reference == transfer.reference, p.provider == transfer.provider, p.amount == transfer.amount]
    if transfer.provider_id is not None:
        same.append(p.provider_id.like(f"{UNNAMED}%"))
    return _all(connection, *same)


def named_on_order(connection: Connection, order_id: int, names: Collection[str]) -> list[Payment]:
    """Return the payments of an order that have one of these ids or references, oldest first."""
    p = payments.c
    return _all(connection, p.order_id == order_id, or_(p.provider_id.in_(names), p.reference.in_(names)))


def with_name(connection: Connection, name: str) -> list[Payment]:
    """Return the payments that a person, a statement or the bank calls so, whoever told of them."""
    p = payments.c
    by_id = _all(connection, p.provider.in_((MANUAL, STATEMENT)), p.provider_id == name)
    known = {payment.id for payment in by_id}
    return by_id + [payment for payment in _all(connection, p.reference == name) if payment.id not in known]


def named(connection: Connection, names: Names, *providers: str) -> list[Payment]:
    """Return the payments with one of these names, as their id or their reference, oldest first.

    Args:
        connection: A connection to the database.
        names: The names.
        providers: Who told of them; none: anyone.
    """
    p = payments.c
    of_them = p.provider.in_(providers or all_providers(connection))
    by_id = _all(connection, of_them, names.of(p.provider_id))
    found = {payment.id: payment for payment in by_id}
    if providers:
        by_reference = _all(connection, of_them, names.of(p.reference))
    else:
        by_reference = _all(connection, names.of(p.reference))
    found |= {payment.id: payment for payment in by_reference}
    return [found[number] for number in sorted(found)]


def all_providers(connection: Connection) -> list[str]:
    """Return the names of those who told of payments: one step in the index for each."""
    found: list[str] = []
    first = select(payments.c.provider).order_by(payments.c.provider).limit(1)
    last = connection.execute(first).scalar()
    while last is not None:
        found.append(last)
        last = connection.execute(first.where(payments.c.provider > last)).scalar()
    return found


def has_any(connection: Connection, provider: str) -> bool:
    """Whether the ledger has a payment of a provider."""
    of_provider = select(payments.c.id).where(payments.c.provider == provider).limit(1)
    return connection.execute(of_provider).first() is not None


def told_between(
    connection: Connection,
    since: datetime | ColumnElement[datetime],
    until: datetime | None,
    *conditions: ColumnElement[bool],
) -> list[Payment]:
    """Return the payments that orderctl learned of in a period, oldest first.

    Args:
        connection: A connection to the database.
        since: Its begin.
        until: Its end, exclusive; None: now.
        conditions: Further conditions on the table.
    """
    p = payments.c
    ended = [] if until is None else [p.told_at < until]
    return _all(connection, p.told_at >= since, *ended, *conditions)


def of_order(connection: Connection, order_id: int) -> list[Payment]:
    """Return the payments of an order, oldest first."""
    return _all(connection, payments.c.order_id == order_id)


def received(connection: Connection, order_id: int) -> Decimal:
    """Return the sum of an order's part payments, in the shop's currency."""
    rows = of_order(connection, order_id)
    return sum(
        (row.amount for row in rows if row.outcome == PaymentOutcome.PARTIAL and row.amount), Decimal(0)
    )


def page(connection: Connection, wanted: Filter, *, limit: int, after: str | None = None) -> Page:
    """Return a page of payments, newest first.

    Args:
        connection: A connection to the database.
        wanted: Which payments.
        limit: Their highest number.
        after: The cursor of the previous page.

    Raises:
        InvalidInput: The cursor is not one of a page of payments.
    """
    p = payments.c
    query = select(p.id)
    if wanted.provider is not None:
        query = query.where(p.provider == wanted.provider)
    if wanted.since is not None:
        query = query.where(p.told_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(p.told_at < wanted.until)
    if after is not None:
        if not (after.isascii() and after.isdigit() and len(after) < len(str(2**63))):
            raise InvalidInput(f"{texts.shown(after)} is not a cursor of a page of payments")
        query = query.where(p.id < int(after))
    outcomes = wanted.outcomes
    found_in = [()] if outcomes is None else walks.parts((p.outcome, [str(one) for one in outcomes]))
    chosen = walks.newest(connection.dialect, query, found_in, [p.id], limit=limit + 1).subquery()
    found = _payments(connection, _rows().join(chosen, chosen.c.id == p.id).order_by(p.id.desc()))
    return Page(found[:limit], str(found[limit - 1].id) if len(found) > limit else None)


def raw(connection: Connection, payment_id: int) -> Any:
    """Return what the provider sent, as JSON has it; None if it was not kept, or was deleted since.

    What another program has written there, and is not JSON, is returned as a text.
    """
    stored = connection.execute(select(payments.c.raw).where(payments.c.id == payment_id)).scalar()
    try:
        return None if stored is None else json.loads(stored)
    except ValueError:
        return stored


def _rows() -> Select[Any]:
    p = payments.c
    joined = payments.outerjoin(orders, p.order_id == orders.c.id)
    return select(*columns(Payment, payments), orders.c.order_code).select_from(joined)


def _first(connection: Connection, *conditions: ColumnElement[bool]) -> Payment | None:
    first = _rows().where(*conditions).order_by(payments.c.id).limit(1)
    return next(iter(_payments(connection, first)), None)


def _all(connection: Connection, *conditions: ColumnElement[bool]) -> list[Payment]:
    return _payments(connection, _rows().where(*conditions).order_by(payments.c.id))


def _payments(connection: Connection, query: Select[Any]) -> list[Payment]:
    return [_payment(row) for row in connection.execute(query).mappings()]


def _payment(row: Mapping[Any, Any]) -> Payment:
    named = None if row["provider_id"].startswith(UNNAMED) else row["provider_id"]
    code = (
        row["order_code"] or None
    )  # the shop's column reads NULL as an empty text, also where no row is joined
    amount = _without_zeros(row["amount"])
    return Payment(**{**row, "provider_id": named, "order_code": code, "amount": amount})


def _without_zeros(amount: Decimal | None) -> Decimal | None:
    """Return an amount with two decimals, unless it has more: the column adds zeros."""
    if amount is None:
        return None
    short = amount.quantize(Decimal("0.01"), context=money.EXACT)
    return short if short == amount else amount.normalize(money.EXACT)
