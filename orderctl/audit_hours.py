"""How many events there are in each hour, day and month: counted beside the audit log, which is only read.

Each event with an id up to ``counted_to`` is in the buckets of its hour, its day and its month, except those in the gaps
(see ``audit_gaps``; ``audit_counts`` has how far it is). What is in no bucket yet, :mod:`orderctl.audit_summary` counts
when it is asked. So the numbers are right at any time, however far the counting is, and no program that writes events
has to do anything for it.

The events are counted in ranges of ids, in transactions that lock only rows of orderctl's own: no writer of the log waits.
An hour is what stands in the row, in no time zone: ``2026-01-31 23``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Row,
    TextClause,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
    update,
)

from orderctl import audit_counts, audit_gaps, foreign
from orderctl.audit_counts import RAW, SPANS, WORD, Extent, State
from orderctl.audit_gaps import Gap
from orderctl.schema import audit_hours, order_audit_logs

#: Most ids that one transaction looks at.
BATCH: Final = 50_000
#: The newest ids are not counted: most transactions that write them have not ended.
NEWEST: Final = 200
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


def advance(connection: Connection, *, most: int = BATCH, anew: bool = False) -> int:
    """Count the next events, and return how many there were.

    Args:
        connection: In a transaction of its own, at READ COMMITTED.
        most: The number of ids to look at.
        anew: Count all events again, and begin with the first.
    """
    state = audit_counts.read(connection, lock=True)
    there = audit_counts.extent(connection, state or State())
    if state is None:
        if _range(connection, State(), there, most) is None:
            return 0
        audit_counts.begin(connection)
        state = audit_counts.read(connection, lock=True) or State()
        there = audit_counts.extent(connection, state)
    begun = state
    if anew or not there.fits(state):
        connection.execute(update(audit_hours).where(audit_hours.c.events != 0).values(events=0))
        begun = State()
    found = _Found()
    late = _count_late(connection, _aged(begun, there), found)
    after = _count(connection, late, there, most, found)
    _add(connection, found.buckets)
    if after != state:
        audit_counts.save(connection, after)
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
            state = replace(done, written=audit_counts.written_at(connection, bounds[1]))
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
    words = (RAW["event_category"].label("category"), RAW["severity"].label("severity"))
    if not grouped:
        return select(hour, *words, literal(1).label("events"), _LOG.id).where(condition)
    query = select(hour, *words, func.count().label("events")).where(condition)
    return query.group_by("orderctl_hour", RAW["event_category"], RAW["severity"])


def hour_of(dialect: Dialect) -> ColumnElement[Any]:
    """Return the hour of an event as it stands in the row; events without a time have the lowest one, an empty text."""
    written = RAW["created_at"]
    if dialect.name != "sqlite":
        return func.coalesce(func.left(written, SPANS["hour"]), "")  # faster than DATE_FORMAT
    # SQLite has any value in any column: numbers come before every text, and bytes behind every text.
    hour = func.substr(written, 1, SPANS["hour"])
    return case((func.typeof(written) == "text", hour), (func.typeof(written) == "blob", "~"), else_="")


def _add(connection: Connection, buckets: Counter[tuple[str, str, str, str]]) -> None:
    """Add numbers to the buckets."""
    rows = [(*key, number) for key, number in sorted(buckets.items())]
    for at in range(0, len(rows), _ROWS):
        some = rows[at : at + _ROWS]
        statement = _adding(connection.dialect, len(some))
        connection.exec_driver_sql(statement, tuple(value for row in some for value in row))


def _adding(dialect: Dialect, number: int) -> str:
    """Return the statement that adds numbers to buckets that may not exist.

    As text, because SQLAlchemy would compile it anew for each number of rows, which takes longer than to execute it.
    """
    names = ("span", "begins", "category", "severity")
    table = audit_hours.name
    mark = "?" if dialect.name == "sqlite" else "%s"
    row = f"({', '.join([mark] * (len(names) + 1))})"
    rows = ", ".join([row] * number)
    into = f"INSERT INTO {table} ({', '.join(names)}, events) VALUES {rows}"  # noqa: S608 - of constants
    if dialect.name == "sqlite":
        return (
            f"{into} ON CONFLICT ({', '.join(names)}) DO UPDATE SET events = {table}.events + excluded.events"
        )
    if dialect.is_mariadb:  # type: ignore[attr-defined]
        return f"{into} ON DUPLICATE KEY UPDATE events = {table}.events + VALUES(events)"
    return f"{into} AS more ON DUPLICATE KEY UPDATE events = {table}.events + more.events"
