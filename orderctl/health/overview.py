"""The whole installation in a few numbers. Each is a walk of an index that ends soon, however large the shop is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, select

from orderctl import (
    broker,
    crews,
    database,
    masking,
    order_stats,
    readiness,
    relay_signs,
    unsent,
    walks,
)
from orderctl.crews import Client, Crew, Sight
from orderctl.errors import OrderctlError
from orderctl.health import signs, stores
from orderctl.health.signs import State, StoreSign
from orderctl.health.stores import Stores
from orderctl.operations import reading
from orderctl.operations.reading import Activity
from orderctl.order_stats import Stats
from orderctl.payments import waiting
from orderctl.relay_signs import RelaySign
from orderctl.schema import order_audit_logs
from orderctl.settings import Settings
from orderctl.states import EventType, Severity
from orderctl.waits import Cause, Reason
from orderctl.worker.fleet import SupervisorSign

#: Numbers of tasks and messages that wait stop here.
MOST: Final = 1000
#: So many failures of the last hour are read, the newest; each has a stack trace.
MOST_FAILURES: Final = 200
#: Failures are counted for this time, in seconds.
PERIOD: Final = 3600
_LONGEST_KIND: Final = 32


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of all queues that send heartbeats.

    Attributes:
        supervisors: Their supervisors.
        workers: The workers.
        busy: Those that carry out a task.
        draining: Supervisors that end as soon as their tasks have.
        lost: Supervisors without a heartbeat whose tasks are taken over soon.
    """

    supervisors: int
    workers: int
    busy: int
    draining: int
    lost: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The tasks that are due and wait for a worker.

    Attributes:
        name: The queue that wakes the workers.
        waiting: How many there are; ``MOST + 1``: more than ``MOST``.
        since: Since when the oldest has been due; None: none waits.
        waited: For how long, by the database's clock.
        paused: Whether the workers may not take any; None: Redis does not tell.
        reason: Why no worker takes them; None: workers do, or it is not known.
        frozen: The names of the queue's workers if all of them are frozen.
    """

    name: str
    waiting: int
    since: datetime | None
    waited: timedelta | None
    paused: bool | None
    reason: Reason | None
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed attempts of the last hour, by error type.

    Attributes:
        failed: Attempts after which the task has failed.
        tried_again: Attempts after which the task is tried again.
        at_least: Whether there are more: the newest were counted.
    """

    failed: Mapping[str, int]
    tried_again: Mapping[str, int]
    at_least: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the database says."""

    now: datetime
    stats: Stats
    failures: Failures
    messages: unsent.Messages
    payments: Mapping[str, int]
    operations: Activity


@dataclass(frozen=True, slots=True)
class Overview:
    """The installation as it is now.

    Attributes:
        stores: Both stores.
        numbers: What the database says; None: it cannot be asked.
        queue: The tasks that wait; None: the database cannot be asked.
        workers: The workers; None: a store cannot be asked.
        relays: The relays; None: Redis cannot be asked.
        lost_relays: The names of those that ended without a word in the last day; only where none runs.
    """

    stores: Stores
    numbers: Numbers | None = None
    queue: Queue | None = None
    workers: Workers | None = None
    relays: Sequence[RelaySign] | None = None
    lost_relays: Sequence[str] = ()


def look(settings: Settings) -> Overview:
    """Return how the installation is now. It changes nothing, and takes 5 seconds at most.

    Args:
        settings: All settings.
    """
    try:
        engine = stores.engine(settings)
    except OrderctlError:  # the look says it
        engine = None
    found = Overview(stores.look(settings, engine))
    with ExitStack() as stack:
        if engine is not None and found.stores.database.state is not State.DOWN:  # a late look still uses it
            stack.callback(engine.dispose)
        client = _client(settings, found.stores.redis, stack)
        found = _with_relays(found, client)
        if engine is None or not found.stores.database.is_migrated:
            return found
        return _with_database(settings, engine, client, found)


def _client(settings: Settings, sign: StoreSign, stack: ExitStack) -> Client:
    if sign.error is not None:
        return sign.error
    try:
        url = broker.running_url(settings)
        return None if url is None else stack.enter_context(closing(broker.brisk(url)))
    except OrderctlError as error:
        return error


def _with_relays(found: Overview, client: Client) -> Overview:
    if isinstance(client, OrderctlError):
        return found
    try:
        if client is None:
            return replace(found, relays=())
        relays = relay_signs.find_all(client)
        lost = [] if relays else relay_signs.find_lost(client, frozenset())
        return replace(found, relays=relays, lost_relays=[name for name, _ in lost])
    except OrderctlError as error:
        redis = signs.fell(found.stores.redis, error)
        return replace(found, stores=found.stores._replace(redis=redis))


def _with_database(settings: Settings, engine: Engine, client: Client, found: Overview) -> Overview:
    try:
        with database.reading(engine) as connection:
            seen = crews.look(connection, client, settings)
            numbers = count(connection)
            return replace(
                found,
                numbers=numbers,
                queue=_queue(connection, settings.worker.queue, seen, numbers.now),
                workers=None if seen.alive is None else _workers(seen.signs),
            )
    except OrderctlError as error:
        fallen = signs.fell(found.stores.database, error)
        return replace(found, stores=found.stores._replace(database=fallen))


def _workers(found: Sequence[SupervisorSign]) -> Workers:
    alive = [sign for sign in found if sign.alive]
    workers = sum(sign.concurrency or 0 for sign in alive)
    return Workers(
        supervisors=len(alive),
        workers=workers,
        busy=sum(len(sign.tasks) for sign in alive),
        draining=sum(sign.draining for sign in alive),
        lost=len(found) - len(alive),
    )


def _queue(connection: Connection, name: str, seen: Sight, now: datetime) -> Queue:
    line = readiness.line(connection, limit=MOST + 1)
    since = line[0][0] if line else None
    reason = seen.crew if isinstance(seen.crew, Reason) else None
    paused = None if seen.alive is None else reason is not None and reason.cause is Cause.PAUSED
    frozen = seen.crew.frozen if isinstance(seen.crew, Crew) else ()
    return Queue(name, len(line), since, None if since is None else now - since, paused, reason, frozen)


# --- The database


def count(connection: Connection) -> Numbers:
    """Return what the database says of orders, tasks, failures, messages, payments and operations.

    Args:
        connection: A connection for reading.
    """
    now: datetime = connection.execute(_NOW).scalar_one()
    return Numbers(
        now=now,
        stats=order_stats.count(connection),
        failures=failures(connection, now - timedelta(seconds=PERIOD)),
        messages=unsent.count(connection, now, most=MOST),
        payments=waiting.count(connection),
        operations=reading.activity(connection),
    )


_NOW: Final = select(database.utc_now())


def failures(connection: Connection, since: datetime) -> Failures:
    """Return the failed attempts since a time, by error type.

    Args:
        connection: A connection for reading.
        since: The time.
    """
    failed, at_least = _kinds(connection, Severity.ERROR, since)
    again, more = _kinds(connection, Severity.WARNING, since)
    return Failures(failed, again, at_least or more)


def _kinds(connection: Connection, severity: Severity, since: datetime) -> tuple[dict[str, int], bool]:
    log = order_audit_logs.c
    # With a column that is constant, MySQL takes the index; MariaDB would sort.
    constant = [log.severity.desc()] if walks.is_mysql(connection.dialect) else []
    query = (
        select(log.event_type, log.details)
        .where(log.severity == severity, log.created_at >= since)
        .order_by(*constant, log.created_at.desc(), log.id.desc())
    )
    rows = connection.execute(query.limit(MOST_FAILURES)).all()
    found = Counter(_kind(row.details) for row in rows if row.event_type == EventType.DOWNLOAD_FAILED)
    return dict(found.most_common()), len(rows) == MOST_FAILURES


def _kind(details: object) -> str:
    """Return the error type that an event has; one of the shop's programs may have any, or none."""
    if isinstance(details, Mapping):
        for name in ("error_kind", "error_type"):
            if isinstance(value := details.get(name), str) and value:
                return masking.text(value)[:_LONGEST_KIND]
    return "UNKNOWN"
