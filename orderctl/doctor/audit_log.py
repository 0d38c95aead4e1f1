"""The checks of the audit log: how large it is, how it grows per day and per order, and whether that is linear.

The numbers come from the buckets of ``audit_hours`` and from the server's own statistics: no event is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from orderctl import audit_counting, audit_counts, audit_hours, moments, statuses
from orderctl.audit_counts import Extent, State
from orderctl.counting import counted, size
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.measures import number
from orderctl.doctor.surroundings import Surroundings
from orderctl.schema import audit_hours as buckets
from orderctl.schema import order_audit_logs, orders

#: Days of the two windows that are compared; today, which is not over, is in none.
_RECENT: Final = 7
_EARLIER: Final = 28
#: With fewer orders in a window, chance decides how many events each has.
_FEW: Final = 50
#: So many times the events of an order as before is growth that is not linear.
_STEEP: Final = 1.5
_BYTES: Final = (
    "SELECT data_length + index_length FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = %s"
)


@dataclass(frozen=True, slots=True)
class Window:
    """What was written in some days.

    Attributes:
        days: Their number.
        events: The number of events by category.
        orders: The number of orders that were added.
    """

    days: int
    events: Mapping[str, int]
    orders: int

    @property
    def total(self) -> int:
        """The number of events."""
        return sum(self.events.values())

    @property
    def per_day(self) -> float:
        """The events of a day."""
        return self.total / self.days

    def per_order(self, category: str | None = None) -> float:
        """The events for each order that was added, of all categories or of one."""
        total = self.total if category is None else self.events.get(category, 0)
        return total / self.orders if self.orders else 0.0


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the audit log."""
    with around.reading() as connection:
        state, there = audit_counts.look(connection)
        fits = there.fits(state) and state.counted_to is not None
        rows = _rows(connection, state, there) if fits else _most_rows(there)
        taken = _bytes(connection)
        yield _size(rows, taken, exact=fits or not rows)
        counting = _counting(connection, state, there)
        yield counting
        if counting.verdict is Verdict.WARNING:
            yield from _not_known("the events are not counted", counting.repair)
        elif not audit_counts.has_times(connection.dialect):
            yield from _not_known("the events' times are texts")
        elif fits:
            recent, earlier = _windows(connection, there.now)
            on_file = connection.dialect.name == "sqlite"
            yield growth(recent, earlier, taken / rows if taken and rows and not on_file else None)
            yield per_order(recent, earlier)
        elif rows <= audit_hours.NEWEST:
            yield from _not_known("there are too few events")
        else:
            yield from _not_known("the events are not counted", "orderctl logs summary --recount")
    yield _seals(around)


def _not_known(why: str, repair: str | None = None) -> Iterator[Check]:
    for name, of in (("growth", "a day"), ("growth-per-order", "for each new order")):
        text = f"how many events are added {of} is not known: {why}"
        yield Check(Area.AUDIT, name, Verdict.SKIPPED, text, repair)


def _seals(around: Surroundings) -> Check:
    is_set = around.settings.audit.seal_key is not None
    text = "this version of orderctl makes no seals of the audit log"
    text += "; audit.seal_key is kept for a later one" if is_set else ""
    return Check(Area.AUDIT, "seals", Verdict.SKIPPED, text)


def _rows(connection: Connection, state: State, there: Extent) -> int:
    query = select(func.sum(buckets.c.events)).where(buckets.c.span == "month")
    return int(connection.execute(query).scalar() or 0) + _uncounted(state, there, fits=True)


def _most_rows(there: Extent) -> int:
    return 0 if there.first is None or there.last is None else there.last - there.first + 1


def _uncounted(state: State, there: Extent, *, fits: bool) -> int:
    """Return how many events are in no bucket, at most."""
    if not fits or state.counted_to is None:
        return _most_rows(there)
    return max(0, (there.last or 0) - state.counted_to)


def _bytes(connection: Connection) -> int | None:
    """Return the bytes of the log with its indexes; on SQLite those of the whole file. None: it is not known."""
    if connection.dialect.name == "sqlite":
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    if not getattr(connection.dialect, "is_mariadb", False):  # MySQL remembers them for a day
        try:
            connection.exec_driver_sql("SET SESSION information_schema_stats_expiry = 0")
        except DBAPIError:  # the older numbers will do
            connection.rollback()
    found = connection.exec_driver_sql(_BYTES, (order_audit_logs.name,)).scalar()
    return None if found is None else int(found)


def _size(rows: int, taken: int | None, *, exact: bool) -> Check:
    of = f"{'' if exact else 'at most '}{counted(rows, 'event')}"
    text = f"{of} in the audit log" + (f", {size(taken)}" if taken is not None else "")
    return Check(Area.AUDIT, "size", Verdict.WELL, text, value=rows, unit="rows")


def _counting(connection: Connection, state: State, there: Extent) -> Check:
    """Return the check of how far the events are counted."""
    if not there.fits(state):
        return Check(
            Area.AUDIT,
            "counting",
            Verdict.WARNING,
            "the counts of events do not belong to this audit log: its oldest or newest events were deleted",
            "orderctl logs summary --recount",
            "Until then summaries read all events, and the growth is not known.",
        )
    if audit_counting.is_behind(connection, audit_counting.MANY):
        return Check(
            Area.AUDIT,
            "counting",
            Verdict.WARNING,
            f"more than {audit_counting.MANY:,} events of the audit log are not counted yet",
            "orderctl logs summary",
            "The command counts them; so does every supervisor, beside its work. Until then summaries take longer, and"
            " the growth is not known.",
            value=audit_counting.MANY,
            unit="rows",
        )
    behind = _uncounted(state, there, fits=True)
    text = f"the events are counted, except the newest {behind:,}"
    return Check(Area.AUDIT, "counting", Verdict.WELL, text, value=behind, unit="rows")


# --- Growth


def _windows(connection: Connection, now: datetime) -> tuple[Window, Window]:
    """Return the last days, and those before."""
    zone = moments.zone_of(connection.dialect, order_audit_logs.name, "created_at")
    today = now.astimezone(zone).date()
    begin = today - timedelta(_RECENT)
    return (
        _window(connection, begin, today, zone),
        _window(connection, begin - timedelta(_EARLIER), begin, zone),
    )


def _window(connection: Connection, begin: date, end: date, zone: Any) -> Window:
    day = buckets.c.begins
    query = (
        select(buckets.c.category, func.sum(buckets.c.events))
        .where(buckets.c.span == "day", day >= begin.isoformat(), day < end.isoformat())
        .group_by(buckets.c.category)
    )
    events = {str(category): int(number) for category, number in connection.execute(query)}
    first, last = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (begin, end))
    return Window((end - begin).days, events, _added(connection, first, last))


def _added(connection: Connection, begin: datetime, end: datetime) -> int:
    """Return how many orders were added: counted if they are few, else by their ids."""
    created = orders.c.created_at
    some = select(orders.c.id).where(created >= begin, created < end)
    number = statuses.capped(connection, some)
    if number <= statuses.COUNT_LIMIT:
        return number
    ids = [
        connection.execute(some.order_by(order).limit(1)).scalar_one() for order in (created, created.desc())
    ]
    return max(number, int(ids[1]) - int(ids[0]) + 1)


def growth(recent: Window, earlier: Window, each: float | None) -> Check:
    """Return the check of the growth per day.

    Args:
        recent: The last days.
        earlier: The days before.
        each: The bytes of one event with its part of the indexes; None: not known.
    """
    text = f"{number(recent.per_day)} events a day in the last {recent.days} days"
    if earlier.total:
        text += f", {number(earlier.per_day)} in the {earlier.days} days before"
    if each:
        text += f"; {size(recent.per_day * each)} a day"
    return Check(Area.AUDIT, "growth", Verdict.WELL, text, value=round(recent.per_day, 1), unit="rows a day")


def per_order(recent: Window, earlier: Window) -> Check:
    """Return the check whether the log grows linearly: as many events for each order as before.

    Args:
        recent: The last days.
        earlier: The days before.
    """
    now, before = recent.per_order(), earlier.per_order()
    value = round(now, 2)
    if min(recent.orders, earlier.orders) < _FEW:
        text = f"{number(now)} events for each new order; too few orders to say whether that is linear"
        return Check(Area.AUDIT, "growth-per-order", Verdict.WELL, text, value=value, unit="rows")
    text = f"{number(now)} events for each new order, {number(before)} before"
    if now <= before * _STEEP:
        return Check(
            Area.AUDIT, "growth-per-order", Verdict.WELL, f"{text}: linear", value=value, unit="rows"
        )
    most = max(recent.events, key=lambda name: recent.per_order(name) - earlier.per_order(name))
    return Check(
        Area.AUDIT,
        "growth-per-order",
        Verdict.WARNING,
        f"{text}: the audit log grows faster than the orders, most of all by events of the category {most}",
        "orderctl logs summary --since 7d",
        "A program writes more events than it did: retries that never succeed, or progress, which does not belong into"
        " the database. 'orderctl tasks list --group-by error' shows what fails.",
        value=value,
        unit="rows",
    )
