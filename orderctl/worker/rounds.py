"""The loop of the keeper and the courier: one turn each second, until SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable

import redis
from sqlalchemy import Engine

from orderctl import broker, clock, database, outages
from orderctl.errors import DatabaseUnavailable, OrderctlError, RedisUnavailable
from orderctl.outages import Outage
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


class Rounds:
    """Calls a function each second until a stop is requested.

    An error does not end the loop. An outage is logged when it begins and when it is over, another error once until it
    changes or a turn succeeds.

    Args:
        settings: For the URL of Redis.
        engine: The database that the turns use.
        stop: Ends the loop once its ``made`` is True.
    """

    def __init__(self, settings: Settings, engine: Engine, stop: StopRequest) -> None:
        self._settings = settings
        self._engine = engine
        self._stop = stop
        self._redis = Outage("Redis")

    def each_second(self, turn: Callable[[redis.Redis], None]) -> None:
        """Call ``turn`` each second with a new Redis client. Several threads may do so."""
        trouble = ""
        while not self._stop.made:
            began = clock.elapsed()
            try:
                self._take(turn)
                trouble = ""
            except OrderctlError as error:
                if str(error) != trouble:
                    _log.warning("%s", error)
                trouble = str(error)
            clock.rest(max(0.05, PERIOD - (clock.elapsed() - began)), lambda: self._stop.made)

    def _take(self, turn: Callable[[redis.Redis], None]) -> None:
        """Take one turn; an outage ends it."""
        try:
            # broker.url starts the embedded server again if it has died.
            with contextlib.closing(broker.brisk(broker.url(self._settings))) as client, broker.translating():
                turn(client)
        except DatabaseUnavailable as error:
            outages.of(self._engine).begin(error)
        except RedisUnavailable as error:
            self._redis.begin(error)
        else:
            self._redis.end()
