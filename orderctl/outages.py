"""An outage as one process sees it: a line in the log when it begins, and one when it is over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from orderctl import clock
from orderctl.errors import DatabaseBusy, DatabaseExhausted, DatabaseReadOnly, OrderctlError, Unavailable

_log = logging.getLogger(__name__)


#: After this time without an error, in seconds, locked rows are free, and a disk has space.
_QUIET: Final = 30.0


class Outage:
    """The outage of one store, or the lack of one.

    Who waits for the store calls :meth:`begin`, who has written to it :meth:`end`, and who has read from it
    :meth:`answered`: any number of times, from any thread.

    Args:
        store: The name of the store, as a sentence begins with it.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._began = self._last = 0.0
        self._error: OrderctlError | None = None
        self._lock = threading.Lock()

    def begin(self, error: OrderctlError) -> None:
        """Note that the store is of no use now.

        Args:
            error: What it answered. After some errors the store still answers queries, which does not end the outage.
        """
        with self._lock:
            first, self._error = self._error is None, error
            self._last = clock.elapsed()
            if first:
                self._began = self._last
        _log.log(logging.WARNING if first else logging.DEBUG, "waiting: %s", error)

    def answered(self, *, writable: bool) -> None:
        """Note that the store has answered a query.

        Args:
            writable: Whether it said that it accepts writes.
        """
        error = self._error
        only_writes = isinstance(error, DatabaseReadOnly) and not writable
        some = isinstance(error, DatabaseBusy | DatabaseExhausted)
        only_some = some and clock.elapsed() - self._last < _QUIET
        if not only_writes and not only_some:
            self.end()

    def end(self) -> None:
        """Note that the store has carried out a write, or whatever failed before."""
        with self._lock:
            was, self._error = self._error, None
        if was is not None:
            _log.warning("%s is back after %.0f s", self._store, clock.elapsed() - self._began)


_outages: Final[WeakKeyDictionary[Engine, Outage]] = WeakKeyDictionary()


def of(engine: Engine) -> Outage:
    """Return the outage of a database, one for each engine."""
    return _outages.setdefault(engine, Outage("the database"))


@contextmanager
def noted(engine: Engine) -> Iterator[None]:
    """Note an outage of the database that ends the block.

    Raises:
        Unavailable: As the block does.
    """
    try:
        yield
    except Unavailable as error:
        of(engine).begin(error)
        raise
