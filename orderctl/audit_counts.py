"""How far the audit log's events are counted, and whether the log still is the one that was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    RowMapping,
    TextClause,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    true,
    type_coerce,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import NullType

from orderctl import audit_gaps, database_errors, foreign, moments, shape
from orderctl.audit_gaps import Gap
from orderctl.schema import audit_counts, order_audit_logs

#: The buckets, with how many characters of an event's time name one.
SPANS: Final = {"hour": 13, "day": 10, "month": 7}
#: The longest category or severity that is kept apart from others.
WORD: Final = 64

_LOG: Final = order_audit_logs.c
#: The columns as they stand in the rows.
RAW: Final = {
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
        found = audit_gaps.condition(self.gaps)
        return text(found) if found else false()


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
        connection: A connection for reading.
    """
    state, there = look(connection)
    return state if there.fits(state) else State()


def look(connection: Connection, *, gaps: bool = True) -> tuple[State, Extent]:
    """Return how far the events were counted, and what the log is now, as one statement sees both.

    Args:
        connection: A connection for reading.
        gaps: Whether the state needs its gaps, which may be some hundreds.
    """
    row = connection.execute(_LOOK if gaps else _LOOK_WITHOUT_GAPS).mappings().first()
    if row is None:
        return State(), extent(connection, State())
    values = {name: row[name] for name in State.__slots__ if name != "gaps"}
    return State(**values, gaps=audit_gaps.read(row["gaps"] if gaps else None)), _extent(row)


def extent(connection: Connection, state: State) -> Extent:
    """Look at the audit log."""
    query = select(*_looking(literal(state.counted_to, BigInteger)))
    return _extent(connection.execute(query).mappings().one())


def _looking(counted_to: ColumnElement[Any]) -> Sequence[ColumnElement[Any]]:
    """Return the columns of an :class:`Extent`."""
    of_last = select(RAW["created_at"]).where(_LOG.id == counted_to)
    return (
        select(func.min(_LOG.id)).scalar_subquery().label("orderctl_first"),
        select(func.max(_LOG.id)).scalar_subquery().label("orderctl_last"),
        of_last.scalar_subquery().label("orderctl_written"),
        of_last.exists().label("orderctl_there"),
        moments.utc_now().label("orderctl_now"),
    )


#: Made once: to make a query takes as long as to run it.
_LOOK: Final = select(audit_counts, *_looking(audit_counts.c.counted_to)).where(_OURS)
_LOOK_WITHOUT_GAPS: Final = _LOOK.with_only_columns(
    *(column for column in _LOOK.selected_columns if column is not audit_counts.c.gaps)
)


def _extent(row: RowMapping) -> Extent:
    written = (foreign.text(row["orderctl_written"]) or "")[:WORD] if row["orderctl_there"] else None
    return Extent(row["orderctl_first"], row["orderctl_last"], written, row["orderctl_now"])


def written_at(connection: Connection, event_id: int) -> str | None:
    """Return the time of an event as it stands in the row; None if the event does not exist."""
    row = connection.execute(select(RAW["created_at"]).where(_LOG.id == event_id)).first()
    return None if row is None else (foreign.text(row[0]) or "")[:WORD]


def read(connection: Connection, *, lock: bool = False) -> State | None:
    """Return how far the events were counted; None if that has not begun.

    Args:
        connection: The database.
        lock: Lock the row until the transaction ends.
    """
    query = select(audit_counts).where(_OURS)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        return None
    values = {name: value for name, value in row.items() if name != "log"}
    return State(**{**values, "gaps": audit_gaps.read(values["gaps"])})


def begin(connection: Connection) -> None:
    """Write the row of a counting that begins, if there is none."""
    try:
        connection.execute(insert(audit_counts).values(log=order_audit_logs.name))
    except IntegrityError as error:  # another program was faster
        if not database_errors.is_duplicate(error):
            raise


def save(connection: Connection, state: State) -> None:
    """Write how far the events are counted."""
    values = {name: getattr(state, name) for name in State.__slots__}
    values["gaps"] = audit_gaps.write(state.gaps)
    connection.execute(update(audit_counts).where(_OURS).values(values))


def has_times(dialect: Dialect) -> bool:
    """Whether the database compares the events' times as texts of this form would be compared."""
    there = shape.of(dialect).column(order_audit_logs.name, "created_at")
    return dialect.name == "sqlite" or there is None or there.type in {"datetime", "timestamp", "date"}


def has_hours(dialect: Dialect) -> bool:
    """Whether the events of an hour's bucket are those with a time in this hour: a date stands without an hour."""
    there = shape.of(dialect).column(order_audit_logs.name, "created_at")
    return has_times(dialect) and (there is None or there.type != "date")
