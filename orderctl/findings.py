"""What is wrong in the database: the kinds of findings of ``orderctl reconcile``, and the queries that find them.

Nothing here changes anything; ``reconcile`` repairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from orderctl import database, deletion, moments, orders, statuses
from orderctl.counting import counted
from orderctl.schema import download_tasks, outbox
from orderctl.schema import orders as orders_table
from orderctl.settings import Settings
from orderctl.states import ENDED_TASK, PaymentStatus

#: Most findings of one kind that are repaired, or listed, in one run.
BATCH: Final = 500
#: At most this number of tasks without an order are named, and at most this number are counted.
_SHOWN_ORPHANS: Final = 20
_MOST_ORPHANS: Final = 10_000
#: An outbox entry that is due for longer than this is a finding.
_LATE_SECONDS: Final = 60


class FindingKind(StrEnum):
    """The kinds of findings."""

    EXPIRED_LEASE = "expired-lease"  #: The worker that held a task was lost.
    NOT_RUNG = "not-rung"  #: A due task has no job in the queue.
    NOT_ENDED = "not-ended"  #: Every task of a paid order has ended, but the order has not.
    NO_TASKS = "no-tasks"  #: A paid order has no tasks.
    ORPHAN = "orphan"  #: The order of a task does not exist. Only the shop can repair it.
    NOT_SENT = "not-sent"  #: A message in the outbox is late.
    UNKNOWN_STATUS = "unknown-status"  #: The shop wrote a status that orderctl does not know.
    FUTURE_TIME = (
        "future-time"  #: Rows have times in the future: the setting database.time_zone is probably wrong.
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or was wrong until it was repaired."""

    kind: FindingKind
    order_id: int | None
    task_id: int | None
    text: str
    repaired: bool = False


def unended(connection: Connection) -> list[Finding]:
    """Return the paid orders whose tasks have all ended, and which have not."""
    some, open_task = _tasks_of_order(), _tasks_of_order(ended=False)
    rows = _paid_and_open(connection, some.exists(), ~open_task.exists())
    return [
        Finding(FindingKind.NOT_ENDED, row.id, None, f"order {row.order_code}: every task has ended")
        for row in rows
    ]


def without_tasks(connection: Connection) -> list[Finding]:
    """Return the paid orders that have no tasks."""
    rows = _paid_and_open(connection, ~_tasks_of_order().exists())
    return [
        Finding(FindingKind.NO_TASKS, row.id, None, f"order {row.order_code} is paid and has no tasks")
        for row in rows
    ]


def _tasks_of_order(*, ended: bool | None = None) -> Select[Any]:
    task = download_tasks.c
    query = select(task.id).where(task.order_id == orders_table.c.id, deletion.not_deleted(download_tasks))
    query = query.correlate(orders_table)
    return query if ended is None else query.where(task.status.not_in(ENDED_TASK))


def _paid_and_open(connection: Connection, *conditions: ColumnElement[bool]) -> Sequence[Any]:
    o = orders_table.c
    query = select(o.id, o.order_code).where(
        o.payment_status == PaymentStatus.PAID,
        orders.is_open(),
        deletion.not_deleted(orders_table),
        *conditions,
    )
    return connection.execute(query.order_by(o.id).limit(BATCH)).all()


def order_of_task(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return a query for the order of a task of the surrounding query, if it meets the conditions."""
    return select(orders_table.c.id).where(orders_table.c.id == download_tasks.c.order_id, *conditions)


def orphans(connection: Connection) -> list[Finding]:
    """Return the tasks whose order does not exist: some one by one, and the number of the others.

    Unlike the other queries it reads an index to its end: that of the orders, which are looked up in their order.
    """
    task = download_tasks.c
    query = select(task.id, task.order_id).where(
        order_of_task().scalar_subquery().is_(None), deletion.not_deleted(download_tasks)
    )
    query = query.order_by(task.order_id.desc()).limit(_MOST_ORPHANS + 1)
    rows = sorted(connection.execute(query), key=lambda row: -row.id)
    found = [
        Finding(FindingKind.ORPHAN, row.order_id, row.id, f"task {row.id}: its order does not exist")
        for row in rows[:_SHOWN_ORPHANS]
    ]
    others = len(rows) - len(found)
    if others:
        number = f"{_MOST_ORPHANS:,}+" if len(rows) > _MOST_ORPHANS else f"{others:,}"
        found.append(Finding(FindingKind.ORPHAN, None, None, f"{number} further tasks have no order"))
    return found


def late(connection: Connection) -> list[Finding]:
    """Return the entries of the outbox that are due for long."""
    box = outbox.c
    query = select(box.dedup_key, box.last_error).where(
        box.sent_at.is_(None), box.failed_at.is_(None), box.due_at < database.utc_now(-_LATE_SECONDS)
    )
    rows = connection.execute(query.order_by(box.due_at).limit(BATCH))
    return [
        Finding(
            FindingKind.NOT_SENT,
            None,
            None,
            f"message {row.dedup_key} is late: {row.last_error or 'it has not been sent yet'}",
        )
        for row in rows
    ]


def unknown_statuses(connection: Connection, settings: Settings) -> list[Finding]:
    """Return one finding for each status that orderctl does not know. It does nothing with such rows."""
    expected, pending = settings.reconcile.expected_statuses, settings.payments.pending_statuses
    return [
        Finding(
            FindingKind.UNKNOWN_STATUS,
            None if one.column.startswith("download_tasks") else one.example,
            one.example if one.column.startswith("download_tasks") else None,
            f"{one.status!r} in {one.column}, which orderctl does not know: {_rows(one)}",
        )
        for one in statuses.unknown(connection, expected, pending)
    ]


def _rows(one: statuses.Unknown) -> str:
    if one.count > statuses.COUNT_LIMIT:
        return f"more than {statuses.COUNT_LIMIT:,} rows"
    return counted(one.count, "row")


def expired(task_id: int, order_id: int, worker: str | None, *, repaired: bool = False) -> Finding:
    """Return the finding for a task whose worker was lost."""
    return Finding(
        FindingKind.EXPIRED_LEASE, order_id, task_id, f"task {task_id}: worker {worker} was lost", repaired
    )


def unrung(task_id: int, order_id: int, *, repaired: bool = False) -> Finding:
    """Return the finding for a due task without a job in the queue."""
    return Finding(
        FindingKind.NOT_RUNG,
        order_id,
        task_id,
        f"task {task_id} is due and has no job in the queue",
        repaired,
    )


def further(kind: FindingKind) -> Finding:
    """Return the finding that stands behind the last one that is listed of a kind."""
    return Finding(kind, None, None, f"only the first {BATCH:,} were looked at: there may be more")


def future_times(connection: Connection) -> list[Finding]:
    """Return one finding for each column whose newest rows have times in the future."""
    return [Finding(FindingKind.FUTURE_TIME, None, None, text) for text in moments.ahead(connection).values()]
