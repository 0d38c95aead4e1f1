"""The tasks of an order, as its percent needs them, and a cache of them that never waits for the database."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from orderctl.states import TaskStatus

if TYPE_CHECKING:
    from sqlalchemy import Engine

_log = logging.getLogger(__name__)

#: An order's tasks without the cancelled ones: the final percent, or None for a task that may be running.
Siblings = Mapping[int, float | None]

_FINAL: Final[dict[str, float]] = {TaskStatus.COMPLETED: 100.0, TaskStatus.FAILED: 0.0}
#: Seconds for which the tasks of an order, as read from the database, are cached.
_FRESH_SECONDS: Final = 5.0
#: Seconds for which the first message of an order waits for the database.
_FIRST_WAIT_SECONDS: Final = 0.2
#: Maximum number of orders that are remembered.
_REMEMBERED: Final = 10_000


def read_siblings(engine: Engine, order_id: int) -> dict[int, float | None]:
    """Read an order's tasks from the database, for the order's percent.

    Raises:
        DatabaseUnavailable: The connection failed or was lost.
        NotMigrated: The database lacks orderctl's tables.
    """
    from sqlalchemy import select  # noqa: PLC0415 - takes 300 ms

    from orderctl import database, deletion  # noqa: PLC0415
    from orderctl.schema import download_tasks  # noqa: PLC0415

    query = select(download_tasks.c.id, download_tasks.c.status).where(
        download_tasks.c.order_id == order_id, deletion.not_deleted(download_tasks)
    )
    with database.reading(engine) as connection:
        rows = connection.execute(query).all()
    return {row.id: _FINAL.get(row.status) for row in rows if row.status != TaskStatus.CANCELLED}


class SiblingCache:
    """A cache of each order's tasks, filled in the background.

    The database may hang for a minute; a download must not wait for it.

    Args:
        read: Returns the tasks of an order; it is called in a thread of its own.
        clock: A monotonic clock in seconds.
    """

    def __init__(self, read: Callable[[int], Siblings], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[int, Siblings] = {}
        self._asked_at: dict[int, float] = {}
        self._asking: dict[int, threading.Thread] = {}
        self._lock = threading.Lock()

    def find(self, order_id: int) -> Siblings | None:
        """Return the order's tasks, perhaps some seconds old; None if they are not known."""
        now = self._clock()
        with self._lock:
            stale = now - self._asked_at.get(order_id, -math.inf) > _FRESH_SECONDS
            thread = self._ask(order_id, now) if stale else None
        if thread is not None and order_id not in self._known:
            thread.join(_FIRST_WAIT_SECONDS)
        return self._known.get(order_id)

    def forget(self, order_id: int) -> None:
        """Read the tasks again with the next message, because a task of the order has ended."""
        with self._lock:
            self._asked_at.pop(order_id, None)

    def _ask(self, order_id: int, now: float) -> threading.Thread | None:
        if order_id in self._asking:
            return None
        if len(self._asked_at) >= _REMEMBERED:
            self._asked_at.clear()
            self._known.clear()
        self._asked_at[order_id] = now
        thread = threading.Thread(target=self._answer, args=(order_id,), name="siblings", daemon=True)
        self._asking[order_id] = thread
        thread.start()
        return thread

    def _answer(self, order_id: int) -> None:
        try:
            self._known[order_id] = dict(self._read(order_id))
        except Exception as error:  # noqa: BLE001 - a failed read must not stop the download
            _log.debug("cannot read the tasks of order %d: %s", order_id, error)
        finally:
            with self._lock:
                del self._asking[order_id]
