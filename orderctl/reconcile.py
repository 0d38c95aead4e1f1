"""Repairs what crashes and outages leave behind in the three stores.

It frees tasks whose lease has expired, rings the doorbell for due tasks that have no job, and ends orders
whose tasks have all ended. It is idempotent and may run from cron and in every supervisor at once: each repair
is a compare-and-set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final, Literal, TypeVar

import redis
from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from orderctl import (
    clock,
    database,
    deletion,
    doorbell,
    failures,
    findings,
    lifecycle,
    orders,
    primary,
    publications,
    readiness,
)
from orderctl.audit import Origin
from orderctl.counting import counted
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, OrderctlError
from orderctl.findings import Finding
from orderctl.grace import Grace
from orderctl.lifecycle import Move, Moved, TaskState
from orderctl.messages import StatusChange
from orderctl.readiness import Found
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from orderctl.settings import Settings
from orderctl.states import (
    UNFINISHED,
    EventType,
    PaymentStatus,
    Source,
    TaskStatus,
)
from orderctl.sweep import Sweep, note_all

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: How often a repair is retried at once. Supervisors try again a second later anyway.
_RERUNS: Final = 2

#: A due task: its id, its order's, and the number of attempts that it has had.
_Due = tuple[int, int, int]


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
        found += (
            end_orders(engine, client)
            + _read(engine, findings.without_tasks)
            + _read(engine, findings.orphans)
        )
    return found + ring(engine, client, settings)


def check(engine: Engine, client: redis.Redis | None, settings: Settings) -> list[Finding]:
    """Return what is wrong, and change nothing.

    Args:
        engine: The database.
        client: Redis; None: it is the embedded one, and does not run.
        settings: As in :func:`run`.

    Raises:
        DatabaseUnavailable: When the database does not answer.
        RedisUnavailable: When Redis does not answer.
    """
    with database.reading(engine) as connection:
        expired = lost(connection)
        due, again = (find_due(connection, settings, failing=which) for which in (False, True))
        orders_found = [*_marked(findings.unended(connection)), *_marked(findings.without_tasks(connection))]
        orders_found += [*findings.orphans(connection), *_marked(findings.late(connection))]
        orders_found += findings.unknown_statuses(connection, settings)
        orders_found += findings.future_times(connection)
    silent = _silent(client, settings, due, again)
    return [*_marked(expired), *_marked(silent, max(len(due), len(again))), *orders_found]


def lost(connection: Connection, seconds: float = 0) -> list[Finding]:
    """Return the tasks of lost workers.

    Args:
        connection: A connection for reading.
        seconds: How long ago their leases have expired, at least.
    """
    rows = _expired(connection, seconds)
    return [findings.expired(row.id, row.order_id, row.worker) for row in rows]


def unrung(connection: Connection, client: redis.Redis | None, settings: Settings) -> list[Finding]:
    """Return the due tasks that have no job in the queue.

    Args:
        connection: A connection for reading.
        client: As in :func:`check`.
        settings: As in :func:`run`.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    due, again = (find_due(connection, settings, failing=which) for which in (False, True))
    return _silent(client, settings, due, again)


def _silent(
    client: redis.Redis | None, settings: Settings, due: list[_Due], again: list[_Due]
) -> list[Finding]:
    silent = doorbell.without_job(client, *_bells(settings, due, again))
    return [findings.unrung(task_id, order_id) for task_id, order_id, _ in due + again if task_id in silent]


def _marked(found: list[Finding], looked_at: int | None = None) -> list[Finding]:
    """Add a finding that there may be more of this kind, if the search ended at its limit."""
    if not found or (len(found) if looked_at is None else looked_at) < findings.BATCH:
        return found
    return [*found, findings.further(found[0].kind)]


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
        _log.debug("found %s of lost workers", counted(len(found), "task"))
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
        found.append(findings.expired(row.id, row.order_id, row.worker, repaired=freed is not False))
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


def _expired(connection: Connection, seconds: float = 0) -> Sequence[Any]:
    return connection.execute(_expired_query(seconds)).all()


@cache  # to build it takes longer than to run it
def _expired_query(seconds: float = 0) -> Select[Any]:
    task = download_tasks.c
    return (
        select(task.id, task.order_id, task.worker, task.lease_token)
        .where(
            *_expired_conditions(seconds), findings.order_of_task(deletion.not_deleted(orders_table)).exists()
        )
        .limit(findings.BATCH)
    )


def _expired_conditions(seconds: float = 0) -> list[ColumnElement[bool]]:
    task = download_tasks.c
    over = task.lease_until < database.utc_now(-seconds)
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
        values={"failing_since": None},
        words={"worker": task.worker},
        details={"attempt": task.attempt, "worker": task.worker},
        key=task.key("recovered"),
    )


def ring(
    engine: Engine, client: redis.Redis, settings: Settings, sweep: Sweep | None = None
) -> list[Finding]:
    """Ring the doorbell for tasks that are due and have no job in the queue.

    Args:
        engine: The database.
        client: Redis.
        settings: They name the queue, and decide which tasks orderctl may run.
        sweep: Of the caller, who calls each second: what it costs does not grow with the tables. None: all open
            orders are looked at.

    Raises:
        DatabaseUnavailable: When the database does not answer.
        RedisUnavailable: When Redis does not answer.
    """
    due, again = _note_all(engine, settings) if sweep is None else _look(engine, client, settings, sweep)
    if not due + again:
        return []
    rung = set(doorbell.ring(client, *_bells(settings, due, again)))
    return [
        findings.unrung(task_id, order_id, repaired=True)
        for task_id, order_id, _ in due + again
        if task_id in rung
    ]


def _note_all(engine: Engine, settings: Settings) -> tuple[list[_Due], list[_Due]]:
    note_all(engine, settings)
    with database.reading(engine) as connection:
        due, again = (find_due(connection, settings, failing=which) for which in (False, True))
    return due, again


def _look(
    engine: Engine, client: redis.Redis, settings: Settings, sweep: Sweep
) -> tuple[list[_Due], list[_Due]]:
    queued = doorbell.length(client, settings.worker.queue)
    if sweep.has_to_look(queued):
        return _sorted(sweep.find(engine, queued))
    sweep.note(engine)
    return [], []


def _sorted(found: Iterable[Found]) -> tuple[list[_Due], list[_Due]]:
    """Return the tasks of which none has failed, and those that have been failing."""
    first, again = (
        [(one.id, one.order_id, one.attempt) for one in found if one.is_failing is failing]
        for failing in (False, True)
    )
    return first, again


def _bells(
    settings: Settings, due: list[_Due], again: list[_Due]
) -> tuple[str, list[tuple[int, int]], list[tuple[int, int]], int]:
    """Return the queue, the tasks for it, and how many of those that have been failing may wait in it.

    As many as there are workers: a server that hangs must not delay the orders of others by a try of each of its tasks.
    """
    first, later = ([(task_id, attempt) for task_id, _, attempt in tasks] for tasks in (due, again))
    return settings.worker.queue, first, later, settings.worker.concurrency


def find_due(
    connection: Connection,
    settings: Settings,
    limit: int | None = findings.BATCH,
    *,
    failing: bool | None = None,
) -> list[_Due]:
    """Return id, order id and number of attempts of each task that a worker may claim now.

    The query starts from the paid orders that have not ended, which are few, and not from the waiting tasks,
    which are many when there are many unpaid orders.

    Args:
        connection: The database.
        settings: They decide which tasks orderctl may run.
        limit: Maximum number of tasks; None: all.
        failing: Only tasks that have been failing, the longest due first, or only others; None: both.
    """
    task = download_tasks.c
    query = (
        select(task.id, task.order_id, task.attempt)
        .join(orders_table, orders_table.c.id == task.order_id)
        .where(*readiness.claimable(take_all=settings.worker.take == "all"))
        .order_by(*([task.available_at] if failing else []), task.id)
        .limit(limit)
    )
    if failing is not None:
        query = query.where(task.failing_since.is_not(None) if failing else task.failing_since.is_(None))
    return [(row.id, row.order_id, row.attempt) for row in connection.execute(query)]


def end_orders(engine: Engine, client: redis.Redis) -> list[Finding]:
    """End paid orders whose tasks have all ended."""
    with database.reading(engine) as connection:
        unended = findings.unended(connection)
    found = []
    for finding in unended:
        ended = _repair(engine, partial(_end, order_id=finding.order_id or 0), f"order {finding.order_id}")
        if ended is None:
            continue
        publications.changes(client, ended.messages if ended else ())
        found.append(replace(finding, repaired=ended is not False))
    return found


def _end(connection: Connection, order_id: int) -> Moved | None:
    order = orders.lock(connection, order_id)
    if order.payment_status != PaymentStatus.PAID:  # refunded meanwhile, for example
        return None
    ended = lifecycle.end(connection, order, Origin(Source.RECONCILE), settle=True)
    return ended if ended.messages else None


def _read(engine: Engine, query: Callable[[Connection], list[Finding]]) -> list[Finding]:
    with database.reading(engine) as connection:
        return query(connection)
