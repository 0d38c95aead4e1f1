"""What the keeper and the courier have in common: a round each second until they are told to end."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable

import redis
from sqlalchemy import Engine

from orderctl import broker, clock, database
from orderctl.errors import OrderctlError
from orderctl.settings import Settings
from orderctl.worker.heartbeat import StopRequest

_log = logging.getLogger(__name__)

#: Time between two rounds, in seconds.
PERIOD = 1.0


def open_database(settings: Settings, *, pool_size: int = 1) -> Engine:
    """The database, for one that must not be held up by it."""
    url = database.url(settings)
    return database.connect(url, pool_size=pool_size, lock_wait_seconds=1, answer_timeout=10)


def stop_on_sigterm() -> StopRequest:
    """What SIGTERM makes.

    No event: a handler that sets one, and has come in the midst of a wait for it, waits for itself for ever.
    """
    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: setattr(stop, "made", True))
    return stop


def each_second(settings: Settings, turn: Callable[[redis.Redis], None], stop: StopRequest) -> None:
    """Take a turn each second until told to stop; trouble is logged once and tried again.

    Args:
        settings: Where Redis is.
        turn: Given a client of its own each time.
        stop: Made when it is over.
    """
    trouble = ""
    while not stop.made:
        began = clock.elapsed()
        try:
            # With the embedded server this starts it again after it died.
            with contextlib.closing(broker.brisk(broker.url(settings))) as client, broker.translating():
                turn(client)
            trouble = ""
        except OrderctlError as error:
            if str(error) != trouble:
                _log.warning("%s", error)
            trouble = str(error)
        clock.rest(max(0.05, PERIOD - (clock.elapsed() - began)), lambda: stop.made)
