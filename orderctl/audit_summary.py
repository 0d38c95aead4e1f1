"""How many events there are by category and severity: from the buckets of ``audit_hours``, and what is in none counted live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)

from orderctl import audit_counts, deletion, shape
from orderctl.audit_counts import SPANS, State
from orderctl.schema import audit_hours as buckets
from orderctl.schema import order_audit_logs, orders
from orderctl.states import PaymentStatus

_LOG: Final = order_audit_logs.c
_HALF: Final = 30  # minutes of an hour
_WORDS: Final = (_LOG.event_category, _LOG.severity)


@dataclass(frozen=True, slots=True)
class Count:
    """The number of events of one category and severity."""

    category: str
    severity: str
    count: int


def summary(connection: Connection, *, since: datetime | None = None) -> list[Count]:
    """Count all events by category and severity.

    Args:
        connection: A connection for reading, in which nothing was written.
        since: Only events from this time on.
    """
    take_snapshot(connection)
    return count(connection, since=since)


def take_snapshot(connection: Connection) -> None:
    """Let all statements of the next transaction see the rows as they are at its first one.

    Args:
        connection: A connection for reading, in which nothing was written.
    """
    connection.rollback()
    if connection.dialect.name != "sqlite":  # there each transaction does that
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def count(connection: Connection, *, since: datetime | None = None) -> list[Count]:
    """Count all events as :func:`summary` does, after :func:`take_snapshot`."""
    state = audit_counts.state_of(connection)
    if since is not None and (state.counted_to is None or not audit_counts.has_times(connection.dialect)):
        parts = [(1, _live(_LOG.created_at >= since))]
    elif since is not None:
        parts = list(_since(connection, state, since))
    else:
        parts = [(1, _live(state.uncounted()))]
        if state.counted_to is not None:
            parts.append((1, _in_buckets(buckets.c.span == "month")))
    found = ((*words, sign * number) for sign, part in parts for *words, number in connection.execute(part))
    return _counts(connection, found)


def of_paid(connection: Connection, *, since: datetime | None = None) -> list[Count]:
    """Count the events of paid orders, and of orders that do not exist, by category and severity. This reads all events.

    Args:
        connection: A connection for reading.
        since: Only events from this time on.
    """
    is_paid = or_(orders.c.payment_status == PaymentStatus.PAID, orders.c.id.is_(None))
    query = (
        select(*_WORDS, func.count())
        .outerjoin(orders, orders.c.id == _LOG.order_id)
        .where(is_paid, deletion.not_deleted(orders))
        .group_by(*_WORDS)
    )
    if since is not None:
        query = query.where(_LOG.created_at >= since)
    return _counts(connection, connection.execute(query))


def _since(connection: Connection, state: State, since: datetime) -> Iterator[tuple[int, Select[Any]]]:
    """Yield the parts of a count from a time on, each with its sign.

    These are the buckets, the events in none, and the shorter side of the hour: its rest, or what is too much of it.
    """
    stored = _LOG.created_at.type.process_bind_param(since, connection.dialect)  # type: ignore[attr-defined]
    begins = {span: stored.isoformat(" ")[:length] for span, length in SPANS.items()}
    on_sqlite = connection.dialect.name == "sqlite"
    start, end = _bounds(stored, begins["hour"], on_sqlite=on_sqlite)
    written: ColumnElement[str] = type_coerce(_LOG.created_at, String())
    if end is None:  # the last hour that a time can have
        yield 1, _live(_LOG.created_at >= since)
        return
    is_early = stored.minute < _HALF and audit_counts.has_hours(connection.dialect)
    if not is_early:
        yield 1, _live(and_(_LOG.created_at >= since, written < end))
    by_id = written
    if on_sqlite:  # it would walk the index on the time, through all events; with a sign it cannot
        by_id = literal_column(f"+{order_audit_logs.name}.created_at", String())
    yield 1, _live(and_(state.uncounted(), by_id >= (start if is_early else end)))
    yield 1, _in_buckets(_later(begins, with_hour=is_early))
    if is_early:
        yield -1, _live(and_(_LOG.created_at < since, written >= start))


def _later(begins: Mapping[str, str], *, with_hour: bool) -> ColumnElement[bool]:
    """Return the condition of the buckets behind an hour, or of its own, too."""
    span, begin = buckets.c.span, buckets.c.begins
    hours = begin >= begins["hour"] if with_hour else begin > begins["hour"]
    return or_(
        and_(span == "month", begin > begins["month"]),
        and_(span == "day", begin > begins["day"], begin < _next_text(begins["month"])),
        and_(span == "hour", hours, begin < _next_text(begins["day"])),
    )


def _bounds(stored: datetime, hour: str, *, on_sqlite: bool) -> tuple[str, str | None]:
    """Return the start and the end of an hour as the database compares them with times; no end if no time is later."""
    if on_sqlite:
        return hour, _next_text(hour)
    start = stored.replace(minute=0, second=0, microsecond=0)
    try:
        return start.isoformat(" "), (start + timedelta(hours=1)).isoformat(" ")
    except OverflowError:
        return start.isoformat(" "), None


def _next_text(text: str) -> str:
    """Return the lowest text behind all texts that begin with this one."""
    return text[:-1] + chr(ord(text[-1]) + 1)


def _live(condition: ColumnElement[bool]) -> Select[Any]:
    return select(*_WORDS, func.count()).where(condition).group_by(*_WORDS)


def _in_buckets(condition: ColumnElement[bool]) -> Select[Any]:
    words = (
        type_coerce(buckets.c.category, _LOG.event_category.type),
        type_coerce(buckets.c.severity, _LOG.severity.type),
    )
    events = func.sum(buckets.c.events)
    return select(*words, events).where(condition).group_by(*words).having(events > 0)


def _counts(connection: Connection, rows: Iterable[Any]) -> list[Count]:
    """Add numbers up: a word may be spelled in several ways, and is in several parts of a count."""
    there = [shape.of(connection.dialect).column(order_audit_logs.name, word.name) for word in _WORDS]
    spelled: dict[tuple[str, ...], tuple[str, ...]] = {}
    numbers: Counter[tuple[str, ...]] = Counter()
    for *words, number in rows:
        shown = tuple((word or "")[: audit_counts.WORD].rstrip(" ") for word in words)
        same = tuple(
            word.casefold() if column and column.ignores_case else word
            for word, column in zip(shown, there, strict=True)
        )
        numbers[spelled.setdefault(same, shown)] += int(number)
    return [
        Count(category, severity, number)
        for (category, severity), number in sorted(numbers.items())
        if number > 0
    ]
