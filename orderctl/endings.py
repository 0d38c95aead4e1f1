"""The end of an order: recorded once in each round, and not at all where the shop has recorded it itself.

orderctl knows its own records from its outbox, which nobody else writes. The shop's are events without a dedup key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, or_, select

from orderctl import audit, clock, outbox
from orderctl.audit import NewEvent, Origin
from orderctl.messages import Completion
from orderctl.orders import OrderState
from orderctl.schema import order_audit_logs
from orderctl.states import EventType, OrderStatus, Source, TaskStatus

#: Sources of moves whose actor an order's end names.
_DECIDING: Final = frozenset(Source) - {Source.WORKER}

_ENDS: Final[Mapping[str, OrderStatus]] = {
    EventType.ORDER_COMPLETED: OrderStatus.COMPLETED,
    EventType.ORDER_FAILED: OrderStatus.FAILED,
    EventType.ORDER_CANCELLED: OrderStatus.CANCELLED,
}


def record(
    connection: Connection,
    order: OrderState,
    status: OrderStatus,
    counts: Mapping[str, int],
    origin: Origin,
    reason: str | None = None,
) -> Completion | None:
    """Write an order's end: the audit event, and the completion message, mail and webhook in the outbox.

    Args:
        connection: In the transaction that ends the order, which holds it.
        order: The order. The end of this round is not recorded yet, see :func:`is_recorded`.
        status: How it ends.
        counts: The number of its tasks by status.
        origin: Who made the move that ends the order.
        reason: Why, if an admin has ended the order as a whole.

    Returns:
        The numbers of its tasks; None if the audit log has this round's end already. Then nothing is written.
    """
    completion = _completion(order.id, counts)
    # An admin is named as the actor. A worker is not: it did not decide to end the order.
    named = origin if origin.source in _DECIDING else Origin(origin.source)
    if not audit.record(connection, _event(order, status, completion, named, reason)):
        return None
    about = {"orderCode": order.order_code, "source": str(named.source), "actor": named.actor}
    outbox.put_order_end(connection, _key(order), completion, status, about)
    return completion


def is_recorded(connection: Connection, order: OrderState) -> bool:
    """Whether orderctl has recorded the end of this round. The audit log alone may be truncated."""
    return outbox.has_order_end(connection, _key(order))


def by_shop(connection: Connection, order: OrderState) -> OrderStatus | None:
    """Return how the shop has ended an order, if it has written an event of that since the last reopening."""
    log = order_audit_logs.c
    reopened = log.event_type == EventType.ORDER_REOPENED
    wanted = (log.order_id == order.id, log.event_type.in_((*_ENDS, EventType.ORDER_REOPENED)))
    query = select(log.event_type).where(*wanted, or_(log.dedup_key.is_(None), reopened))
    newest = connection.execute(query.order_by(log.order_id.desc(), log.id.desc()).limit(1)).scalar()
    if order.round and not _knows_round(connection, order):
        return None
    return _ENDS.get(newest or "")


def reopening_key(order: OrderState, number: int) -> str:
    """Return the dedup key of the event that begins a round of an order."""
    return f"order:{order.id}:reopened:{number}"


def _knows_round(connection: Connection, order: OrderState) -> bool:
    """Whether the log tells when this round began; it may have been truncated."""
    return audit.find_by_key(connection, reopening_key(order, order.round)) is not None


def _key(order: OrderState) -> str:
    return f"order:{order.id}:round:{order.round}"


def _event(
    order: OrderState, status: OrderStatus, completion: Completion, origin: Origin, reason: str | None
) -> NewEvent:
    completed, total = completion.completed_tasks, completion.total_tasks
    because = f" ({reason})" if reason else ""
    return NewEvent(
        EventType[f"ORDER_{status.name}"],
        order.id,
        origin,
        words={
            "order_code": order.order_code,
            "status": status,
            "completed": completed,
            "total": total,
            "because": because,
        },
        details={
            "completedCount": completed,
            "failedCount": completion.failed_tasks,
            "totalCount": total,
            **({"reason": reason} if reason else {}),
        },
        previous_status=order.order_status,
        new_status=status,
        dedup_key=_key(order),
    )


def _completion(order_id: int, counts: Mapping[str, int]) -> Completion:
    total = sum(counts.values()) - counts.get(TaskStatus.CANCELLED, 0)
    completed, failed = counts.get(TaskStatus.COMPLETED, 0), counts.get(TaskStatus.FAILED, 0)
    return Completion(order_id, total, completed, failed, clock.milliseconds())
