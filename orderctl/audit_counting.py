"""Who counts the audit log's events: a supervisor, some at a time, and a command that finds many that are not counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, select, true

from orderctl import audit_counts, audit_hours, clock, database
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, OrderctlError
from orderctl.schema import order_audit_logs

_log = logging.getLogger(__name__)

#: More events than this are worth counting before they are asked for.
MANY: Final = 20_000
#: This number of new events is worth a transaction of a supervisor, and this number of ids it looks at.
_FEW: Final = 500
_SOME: Final = 2000
#: Pauses of a supervisor in seconds: when few events are new; when too many gaps are young; after an error.
_PAUSE: Final = 5.0
_HELD_UP: Final = 60.0
_LONG_PAUSE: Final = 3600.0

_LOG: Final = order_audit_logs.c


def is_behind(connection: Connection, number: int) -> bool:
    """Whether more than a number of events, besides the newest, are not counted.

    Args:
        connection: The database.
        number: The number of events.
    """
    state, there = audit_counts.look(connection, gaps=False)
    last = there.last
    if last is None or (
        state.counted_to is not None and last - state.counted_to <= number + audit_hours.NEWEST
    ):
        return not there.fits(state)
    behind = true() if state.counted_to is None else _LOG.id > state.counted_to
    ids = (
        select(_LOG.id)
        .where(behind, _LOG.id <= last - audit_hours.NEWEST)
        .order_by(_LOG.id)
        .limit(1)
        .offset(number)
    )
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
    total = some = database.transact(engine, partial(audit_hours.advance, anew=anew))
    while some and is_far(engine, audit_hours.NEWEST):
        tell(total)
        some = database.transact(engine, audit_hours.advance)
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
        work = partial(audit_hours.advance, most=_SOME)
        try:
            number = database.transact(self.engine, work, reruns=1)
        except (
            DatabaseBusy
        ) as error:  # another program counts: the supervisor has more important things to do
            _log.debug("cannot count the events of the audit log now: %s", error)
            return _PAUSE
        return _HELD_UP if number == 0 else 0.0
