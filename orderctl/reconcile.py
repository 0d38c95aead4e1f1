"""Repairs what crashes and outages leave behind in the three stores.

It frees tasks whose lease has expired, rings the doorbell for due tasks that have no job, and ends orders
whose tasks have all ended. It is idempotent and may run from cron and in every supervisor at once: each repair
is a compare-and-set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final, Literal, TypeVar

import redis
from sqlalchemy import ColumnElement, Connection, Engine, Select, or_, select

from orderctl import (
    clock,
    database,
    deletion,
    doorbell,
    failures,
    lifecycle,
    moments,
    orders,
    primary,
    publications,
    statuses,
)
from orderctl.audit import Origin
from orderctl.counting import counted
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, OrderctlError
from orderctl.grace import Grace
from orderctl.lifecycle import Move, Moved, TaskState
from orderctl.messages import StatusChange
from orderctl.schema import download_tasks, outbox
from orderctl.schema import orders as orders_table
from orderctl.settings import Settings
from orderctl.states import (
    ENDED_TASK,
    UNFINISHED,
    WAITING,
    EventType,
    PaymentStatus,
    Source,
    TaskStatus,
)

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: Most findings of one kind that are repaired in one run.
_BATCH: Final = 500
#: At most this number of tasks without an order are named, and at most this number are counted.
_SHOWN_ORPHANS: Final = 20
_MOST_ORPHANS: Final = 10_000
#: How often a repair is retried at once. Supervisors try again a second later anyway.
_RERUNS: Final = 2
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


def run(engine: Engine, client: redis.Redis, settings: Settings, *, fix: bool = False) -> list[Finding]:
    """Repair what can be repaired.

    Args:
        engine: The database.
        client: Redis.
        settings: They name the queue, and decide which tasks orderctl may run.
        fix: Also end orders whose tasks have all ended. Without it, only what every supervisor repairs each
            second is repaired.

    Returns:
        The findings; ``repaired`` is true for those that are no longer wrong.

    Raises:
        DatabaseUnavailable: When the database does not answer.
        RedisUnavailable: When Redis does not answer. Tasks with an expired lease have been freed by then.
    """
    found = recover(engine, client, Grace(settings.worker.lease_seconds))
    if fix:
        found += end_orders(engine, client) + _read(engine, _without_tasks) + _read(engine, _orphans)
    return found + ring(engine, client, settings)


def check(engine: Engine, client: redis.Redis, settings: Settings) -> list[Finding]:
    """Return what is wrong, and change nothing.

    Raises:
        DatabaseUnavailable: When the database does not answer.
        RedisUnavailable: When Redis does not answer.
    """
    with database.reading(engine) as connection:
        expired = [_expired_finding(row.id, row.order_id, row.worker) for row in _expired(connection)]
        due = _due(connection, settings)
        orders_found = [*_unended_findings(connection), *_without_tasks(connection)]
        orders_found += [*_orphans(connection), *_late(connection)]
        orders_found += _unknown_statuses(connection, settings)
        orders_found += [
            Finding(FindingKind.FUTURE_TIME, None, None, text) for text in moments.ahead(connection).values()
        ]
    silent = doorbell.without_job(
        client, settings.worker.queue, [(task_id, attempt) for task_id, _, attempt in due]
    )
    unrung = [_unrung_finding(task_id, order_id) for task_id, order_id, _ in due if task_id in silent]
    return [*expired, *unrung, *orders_found]


def recover(engine: Engine, client: redis.Redis, grace: Grace) -> list[Finding]:
    """Return tasks of lost workers to waiting, or end them when no attempt is left.

    Args:
        engine: The database.
        client: Redis.
        grace: Of the caller, who calls again and again.

    Raises:
        DatabaseUnavailable: When the database does not answer, or does not accept the writes that are needed.
    """
    try:
        found, messages = _free_expired(engine, grace)
    except DatabaseUnavailable:
        grace.miss()
        raise
    if found:
        _log.warning("found %s of lost workers", counted(len(found), "task"))
    publications.changes(client, messages)
    return found


def _free_expired(engine: Engine, grace: Grace) -> tuple[list[Finding], list[StatusChange]]:
    began = clock.elapsed()
    with database.reading(engine) as connection:
        rows = _expired(connection)
        if primary.is_read_only(connection):
            grace.miss()
        if rows:
            primary.require(connection)
    rows = rows if grace.look(began) else ()
    found: list[Finding] = []
    messages: list[StatusChange] = []
    for row in rows:
        if grace.spares(row.lease_token):
            continue
        work = partial(_recover, task_id=row.id, token=row.lease_token, grace=grace, began=clock.elapsed())
        freed = _repair(engine, work, f"task {row.id}")
        if freed is None:
            continue
        if freed is False:
            grace.spare(row.lease_token)
        messages += freed.messages if freed else ()
        found.append(_expired_finding(row.id, row.order_id, row.worker, repaired=freed is not False))
    return found, messages


def _repair(engine: Engine, work: Callable[[Connection], T | None], what: str) -> T | Literal[False] | None:
    """Repair one thing; return False when that fails, so that it does not hold up the others.

    Raises:
        DatabaseUnavailable: When the database does not answer at all.
    """
    try:
        return database.transact(engine, work, reruns=_RERUNS)
    except DatabaseBusy as error:
        _log.warning("cannot repair %s now: %s", what, error)
    except DatabaseUnavailable:
        raise
    except OrderctlError as error:
        _log.warning("cannot repair %s: %s", what, error)
    return False


def _expired(connection: Connection) -> Sequence[Any]:
    task = download_tasks.c
    query = (
        select(task.id, task.order_id, task.worker, task.lease_token)
        .where(*_expired_conditions(), _order_of_task(deletion.not_deleted(orders_table)).exists())
        .limit(_BATCH)
    )
    return connection.execute(query).all()


def _expired_conditions() -> list[ColumnElement[bool]]:
    task = download_tasks.c
    over = task.lease_until < database.utc_now()
    kept = deletion.not_deleted(download_tasks)
    return [task.status.in_(UNFINISHED), over, task.lease_token.is_not(None), kept]


def _recover(connection: Connection, task_id: int, token: str, grace: Grace, began: float) -> Moved | None:
    order, task = lifecycle.hold(connection, task_id)
    if grace.spare_after_wait(token, began):
        return None
    fence = [download_tasks.c.lease_token == token, *_expired_conditions()]
    return lifecycle.move(connection, task, _after_loss(task), fence, order)


def _after_loss(task: TaskState) -> Move:
    """Return the move to waiting, or to failed when no attempt is left."""
    origin = Origin(Source.RECONCILE)
    if task.attempt >= task.max_attempts:
        return failures.failed(task, failures.lost_worker(task.worker), origin, key=task.key("lost"))
    return Move(
        TaskStatus.PENDING,
        EventType.TASK_RECOVERED,
        origin,
        words={"worker": task.worker},
        details={"attempt": task.attempt, "worker": task.worker},
        key=task.key("recovered"),
    )


def ring(engine: Engine, client: redis.Redis, settings: Settings) -> list[Finding]:
    """Ring the doorbell for tasks that are due and have no job in the queue."""
    with database.reading(engine) as connection:
        due = _due(connection, settings)
    if not due:
        return []
    rung = set(
        doorbell.ring(client, settings.worker.queue, [(task_id, attempt) for task_id, _, attempt in due])
    )
    return [
        _unrung_finding(task_id, order_id, repaired=True) for task_id, order_id, _ in due if task_id in rung
    ]


def _due(connection: Connection, settings: Settings) -> list[tuple[int, int, int]]:
    """Return id, order id and number of attempts of each task that a worker may claim now.

    The query starts from the paid orders that have not ended, which are few, and not from the waiting tasks,
    which are many when there are many unpaid orders.
    """
    o, task = orders_table.c, download_tasks.c
    query = (
        select(task.id, task.order_id, task.attempt)
        .join(orders_table, o.id == task.order_id)
        .where(
            o.payment_status == PaymentStatus.PAID,
            orders.is_open(),
            task.status.in_(WAITING),
            task.lease_token.is_(None),
            or_(task.available_at.is_(None), task.available_at <= database.utc_now()),
            deletion.not_deleted(orders_table),
            deletion.not_deleted(download_tasks),
        )
        .order_by(task.id)
        .limit(_BATCH)
    )
    if settings.worker.take != "all":
        query = query.where(task.managed == 1)
    return [(row.id, row.order_id, row.attempt) for row in connection.execute(query)]


def end_orders(engine: Engine, client: redis.Redis) -> list[Finding]:
    """End paid orders whose tasks have all ended."""
    with database.reading(engine) as connection:
        unended = _unended_findings(connection)
    found = []
    for finding in unended:
        ended = _repair(engine, partial(_end, order_id=finding.order_id or 0), f"order {finding.order_id}")
        if ended is None:
            continue
        publications.changes(client, ended.messages if ended else ())
        found.append(replace(finding, repaired=ended is not False))
    return found


def _end(connection: Connection, order_id: int) -> Moved | None:
    ended = lifecycle.end(connection, orders.lock(connection, order_id), Origin(Source.RECONCILE))
    return ended if ended.messages else None


def _unended_findings(connection: Connection) -> list[Finding]:
    some, open_task = _tasks_of_order(), _tasks_of_order(ended=False)
    rows = _paid_and_open(connection, some.exists(), ~open_task.exists())
    return [
        Finding(FindingKind.NOT_ENDED, row.id, None, f"order {row.order_code}: every task has ended")
        for row in rows
    ]


def _without_tasks(connection: Connection) -> list[Finding]:
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
    return connection.execute(query.order_by(o.id).limit(_BATCH)).all()


def _order_of_task(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(orders_table.c.id).where(orders_table.c.id == download_tasks.c.order_id, *conditions)


def _orphans(connection: Connection) -> list[Finding]:
    """Return the tasks whose order does not exist: the newest one by one, and the number of the others.

    Unlike the other queries it reads an index to its end.
    """
    task = download_tasks.c
    query = select(task.id, task.order_id).where(
        _order_of_task().scalar_subquery().is_(None), deletion.not_deleted(download_tasks)
    )
    rows = connection.execute(query.order_by(task.id.desc()).limit(_MOST_ORPHANS + 1)).all()
    found = [
        Finding(FindingKind.ORPHAN, row.order_id, row.id, f"task {row.id}: its order does not exist")
        for row in rows[:_SHOWN_ORPHANS]
    ]
    others = len(rows) - len(found)
    if others:
        number = f"{_MOST_ORPHANS:,}+" if len(rows) > _MOST_ORPHANS else f"{others:,}"
        found.append(Finding(FindingKind.ORPHAN, None, None, f"{number} further tasks have no order"))
    return found


def _late(connection: Connection) -> list[Finding]:
    box = outbox.c
    query = select(box.dedup_key, box.last_error).where(
        box.sent_at.is_(None), box.due_at < database.utc_now(-_LATE_SECONDS)
    )
    rows = connection.execute(query.order_by(box.due_at).limit(_BATCH))
    return [
        Finding(
            FindingKind.NOT_SENT,
            None,
            None,
            f"message {row.dedup_key} is late: {row.last_error or 'it has not been sent yet'}",
        )
        for row in rows
    ]


def _unknown_statuses(connection: Connection, settings: Settings) -> list[Finding]:
    """Return one finding for each status that orderctl does not know. It does nothing with such rows."""
    expected = {*settings.reconcile.expected_statuses, *settings.payments.pending_statuses}
    return [
        Finding(
            FindingKind.UNKNOWN_STATUS,
            None if one.column.startswith("download_tasks") else one.example,
            one.example if one.column.startswith("download_tasks") else None,
            f"orderctl does not know {one.column} {one.status!r}: {_rows(one)}",
        )
        for one in statuses.unknown(connection, expected)
    ]


def _rows(one: statuses.Unknown) -> str:
    if one.count > statuses.COUNT_LIMIT:
        return f"more than {statuses.COUNT_LIMIT:,} rows"
    return counted(one.count, "row")


def _expired_finding(task_id: int, order_id: int, worker: str | None, *, repaired: bool = False) -> Finding:
    return Finding(
        FindingKind.EXPIRED_LEASE, order_id, task_id, f"task {task_id}: worker {worker} was lost", repaired
    )


def _unrung_finding(task_id: int, order_id: int, *, repaired: bool = False) -> Finding:
    return Finding(
        FindingKind.NOT_RUNG,
        order_id,
        task_id,
        f"task {task_id} is due and has no job in the queue",
        repaired,
    )


def _read(engine: Engine, query: Callable[[Connection], list[Finding]]) -> list[Finding]:
    with database.reading(engine) as connection:
        return query(connection)
