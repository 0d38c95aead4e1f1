"""Publish the progress of downloads: the SDK for the shop's own workers, also used by orderctl's worker.

    from orderctl.progress import ProgressEmitter

    emitter = ProgressEmitter()
    emitter.emit_progress(task_id, order_id, percent=12.5, current_file="lesson 1.mp4", speed=2_000_000)

Progress may be lost, a download may not. So nothing here raises an error because of Redis, and nothing waits
for Redis for longer than 0.2 s, or often.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from orderctl import broker, clock, publications
from orderctl.channels import Scope
from orderctl.errors import DatabaseUnavailable
from orderctl.messages import Completion, StatusChange, TaskProgress
from orderctl.settings import Settings, load
from orderctl.states import ENDED_TASK, TaskStatus

if TYPE_CHECKING:
    import redis
    from sqlalchemy import Engine

_log = logging.getLogger(__name__)

#: An order's tasks without the cancelled ones: the final percent, or None for a task that may be running.
Siblings = Mapping[int, float | None]

_FINAL: Final[dict[str, float]] = {TaskStatus.COMPLETED: 100.0, TaskStatus.FAILED: 0.0}
#: Seconds for which the tasks of an order, as read from the database, are cached.
_FRESH_SECONDS: Final = 5.0
#: Seconds for which the first message of an order waits for the database.
_FIRST_WAIT_SECONDS: Final = 0.2
#: After an error, nothing is sent for this many times the duration of the failed try: it costs 2 % of the
#: time at most.
_PAUSE_FACTOR: Final = 50.0
_MIN_PAUSE: Final = 1.0
_MAX_PAUSE: Final = 60.0
#: Maximum number of tasks and of orders that are remembered.
_REMEMBERED: Final = 10_000
_MAX_TEXT: Final = 1_000
_DONE: Final = 100.0


@dataclass(slots=True)
class _Pace:
    """What was last sent for a task."""

    sent_at: float = -math.inf
    percent: float = -1.0
    stamp: int = 0


class ProgressEmitter:
    """Publishes progress and status, throttled. Threads may share an emitter; after a fork, make a new one.

    Args:
        settings: The settings; read from the environment and the files when None.
        client: A client from :func:`orderctl.broker.hasty`; made from the settings when None.
        siblings: Returns an order's tasks by id, as for :func:`orderctl.publications.publish_progress`. It is
            called in a separate thread, and its result is cached for some seconds. None: the tasks are read
            from the database.
        attempt: The attempt whose progress is published; it orders the messages before those of later
            attempts. None: the messages are ordered by time.
        clock: A monotonic clock in seconds; it paces the messages and the pauses after errors.

    Attributes:
        errors: The number of messages that were not sent because of an error.

    Raises:
        Misconfigured: A setting is not valid.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        client: redis.Redis | None = None,
        siblings: Callable[[int], Siblings] | None = None,
        attempt: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.errors = 0
        self._clock = clock
        self._settings = settings or load()
        self._interval = self._settings.progress.interval_seconds
        self._attempt = attempt
        self._client = client
        self._engine: Engine | None = None
        self._siblings = _SiblingCache(siblings or self._read_siblings, clock)
        self._paces: dict[int, _Pace] = {}
        self._lock = threading.Lock()
        self._paused_until = -math.inf

    def emit_progress(
        self,
        task_id: int,
        order_id: int,
        percent: float,
        current_file: str = "",
        speed: float | None = None,
        *,
        at_once: bool = False,
    ) -> bool:
        """Publish the progress of a task; it may be called at any rate.

        For each task, one message is sent in ``progress.interval_seconds``, and always the first one and the
        first one with 100 percent. A new file is not sent earlier: there may be thousands of files.

        Args:
            task_id: The task.
            order_id: The task's order, whose percent is published too.
            percent: 0 to 100. A number outside is limited to this range; anything else is not sent.
            current_file: The file that is being downloaded.
            speed: The speed in bytes/s, None if unknown.
            at_once: Send the message even if the last one was sent a moment ago.

        Returns:
            Whether the message was sent.
        """
        try:
            now = self._clock()
            pace = self._paces.get(task_id)
            urgent = at_once or (percent >= _DONE and (pace is None or pace.percent < _DONE))
            if not urgent and (now < self._paused_until or (pace and now - pace.sent_at < self._interval)):
                return False
            percent = _clean_percent(percent)
            stamp = self._stamp(task_id, now, percent)
            progress = TaskProgress(
                int(task_id),
                percent,
                _clean_text(current_file),
                _clean_speed(speed),
                stamp,
                self._attempt,
                None if self._attempt is None else stamp,
            )
            siblings = self._siblings.find(int(order_id))
        except Exception as error:  # noqa: BLE001 - whatever the shop's worker passes, its download continues
            return self._count(error)
        return self._send(lambda client: _publish(client, progress, int(order_id), siblings))

    def emit_status_change(
        self,
        task_id: int,
        order_id: int,
        new_status: str,
        previous_status: str | None,
        error: str | None = None,
    ) -> bool:
        """Publish a change of a task's status. This does not write to the database; the caller has to.

        Args:
            task_id: The task.
            order_id: The task's order.
            new_status: The new status, such as ``downloading``, in any case.
            previous_status: The status before.
            error: The reason of a failure.

        Returns:
            Whether the message was sent.
        """
        try:
            change = StatusChange(
                Scope.TASK,
                int(task_id),
                _status(new_status),
                None if previous_status is None else _status(previous_status),
                self._stamp(task_id),
                None if error is None else _clean_text(error),
                attempt=self._attempt,
            )
            if change.new_status in ENDED_TASK:
                self._siblings.forget(int(order_id))
        except Exception as wrong:  # noqa: BLE001 - as above
            return self._count(wrong)
        return self._send(lambda client: publications.send(client, change))

    def announce(self, messages: Iterable[StatusChange | Completion]) -> None:
        """Publish the messages of a committed transaction; after an error the rest is not tried."""
        for message in messages:
            if not self._send(partial(publications.send, message=message)):
                return

    def report_failure(self, task_id: int, order_id: int, exception: BaseException) -> None:
        """Mark a task as failed in the database and in the audit log, and publish it (the error bridge).

        Args:
            task_id: The task.
            order_id: The task's order.
            exception: The reason.

        Raises:
            TaskNotFound: The task does not exist.
            DatabaseUnavailable: The failure could not be stored.
            NotMigrated: The database lacks orderctl's tables.
        """
        from orderctl import database, failures  # noqa: PLC0415 - takes 300 ms, and only a failure needs it

        failure = failures.describe(exception)
        show = partial(self.emit_progress, task_id, order_id, 0, f"Failed: {failure.message}", at_once=True)
        try:
            finished = database.transact(self._database(), lambda c: failures.report(c, task_id, failure))
        except DatabaseUnavailable:
            show()
            raise
        if finished.messages:  # none if the task had ended already
            self._siblings.forget(order_id)
            show()
            self.announce(finished.messages)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
        if self._engine is not None:
            self._engine.dispose()

    def _stamp(self, task_id: int, now: float | None = None, percent: float | None = None) -> int:
        """Return a timestamp in ms that is higher than the task's last one, and remember what is sent."""
        with self._lock:
            pace = self._paces.pop(task_id, None) or _Pace()
            self._paces[task_id] = pace
            if len(self._paces) > _REMEMBERED:
                del self._paces[next(iter(self._paces))]
            if now is not None and percent is not None:
                pace.sent_at, pace.percent = now, percent
            pace.stamp = max(pace.stamp + 1, clock.milliseconds())
            return pace.stamp

    def _send(self, publish: Callable[[redis.Redis], Any]) -> bool:
        began = self._clock()
        try:
            if self._client is None:
                self._client = broker.hasty(broker.url(self._settings))
            publish(self._client)
        except Exception as error:  # noqa: BLE001 - as above
            spent = self._clock() - began
            self._paused_until = began + min(_MAX_PAUSE, max(_MIN_PAUSE, _PAUSE_FACTOR * spent))
            return self._count(error)
        return True

    def _count(self, error: Exception) -> bool:
        with self._lock:
            self.errors += 1
        _log.log(logging.WARNING if self.errors == 1 else logging.DEBUG, "progress was not sent: %s", error)
        return False

    def _database(self) -> Engine:
        from orderctl import database  # noqa: PLC0415 - as above

        if self._engine is None:
            self._engine = database.connect(database.url(self._settings), pool_size=1)
        return self._engine

    def _read_siblings(self, order_id: int) -> Siblings:
        return read_siblings(self._database(), order_id)


def _status(given: str) -> str:
    """Return a status as messages have it: in lower case, unless it is one of the shop's own."""
    text = _clean_text(given)
    return text.casefold() if text.casefold() in set(TaskStatus) else text


def read_siblings(engine: Engine, order_id: int) -> dict[int, float | None]:
    """Read an order's tasks from the database, for the order's percent.

    Raises:
        DatabaseUnavailable: The connection failed or was lost.
        NotMigrated: The database lacks orderctl's tables.
    """
    from sqlalchemy import select  # noqa: PLC0415 - as above

    from orderctl import database, deletion  # noqa: PLC0415
    from orderctl.schema import download_tasks  # noqa: PLC0415

    query = select(download_tasks.c.id, download_tasks.c.status).where(
        download_tasks.c.order_id == order_id, deletion.not_deleted(download_tasks)
    )
    with database.reading(engine) as connection:
        rows = connection.execute(query).all()
    return {row.id: _FINAL.get(row.status) for row in rows if row.status != TaskStatus.CANCELLED}


class _SiblingCache:
    """A cache of each order's tasks, filled in the background.

    The database may hang for a minute; a download must not wait for it.
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


def _publish(client: redis.Redis, progress: TaskProgress, order_id: int, siblings: Siblings | None) -> int:
    """Publish the progress, together with the order's percent if its tasks are known."""
    if siblings is None:
        return publications.send(client, progress)
    return publications.publish_progress(client, progress, order_id, siblings)


def _clean_percent(value: float) -> float:
    percent = float(value)
    if not math.isfinite(percent):
        raise ValueError(f"{value} is not a valid percentage: a finite number")
    # Less than 100 is not rounded up to 100.
    return _DONE if percent >= _DONE else min(round(max(0.0, percent), 2), 99.99)


def _clean_speed(value: float | None) -> float | None:
    speed = math.nan if value is None else float(value)
    return round(speed, 1) if math.isfinite(speed) and speed >= 0 else None


def _clean_text(value: object) -> str:
    """Return valid Unicode: the undecodable bytes of a file name are lone surrogates."""
    text = "" if value is None else str(value)
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()
