"""The end of what providers sent: the ledger keeps it as it came for some days, and the payments for ever."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from orderctl import clock, database
from orderctl.counting import counted
from orderctl.payments import ledger

_log = logging.getLogger(__name__)

#: Most payments in one transaction.
BATCH: Final = 500
#: Pause after there was nothing left to delete, in seconds.
_PAUSE: Final = 3600.0


def forget_some(engine: Engine, days: int) -> int:
    """Delete what providers sent of at most :data:`BATCH` payments, and return their number.

    Args:
        engine: The database. It is only read while nothing is due.
        days: How long it is kept.

    Raises:
        DatabaseUnavailable: When the database does not answer, or does not accept writes that are needed.
    """
    with database.reading(engine) as connection:
        if not ledger.raw_is_due(connection, days):
            return 0
    return database.transact(engine, lambda connection: ledger.forget_raw(connection, days, BATCH))


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
