"""The numbers of paid orders and of their tasks, by status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, func, select

from orderctl import deletion, shape, statuses
from orderctl.schema import download_tasks, orders
from orderctl.states import OrderStatus, PaymentStatus, TaskStatus


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of paid orders and of their tasks, by status.

    Attributes:
        orders: The number of orders, by order status.
        tasks: The number of tasks, by task status.
        capped: Whether a number stopped at ``statuses.COUNT_LIMIT + 1``: there are more.
    """

    orders: dict[str, int]
    tasks: dict[str, int]
    capped: bool


def count(connection: Connection, *, exact: bool = False) -> Stats:
    """Count paid orders and their tasks by status; tasks whose order does not exist count, too.

    Args:
        connection: A connection for reading.
        exact: Count all rows, even if that means reading a large index to its end. Otherwise, and where a foreign
            key holds each task to its order, tasks without an order are counted among the newest
            ``statuses.COUNT_LIMIT`` tasks only.
    """
    found = _stats(connection, exact=exact)
    for status, number in _orphans(connection, exact=exact).items():
        found.tasks[status] = found.tasks.get(status, 0) + number
    return found


def _orphans(connection: Connection, *, exact: bool) -> dict[str, int]:
    """Return the number of tasks whose order does not exist, by status."""
    task = download_tasks.c
    query = select(task.status, task.order_id).where(deletion.not_deleted(download_tasks))
    if not exact or shape.has_foreign_key(connection, "download_tasks", "order_id"):
        query = query.order_by(task.id.desc()).limit(statuses.COUNT_LIMIT)
    some = query.subquery()
    # Not NOT EXISTS: for that MySQL and MariaDB read all orders.
    order = select(orders.c.id).where(orders.c.id == some.c.order_id).scalar_subquery()
    counted = select(some.c.status, func.count()).where(order.is_(None)).group_by(some.c.status)
    return {status or "": number for status, number in connection.execute(counted)}


def _stats(connection: Connection, *, exact: bool) -> Stats:
    o, task = orders.c, download_tasks.c
    paid = and_(o.payment_status == PaymentStatus.PAID, deletion.not_deleted(orders))
    kept = deletion.not_deleted(download_tasks)
    if exact:
        by_order = select(o.order_status, func.count()).where(paid).group_by(o.order_status)
        by_task = select(task.status, func.count()).join(orders, o.id == task.order_id).where(paid, kept)
        return Stats(
            _grouped(connection, by_order, OrderStatus),
            _grouped(connection, by_task.group_by(task.status), TaskStatus),
            capped=False,
        )
    order_counts = statuses.count(connection, select(o.id).where(paid), o.order_status, paid)
    tasks_of_paid = select(task.id).join(orders, o.id == task.order_id).where(paid, kept)
    task_counts = statuses.count(connection, tasks_of_paid, task.status)
    capped = any(number > statuses.COUNT_LIMIT for number in (*order_counts.values(), *task_counts.values()))
    return Stats(order_counts, task_counts, capped)


def _grouped(connection: Connection, query: Select[str, int], known: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for status, number in connection.execute(query):  # a status may be spelled in several ways
        found[status or ""] = found.get(status or "", 0) + number
    return {str(status): found.pop(status, 0) for status in known} | found
