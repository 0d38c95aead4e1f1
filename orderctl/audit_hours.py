"""How many events there are in each hour, day and month: counted beside the audit log, which is only read.

Each event with an id up to ``counted_to`` is in the buckets of its hour, its day and its month, except those in the gaps
(see ``audit_gaps``). What is in no bucket yet, :mod:`orderctl.audit_summary` counts when it is asked. So the numbers are
right at any time, however far the counting is, and no program that writes events has to do anything for it.

The events are counted in ranges of ids, in transactions that lock only rows of orderctl's own: no writer of the log waits.
An hour is what stands in the row, in no time zone: ``2026-01-31 23``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Row,
    TextClause,
    and_,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    true,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import NullType

from orderctl import audit_gaps, clock, database, database_errors, foreign, moments, shape
from orderctl.audit_gaps import Gap
from orderctl.errors import DatabaseUnavailable, OrderctlError
from orderctl.schema import audit_counts, audit_hours, order_audit_logs

_log = logging.getLogger(__name__)

#: The buckets, with how many characters of an event's time name one.
SPANS: Final = {"hour": 13, "day": 10, "month": 7}
#: The longest category or severity that is kept apart from others.
WORD: Final = 64
#: Most ids that one transaction looks at.
BATCH: Final = 50_000
#: The newest ids are not counted: most transactions that write them have not ended.
NEWEST: Final = 200
#: More events than this are worth counting before they are asked for.
MANY: Final = 20_000
#: Ids that were given before this time, in seconds, may be forgotten where the gaps are too many.
_OLD_SECONDS: Final = 600
#: When the counting begins, ids this far behind the newest one are taken for so old.
_OLD_IDS: Final = 20_000
#: Most events of gaps that are counted at once.
_MOST_LATE: Final = 10_000
#: Most gaps of one statement: SQLite takes less than 1,000 alternatives.
_MOST_GAPS: Final = 750
#: Most rows of one INSERT.
_ROWS: Final = 200
_HIGHEST: Final = 2**63 - 1

_LOG: Final = order_audit_logs.c
#: The columns as they stand in the rows.
_RAW: Final = {
    name: type_coerce(_LOG[name], NullType()) for name in ("event_category", "severity", "created_at")
}
_OURS: Final = audit_counts.c.log == order_audit_logs.name


@dataclass(frozen=True, slots=True)
class State:
    """How far the events are counted.

    Attributes:
        counted_from: The lowest id when the counting began; None: it has not begun.
        counted_to: The highest id that is counted.
        written: The time of that event, as it stands in the row.
        gaps: The ids between them that are not counted, lowest first.
        old_to: Ids up to this one were given more than some minutes ago.
        seen_to: The highest id at the time ``seen_at``.
        seen_at: When it was looked at.
    """

    counted_from: int | None = None
    counted_to: int | None = None
    written: str | None = None
    gaps: tuple[Gap, ...] = ()
    old_to: int | None = None
    seen_to: int | None = None
    seen_at: datetime | None = None

    def uncounted(self) -> ColumnElement[bool]:
        """Return the condition of the events that are in no bucket."""
        return true() if self.counted_to is None else or_(_LOG.id > self.counted_to, self.in_gaps())

    def in_gaps(self) -> ColumnElement[bool] | TextClause:
        """Return the condition of the events in gaps."""
        name = f"{order_audit_logs.name}.id"
        single = ", ".join(str(gap.first) for gap in self.gaps if gap.first == gap.last)
        parts = [f"{name} IN ({single})"] if single else []
        parts += [f"{name} BETWEEN {gap.first} AND {gap.last}" for gap in self.gaps if gap.first != gap.last]
        # As text, because SQLAlchemy would take longer than the database for hundreds of gaps.
        return text(f"({' OR '.join(parts)})") if parts else false()


@dataclass(frozen=True, slots=True)
class Extent:
    """What the audit log is at a moment.

    Attributes:
        first: The lowest id.
        last: The highest id.
        written: The time of the last counted event, as it stands in the row; None: it is gone.
        now: The database's time.
    """

    first: int | None
    last: int | None
    written: str | None
    now: datetime

    def fits(self, state: State) -> bool:
        """Whether it is the log that was counted, and not one that was emptied or whose oldest or newest rows are gone."""
        if state.counted_to is None or self.first is None or self.last is None:
            return state.counted_to is None
        is_between = self.first == state.counted_from and self.last >= state.counted_to
        return is_between and self.written is not None and self.written == state.written


def state_of(connection: Connection) -> State:
    """Return how far the events are counted; not at all if the log is not the one that was counted.

    Args:
        connection: A connection on which all statements see the same rows.
    """
    state = _state(connection)
    return state if state is not None and extent(connection, state).fits(state) else State()


def extent(connection: Connection, state: State) -> Extent:
    """Look at the audit log."""
    of_last = (
        select(_RAW["created_at"], literal(1).label("there")).where(_LOG.id == state.counted_to).subquery()
    )
    query = select(
        select(func.min(_LOG.id)).scalar_subquery().label("first"),
        select(func.max(_LOG.id)).scalar_subquery().label("last"),
        select(of_last.c.created_at).scalar_subquery().label("written"),
        select(of_last.c.there).scalar_subquery().label("there"),
        moments.utc_now().label("now"),
    )
    found = connection.execute(query).one()
    written = (foreign.text(found.written) or "")[:WORD] if found.there else None
    return Extent(found.first, found.last, written, found.now)


def _written(connection: Connection, event_id: int) -> str | None:
    """Return the time of an event as it stands in the row; None if the event does not exist."""
    row = connection.execute(select(_RAW["created_at"]).where(_LOG.id == event_id)).first()
    return None if row is None else (foreign.text(row[0]) or "")[:WORD]


def _state(connection: Connection, *, lock: bool = False) -> State | None:
    query = select(audit_counts).where(_OURS)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        return None
    values = {name: value for name, value in row.items() if name != "log"}
    return State(**{**values, "gaps": audit_gaps.read(values["gaps"])})


# --- Counting


def advance(connection: Connection, *, most: int = BATCH, anew: bool = False) -> int:
    """Count the next events, and return how many there were.

    Args:
        connection: In a transaction of its own, at READ COMMITTED.
        most: The number of ids to look at.
        anew: Count all events again, and begin with the first.
    """
    state = _state(connection, lock=True)
    there = extent(connection, state or State())
    if state is None:
        if _range(connection, State(), there, most) is None:
            return 0
        _begin(connection)
        state = _state(connection, lock=True) or State()
        there = extent(connection, state)
    begun = state
    if anew or not there.fits(state):
        connection.execute(update(audit_hours).where(audit_hours.c.events != 0).values(events=0))
        begun = State()
    found = _Found()
    late = _count_late(connection, _aged(begun, there), found)
    after = _count(connection, late, there, most, found)
    _add(connection, found.buckets)
    if after != state:
        _save(connection, after)
    return found.number


@dataclass(slots=True)
class _Found:
    """The events that a transaction has found, by bucket."""

    buckets: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    number: int = 0

    def add(self, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            begins = foreign.text(row.orderctl_hour) or ""
            words = (_word(row.category), _word(row.severity))
            for span, length in SPANS.items():
                self.buckets[span, begins[:length], *words] += row.events
            self.number += row.events


def _word(value: object) -> str:
    # Without spaces at the end: a key of MySQL's does not tell them apart.
    return (foreign.text(value) or "")[:WORD].rstrip(" ")


def _begin(connection: Connection) -> None:
    try:
        connection.execute(insert(audit_counts).values(log=order_audit_logs.name))
    except IntegrityError as error:  # another program was faster
        if not database_errors.is_duplicate(error):
            raise


def _aged(state: State, there: Extent) -> State:
    """Return the state with the ids that are old by now."""
    if there.last is None:
        return state
    if state.seen_at is None or state.old_to is None:
        return replace(state, old_to=there.last - _OLD_IDS, seen_to=there.last, seen_at=there.now)
    age = (there.now - state.seen_at).total_seconds()
    if 0 <= age < _OLD_SECONDS:
        return state
    old_to = state.old_to if age < 0 or state.seen_to is None else max(state.old_to, state.seen_to)
    return replace(state, old_to=old_to, seen_to=there.last, seen_at=there.now)


def _count_late(connection: Connection, state: State, found: _Found) -> State:
    """Count the events that have appeared in gaps."""
    if not state.gaps:
        return state
    query = _groups(connection.dialect, state.in_gaps(), grouped=False).order_by(_LOG.id).limit(_MOST_LATE)
    rows = connection.execute(query).all()
    gaps = audit_gaps.without(state.gaps, (row.id for row in rows))
    while len(gaps) > max(_MOST_GAPS, len(state.gaps)):  # events in every second id; the others later
        rows = rows[: len(rows) // 2]
        gaps = audit_gaps.without(state.gaps, (row.id for row in rows))
    found.add(rows)
    return replace(state, gaps=gaps)


def _count(connection: Connection, state: State, there: Extent, most: int, found: _Found) -> State:
    """Count the next range of ids."""
    bounds = _range(connection, state, there, most)
    seen, old_to = int(there.now.timestamp()), state.old_to or 0
    while bounds is not None:
        rows, new = _look(connection, state, bounds)
        gaps = (*state.gaps, *(Gap(first, last, seen) for first, last in new))
        excess = audit_gaps.excess(gaps, old_to)
        if excess is None:
            found.add(rows)
            begun = bounds[0] if state.counted_from is None else state.counted_from
            done = replace(state, counted_from=begun, counted_to=bounds[1], gaps=gaps)
            state = replace(done, written=_written(connection, bounds[1]))
            break
        # Up to the event before the gap that is one too many; the rest is counted when it is asked for.
        end = min(excess.first - 1, bounds[1])
        bounds = (bounds[0], end) if end >= bounds[0] else None
    return replace(state, gaps=audit_gaps.remembered(state.gaps, old_to, seen))


def _range(connection: Connection, state: State, there: Extent, most: int) -> tuple[int, int] | None:
    """Return the lowest and the highest id to count next, both of events; None if there is nothing to count."""
    if there.last is None:
        return None
    limit = min(there.last - NEWEST, _HIGHEST)
    behind = true() if state.counted_to is None else _LOG.id > state.counted_to
    first = connection.execute(select(func.min(_LOG.id)).where(behind, _LOG.id <= limit)).scalar()
    if first is None:
        return None
    end = min(limit, first + most - 1)
    last = connection.execute(select(func.max(_LOG.id)).where(_LOG.id <= end)).scalar()
    return first, last if last is not None else first


def _look(
    connection: Connection, state: State, bounds: tuple[int, int]
) -> tuple[Sequence[Row[Any]], list[tuple[int, int]]]:
    """Return the numbers of the events of a range, and the gaps between them and before them."""
    first, last = bounds
    counted_to = first - 1 if state.counted_to is None else state.counted_to
    condition = and_(_LOG.id > counted_to, _LOG.id <= last)
    groups = _groups(connection.dialect, condition)
    rows = connection.execute(groups).all()
    if sum(row.events for row in rows) == last - counted_to:
        return rows, []
    before = func.coalesce(func.lag(_LOG.id).over(order_by=_LOG.id), counted_to).label("before")
    ids = select(_LOG.id, before).where(condition).subquery("ids")
    jumps = select(null(), null(), null(), null(), ids.c.before + 1, ids.c.id - 1).where(
        ids.c.id > ids.c.before + 1
    )
    gaps = sorted((int(begin), int(end)) for *_, begin, end in connection.execute(jumps))
    if sum(row.events for row in rows) + sum(end - begin + 1 for begin, end in gaps) == last - counted_to:
        return rows, gaps
    # Events were written between the two statements. One statement sees the same for both, and takes longer.
    both = union_all(groups.add_columns(cast(null(), BigInteger), cast(null(), BigInteger)), jumps)
    found = connection.execute(both).all()
    gaps = sorted((int(row[4]), int(row[5])) for row in found if row[4] is not None)
    return [row for row in found if row[4] is None], gaps


def _groups(dialect: Dialect, condition: ColumnElement[bool] | TextClause, *, grouped: bool = True) -> Any:
    """Return the query for the numbers of events by hour, category and severity; or for the single events."""
    hour = hour_of(dialect).label("orderctl_hour")
    words = (_RAW["event_category"].label("category"), _RAW["severity"].label("severity"))
    if not grouped:
        return select(hour, *words, literal(1).label("events"), _LOG.id).where(condition)
    query = select(hour, *words, func.count().label("events")).where(condition)
    return query.group_by("orderctl_hour", _RAW["event_category"], _RAW["severity"])


def hour_of(dialect: Dialect) -> ColumnElement[Any]:
    """Return the hour of an event as it stands in the row; events without a time have the lowest one, an empty text."""
    written = _RAW["created_at"]
    if dialect.name != "sqlite":
        return func.coalesce(func.left(written, SPANS["hour"]), "")  # faster than DATE_FORMAT
    # SQLite has any value in any column: numbers come before every text, and bytes behind every text.
    hour = func.substr(written, 1, SPANS["hour"])
    return case((func.typeof(written) == "text", hour), (func.typeof(written) == "blob", "~"), else_="")


def has_times(dialect: Dialect) -> bool:
    """Whether the database compares the events' times as texts of this form would be compared."""
    there = shape.of(dialect).column(order_audit_logs.name, "created_at")
    return dialect.name == "sqlite" or there is None or there.type in {"datetime", "timestamp", "date"}


def _add(connection: Connection, buckets: Counter[tuple[str, str, str, str]]) -> None:
    """Add numbers to the buckets."""
    names = ("span", "begins", "category", "severity")
    rows = [dict(zip(names, key, strict=True), events=number) for key, number in sorted(buckets.items())]
    for at in range(0, len(rows), _ROWS):
        connection.execute(_adding(connection.dialect, rows[at : at + _ROWS]))


def _adding(dialect: Dialect, rows: list[dict[str, Any]]) -> Any:
    """Return the statement that adds numbers to buckets that may not exist."""
    events = audit_hours.c.events
    if dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - only one of the two is needed

        into = sqlite.insert(audit_hours).values(rows)
        keys = list(audit_hours.primary_key.columns)
        return into.on_conflict_do_update(index_elements=keys, set_={"events": events + into.excluded.events})
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - see above

    adding = mysql.insert(audit_hours).values(rows)
    return adding.on_duplicate_key_update(events=events + adding.inserted.events)


def _save(connection: Connection, state: State) -> None:
    values = {name: getattr(state, name) for name in State.__slots__}
    values["gaps"] = audit_gaps.write(state.gaps)
    connection.execute(update(audit_counts).where(_OURS).values(values))


# --- Who counts


def is_behind(connection: Connection, number: int) -> bool:
    """Whether more than a number of events, besides the newest, are not counted.

    Args:
        connection: The database.
        number: The number of events.
    """
    state = _state(connection) or State()
    last = connection.execute(select(func.max(_LOG.id))).scalar()
    if last is None or (state.counted_to is not None and last - state.counted_to <= number + NEWEST):
        return state.counted_to is not None and not extent(connection, state).fits(state)
    behind = true() if state.counted_to is None else _LOG.id > state.counted_to
    ids = select(_LOG.id).where(behind, _LOG.id <= last - NEWEST).order_by(_LOG.id).limit(1).offset(number)
    return connection.execute(ids).first() is not None


def catch_up(engine: Engine, tell: Callable[[int], None] = lambda _: None, *, anew: bool = False) -> int:
    """Count all events but the newest, and return how many there were.

    Args:
        engine: The database.
        tell: Called after each transaction with the number of events that have been counted.
        anew: Count the others, too, again.

    Raises:
        OrderctlError: The account may not write, or the database does not answer or accept writes.
    """
    total = some = database.transact(engine, partial(advance, anew=anew))
    while some and is_far(engine, NEWEST):
        tell(total)
        some = database.transact(engine, advance)
        total += some
    return total


def is_far(engine: Engine, number: int) -> bool:
    """Whether more than a number of events, besides the newest, are not counted; see :func:`is_behind`."""
    with database.reading(engine) as connection:
        return is_behind(connection, number)


@dataclass(slots=True)
class Counting:
    """Counts for a supervisor: in each turn a few events, which takes some milliseconds.

    Attributes:
        engine: The database.
    """

    engine: Engine
    _next: float = -float("inf")

    def turn(self) -> None:
        """Count some events, if it is time and there are enough of them.

        Raises:
            DatabaseUnavailable: When the database does not answer. The next turn tries again.
        """
        if clock.elapsed() < self._next:
            return
        try:
            pause = self._count()
        except DatabaseUnavailable:
            raise
        except OrderctlError as error:
            _log.warning("cannot count the events of the audit log: %s", error)
            pause = _LONG_PAUSE
        self._next = clock.elapsed() + pause

    def _count(self) -> float:
        if not is_far(self.engine, _FEW):
            return _PAUSE
        number = database.transact(self.engine, partial(advance, most=_SOME))
        return _HELD_UP if number == 0 else 0.0


#: So many events are worth a supervisor's transaction, and it looks at so many ids.
_FEW: Final = 500
_SOME: Final = 2000
#: Pauses of a supervisor in seconds: when few events are new; when too many gaps are young; after an error.
_PAUSE: Final = 5.0
_HELD_UP: Final = 60.0
_LONG_PAUSE: Final = 3600.0
