"""How far the audit log was read while it is followed, so that each event is found once, whenever it is committed.

An event gets its id before it is committed. So a transaction that takes longer than others commits ids that are lower
than those of events that are there already. The ids without an event below the highest one are remembered as gaps, and
looked at again, until an event appears in them or they are too old. If ids stand for other events than they did, because
the log was emptied or restored, the reading goes back to where the log is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Integer, bindparam, func, select, text

from orderctl import audit, audit_gaps, audit_marks, audit_search, moments
from orderctl.audit import Event, Search
from orderctl.audit_gaps import KEPT_SECONDS, Gap
from orderctl.audit_marks import Mark
from orderctl.schema import order_audit_logs

#: The number of events that are read at once, and of which only the matching ones are returned.
CHUNK: Final = 2000
#: The gaps in the newest events at the begin are watched: this number of events.
BEGIN: Final = 20_000
#: Most gaps that are watched, the newest: those that are older than a minute, and those that are younger.
MOST: Final = 10_000
MOST_YOUNG: Final = 100_000
_MINUTE: Final = 60
#: Gaps for one statement.
_SOME: Final = 500
#: Gaps that are younger than this are looked at each time; older ones, if they are many, at times.
_YOUNG_SECONDS: Final = 10
_FEW: Final = 200
_SELDOM_SECONDS: Final = 5
#: Gaps older than this are closed if there are many of them.
_OLD_SECONDS: Final = 3600
_MOST_OLD: Final = 1000

_LOG: Final = order_audit_logs.c


@dataclass(frozen=True, slots=True)
class Frontier:
    """What was read.

    Attributes:
        read_to: The highest id; every id up to it was read, or is in a gap.
        gaps: The ids below it that had no event, lowest first.
        checked: When all gaps were looked at last, in seconds of the database's clock since 1970.
        marks: By what the log is known again, lowest id first.
    """

    read_to: int = 0
    gaps: tuple[Gap, ...] = ()
    checked: int = 0
    marks: tuple[Mark, ...] = ()

    def without(self, ids: Iterable[int]) -> Frontier:
        """Return it after some events were shown that were perhaps in gaps."""
        return replace(self, gaps=audit_gaps.without(self.gaps, sorted(ids)))

    def at(self, event_id: int, before: Frontier) -> Frontier:
        """Return how far was read when, on the way from ``before`` to here, all events up to this one were shown.

        Args:
            event_id: The event that was shown last.
            before: How far was read at the begin of the way.
        """
        if event_id <= before.read_to:  # a late one; those with higher ids are read again
            left = tuple(gap for gap in self.gaps if gap.last <= event_id)
            again = tuple(
                gap._replace(first=max(gap.first, event_id + 1)) for gap in before.gaps if gap.last > event_id
            )
            return Frontier(before.read_to, left + again, marks=before.marks)
        gaps = tuple(gap for gap in self.gaps if gap.last < event_id)
        return Frontier(event_id, gaps, marks=before.marks)

    def back(self, mark: Mark | None) -> Frontier:
        """Return it as it was when this was the last event; None: when there was none."""
        to = mark.id if mark is not None else 0
        gaps = (gap._replace(last=min(gap.last, to)) for gap in self.gaps if gap.first <= to)
        return Frontier(to, tuple(gaps), marks=tuple(one for one in self.marks if one.id <= to))


class Look(NamedTuple):
    """What is new.

    Attributes:
        events: The events that match, by their ids: late ones first.
        frontier: How far was read.
        more: Whether there are more events to be read at once.
        anew: Whether nothing was read, because the log is another one beyond the frontier, which was put back.
        cut: Whether so many ids are without an event that some young ones are not watched.
    """

    events: list[Event]
    frontier: Frontier
    more: bool
    anew: bool = False
    cut: bool = False


def begin(connection: Connection, read_to: int | None = None, events: int = BEGIN) -> Frontier:
    """Return where to begin.

    Args:
        connection: A connection for reading.
        read_to: All events up to this id are known; None: those that are there.
        events: In how many of the last events before it gaps are looked for.
    """
    newest = audit.newest_id(connection) if read_to is None else read_to
    # What stands in the log now says nothing about where an earlier run has been.
    marks = audit_marks.below(connection, newest) if read_to is None else ()
    known = select(_LOG.id).where(_LOG.id <= newest)
    before = known.order_by(_LOG.id.desc()).limit(1).offset(events - 1)
    first = connection.scalar(before) or connection.scalar(select(func.min(_LOG.id)))
    if first is None or first >= newest:
        return Frontier(newest, marks=marks)
    return Frontier(newest, tuple(_gaps(connection, first, newest, _now(connection))), marks=marks)


def all_but(read_to: int, known: Iterable[int], span: int) -> Frontier:
    """Return a frontier that has the ids of a span as gaps, but for those that are known.

    Args:
        read_to: The highest id.
        known: Ids of events that need not be found again.
        span: The number of ids.
    """
    whole = Gap(max(1, read_to - span + 1), read_to, 0)
    gaps = audit_gaps.without((whole,), sorted(one for one in known if whole.first <= one <= read_to))
    return Frontier(read_to, gaps if read_to > 0 else ())


def look(connection: Connection, frontier: Frontier, wanted: Search, *, every: bool = False) -> Look:
    """Return the events that have appeared behind a frontier.

    What has gaps is read before what is in them: an event that is committed between the two is found, and not again.

    Args:
        connection: A connection for reading, whose statements see what is committed before each.
        frontier: How far was read.
        wanted: The filter.
        every: Look at all gaps, also at old ones.
    """
    ahead = _ahead(connection, frontier)
    if ahead.is_another:
        back = frontier.back(audit_marks.common(connection, frontier.marks))
        return Look([], back, more=True, anew=True)
    top, now = ahead.top, ahead.now
    fresh: tuple[Gap, ...] = ()
    if top is not None and top - frontier.read_to > ahead.number:
        fresh = tuple(_gaps(connection, frontier.read_to, top, now))
    more = ahead.number >= CHUNK
    due, checked = _due(frontier, now, every=every, more=more)
    filled = _filled(connection, due)
    found = _late(connection, filled, wanted)
    gaps = _kept(audit_gaps.without(frontier.gaps, filled), now)
    if top is None:
        return Look(found, replace(frontier, gaps=gaps, checked=checked), more=False)
    new = _between(connection, frontier.read_to, top, wanted)
    fresh = audit_gaps.without(fresh, [event.id for event in new])
    watched, cut = _bounded((*gaps, *fresh), now)
    passed = Frontier(top, watched, checked, audit_marks.below(connection, top))
    return Look([*found, *new], passed, more, cut=cut)


class _Ahead(NamedTuple):
    """What is beyond a frontier.

    Attributes:
        top: The highest id of the next events; None: there are none.
        number: How many they are.
        now: The time, as in :class:`Gap`.
        is_another: Whether the log is another one: its ids have gone back, or stand for other events.
    """

    top: int | None
    number: int
    now: int
    is_another: bool


def _ahead(connection: Connection, frontier: Frontier) -> _Ahead:
    mark = frontier.marks[-1] if frontier.marks else Mark(0, "")  # no event has the id 0
    values = {"read_to": frontier.read_to, "most": CHUNK, "marked": mark.id}
    row = connection.execute(_AHEAD, values).one()
    is_another = (row.newest or 0) < frontier.read_to or audit_marks.differs(mark, row.written)
    return _Ahead(row.top, row.number, _seconds(row.now), is_another)


_NEXT: Final = (
    select(_LOG.id)
    .where(_LOG.id > bindparam("read_to"))
    .order_by(_LOG.id)
    .limit(bindparam("most"))
    .subquery("following")
)
#: In one statement, so that no event that comes between two of them hides that the log is another one.
_AHEAD: Final = select(
    func.max(_NEXT.c.id).label("top"),
    func.count().label("number"),
    moments.utc_now().label("now"),
    select(func.max(_LOG.id)).scalar_subquery().label("newest"),
    audit_marks.WRITTEN,
).select_from(_NEXT)


def _now(connection: Connection) -> int:
    return _seconds(connection.scalar(select(moments.utc_now())))


def _seconds(moment: Any) -> int:
    aware = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    return int((aware if aware.tzinfo else aware.replace(tzinfo=UTC)).timestamp())


def _gaps(connection: Connection, after: int, to: int, now: int) -> list[Gap]:
    """Return the ids without an event between two ids."""
    rows = connection.execute(_JUMPS, {"after": after, "to": to})
    return [Gap(row.earlier + 1, row.id - 1, now) for row in rows]


#: MariaDB's LAG has no default.
_BEFORE: Final = func.coalesce(func.lag(_LOG.id).over(order_by=_LOG.id), bindparam("after", type_=Integer))
_IDS: Final = select(_LOG.id, _BEFORE.label("earlier")).where(
    _LOG.id > bindparam("after"), _LOG.id <= bindparam("to")
)
_STEPS: Final = _IDS.subquery("steps")
_JUMPS: Final = (
    select(_STEPS.c.id, _STEPS.c.earlier).where(_STEPS.c.id - _STEPS.c.earlier > 1).order_by(_STEPS.c.id)
)


def _due(frontier: Frontier, now: int, *, every: bool, more: bool) -> tuple[Sequence[Gap], int]:
    """Return the gaps to look at now, and when all were looked at last."""
    if every or not 0 <= now - frontier.checked < _SELDOM_SECONDS:
        return frontier.gaps, now
    if more:  # many events are read one after the other: the gaps can wait
        return (), frontier.checked
    if len(frontier.gaps) <= _FEW:
        return frontier.gaps, now
    return [gap for gap in frontier.gaps if now - gap.seen < _YOUNG_SECONDS], frontier.checked


def _filled(connection: Connection, gaps: Sequence[Gap]) -> list[int]:
    """Return the ids in gaps that have an event now, lowest first."""
    found: list[int] = []
    for begin_at in range(0, len(gaps), _SOME):
        condition = audit_gaps.condition(gaps[begin_at : begin_at + _SOME])
        found += connection.scalars(select(_LOG.id).where(text(condition)).order_by(_LOG.id))
    return found


def _kept(gaps: Sequence[Gap], now: int) -> tuple[Gap, ...]:
    gaps = [gap if gap.seen else gap._replace(seen=now) for gap in gaps]
    old = [gap for gap in gaps if _OLD_SECONDS <= now - gap.seen < KEPT_SECONDS]
    return (*old[-_MOST_OLD:], *(gap for gap in gaps if now - gap.seen < _OLD_SECONDS))


def _bounded(gaps: Sequence[Gap], now: int) -> tuple[tuple[Gap, ...], bool]:
    """Return the newest gaps, and whether some that are younger than a minute are left out."""
    old = [gap for gap in gaps if now - gap.seen >= _MINUTE]
    young = [gap for gap in gaps if now - gap.seen < _MINUTE]
    return (*old[-MOST:], *young[-MOST_YOUNG:]), len(young) > MOST_YOUNG


def _late(connection: Connection, ids: Sequence[int], wanted: Search) -> list[Event]:
    found: list[Event] = []
    for begin_at in range(0, len(ids), _SOME):
        found += _read(connection, wanted, _LOG.id.in_(ids[begin_at : begin_at + _SOME]))
    return found


def _between(connection: Connection, after: int, to: int, wanted: Search) -> list[Event]:
    return _read(connection, wanted, _LOG.id > after, _LOG.id <= to)


def _read(connection: Connection, wanted: Search, *among: Any) -> list[Event]:
    query = audit.select_events(code=True).where(*among, *audit_search.conditions(connection, wanted))
    events = (audit.event_of(row) for row in connection.execute(query.order_by(_LOG.id)))
    return [event for event in events if audit_search.shows(event, wanted.text)]
