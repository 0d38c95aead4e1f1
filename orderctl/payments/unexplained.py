"""Paid orders of a period of which the ledger has no payment."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, exists, or_, select

from orderctl import deletion
from orderctl.orders import OrderState
from orderctl.payments import likeness
from orderctl.schema import columns, order_audit_logs, orders, payments
from orderctl.states import EventType, PaymentStatus

_CHUNK: Final = 500
#: How long before it was paid an order may have been made that does not say when it was paid.
_YEAR: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class PaidOrder:
    """A paid order without a payment in the ledger.

    Attributes:
        order: The order.
        paid_at: When it was paid, or else made.
        names: What the shop's events call the transfers that paid it.
    """

    order: OrderState
    paid_at: datetime
    names: tuple[str, ...]


def find(connection: Connection, since: datetime, until: datetime) -> Iterator[PaidOrder]:
    """Yield the orders that were paid in a period, cost something and have no row in the ledger.

    An order is paid at its ``paid_at``; else when the shop's own event says; else when it was made.

    Args:
        connection: A connection to the database.
        since: The begin of the period.
        until: Its end, exclusive.
    """
    found = _without_rows(connection, since, until)
    events = _events(connection, list(found))
    for order_id, (order, paid_at, created_at) in found.items():
        told = events.get(order_id, [])
        at = paid_at or next((time for time, _ in told if time is not None), None) or created_at
        if at is not None and since <= at < until:
            yield PaidOrder(order, at, tuple(name for _, name in told if name))


def _without_rows(
    connection: Connection, since: datetime, until: datetime
) -> dict[int, tuple[OrderState, datetime | None, datetime | None]]:
    o = orders.c
    paid_then = and_(o.paid_at >= since, o.paid_at < until)
    perhaps = and_(o.paid_at.is_(None), o.created_at >= since - _YEAR, o.created_at < until)
    deleted = deletion.is_deleted(orders).label("deleted")
    query = select(*columns(OrderState, orders), deleted, o.paid_at, o.created_at).where(
        o.payment_status == PaymentStatus.PAID,
        or_(paid_then, perhaps),
        deletion.not_deleted(orders),
        ~exists().where(payments.c.order_id == o.id),
    )
    found = {}
    for row in connection.execute(query).mappings():
        values = dict(row)
        paid_at, created_at = values.pop("paid_at"), values.pop("created_at")
        order = OrderState(**values)
        if order.total_amount:
            found[order.id] = (order, paid_at, created_at)
    return found


def _events(
    connection: Connection, order_ids: Collection[int]
) -> dict[int, list[tuple[datetime | None, str]]]:
    """Return when orders were paid, and by which transactions, as the audit log tells."""
    log, wanted = order_audit_logs.c, sorted(order_ids)
    query = select(log.order_id, log.details, log.created_at).order_by(log.id)
    found: dict[int, list[tuple[datetime | None, str]]] = {}
    for begin in range(0, len(wanted), _CHUNK):
        some = query.where(
            log.order_id.in_(wanted[begin : begin + _CHUNK]), log.event_type == EventType.PAYMENT_RECEIVED
        )
        for order_id, details, created_at in connection.execute(some):
            name = details.get("transactionId") if isinstance(details, dict) else None
            found.setdefault(order_id, []).append((created_at, "" if name is None else str(name)))
    return found


class Explained:
    """Whether the lines of a statement explain that an order is paid.

    Args:
        names: All names of the lines.
        texts: All texts of the lines.
    """

    def __init__(self, names: Collection[str], texts: Collection[str]) -> None:
        self._names = {key for name in names for key in likeness.keys(name)}
        self._texts = list(texts)
        self._all = "\n".join(map(likeness.compact, self._texts))

    def __call__(self, paid: PaidOrder) -> bool:
        """Whether a line has the name of the shop's event, or names the order."""
        if any(key in self._names for name in paid.names for key in likeness.keys(name)):
            return True
        code = paid.order.order_code
        # One search in all texts spares one in each of them.
        if not code or likeness.compact(code) not in self._all:
            return False
        return any(likeness.names_code(text, code) for text in self._texts)
