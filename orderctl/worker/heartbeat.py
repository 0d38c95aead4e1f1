"""The heartbeat of a claim: extends the lease while an attempt runs, and notices when it is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from orderctl import clock
from orderctl.errors import DatabaseUnavailable, LeaseLost, OrderctlError

_log = logging.getLogger(__name__)


class Stopping(OrderctlError):
    """The worker has to stop and release its task."""


@dataclass(slots=True)
class StopRequest:
    """Whether the worker has to stop. A signal handler sets ``made``."""

    made: bool = False


class Heartbeat:
    """Extends the lease from a thread of its own; ``check`` ends the attempt when it may not continue.

    Args:
        beat: Extends the lease in the database, and notes its outages; raises LeaseLost when another worker has the
            task.
        lease_seconds: How long the lease is valid after one heartbeat.
        stop: Once its ``made`` is True, the attempt ends at its next check.
    """

    def __init__(self, beat: Callable[[], None], lease_seconds: float, stop: StopRequest) -> None:
        self._beat = beat
        self._lease = lease_seconds
        self._last = clock.elapsed()
        self._beating = threading.Lock()
        self._over = threading.Event()
        self._lost = False
        self._trouble = ""
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether another worker is known to have the task."""
        return self._lost

    def check(self) -> None:
        """Return when the attempt may continue; raise an error when it must end.

        If the last heartbeat is older than the lease (the process was stopped, the database was away), it
        first asks the database, until that answers: another worker may have the task by now.

        Raises:
            LeaseLost: When another worker has the task.
            Stopping: When the worker has to stop.
        """
        while not self._lost and clock.elapsed() - self._last > self._lease:
            self._beat_once()
            if self._stop.made:
                break
            self._over.wait(0.2)
        if self._lost:
            raise LeaseLost
        if self._stop.made:
            raise Stopping

    def _run(self) -> None:
        pause = self._lease / 4
        while not self._over.wait(pause) and not self._lost:
            # A heartbeat that failed is repeated soon: the next regular one may come too late.
            pause = self._lease / 4 if self._beat_once() else min(1.0, self._lease / 10)

    def _beat_once(self) -> bool:
        with self._beating:
            began = clock.elapsed()
            try:
                self._beat()
            except LeaseLost:
                self._lost = True
            except DatabaseUnavailable as error:
                _log.debug("the heartbeat did not reach the database: %s", error)
            except Exception as error:  # noqa: BLE001
                # If this thread died silently, two workers could run one task.
                if repr(error) != self._trouble:
                    _log.exception("the heartbeat failed")
                self._trouble = repr(error)
            else:
                self._last = began
                return True
            return False
