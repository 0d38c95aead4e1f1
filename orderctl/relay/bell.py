"""The relay's bell: after a commit it publishes what has changed, and wakes the workers."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from orderctl import broker
from orderctl.errors import OrderctlError
from orderctl.lifecycle import Moved
from orderctl.outages import Outage

if TYPE_CHECKING:
    import redis

_log = logging.getLogger(__name__)

#: Most commits that may wait for their ring. Of further ones reconcile wakes the workers.
_MOST_WAITING: Final = 10_000
#: Most commits that are rung for at once.
_AT_ONCE: Final = 100
_LOOK_SECONDS: Final = 0.01


class Bell:
    """Publishes changes and wakes workers; its methods block.

    Args:
        redis_url: The Redis over which workers and clients are notified.
        queue_name: The RQ queue that wakes the workers.
    """

    def __init__(self, redis_url: str, queue_name: str) -> None:
        self._redis_url = redis_url
        self._queue_name = queue_name
        self._client: redis.Redis | None = None

    def prepare(self) -> None:
        """Import what ringing needs, so that the first ring does not wait for it.

        Raises:
            Misconfigured: This process uses RQ with another prefix.
        """
        from orderctl import doorbell  # noqa: PLC0415 - takes 240 ms, and most relays never need it

        doorbell.load_rq(broker.prefix(self._redis_url))

    def ring(self, moved: Sequence[Moved]) -> OrderctlError | None:
        """Publish changes that are committed, and wake a worker for each task that waits.

        The change stays, whatever Redis answers: reconcile wakes the workers within a second of its return.

        Returns:
            Why it did not work, None if it did.
        """
        from orderctl import doorbell  # noqa: PLC0415 - as above

        try:
            self._client = self._client or broker.brisk(self._redis_url, name="orderctl-relay-actions")
            doorbell.after_commit(self._client, self._queue_name, moved)
        except OrderctlError as error:
            return error
        return None


class Ringer:
    """Rings a bell in a thread of its own: who has committed does not wait for Redis.

    Args:
        bell: The bell.
    """

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._waiting: queue.Queue[Moved] = queue.Queue(_MOST_WAITING)
        self._redis = Outage("Redis")
        self._lock = threading.Lock()
        self._started = False

    def prepare(self) -> None:
        """Import what ringing needs; see :meth:`Bell.prepare`."""
        self._bell.prepare()

    def give(self, moved: Sequence[Moved]) -> None:
        """Ring for changes that are committed, soon; from any thread."""
        self._start()
        for one in moved:
            if one.messages or one.tasks:
                try:
                    self._waiting.put_nowait(one)
                except queue.Full:  # Redis has been hanging for long, which has been logged
                    return

    def finish(self, seconds: float) -> None:
        """Wait until all has been rung for, at most this number of seconds."""
        end = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._work, name="relay-bell", daemon=True).start()

    def _work(self) -> None:
        while True:
            moved = [self._waiting.get()]
            while len(moved) < _AT_ONCE and not self._waiting.empty():
                moved.append(self._waiting.get())
            try:
                self._note(self._bell.ring(moved))
            except Exception:  # noqa: BLE001 - the next commit needs its ring, too
                _log.exception("cannot wake the workers, reconcile will")
            for _ in moved:
                self._waiting.task_done()

    def _note(self, error: OrderctlError | None) -> None:
        if error is None:
            self._redis.end()
        else:
            self._redis.begin(error)
