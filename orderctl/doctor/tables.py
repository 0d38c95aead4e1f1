"""The checks of the tables: revisions, columns and indexes, and how the times in them are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from orderctl import migrate, moments, sessions
from orderctl.doctor import account
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.errors import ExitStatus
from orderctl.health.signs import Migration
from orderctl.migrate import Step
from orderctl.moments import Ahead
from orderctl.schema import order_audit_logs, orders
from orderctl.states import EventType, Source

_LACKS: Final = re.compile(r"the account .* lacks ", re.DOTALL)
_UP: Final = "orderctl migrate up"
#: The checks of what is in the tables.
_OF_ALL_TABLES: Final = ("complete", "optional-parts", "obstacles")
#: Most checks of one name.
_MOST: Final = 20
#: Places in the history of the shop at which rows are compared, and how many rows there.
_PLACES: Final = 12
_ROWS: Final = 5
#: The newest events of an order, among which is the one of its end.
_EVENTS: Final = 20
_OURS: Final = {str(Source.CLI), str(Source.WORKER), str(Source.RECONCILE), str(Source.RELAY)}
_ENDS: Final = {str(EventType.ORDER_COMPLETED), str(EventType.ORDER_FAILED)}


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the revisions, and of what they have added."""
    sign = around.database.sign
    migration = sign.migration if sign is not None else None
    if migration is not None:
        yield migrated(migration)
    if migration is not None and (migration.is_newer or migration.applied is None):
        return
    if (unseen := account.unseen(around)) is not None:
        yield from (replace(unseen, name=name) for name in _OF_ALL_TABLES)
        return
    found = migrate.status(around.engine)
    # An account that only reads cannot mend what is missing: that is one fault, and no second one.
    lacks = [text for text in found.obstacles if found.drift and _LACKS.match(text)]
    yield from _complete(found.drift, found.wanting, lacks)
    yield from _obstacles(tuple(text for text in found.obstacles if text not in lacks))
    with around.reading() as connection:
        said = {*moments.ahead(connection).values()}
        if connection.dialect.name != "sqlite":
            said |= {*sessions.warnings(connection)}
    for text in [text for text in found.warnings if text not in said][:_MOST]:
        yield Check(Area.DATABASE, "table-limits", Verdict.WARNING, text, "orderctl migrate status")


def migrated(migration: Migration) -> Check:
    """Return the check of the revisions."""
    if migration.is_current:
        return Check(
            Area.DATABASE,
            "migrated",
            Verdict.WELL,
            f"the revisions are applied, up to {migration.applied}",
            value=migration.applied,
        )
    newer = "Install the version of orderctl that has migrated the database, or a newer one."
    return Check(
        Area.DATABASE,
        "migrated",
        Verdict.FAULT,
        f"the database is at revision {migration.text}"
        if migration.applied
        else "the database is not migrated",
        None if migration.is_newer else _UP,
        newer if migration.is_newer else "It can run while the database is in use.",
        value=migration.applied,
        exit_status=ExitStatus.CONFIGURATION,
    )


def _complete(
    drift: tuple[Step, ...], wanting: tuple[Step, ...], lacks: Sequence[str] = ()
) -> Iterator[Check]:
    if not drift:
        yield Check(
            Area.DATABASE, "complete", Verdict.WELL, "all columns and indexes of orderctl's are there"
        )
    for step in drift[:_MOST]:
        text = f"missing or cut down: {', '.join(step.adds) or step.what}"
        notes = [f"By hand: {step.statements[0]}"] if step.statements else []
        notes += [f"By another account: {lack}" for lack in lacks]
        by_hand = ". ".join(notes) or None
        yield Check(Area.DATABASE, "complete", Verdict.FAULT, text, _UP, by_hand, value=step.what)
    for step in wanting[:_MOST]:
        text = f"missing, not essential: {step.what}"
        yield Check(Area.DATABASE, "optional-parts", Verdict.NOTE, text, _UP, value=step.what)


def _obstacles(obstacles: tuple[str, ...]) -> Iterator[Check]:
    for text in obstacles[:_MOST]:
        yield Check(
            Area.DATABASE,
            "obstacles",
            Verdict.FAULT,
            f"orderctl cannot work with the tables as they are: {text}",
            "orderctl migrate status",
            "docs/adopting.md has the ways out.",
            exit_status=ExitStatus.CONFIGURATION,
        )


def times(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the setting ``database.time_zone``."""
    with around.reading() as connection:
        ahead = moments.distances(connection)
        zone = around.settings.database.time_zone
        if not ahead:
            text = f"no newest row has a time in the future; database.time_zone is {zone}"
            yield Check(Area.DATABASE, "future-times", Verdict.WELL, text, value=zone)
        for column, found in ahead.items():
            yield _future(column, found, zone)
        if zone != "UTC" and (example := _from_before(connection)) is not None:
            yield _before_the_setting(*example)


def _future(column: str, ahead: Ahead, zone: str) -> Check:
    value = round(ahead.distance.total_seconds())
    if not ahead.is_zone:
        text = (
            f"the time of row {ahead.row} in {column} lies {ahead.hours} h in the future, as no zone makes it"
        )
        why = "Correct the row: it sorts wrong, and counts as not yet due."
        return Check(
            Area.DATABASE, "future-times", Verdict.WARNING, text, explanation=why, value=value, unit="s"
        )
    return Check(
        Area.DATABASE,
        "future-times",
        Verdict.WARNING,
        f"the newest times in {column} lie {ahead.hours} h in the future; database.time_zone is {zone}",
        f"export ORDERCTL_DATABASE_TIME_ZONE={offset(ahead.distance)}"
        if zone == "UTC"
        else "orderctl config show",
        "If the shop writes the times of its own zone, name that zone (such as Asia/Ho_Chi_Minh). Until then new rows"
        " sort wrong, and what was just changed counts as not yet due.",
        value=value,
        unit="s",
    )


def offset(distance: timedelta) -> str:
    """Return the offset of a zone whose times look as if they were so far in the future: ``+07:00``.

    The newest row is a little older than now, so the distance is a little shorter than the offset.
    """
    quarters = -(-distance.total_seconds() // 900)
    return f"+{int(quarters // 4):02}:{int(quarters % 4 * 15):02}"


def _from_before(connection: Connection) -> tuple[int, timedelta] | None:
    """Return an order whose end orderctl has recorded before ``database.time_zone`` was set, and how far its event is off.

    The column ``completed_at`` is always in UTC, and the event of the same transaction in the zone.
    """
    first, last = connection.execute(select(func.min(orders.c.id), func.max(orders.c.id))).one()
    if first is None:
        return None
    for at in sorted({first + (last - first) * place // _PLACES for place in range(_PLACES)}):
        for order_id, ended in _ended_behind(connection, at):
            written = _end_event(connection, order_id)
            if written is not None and abs(ended - written) > timedelta(minutes=10):
                return order_id, ended - written
    return None


def _ended_behind(connection: Connection, at: int) -> list[tuple[int, datetime]]:
    """Return some orders with the times of their ends."""
    some = select(orders.c.id, orders.c.completed_at).where(orders.c.id >= at).order_by(orders.c.id)
    return [(row[0], row[1]) for row in connection.execute(some.limit(_ROWS)) if row[1] is not None]


def _end_event(connection: Connection, order_id: int) -> datetime | None:
    """Return when the event of an order's end was written, if orderctl wrote it."""
    log: Any = order_audit_logs.c
    newest = (
        select(log.event_type, log.source, log.created_at)
        .where(log.order_id == order_id)
        .order_by(log.id.desc())
    )
    for kind, source, written in connection.execute(newest.limit(_EVENTS)):
        if str(kind) in _ENDS:
            return written if str(source) in _OURS else None
    return None


def _before_the_setting(order_id: int, distance: timedelta) -> Check:
    return Check(
        Area.DATABASE,
        "rows-before-time-zone",
        Verdict.NOTE,
        f"orderctl wrote rows before database.time_zone was set: the events of order {order_id} look"
        f" {distance.total_seconds() / 3600:.1f} h off",
        f"orderctl logs show {order_id}",
        "They are in UTC and are never rewritten. Lists by time show them at the wrong place; nothing else depends on it.",
        value=order_id,
    )
