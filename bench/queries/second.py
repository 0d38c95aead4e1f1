"""What a supervisor does each second: its keeper reconciles, its courier looks for messages that are due."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sqlalchemy import Engine

from orderctl import broker, clock, database, outbox, reconcile
from orderctl.grace import Grace
from orderctl.outbox import EntryKind, Lane
from orderctl.settings import Settings
from orderctl.sweep import Sweep
from orderctl.worker import fleet

_LANES = (Lane((EntryKind.COMPLETION,)), Lane((EntryKind.SUMMARY, EntryKind.ALERT)))


def keeper(engine: Engine, settings: Settings) -> Callable[[], None]:
    """Return a function that does what a keeper does in a second; the first calls find more to do than others."""
    grace, sweep, born = Grace(settings.worker.lease_seconds), Sweep(settings), clock.milliseconds()

    def turn() -> None:
        with contextlib.closing(broker.brisk(broker.url(settings))) as client:
            reconcile.recover(engine, client, grace)
            fleet.announce(client, settings, "bench", started=born)
            fleet.is_paused(client, settings.worker.queue)
            reconcile.ring(engine, client, settings, sweep)

    return turn


def courier(engine: Engine) -> Callable[[], None]:
    """Return a function that does what a courier does in a second in which nothing is due."""

    def turn() -> None:
        for lane in _LANES:
            with database.reading(engine) as connection:
                outbox.is_due(connection, lane)
        with database.reading(engine) as connection:
            outbox.due_endpoints(connection)

    return turn
