"""Cancel orders: their unfinished tasks, and with these the order. Their money is the shop's to refund."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select

from orderctl import deletion, lifecycle, orders, texts
from orderctl.audit import Origin
from orderctl.errors import Conflict, OrderDeleted
from orderctl.lifecycle import Move, Moved, TaskState
from orderctl.orders import OrderState
from orderctl.schema import columns, download_tasks
from orderctl.states import ENDED_ORDER, UNFINISHED, EventType, TaskStatus


def cancel(connection: Connection, order_id: int, origin: Origin, reason: str | None = None) -> Moved:
    """Cancel an order and its tasks that have not ended. A worker that runs one loses its lease and stops.

    Tasks that have ended stay as they are, and so does the order's payment.

    Args:
        connection: In a transaction.
        order_id: The order, paid or not.
        origin: Who cancels it.
        reason: Why, for the audit log.

    Returns:
        What to do after the commit.

    Raises:
        OrderNotFound: The order does not exist.
        OrderDeleted: The shop has deleted it.
        Conflict: It has ended, or has a status that orderctl does not know.
    """
    order = orders.lock(connection, order_id)
    refuse(connection, order)
    moved = [_cancel(connection, task, origin, reason) for task in _unfinished(connection, order)]
    ended = lifecycle.cancel(connection, order, origin, reason)
    messages = [message for one in (*moved, ended) for message in one.messages]
    return Moved(tuple(messages), tuple(task for one in moved for task in one.tasks), ended.completion)


def refuse(connection: Connection, order: OrderState) -> None:
    """Refuse an order that cannot be cancelled, as :func:`cancel` does."""
    hint = f"orderctl orders show {texts.arguments(order.order_code)}"
    if order.deleted:
        raise OrderDeleted(f"the shop has deleted order {order.order_code}", hint=f"{hint} --deleted")
    if order.order_status in ENDED_ORDER:
        raise Conflict(f"order {order.order_code} is already {order.order_status}", hint=hint)
    if lifecycle.has_ended(connection, order):
        raise Conflict(f"order {order.order_code} has already ended, as the audit log has it", hint=hint)
    if not orders.is_unended(order):
        raise Conflict(
            f"order {order.order_code} has the status {order.order_status!r}, which orderctl does not know, and"
            " cannot be cancelled",
            hint=hint,
        )


def _unfinished(connection: Connection, order: OrderState) -> Sequence[TaskState]:
    rows = connection.execute(_UNFINISHED, {"order_id": order.id}).mappings().all()
    return [TaskState.of({**row, "order_code": order.order_code}) for row in rows]


def _cancel(connection: Connection, task: TaskState, origin: Origin, reason: str | None) -> Moved:
    what = Move(
        TaskStatus.CANCELLED,
        EventType.TASK_CANCELLED,
        origin,
        words={"because": f" ({reason})" if reason else ""},
        details={"attempt": task.attempt, "reason": reason},
    )
    moved = lifecycle.move(connection, task, what, lifecycle.unchanged(task))
    if moved is None:  # cannot happen: the task is locked
        raise Conflict(f"task {task.id} was changed by another process meanwhile")
    return moved


_UNFINISHED: Final = (
    select(*columns(TaskState, download_tasks))
    .where(
        download_tasks.c.order_id == bindparam("order_id"),
        download_tasks.c.status.in_(UNFINISHED),
        deletion.not_deleted(download_tasks),
    )
    .order_by(download_tasks.c.id)
    .with_for_update()
)
