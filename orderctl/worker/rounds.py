"""The loop of the keeper and the courier: one turn each second, until SIGTERM."""

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

#: Time from the start of one turn to the start of the next, in seconds.
PERIOD = 1.0


def open_database(settings: Settings, *, pool_size: int = 1) -> Engine:
    """Connect to the database with short timeouts, so that a hung database does not block the caller."""
    url = database.url(settings)
    return database.connect(url, pool_size=pool_size, lock_wait_seconds=1, answer_timeout=10)


def stop_on_sigterm() -> StopRequest:
    """Return a stop request that SIGTERM makes.

    It is not a ``threading.Event``: a signal handler that sets an event while the main thread waits for it
    can deadlock.
    """
    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: setattr(stop, "made", True))
    return stop


def each_second(settings: Settings, turn: Callable[[redis.Redis], None], stop: StopRequest) -> None:
    """Call ``turn`` each second until a stop is requested.

    An error does not end the loop. It is logged once, until it changes or a turn succeeds.

    Args:
        settings: For the URL of Redis.
        turn: Called with a new Redis client each time.
        stop: Ends the loop once its ``made`` is True.
    """
    trouble = ""
    while not stop.made:
        began = clock.elapsed()
        try:
            # broker.url starts the embedded server again if it has died.
            with contextlib.closing(broker.brisk(broker.url(settings))) as client, broker.translating():
                turn(client)
            trouble = ""
        except OrderctlError as error:
            if str(error) != trouble:
                _log.warning("%s", error)
            trouble = str(error)
        clock.rest(max(0.05, PERIOD - (clock.elapsed() - began)), lambda: stop.made)
