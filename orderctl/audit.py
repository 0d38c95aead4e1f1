"""The audit log: every important event, written once, in the transaction of the change that it records."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from orderctl import database, database_errors, deletion, masking, prefixes, shop_tables
from orderctl.schema import Chars, columns, download_tasks, order_audit_logs, orders
from orderctl.states import EventType, PaymentStatus, Severity

#: Maximum length of a message in characters; TEXT holds 65,535 bytes.
MAX_MESSAGE = 16_000
_MAX_ACTOR = 128
#: The number of events that :func:`record_all` writes at once: more make it no faster.
_CHUNK = 500
_INSERT = order_audit_logs.insert()


class Origin(NamedTuple):
    """Which program writes an event, and who caused it (``user@host``, a worker's name).

    The program is a part of orderctl (:class:`orderctl.states.Source`), or one of the shop's for which orderctl writes.
    """

    source: str
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be written.

    Attributes:
        type: What happened; the type has the category, the usual severity and the message's template.
        order_id: The event's order.
        origin: Who writes the event.
        task_id: The event's task, if it is about one.
        words: The values of the template's placeholders.
        details: Further data, as JSON can hold it.
        previous_status: The status before the event.
        new_status: The status after the event.
        severity: The severity, if it is not the usual one of the type.
        dedup_key: A key of which only one event is ever written.
    """

    type: EventType
    order_id: int
    origin: Origin
    task_id: int | None = None
    words: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None
    previous_status: str | None = None
    new_status: str | None = None
    severity: Severity | None = None
    dedup_key: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the audit log, with the title and URL of its task; secrets in URLs are masked, whoever wrote them."""

    id: int
    order_id: int
    task_id: int | None
    event_type: str
    event_category: str
    severity: str
    message: str
    details: Any
    previous_status: str | None
    new_status: str | None
    source: str | None
    actor: str | None
    created_at: datetime | None
    task_title: str | None = None
    course_url: str | None = None
    order_code: str | None = None


class Actor(NamedTuple):
    """Which actors are meant.

    Attributes:
        exact: This one; None: none by its whole name.
        prefix: Those whose names begin like this; None: none. With both None: each that has a name.
    """

    exact: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A filter for events; None means any.

    Attributes:
        after_id: Only events with a higher id.
        before_id: Only events with a lower id.
        hidden_severities: No events with one of these severities. Those that orderctl does not know are shown.
        oldest_first: Return the oldest event first, not the newest.
        event_types: Only events of these types.
        actor: Only events of these actors.
        source: Only events that this program wrote.
        text: Only events whose message or type contains this text, in any case.
        operation: Only events of this operation.
        order_id: Only events of this order.
        paid: Only events of paid orders, and of orders that do not exist any more.
    """

    task_id: int | None = None
    severities: Collection[str] | None = None
    category: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after_id: int | None = None
    before_id: int | None = None
    oldest_first: bool = False
    hidden_severities: Collection[str] = ()
    event_types: Collection[str] | None = None
    actor: Actor | None = None
    source: str | None = None
    text: str | None = None
    operation: str | None = None
    order_id: int | None = None
    paid: bool = False


def record(connection: Connection, event: NewEvent) -> bool:
    """Write one event.

    Args:
        connection: In the transaction of the change that the event records. If the change may end the order,
            the transaction holds the order.
        event: The event to write.

    Returns:
        False if an event with the same dedup key exists already.
    """
    try:
        shop_tables.execute(connection, _INSERT, _values(event, database.utc_now()))
    except IntegrityError as error:
        # SQLite, MySQL and MariaDB roll back only the statement: the transaction continues.
        if event.dedup_key is None or not database_errors.is_duplicate(error):
            raise
        return False
    return True


def record_all(connection: Connection, events: Iterable[NewEvent]) -> int:
    """Write events in the given order, many in one statement; the rows are those that :func:`record` writes.

    Args:
        connection: As for :func:`record`.
        events: The events. One whose dedup key exists already, also among those before it, is left out.

    Returns:
        The number of events that were written.
    """
    written, left = 0, iter(events)
    while chunk := list(islice(left, _CHUNK)):
        written += _record_chunk(connection, chunk)
    return written


def _record_chunk(connection: Connection, events: Sequence[NewEvent]) -> int:
    if len(events) == 1:
        return int(record(connection, events[0]))
    try:
        now = database.utc_now()
        shop_tables.execute_all(connection, _INSERT, [_values(one, now) for one in events])
    except DBAPIError as error:
        if not (database_errors.is_duplicate(error) or database_errors.is_unstorable(error)):
            raise
        # One row is in the way of all others: halve the rows until it is alone.
        half = len(events) // 2
        return _record_chunk(connection, events[:half]) + _record_chunk(connection, events[half:])
    return len(events)


def _values(event: NewEvent, now: database.utc_now) -> dict[str, Any]:
    message = masking.text(event.type.template.format_map(event.words))
    return {
        "order_id": event.order_id,
        "task_id": event.task_id,
        "event_type": event.type.value,
        "event_category": event.type.category.value,
        "severity": (event.severity or event.type.severity).value,
        "message": shop_tables.storable(message[:MAX_MESSAGE]),
        "details": None
        if event.details is None
        else shop_tables.storable_json(masking.values(event.details)),
        "previous_status": event.previous_status,
        "new_status": event.new_status,
        "source": str(event.origin.source),
        "actor": named(event.origin.actor),
        "dedup_key": event.dedup_key,
        "created_at": now,
    }


def named(actor: object) -> str | None:
    """Return an actor as the audit log stores it: a text, shortened."""
    return None if actor is None else shop_tables.storable(str(actor))[:_MAX_ACTOR]


def find_by_key(connection: Connection, dedup_key: str) -> Event | None:
    """Return the event with this dedup key, or None."""
    row = connection.execute(select_events().where(order_audit_logs.c.dedup_key == dedup_key)).first()
    return None if row is None else event_of(row)


def times_of(connection: Connection, dedup_keys: Collection[str]) -> dict[str, datetime | None]:
    """Return the times of the events that have these dedup keys, by key."""
    log = order_audit_logs.c
    found: dict[str, datetime | None] = {}
    left = iter(dedup_keys)
    while chosen := list(islice(left, _CHUNK)):
        query = select(log.dedup_key, log.created_at).where(log.dedup_key.in_(chosen))
        found |= {row.dedup_key: row.created_at for row in connection.execute(query)}
    return found


def search(
    connection: Connection, order_id: int, wanted: Search | None = None, *, limit: int = 1000
) -> list[Event]:
    """Return events of one order, newest first unless ``wanted`` says otherwise.

    The query walks the index on ``order_id`` and stops at the limit: it costs the same for an order of 20
    events and one of 20,000, and never sorts rows with JSON (MySQL runs out of sort memory if the JSON is
    long).
    """
    wanted = wanted or Search()
    log = order_audit_logs.c
    query = select_events().where(log.order_id == order_id, *conditions(connection, wanted)).limit(limit)
    # order_id first, although it is constant: so MySQL sees that the index has this order already.
    order = (log.order_id, log.id) if wanted.oldest_first else (log.order_id.desc(), log.id.desc())
    return [event_of(row) for row in connection.execute(query.order_by(*order))]


def conditions(connection: Connection, wanted: Search) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter on the rows of the audit log.

    Args:
        connection: The database.
        wanted: The filter; ``oldest_first`` is no condition.
    """
    log = order_audit_logs.c
    equal = {
        log.order_id: wanted.order_id,
        log.task_id: wanted.task_id,
        log.event_category: wanted.category,
        log.source: wanted.source,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.severities is not None:
        found.append(log.severity.in_(wanted.severities))
    if wanted.hidden_severities:
        found.append(or_(log.severity.is_(None), log.severity.not_in(wanted.hidden_severities)))
    if wanted.event_types is not None:
        found.append(log.event_type.in_(wanted.event_types))
    limits = (
        (operator.ge, log.created_at, wanted.since),
        (operator.lt, log.created_at, wanted.until),
        (operator.gt, log.id, wanted.after_id),
        (operator.lt, log.id, wanted.before_id),
    )
    found += [compare(column, value) for compare, column, value in limits if value is not None]
    return found + _further(connection, wanted)


def _further(connection: Connection, wanted: Search) -> list[ColumnElement[bool]]:
    log, found = order_audit_logs.c, []
    if wanted.actor is not None:
        exact, prefix = wanted.actor
        choices = [] if exact is None else [log.actor == exact]
        choices += [prefixes.begins(connection, log.actor, prefix)] if prefix else []
        found.append(or_(*choices) if choices else log.actor.is_not(None))
    if wanted.text is not None:
        found.append(
            or_(*(_contains(connection, column, wanted.text) for column in (log.message, log.event_type)))
        )
    if wanted.operation is not None:
        found.append(log.details["operation"].as_string() == wanted.operation)
    if wanted.paid:
        found.append(_of_paid())
    return found


def _contains(connection: Connection, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    bare = type_coerce(column, String)
    if not database.is_sqlite(connection):
        return prefixes.contains(bare, text)
    # Its LIKE ignores the case of ASCII letters only.
    cases = dict.fromkeys((text, text.lower(), text.upper(), text.capitalize()))
    return or_(*(bare.contains(case, autoescape=True) for case in cases))


def _of_paid() -> ColumnElement[bool]:
    """Return the condition that an event is one of a paid order, or of one that does not exist."""
    of_event = orders.c.id == order_audit_logs.c.order_id
    kept = select(orders.c.payment_status).where(of_event, deletion.not_deleted(orders)).scalar_subquery()
    return or_(kept == PaymentStatus.PAID, ~select(orders.c.id).where(of_event).exists())


def newest_id(connection: Connection) -> int:
    """Return the highest id of an event, 0 if there is none."""
    return connection.scalar(select(func.max(order_audit_logs.c.id))) or 0


def newest(
    connection: Connection,
    task_id: int,
    *event_types: EventType,
    since: datetime | None = None,
    limit: int = 1,
) -> list[Event]:
    """Return the newest events of a task that have one of these types, newest first.

    Args:
        connection: The database.
        task_id: The task.
        event_types: The types.
        since: Only events from this time on.
        limit: Maximum number of events.
    """
    log = order_audit_logs.c
    query = select_events().where(log.task_id == task_id, log.event_type.in_(event_types))
    if since is not None:
        query = query.where(log.created_at >= since)
    query = query.order_by(log.task_id.desc(), log.id.desc()).limit(limit)  # as in search
    return [event_of(row) for row in connection.execute(query)]


def latest(connection: Connection, order_ids: Collection[int]) -> dict[int, Event]:
    """Return the newest event of each of these orders, by order id.

    A correlated subquery for each order reads one row at the end of the index. MAX, LATERAL and window
    functions would read every event.
    """
    log, inner = order_audit_logs.c, order_audit_logs.alias("newest")
    newest = (
        select(inner.c.id)
        .where(inner.c.order_id == orders.c.id)
        .order_by(inner.c.order_id.desc(), inner.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = [
        row.newest
        for row in connection.execute(select(newest.label("newest")).where(orders.c.id.in_(order_ids)))
        if row.newest is not None
    ]
    found = (event_of(row) for row in connection.execute(select_events().where(log.id.in_(ids))))
    return {event.order_id: event for event in found}


_ORDER_CODE = (
    select(type_coerce(orders.c.order_code, Chars(null=None)))
    .where(orders.c.id == order_audit_logs.c.order_id)
    .scalar_subquery()
    .label("order_code")
)


def select_events(*, code: bool = False) -> Select[Any]:
    """Return the query of events with the titles of their tasks, and the codes of their orders if ``code`` says so."""
    task = download_tasks.c
    url = type_coerce(task.course_url, Chars(null=None)).label("course_url")  # NULL without a task
    selected = select(*columns(Event, order_audit_logs), task.title.label("task_title"), url)
    if code:
        selected = selected.add_columns(_ORDER_CODE)
    return selected.outerjoin_from(order_audit_logs, download_tasks, task.id == order_audit_logs.c.task_id)


def event_of(row: Row[Any]) -> Event:
    """Return the event of a row from :func:`select_events`."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a row's names
    for name in ("severity", "event_category"):
        values[name] = values[name] or ""  # NULL in rows of the shop
    return Event(**{**values, **_masked(values)})


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns in which earlier versions and the shop's programs may have left secrets, without them."""
    url, shown = values["course_url"] or "", {"details": masking.values(values["details"])}
    for name in ("message", "task_title"):
        shown[name] = masking.of_task(values[name], url) if values[name] else values[name]
    return {**shown, "course_url": (url and masking.url(url)) or values["course_url"]}
