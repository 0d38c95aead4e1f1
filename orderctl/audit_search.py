"""Search the events of all orders: newest first, in the order of an index, a part of it at a time.

With an actor, types of events or severities, the index that begins with them gives the events. What no index knows
(a text, a program, a payment's status) is looked for among them, some thousand events in each step. So each step is
short, however long the log is, and the caller decides when to stop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, String, and_, func, or_, select, type_coerce
from sqlalchemy.types import NullType

from orderctl import audit, masking, patterns, prefixes, statuses, walks, words
from orderctl.audit import Actor, Event, Search
from orderctl.errors import InvalidInput, PatternTooSlow
from orderctl.schema import Chars, download_tasks, order_audit_logs
from orderctl.states import Severity, at_least
from orderctl.walks import Part

if TYPE_CHECKING:
    import re

_LOG: Final = order_audit_logs.c
#: The time as it stands in the row: SQLite may have other texts, and the hour that summer time skips stands for another.
_TIME: Final = type_coerce(_LOG.created_at, NullType())
#: The events of the first step, at least; and of the longest one.
_FEWEST: Final = 80
_MOST: Final = 200_000
#: A step should take about this time, in seconds.
_STEP_SECONDS: Final = 0.1
#: A step after one that found too little is this many times as long, at most.
_GROWTH: Final = 4
_PAGE: Final = 500
#: Events whose texts are read at a time for a regular expression.
_TEXTS: Final = 2000
#: CPU time, in seconds, that a regular expression may take on one event.
_EVENT_SECONDS: Final = 1.0


class _Place(NamedTuple):
    """Where an event stands in the order of their times, or of their ids."""

    created_at: Any
    id: int


@dataclass(slots=True)
class Walk:
    """A search on its way from the newest event to the oldest.

    Attributes:
        wanted: The filter; its ids and ``oldest_first`` have no meaning here.
        after: The id of the event behind which it goes on: the last one that was looked at.
        looked: How many events were looked at, at most.
        ended: Whether there are no further events.
        pattern: What the message or the type has to match, too.
        until: When matching stops, by ``time.monotonic()``.
        stuck: The event on which the pattern takes too long; ``after`` is behind it.
    """

    wanted: Search
    after: int | None = None
    looked: int = 0
    ended: bool = False
    pattern: re.Pattern[str] | None = None
    until: float = math.inf
    stuck: int | None = None
    _size: int = 0
    _place: _Place | None = None
    _plan: _Plan | None = field(default=None)

    def step(self, connection: Connection, limit: int) -> list[Event]:
        """Look at the next events and return those that match, newest first.

        Args:
            connection: A connection for reading.
            limit: The largest number of events to return.

        Raises:
            InvalidInput: The event to go on after does not exist.
        """
        if self._plan is None:
            self._place = None if self.after is None else _place(connection, self.after)
            self._plan = _plan(connection, self.wanted)
        limit = min(limit, _PAGE)
        most_read = limit if self.pattern is None else _TEXTS
        few, most = self._plan.rest(connection)
        begun = self.looked, self._place
        found_at = (
            self._among(connection, few, most_read) if few else self._direct(connection, most, most_read)
        )
        if self.pattern is not None:
            found_at = self._matching(connection, found_at, limit, begun)
        return _load(connection, [place.id for place in found_at], self.wanted.text)

    def _direct(self, connection: Connection, rest: list[ColumnElement[bool]], limit: int) -> list[_Place]:
        found = self._read(connection, rest, limit)
        self.looked += len(found)
        self.ended = len(found) < limit
        self._pass(found)
        return found

    def _among(self, connection: Connection, rest: list[ColumnElement[bool]], limit: int) -> list[_Place]:
        self._size = self._size or max(4 * limit, _FEWEST)
        began = time.monotonic()
        last = self._read(connection, [], 1, skip=self._size - 1)
        found = self._read(connection, [*rest, *(self._until(place) for place in last)], limit)
        full = len(found) == limit
        self.looked += self._size if last and not full else self._count(connection, found if full else [])
        if full:
            self._pass(found)
            return found
        self.ended = not last
        self._pass(last)
        self._grow(time.monotonic() - began)
        return found

    def _count(self, connection: Connection, places: list[_Place]) -> int:
        """Return how many events of this step are not behind the last one of some; of all events if there are none."""
        passed = self._query(connection, [self._until(place) for place in places[-1:]], _MOST)
        return connection.scalar(select(func.count()).select_from(passed.subquery())) or 0

    def _matching(
        self, connection: Connection, places: list[_Place], limit: int, begun: tuple[int, _Place | None]
    ) -> list[_Place]:
        """Return those that match, and go on behind the last one that was looked at."""
        texts = _texts(connection, [place.id for place in places])
        found: list[_Place] = []
        for number, place in enumerate(places, 1):
            if self._matches(place.id, texts.get(place.id, ())):
                found.append(place)
            if len(found) == limit or self.stuck is not None or time.monotonic() >= self.until:
                if number < len(places):
                    self.looked, self._place = begun
                    self.looked += self._count(connection, [place])
                    self.ended = False
                    self._pass([place])
                break
        return found

    def _matches(self, event_id: int, texts: tuple[str, ...]) -> bool:
        assert self.pattern is not None  # noqa: S101 - step looks
        try:
            return patterns.matches(self.pattern, texts, seconds=_EVENT_SECONDS, place=f"event {event_id}")
        except PatternTooSlow:
            self.stuck = event_id
            return False

    def _pass(self, places: list[_Place]) -> None:
        if places:
            self._place = places[-1]
            self.after = places[-1].id

    def _read(
        self, connection: Connection, conditions: list[ColumnElement[bool]], limit: int, *, skip: int = 0
    ) -> list[_Place]:
        found = connection.execute(self._query(connection, conditions, limit, skip=skip))
        return [_Place(row.created_at, row.id) for row in found]

    def _query(
        self, connection: Connection, conditions: list[ColumnElement[bool]], limit: int, *, skip: int = 0
    ) -> Select[Any]:
        plan = self._plan
        assert plan is not None  # noqa: S101 - step makes it
        ranges = [] if self._place is None else _after(self._place, by_time=plan.by_time)
        by = (_LOG.created_at, _LOG.id) if plan.by_time else (_LOG.id,)
        query = select(_TIME.label("created_at"), _LOG.id).where(*plan.period, *conditions)
        return walks.newest(connection.dialect, query, plan.parts, by, limit=limit, skip=skip, ranges=ranges)

    def _until(self, place: _Place) -> ColumnElement[bool]:
        """Return the condition that an event is not older than another one."""
        timed = _TIME.is_distinct_from(None)
        if self._plan is None or not self._plan.by_time:
            return _LOG.id >= place.id
        if place.created_at is None:
            return or_(timed, _LOG.id >= place.id)
        return and_(place.created_at <= _TIME, or_(place.created_at < _TIME, _LOG.id >= place.id))

    def _grow(self, seconds: float) -> None:
        if self._size:
            factor = min(_GROWTH, max(0.5, _STEP_SECONDS / max(seconds, 0.001)))
            self._size = min(_MOST, max(_FEWEST, int(self._size * factor)))


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a search is carried out.

    Attributes:
        parts: The parts of the log that an index gives in order.
        by_time: Whether this order is that of their times, not that of their ids.
        period: Conditions on the time that the index answers.
        left: What is left of the filter.
        graded: As ``left``: the condition that an event has a severity.
    """

    parts: Sequence[Part]
    by_time: bool
    period: list[ColumnElement[bool]]
    left: Search
    graded: list[ColumnElement[bool]]

    def rest(self, connection: Connection) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
        """Return the conditions that few events may meet, and those that most meet: most errors are of paid orders."""
        paid = audit.conditions(connection, Search(paid=True)) if self.left.paid else []
        few = audit.conditions(connection, replace(self.left, paid=False))
        return ([*few, *self.graded, *paid], []) if few else ([], [*self.graded, *paid])


def conditions(connection: Connection, wanted: Search) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter for events of all orders: those without a severity have the lowest one."""
    return [*audit.conditions(connection, wanted), *_graded(wanted)]


def _plan(connection: Connection, wanted: Search) -> _Plan:
    if wanted.task_id is not None:
        return _by_id((_LOG.task_id, wanted.task_id), replace(wanted, task_id=None), wanted)
    if wanted.order_id is not None:
        return _by_id((_LOG.order_id, wanted.order_id), replace(wanted, order_id=None), wanted)
    period = audit.conditions(connection, Search(since=wanted.since, until=wanted.until))
    parts, rest = _parts(connection, wanted)
    if not any(parts) and not period and parts:
        # By their ids the rows are read where they stand; by time each is looked up, which takes several times as long.
        return _Plan(parts, False, [], rest, _graded(rest))
    return _Plan(parts, True, period, replace(rest, since=None, until=None), _graded(rest))


def _by_id(part: tuple[Column[Any], int], rest: Search, wanted: Search) -> _Plan:
    return _Plan([(part,)], False, [], rest, _graded(wanted))


def _graded(wanted: Search) -> list[ColumnElement[bool]]:
    return [_LOG.severity.is_not(None)] if wanted.hidden_severities else []


def _parts(connection: Connection, wanted: Search) -> tuple[Sequence[Part], Search]:
    """Return the parts of the log in which the events are, and what is left of the filter."""
    if wanted.actor is not None and any(wanted.actor):
        names = actors(connection, wanted.actor)
        if len(names) <= walks.MOST:
            return walks.parts((_LOG.actor, names)), replace(wanted, actor=None)
    if wanted.event_types is not None:
        spelled = _spelled(connection, "event_type", wanted.event_types)
        if len(spelled) <= walks.MOST:
            return walks.parts((_LOG.event_type, spelled)), replace(wanted, event_types=None)
    chosen = _severities(connection, wanted)
    if chosen is not None and len(chosen) <= walks.MOST:
        return walks.parts((_LOG.severity, chosen)), replace(wanted, severities=None, hidden_severities=())
    return [()], wanted


def _severities(connection: Connection, wanted: Search) -> list[str] | None:
    """Return the spellings of the severities that are wanted; None if these are most events."""
    if wanted.hidden_severities:
        known = set(map(str, Severity)) - set(map(str, wanted.hidden_severities))
        more = _unknown_severities(connection)
    elif wanted.severities is not None:
        known, more = set(map(str, wanted.severities)), []
    else:
        return None
    return None if Severity.INFO in known else [*_spelled(connection, "severity", sorted(known)), *more]


def _spelled(connection: Connection, column: str, chosen: Collection[str]) -> list[str]:
    dialect, table = connection.dialect, order_audit_logs.name
    spelled = (words.spellings(dialect, table, column, str(word)) for word in chosen)
    return list(dict.fromkeys(chain.from_iterable(spelled)))


def _unknown_severities(connection: Connection) -> list[str]:
    severity = order_audit_logs.c.severity
    present = statuses.present(connection, severity)
    return [word for word in present if not words.is_known(connection.dialect, severity, word)]


def actors(connection: Connection, wanted: Actor) -> list[str]:
    """Return the actors that are meant and have events: each is found with one step in an index.

    Args:
        connection: A connection for reading.
        wanted: Which ones.

    Returns:
        At most one more than ``walks.MOST``.
    """
    found = [] if wanted.exact is None else [wanted.exact]
    if not wanted.prefix:
        return found
    bare = type_coerce(_LOG.actor, String)
    beyond = prefixes.begins(connection, _LOG.actor, wanted.prefix)
    while len(found) <= walks.MOST:
        name = connection.scalar(select(bare).where(beyond).order_by(bare).limit(1))
        if name is None or not name.startswith(wanted.prefix):
            break
        found.append(name)
        beyond = bare > name  # alone: with two lower limits, SQLite would begin at the other one
    return list(dict.fromkeys(found))


def _place(connection: Connection, event_id: int) -> _Place:
    row = connection.execute(select(_TIME.label("created_at")).where(_LOG.id == event_id)).first()
    if row is None:
        raise InvalidInput(
            f"there is no event {event_id} to go on after",
            hint="use the number that the previous page printed",
        )
    return _Place(row.created_at, event_id)


def _after(place: _Place, *, by_time: bool) -> list[ColumnElement[bool]]:
    """Return the ranges of the events that come after one. Those without a time come last."""
    if not by_time:
        return [_LOG.id < place.id]
    timeless = _TIME.is_not_distinct_from(None)
    if place.created_at is None:
        return [and_(timeless, _LOG.id < place.id)]
    # Not a row-value comparison: with one MySQL reads the whole table.
    before = and_(place.created_at >= _TIME, or_(place.created_at > _TIME, _LOG.id < place.id))
    return [before, timeless]


def time_of(connection: Connection, event_id: int | None) -> datetime | None:
    """Return the time of an event, None if it has none or does not exist."""
    return connection.scalar(select(_LOG.created_at).where(_LOG.id == event_id))


def _load(connection: Connection, ids: Sequence[int], text: str | None) -> list[Event]:
    if not ids:
        return []
    rows = connection.execute(audit.select_events(code=True).where(_LOG.id.in_(ids)))
    found = {row.id: audit.event_of(row) for row in rows}
    return [found[one] for one in ids if one in found and shows(found[one], text)]


def _texts(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the message and the type of events, as they are shown: masked."""
    task = download_tasks.c
    url = type_coerce(task.course_url, Chars(null=None)).label("url")
    query = select(_LOG.id, _LOG.message, _LOG.event_type, url).where(_LOG.id.in_(ids))
    rows = connection.execute(query.outerjoin_from(order_audit_logs, download_tasks, task.id == _LOG.task_id))
    return {
        row.id: (masking.of_task(row.message, row.url or "") if row.message else row.message, row.event_type)
        for row in rows
    }


def shows(event: Event, text: str | None) -> bool:
    """Whether a text stands in what is shown of an event: nobody finds a masked secret by guessing it."""
    if text is None:
        return True
    return any(text.casefold() in shown.casefold() for shown in (event.message, event.event_type))


def errors(
    connection: Connection,
    *,
    severities: Collection[str] = at_least(Severity.ERROR),
    limit: int = 50,
    **more: Any,
) -> list[Event]:
    """Return the newest events with these severities over all paid orders, newest first.

    Events of a severity that orderctl does not know are among them, and those whose order does not exist, because
    the shop has deleted it.

    Args:
        connection: A connection for reading.
        severities: The severities.
        limit: The largest number of events.
        more: Further conditions, as :class:`orderctl.audit.Search` has them.
    """
    walk = Walk(Search(hidden_severities=set(Severity) - set(severities), paid=True, **more))
    found: list[Event] = []
    while not walk.ended and len(found) < limit:
        found += walk.step(connection, limit - len(found))
    return found
