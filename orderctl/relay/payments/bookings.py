"""Writes transfers into the ledger, in threads and over connections of its own, so that no query holds up a bank."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from orderctl import clock, database, outages
from orderctl.audit import Origin
from orderctl.errors import DatabaseBusy
from orderctl.payments import intake
from orderctl.payments.amounts import Rules
from orderctl.payments.transfer import Transfer
from orderctl.relay.api.threads import Threads
from orderctl.relay.bell import Ringer
from orderctl.relay.metrics import Tally
from orderctl.states import Source

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_log = logging.getLogger(__name__)

#: What the metrics call a transfer that was known.
REPEATED: Final = "repeated"
#: How long a bank waits for the commit, in seconds.
DEADLINE: Final = 3.0
#: By how much longer for each further transfer of a list, and at most, in seconds: a list that could not be written in the
#: time of one would be a 503 for ever. It stays below what docs/relay.md gives proxies.
_EACH: Final = 0.02
_LONGEST: Final = 9.0
#: A transaction is not run again after this time, in seconds: the bank has its answer before it could commit.
_LAST_RUN: Final = 2.0
#: Number of transactions at once.
_THREADS: Final = 4
#: Seconds for which a lock is waited for, and after which a connection that is silent counts as lost.
_LOCK_SECONDS: Final = 1
_ANSWER_TIMEOUT: Final = 5


def connect(url: str) -> Engine:
    """Return an engine for :class:`Bookings`, which gives up before the bank does.

    Raises:
        Misconfigured: The URL is not valid.
    """
    return database.connect(
        url,
        pool_size=_THREADS,
        lock_wait_seconds=_LOCK_SECONDS,
        file_wait_seconds=_LOCK_SECONDS,
        answer_timeout=_ANSWER_TIMEOUT,
    )


class Bookings:
    """Writes transfers into the ledger.

    Args:
        engine: The database, from :func:`connect`.
        rules: What the shop accepts as a payment.
        ringer: Wakes the workers after the commit.
        tally: Counts the transfers.
    """

    def __init__(self, engine: Engine, rules: Rules, ringer: Ringer, tally: Tally) -> None:
        self._engine = engine
        self._rules = rules
        self._ringer = ringer
        self._tally = tally
        # SQLite has one writer at a time, and does not keep an order among those that wait.
        number = 1 if engine.dialect.name == "sqlite" else _THREADS
        self._threads = Threads(number, name="relay-payments")

    async def receive(self, transfers: Sequence[Transfer]) -> list[intake.Receipt]:
        """Write the transfers of one request, in one transaction, and pay their orders; return when it is committed.

        Args:
            transfers: At least one.

        Raises:
            Late: The commit takes longer than :data:`DEADLINE`, and a bit for each further transfer; it may still come, and a repeat is known then.
            Overloaded: Too many requests wait already.
            DatabaseUnavailable: The database does not answer, does not accept writes, or its locks are held.
            Misconfigured: The database is not migrated, or refuses the account.
        """
        loop = asyncio.get_running_loop()
        until = clock.elapsed() + _LAST_RUN

        def work() -> list[intake.Receipt]:
            receipts = self._write(transfers, until)
            # Not by the caller, which may have given up by now; and the counters belong to the event loop.
            self._ringer.give([receipt.moved for receipt in receipts])
            with suppress(RuntimeError):  # the relay has ended in the meantime
                loop.call_soon_threadsafe(self._note, receipts)
            return receipts

        longer = _EACH * (len(transfers) - 1)
        return await self._threads.run(work, deadline=min(DEADLINE + longer, _LONGEST))

    def _write(self, transfers: Sequence[Transfer], until: float) -> list[intake.Receipt]:
        origin = Origin(Source.RELAY, transfers[0].provider)

        runs = count()

        def work(connection: Connection) -> list[intake.Receipt]:
            if next(runs) and clock.elapsed() > until:
                raise DatabaseBusy
            return intake.receive(connection, transfers, self._rules, origin)

        with outages.noted(self._engine):
            return database.transact(self._engine, work)

    def _note(self, receipts: Sequence[intake.Receipt]) -> None:
        for receipt in receipts:
            payment = receipt.payment
            self._tally.payments[REPEATED if receipt.repeated else str(payment.outcome)] += 1
            if not receipt.repeated:
                _log.info("payment %d of %s: %s", payment.id, payment.provider, payment.outcome)
