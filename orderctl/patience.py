"""How long a task is tried again that fails for a reason which may pass by itself.

An outage of a course's server costs no attempt: the task is tried until it has been failing for too long. The pauses
grow with the time for which it has been failing, so nothing has to be counted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from orderctl import audit, clock, database
from orderctl.audit import Event
from orderctl.lifecycle import TaskState
from orderctl.states import EventType

#: The maximum of the first pause, and of all of them, in seconds.
_FIRST: Final = 5.0
_LONGEST: Final = 300.0
#: The part of a pause that a server asked for, by which it is lengthened at most.
_SPREAD: Final = 0.1
#: The shortest time between two events of one outage, in seconds, and the number of reasons that are told at once.
_QUIET: Final = 60.0
_REASONS: Final = 4
#: A task that gets on between its failures begins to fail anew each time. Events of this number of seconds count all
#: the same, and at most this number of events.
_LOOKBACK: Final = 3600.0
_MOST_EVENTS: Final = 50
#: The status codes with which a server says that the same request may succeed later.
_PASSING: Final = frozenset({408, 425, 429, 502, 503, 504})
#: A number that stands for any longer time: about 30 years, in seconds.
_EVER: Final = 10**9


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on.

    Attributes:
        give_up_after: How long a task may be failing, in seconds.
        max_retry_after: The longest pause that a server may ask for, in seconds.
    """

    give_up_after: float = 86_400.0
    max_retry_after: float = 3_600.0


#: The settings' defaults.
DEFAULT: Final = Patience()


@dataclass(frozen=True, slots=True)
class Wait:
    """How a task waits for its next try, or that it does not any more.

    Attributes:
        since: When the failures began; all times are the database's.
        retry_at: When the task is tried again; None: it has been failing for too long.
        tries: How often it has failed since then, as far as the audit log tells.
        is_news: Whether the failure gets an event in the audit log.
    """

    since: datetime
    retry_at: datetime | None
    tries: int
    is_news: bool

    def details(self) -> dict[str, Any]:
        """Return what the event has besides the failure's own details."""
        details = {"tries": self.tries, "failing_since": clock.iso(self.since)}
        return details if self.retry_at is None else details | {"retry_at": clock.iso(self.retry_at)}


def find_wait(
    connection: Connection,
    task: TaskState,
    fingerprint: str,
    asked: float | None,
    limits: Patience,
    *,
    got_on: bool = False,
) -> Wait:
    """Return how a task waits after a failure that may pass by itself, if it has not been failing for too long.

    Args:
        connection: In a transaction that holds the task.
        task: The task.
        fingerprint: Of the failure.
        asked: The pause that the course's server asked for, in seconds; None: for none.
        limits: How long to go on.
        got_on: Whether the attempt has downloaded a part, so only now the task begins to fail.
    """
    now = connection.execute(select(database.utc_now())).scalar_one()
    before = task.failing_since
    since = now if before is None or got_on else min(before, now)
    failing = (now - since).total_seconds()
    told = [] if before is None else _told(connection, task, min(since, now - timedelta(seconds=_LOOKBACK)))
    tries = _count_tries(task, told, since)
    if failing >= limits.give_up_after:
        return Wait(since, None, tries, is_news=True)
    retry_at = now + timedelta(seconds=pause(failing, asked, limits))
    return Wait(since, retry_at, tries, is_news(fingerprint, told, now))


def _told(connection: Connection, task: TaskState, since: datetime) -> list[Event]:
    """Return the events of the task's earlier failures, newest first."""
    return audit.newest(connection, task.id, EventType.DOWNLOAD_FAILED, since=since, limit=_MOST_EVENTS)


def _count_tries(task: TaskState, told: Sequence[Event], since: datetime) -> int:
    firsts = [
        event.details["attempt"]
        for event in told
        if event.created_at and event.created_at >= since and isinstance(event.details, dict)
        and type(event.details.get("attempt")) is int
    ]  # fmt: skip
    return max(task.attempt - min(firsts, default=task.attempt) + 1, 1)


def pause(failing: float, asked: float | None, patience: Patience) -> float:
    """Return how long to wait for the next try, in seconds.

    It is at random (full jitter), so that the tasks of one server do not all come at once when it is back. The last try
    is at the end of the patience at the latest.

    Args:
        failing: For how long the task has been failing, in seconds.
        asked: The pause that the server asked for, in seconds; None: for none.
        patience: How long to go on.
    """
    seconds = random.uniform(0, min(_LONGEST, max(_FIRST, failing)))
    if asked is not None:
        asked = min(asked, patience.max_retry_after)
        seconds = max(seconds, asked + random.uniform(0, asked * _SPREAD))
    return min(seconds, max(patience.give_up_after - failing, 0.0))


def is_news(fingerprint: str, told: Sequence[Event], now: datetime) -> bool:
    """Whether a further failure of a task that has been failing gets an event of its own.

    The first one of each of a few reasons does. For all others the time from event to event doubles, so an outage of an
    hour has about ten events, and one of a day five more.

    Args:
        fingerprint: Of the failure.
        told: The events of the earlier failures, newest first.
        now: The database's time.
    """
    moments = [event.created_at for event in told if event.created_at is not None]
    if not moments:
        return True
    known = {str(event.details.get("fingerprint")) for event in told if isinstance(event.details, dict)}
    if fingerprint not in known and len(known) < _REASONS:
        return True
    return now - moments[0] >= max(moments[0] - moments[-1], timedelta(seconds=_QUIET))


def is_passing(exception: BaseException) -> bool | None:
    """Return whether a failure may pass by itself, as the exception says; None if it does not say.

    It says so with ``transient``, or with the status of an HTTP answer, where HTTP clients put it.
    """
    own = _read(exception, "transient")
    if isinstance(own, bool):
        return own
    return True if _status(exception) in _PASSING else None


def retry_after(exception: BaseException) -> float | None:
    """Return the pause that the server asked for in seconds, at least 0; None if it asked for none.

    It stands in ``retry_after``, a number or a timedelta, or in the header of an HTTP answer.
    """
    asked = _seconds(_read(exception, "retry_after"))
    if asked is not None:
        return asked
    for holder in (_read(exception, "response"), exception):
        get = _read(_read(holder, "headers"), "get")
        if callable(get):
            try:
                return _seconds(get("Retry-After"))
            except Exception:  # noqa: BLE001 - another package's object
                return None
    return None


def _status(exception: BaseException) -> int | None:
    for holder in (_read(exception, "response"), exception):
        for name in ("status_code", "status", "code"):
            status = _read(holder, name)
            if isinstance(status, int):
                return status
    return None


def _seconds(asked: Any) -> float | None:
    if isinstance(asked, timedelta):
        asked = asked.total_seconds()
    if isinstance(asked, str) and asked.strip().isascii() and asked.strip().isdigit():
        asked = _EVER if len(asked.strip()) > len(str(_EVER)) else int(asked)
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not asked >= 0:  # NaN is not
        return None
    return float(min(asked, _EVER))


def _read(holder: Any, name: str) -> Any:
    """Return an attribute of an object of another package; None if it has none, or fails to tell."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - an exception class of the shop's handler may fail here
        return None
