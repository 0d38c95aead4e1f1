"""Times in the database: how a DATETIME is meant, and the database's clock as an SQL expression.

Columns that only orderctl writes are in UTC. Those that the shop writes, too, are in the zone of the setting
``database.time_zone``; but a TIMESTAMP has a zone of its own, and sessions are in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, DateTime, Dialect, String, TypeDecorator, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal

from orderctl import foreign, shape
from orderctl.foreign_type import ForeignType

_zones: WeakKeyDictionary[Dialect, tzinfo] = WeakKeyDictionary()


def zone(name: str) -> tzinfo:
    """Return a time zone.

    Args:
        name: ``UTC``, an offset such as ``+07:00``, or a name of the IANA database.

    Raises:
        ValueError: It is none of these.
    """
    if name == "UTC":
        return UTC
    offset = re.fullmatch(r"([+-]\d\d):(\d\d)", name)
    if offset is None:
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - needed only where a zone is set

        return ZoneInfo(name)
    minutes = int(offset[2]) * (-1 if name.startswith("-") else 1)
    return timezone(timedelta(hours=int(offset[1]), minutes=minutes))


def set_zone(dialect: Dialect, zone: tzinfo) -> None:
    """Set the zone in which the database of this dialect's engine has the DATETIMEs that the shop writes, too."""
    _zones[dialect] = zone


def copy_zone(source: Dialect, target: Dialect) -> None:
    """Let another engine of the same database have the same zone."""
    if source in _zones:
        _zones[target] = _zones[source]


def own_zone(dialect: Dialect) -> tzinfo:
    """Return the zone in which the database of this dialect's engine has the DATETIMEs that the shop writes, too."""
    return _zones.get(dialect, UTC)


def zone_of(dialect: Dialect, table: str, column: str) -> tzinfo:
    """Return the zone of a column that the shop writes, too."""
    there = shape.of(dialect).column(table, column)
    if there is not None and there.type == "timestamp" and dialect.name != "sqlite":
        return UTC
    return own_zone(dialect)


class UtcDateTime(ForeignType[datetime]):
    """DATETIME(6) in UTC: aware in Python, naive in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return DATETIME(6) on MySQL and MariaDB, where a plain DATETIME has whole seconds only."""
        if dialect.name not in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DateTime())
        from sqlalchemy.dialects.mysql import DATETIME  # noqa: PLC0415 - takes 10 ms, only for MySQL

        return dialect.type_descriptor(DATETIME(fsp=6))

    def zone(self, dialect: Dialect) -> tzinfo:  # noqa: ARG002 - see SharedDateTime
        """Return the zone in which the database has the time."""
        return UTC

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to a naive time in the column's zone."""
        return value if value is None else value.astimezone(self.zone(dialect)).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert to aware UTC; None for what is not a time (PyMySQL returns ``0000-00-00`` as text)."""
        found = foreign.moment(value)
        if found is None or found.tzinfo is not None:
            return found
        try:
            return found.replace(tzinfo=self.zone(dialect)).astimezone(UTC)
        except OverflowError:  # in year 1 or 9999
            return None


class SharedDateTime(UtcDateTime):
    """A time that the shop writes, too: in the zone of ``database.time_zone``, unless it is a TIMESTAMP.

    Args:
        table: The table.
        column: The column.
    """

    cache_ok = True

    def __init__(self, table: str, column: str) -> None:
        super().__init__()
        self.table = table
        self.column = column

    def zone(self, dialect: Dialect) -> tzinfo:
        """Return the zone in which the database has the time."""
        return zone_of(dialect, self.table, self.column)

    class Comparator(TypeDecorator.Comparator[datetime]):
        """Compares with the database's clock in the column's zone."""

        def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
            """Return the comparison."""
            return super().operate(op, *(localised(one, self.type) for one in other), **kwargs)

    comparator_factory = Comparator


class utc_now(ColumnElement[Any]):  # noqa: N801 - a function in SQL
    """The current time on the database's clock in UTC, plus an offset.

    Args:
        offset: Seconds to add; may be negative.
        zone_of: The type of the column with which it is compared or into which it is written; None: UTC.
    """

    type = UtcDateTime()
    inherit_cache = True  # the offset is a parameter: that of a zone changes twice a year
    _traverse_internals = [  # noqa: RUF012 - SQLAlchemy's way to say what a compiled statement depends on
        ("shift", InternalTraversal.dp_clauseelement),
        ("zone_of", InternalTraversal.dp_type),
        ("plain", InternalTraversal.dp_boolean),
    ]

    def __init__(self, offset: float = 0, zone_of: UtcDateTime | None = None) -> None:
        self.offset = offset
        self.zone_of = zone_of or self.type
        self.plain = not offset
        self.shift = bindparam(None, offset, type_=_shift(self.zone_of), unique=True)

    def is_utc(self, dialect: Dialect) -> bool:
        """Whether it is the present time in UTC, so that there is nothing to add."""
        return self.plain and self.zone_of.zone(dialect) == UTC


class _Shift(TypeDecorator[float]):
    """Seconds to add to the time in UTC, as the function of the database wants them.

    Args:
        zone_of: The type of the column for which the time is meant.
    """

    impl = String
    cache_ok = True

    def __init__(self, zone_of: UtcDateTime) -> None:
        super().__init__()
        self.zone_of = zone_of

    def process_bind_param(self, value: float | None, dialect: Dialect) -> Any:
        """Add the zone's offset at that time, and convert to a modifier of SQLite, or to microseconds."""
        shifted = seconds(value or 0, self.zone_of.zone(dialect))
        return f"{shifted:+.3f} seconds" if dialect.name == "sqlite" else round(shifted * 1e6)

    def process_literal_param(self, value: float | None, dialect: Dialect) -> str:
        """Return it as SQL."""
        shown = self.process_bind_param(value, dialect)
        return f"'{shown}'" if isinstance(shown, str) else str(shown)


@lru_cache(maxsize=64)  # a type's key, which is made once, is a part of the statement's
def _shift(zone_of: UtcDateTime) -> _Shift:
    return _Shift(zone_of)


def seconds(offset: float, zone: tzinfo) -> float:
    """Return how many seconds to add to the time in UTC, for the time in a zone that is ``offset`` seconds away."""
    if zone is UTC:
        return offset
    then = (datetime.now(UTC) + timedelta(seconds=offset)).astimezone(zone)
    return offset + (then.utcoffset() or timedelta()).total_seconds()


@compiles(utc_now)
def _sqlite_now(element: utc_now, compiler: Any, **options: Any) -> str:
    # SQLite has milliseconds; with three zeros it is the text that SQLAlchemy writes and compares.
    if element.is_utc(compiler.dialect):
        return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    shift = compiler.process(element.shift, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {shift})"


@compiles(utc_now, "mysql", "mariadb")
def _mysql_now(element: utc_now, compiler: Any, **options: Any) -> str:
    if element.is_utc(compiler.dialect):
        return "UTC_TIMESTAMP(6)"
    shift = compiler.process(element.shift, **options)
    return f"TIMESTAMPADD(MICROSECOND, {shift}, UTC_TIMESTAMP(6))"


def localised(value: Any, kind: Any) -> Any:
    """Return the database's clock in the zone of a column, and every other value unchanged.

    Args:
        value: A value that is compared with the column, or written into it.
        kind: The column's type.
    """
    if isinstance(value, utc_now) and isinstance(kind, SharedDateTime):
        return utc_now(value.offset, kind)
    return value


#: A newest row that is further ahead than this was not written by a clock that is a little fast.
_AHEAD: Final = timedelta(minutes=10)
#: No zone is further ahead of UTC.
_FARTHEST_ZONE: Final = timedelta(hours=14)
_NEWEST: Final = 50
_WRITTEN: Final = {
    "orders": ("created_at",),
    "download_tasks": ("created_at", "updated_at"),
    "order_audit_logs": ("created_at",),
}


class Ahead(NamedTuple):
    """How far the newest rows of a column lie in the future.

    Attributes:
        distance: That of the row that lies there farthest.
        row: The id of this row.
        alone: Whether it is the only one, and newer rows are not in the future: a clock of another zone writes all so.
    """

    distance: timedelta
    row: int
    alone: bool

    @property
    def is_zone(self) -> bool:
        """Whether the times can be those of another zone; else the row has a wrong time."""
        return not self.alone and self.distance <= _FARTHEST_ZONE

    @property
    def hours(self) -> str:
        """The distance in hours, for people."""
        return f"{self.distance / timedelta(hours=1):,.1f}"


def ahead(connection: Connection) -> dict[str, str]:
    """Return the columns whose newest rows have times in the future, each with a text that says how far.

    The shop probably writes the times of another zone than ``database.time_zone``, or a row has a wrong time.

    Args:
        connection: A connection for reading, of an engine whose shape has been read.
    """
    return {column: _text(column, found) for column, found in distances(connection).items()}


def distances(connection: Connection) -> dict[str, Ahead]:
    """Return the columns whose newest rows have times in the future, each with how far they lie there."""
    found: dict[str, Ahead] = {}
    now = connection.execute(select(utc_now())).scalar_one()
    for table, names in _WRITTEN.items():
        there = shape.of(connection.dialect).columns(table)
        for name in names:
            if name in there and "id" in there and (one := _ahead(connection, table, name, now)) is not None:
                found[f"{table}.{name}"] = one
    return found


def _text(column: str, found: Ahead) -> str:
    if not found.is_zone:
        return (
            f"the time of row {found.row} in {column} lies {found.hours} hours in the future: correct the row"
        )
    return (
        f"the newest times in {column} lie {found.hours} hours in the future: if the shop"
        " writes the times of its own zone, set database.time_zone (such as +07:00)"
    )


def _ahead(connection: Connection, table: str, name: str, now: datetime) -> Ahead | None:
    kind = SharedDateTime(table, name)
    query = f"SELECT id, {name} FROM {table} ORDER BY id DESC LIMIT {_NEWEST}"  # noqa: S608 - our names
    rows = connection.exec_driver_sql(query).all()
    times = [(kind.process_result_value(time, connection.dialect), row) for row, time in rows]
    later = [(time - now, row) for time, row in times if time is not None and time - now > _AHEAD]
    if not later:
        return None
    distance, row = max(later)
    return Ahead(distance, row, alone=len(later) == 1 and row != rows[0][0])
