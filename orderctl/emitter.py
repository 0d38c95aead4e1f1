"""The emitter: publishes progress and status of tasks, throttled, and reports failures.

Progress may be lost, a download may not. So nothing here raises an error because of Redis, and nothing waits
for Redis for longer than 0.2 s, or often.
"""

from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from orderctl import broker, clock, error_types, interruption, masking, publications, texts
from orderctl.channels import MAX_ID, Scope
from orderctl.errors import InvalidInput, NotFound, OrderctlError, TaskNotFound
from orderctl.messages import Completion, StatusChange, TaskProgress
from orderctl.settings import Settings, load
from orderctl.siblings import SiblingCache, Siblings, read_siblings
from orderctl.states import ENDED_TASK, Source, TaskStatus

if TYPE_CHECKING:
    import redis
    from sqlalchemy import Engine

_log = logging.getLogger(__name__)

#: After an error, nothing is sent for this many times the duration of the failed try: it costs 2 % of the
#: time at most.
_PAUSE_FACTOR: Final = 50.0
_MIN_PAUSE: Final = 1.0
_MAX_PAUSE: Final = 60.0
#: Maximum number of tasks that are remembered.
_REMEMBERED: Final = 10_000
_MAX_TEXT: Final = 1_000
#: Longest part of a text that is looked at: a secret must not be cut in two before it is masked.
_LONGEST: Final = 16_000
_DONE: Final = 100.0
_DIGITS: Final = re.compile(r"\s*[0-9]+\s*")


@dataclass(slots=True)
class _Pace:
    """What was last sent for a task."""

    sent_at: float = -math.inf
    end: str | None = None
    stamp: int = 0


#: All emitters, and what they used before a fork.
_living: WeakSet[ProgressEmitter] = WeakSet()
_abandoned: list[object] = []


class ProgressEmitter:
    """Publishes progress and status, throttled. Threads may share an emitter, and it can be used after a fork.

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
        self._clock = clock
        self._settings = settings or load()
        self._interval = self._settings.progress.interval_seconds
        self._attempt = attempt
        self._given_client = client
        self._find_siblings = siblings or self._read_siblings
        self._begin()
        _living.add(self)

    def _begin(self) -> None:
        """Begin without connections and threads, with nothing sent."""
        self.errors = 0
        self._warned: set[type[Exception]] = set()  # a wrong argument must not hide that Redis is away
        self._client = self._given_client
        self._engine: Engine | None = None
        self._siblings = SiblingCache(self._find_siblings, self._clock)
        self._paces: dict[int, _Pace] = {}
        self._lock = threading.Lock()
        self._paused_until = -math.inf

    def begin_again(self) -> None:
        """Begin anew in a child process, which must not use the connections of its parent, nor close them."""
        _abandoned.extend((self._client, self._engine))
        self._begin()

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

        For each task, one message is sent in ``progress.interval_seconds``, and always the first one, and one that
        tells an end: 100 percent, or 0 percent with a ``current_file`` that begins with "Failed". The same end is
        not sent again at once. A new file is not sent earlier: there may be thousands of files. What is not sent is
        not sent later either: the next message is newer.

        After an error of Redis, nothing is sent for a while, except ends.

        Args:
            task_id: The task.
            order_id: The task's order, whose percent is published too.
            percent: 0 to 100. A number outside is limited to this range; anything else is not sent.
            current_file: The file that is being downloaded, or "Failed: " and the reason.
            speed: The speed in bytes/s, None if unknown.
            at_once: Send the message even if the last one was sent a moment ago.

        Returns:
            Whether the message was sent.
        """
        try:
            # Most calls end here: what is not sent is not checked either.
            task_id, now = _id(task_id), self._clock()
            end = _end(float(percent), current_file)
            if not (at_once or self._is_due(task_id, end, now)):
                return False
            order_id, percent = _id(order_id), _clean_percent(percent)
            stamp = self._stamp(task_id, now, end)
            progress = TaskProgress(
                task_id,
                percent,
                _clean_text(current_file),
                _clean_speed(speed),
                stamp,
                self._attempt,
                None if self._attempt is None else stamp,
            )
            siblings = self._siblings.find(order_id)
        except Exception as error:  # noqa: BLE001 - whatever the shop's worker passes, its download continues
            interruption.let_through(error)
            return self._count(error)
        sent = self._send(lambda client: _publish(client, progress, order_id, siblings))
        if not sent and (pace := self._paces.get(task_id)):
            pace.sent_at = -math.inf  # the next one only waits for the end of the pause
        return sent

    def _is_due(self, task_id: int, end: str | None, now: float) -> bool:
        pace = self._paces.get(task_id)
        if end is not None and (pace is None or pace.end != end):
            return True
        return now >= self._paused_until and (pace is None or now - pace.sent_at >= self._interval)

    def emit_status_change(
        self,
        task_id: int,
        order_id: int,
        new_status: str,
        previous_status: str | None = None,
        error: object = None,
    ) -> bool:
        """Publish a change of a task's status. This does not write to the database; the caller has to.

        Args:
            task_id: The task.
            order_id: The task's order.
            new_status: The new status, such as ``downloading``, in any case.
            previous_status: The status before.
            error: The reason of a failure, an exception or a text.

        Returns:
            Whether the message was sent.
        """
        try:
            task_id, order_id = _id(task_id), _id(order_id)
            kind = None if error is None else error_types.classify(error)
            change = StatusChange(
                Scope.TASK,
                task_id,
                _new_status(new_status),
                None if previous_status is None else _status(previous_status),
                self._stamp(task_id),
                None if error is None else _reason(error),
                None if kind is None else kind.contract.value,
                attempt=self._attempt,
                error_kind=None if kind is None else kind.value,
            )
            if change.new_status in ENDED_TASK:
                self._siblings.forget(order_id)
        except Exception as wrong:  # noqa: BLE001 - as above
            interruption.let_through(wrong)
            return self._count(wrong)
        return self._send(lambda client: publications.send(client, change))

    def announce(self, messages: Iterable[StatusChange | Completion]) -> None:
        """Publish the messages of a committed transaction; after an error the rest is not tried."""
        for message in messages:
            if not self._send(partial(publications.send, message=message)):
                return

    def report_failure(
        self,
        task_id: int,
        order_id: int,
        exception: object,
        *,
        source: str = Source.WORKER,
        actor: str | None = None,
    ) -> None:
        """Mark a task as failed in the database and in the audit log, and publish it (the error bridge).

        A task that has ended already is left as it is.

        Args:
            task_id: The task.
            order_id: The task's order.
            exception: The reason, an exception or a text.
            source: The program that reports the failure, such as ``python_worker``, for the audit log and the
                webhook.
            actor: Who reports it, such as the worker's name.

        Raises:
            TaskNotFound: The task does not exist.
            OrderNotFound: The task's order does not exist.
            InvalidInput: The source is not a text of 1 to 64 printable characters, or the shop's column does not
                hold it.
            DatabaseUnavailable: The failure could not be stored.
            NotMigrated: The database lacks orderctl's tables.
            Misconfigured: A setting is not valid.
        """
        from orderctl import database, failures  # noqa: PLC0415 - takes 300 ms, and only a failure needs it

        failure, task = failures.describe(exception), _existing(task_id)
        text = f"Failed: {failure.message}"
        try:
            finished = database.transact(
                self._database(), lambda c: failures.report(c, task, failure, source=source, actor=actor)
            )
        except OrderctlError as error:
            if not isinstance(error, NotFound | InvalidInput):
                self.emit_progress(task, order_id, 0, text, at_once=True)
            raise
        # The task's row has named further secrets.
        text = next((f"Failed: {message.error}" for message in finished.messages if message.error), text)
        for moved in finished.tasks:  # none if the task had ended already
            self._siblings.forget(moved.order_id)
            self.emit_progress(task, moved.order_id, 0, text, at_once=True)
        self.announce(finished.messages)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
        if self._engine is not None:
            self._engine.dispose()

    def _stamp(self, task_id: int, now: float | None = None, end: str | None = None) -> int:
        """Return a timestamp in ms that is higher than the task's last one, and remember what is sent."""
        with self._lock:
            pace = self._paces.pop(task_id, None) or _Pace()
            self._paces[task_id] = pace
            if len(self._paces) > _REMEMBERED:
                del self._paces[next(iter(self._paces))]
            if now is not None:
                pace.sent_at, pace.end = now, end
            pace.stamp = max(pace.stamp + 1, clock.milliseconds())
            return pace.stamp

    def _send(self, publish: Callable[[redis.Redis], Any]) -> bool:
        began = self._clock()
        try:
            if self._client is None:
                self._client = broker.hasty(broker.url(self._settings))
            publish(self._client)
        except Exception as error:  # noqa: BLE001 - as above
            interruption.let_through(error)
            spent = self._clock() - began
            self._paused_until = began + min(_MAX_PAUSE, max(_MIN_PAUSE, _PAUSE_FACTOR * spent))
            return self._count(error)
        return True

    def _count(self, error: Exception) -> bool:
        with self._lock:
            self.errors += 1
            is_first = type(error) not in self._warned
            self._warned.add(type(error))
        _log.log(
            logging.WARNING if is_first else logging.DEBUG,
            "progress was not sent: %s",
            masking.foreign(error_types.message(error)),
        )
        return False

    def _database(self) -> Engine:
        from orderctl import database  # noqa: PLC0415 - as above

        if self._engine is None:
            self._engine = database.connect(database.url(self._settings), pool_size=1)
        return self._engine

    def _read_siblings(self, order_id: int) -> Siblings:
        return read_siblings(self._database(), order_id)


def _after_fork() -> None:
    """Renew what a fork leaves unusable: connections that the parent uses, and locks that its threads hold."""
    for emitter in list(_living):
        emitter.begin_again()


os.register_at_fork(after_in_child=_after_fork)


def _id(value: object) -> int:
    """Return an id that the shop's worker gave as any kind of whole number, or as its digits."""
    if type(value) is int and 1 <= value <= MAX_ID:
        return value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value  # as Redis has it
    number = int(text)  # type: ignore[call-overload]
    is_same = _DIGITS.fullmatch(text) if isinstance(text, str) else number == text
    if not is_same or not 1 <= number <= MAX_ID:
        raise ValueError(f"{texts.shown(value)} is not a valid id: a whole number from 1")
    return int(number)


def _existing(task_id: object) -> int:
    try:
        return _id(task_id)
    except (TypeError, ValueError, OverflowError):
        raise TaskNotFound(f"task {texts.shown(task_id)} not found", hint="orderctl tasks list") from None


def _end(percent: float, current_file: object) -> str | None:
    """Return what a message says of the task's end, None if the task goes on."""
    if percent >= _DONE:
        return "100"
    text = "" if percent > 0 else _clean_text(current_file).strip()
    return text if text.casefold().startswith("failed") else None


def _status(given: object) -> str:
    """Return a status as messages have it: in lower case, unless it is one of the shop's own."""
    text = _clean_text(given.value if isinstance(given, Enum) else given)
    return text.casefold() if text.casefold() in set(TaskStatus) else text


def _new_status(given: object) -> str:
    status = _status(given)
    if not status.strip():
        raise ValueError(f"{texts.shown(given)} is not a valid status: a text")
    return status


def _reason(error: object) -> str:
    """Return the reason of a failure as a text, also of an exception that cannot be shown."""
    return _clean_text(error_types.message(error_types.as_exception(error)) or type(error).__name__)


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
    try:
        speed = math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):  # it is the least important part of the message
        return None
    return round(speed, 1) if math.isfinite(speed) and speed >= 0 else None


def _clean_text(value: object) -> str:
    """Return valid Unicode: the undecodable bytes of a file name are lone surrogates."""
    text = "" if value is None else str(value)
    return masking.foreign(text[:_LONGEST])[:_MAX_TEXT].encode("utf-8", "replace").decode()
