"""The end of what providers sent: the ledger keeps it as it came for some days, and the payments for ever."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, Select, select, update

from orderctl import clock, database
from orderctl.counting import counted
from orderctl.schema import payments

_log = logging.getLogger(__name__)

#: Most payments in one transaction.
BATCH: Final = 500
#: Pause after there was nothing left to delete, in seconds.
_PAUSE: Final = 3600.0


def is_due(connection: Connection, days: int) -> bool:
    """Whether there is something for :func:`forget_rows` to delete."""
    return connection.execute(_due(days).limit(1)).first() is not None


def forget_rows(connection: Connection, days: int, limit: int = 500) -> int:
    """Delete what providers sent more than ``days`` days ago; the rows stay.

    Args:
        connection: In a transaction of its own.
        days: How old it has to be; 0: all of it.
        limit: The highest number of rows.

    Returns:
        The number of rows.
    """
    ids = connection.execute(_due(days).limit(limit)).scalars().all()
    if not ids:
        return 0
    done = update(payments).where(payments.c.id.in_(ids)).values(raw=None, raw_since=None)
    return connection.execute(done).rowcount


def _due(days: int) -> Select[int]:
    since = payments.c.raw_since
    # The oldest first, by the index. Nothing is kept with 0 days, whatever the clock did since.
    due = since.is_not(None) if days == 0 else since < database.utc_now(-86_400 * days)
    return select(payments.c.id).where(due).order_by(since)


def forget_some(engine: Engine, days: int) -> int:
    """Delete what providers sent of at most :data:`BATCH` payments, and return their number.

    Args:
        engine: The database. It is only read while nothing is due.
        days: How long it is kept.

    Raises:
        DatabaseUnavailable: When the database does not answer, or does not accept writes that are needed.
    """
    with database.reading(engine) as connection:
        if not is_due(connection, days):
            return 0
    return database.transact(engine, lambda connection: forget_rows(connection, days, BATCH))


def forget(engine: Engine, days: int) -> int:
    """Delete what providers sent until none is left that is due, and return the number of payments.

    Args:
        engine: The database.
        days: How long it is kept.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    total = 0
    while some := forget_some(engine, days):
        total += some
    return total


@dataclass(slots=True)
class Retention:
    """Deletes what is due at its first turn, and then once an hour: in each turn one batch, which takes little time.

    Attributes:
        engine: The database.
        days: How long it is kept.
    """

    engine: Engine
    days: int
    _next: float = -float("inf")

    def turn(self) -> None:
        """Delete one batch, if it is time.

        Raises:
            DatabaseUnavailable: When the database does not answer. The next turn tries again.
        """
        if clock.elapsed() < self._next:
            return
        some = forget_some(self.engine, self.days)
        if some:
            _log.info("deleted what the provider sent of %s", counted(some, "payment"))
        else:
            self._next = clock.elapsed() + _PAUSE
