"""A task as an admin chose it, compared with what has become of it since.

Two admins, or two runs of a script, may choose the same task at the same time. The first one changes it; for the
second one nothing is left to do, or the task is no longer what was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, or_, select

from orderctl import audit, database
from orderctl.errors import Superseded
from orderctl.lifecycle import Moved, TaskState
from orderctl.schema import download_tasks
from orderctl.states import UNFINISHED, WAITING, EventType, TaskStatus

#: Of a task's newest events, the number among which the one that changed it is looked for.
_RECENT: Final = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a task when it was chosen: one failure is one attempt."""

    status: str
    attempt: int

    @classmethod
    def of(cls, task: TaskState) -> Seen:
        """Return the state of a task that was read."""
        return cls(task.status, task.attempt)


def retried(connection: Connection, task: TaskState, seen: Seen | None) -> Moved | None:
    """Return what is left of a retry if another one came first; None if the task is still to be retried.

    Args:
        connection: In a transaction that holds the task.
        task: The task.
        seen: Its state when it was chosen; None: it is chosen as it is now.

    Raises:
        Superseded: The task has neither its state of then, nor was it retried.
    """
    if seen is None or seen == Seen.of(task) or _both_unfinished(seen, task):
        return None
    if task.status in UNFINISHED:
        return already(connection, task, "running" if task.leased else "waiting", EventType.TASK_RETRIED)
    raise _superseded(connection, task, seen)


def cancelled(connection: Connection, task: TaskState, seen: Seen | None) -> Moved | None:
    """Return what is left of a cancellation if another one came first; None if the task is still to be cancelled.

    A task that had not ended may be in another attempt by now.

    Args:
        connection: In a transaction that holds the task.
        task: The task.
        seen: Its state when it was chosen; None: it is chosen as it is now.

    Raises:
        Superseded: The task has ended, or was retried, since it was chosen.
    """
    if seen is None or seen == Seen.of(task) or _both_unfinished(seen, task):
        return None
    if task.status == TaskStatus.CANCELLED:
        return already(connection, task, "cancelled", EventType.TASK_CANCELLED)
    raise _superseded(connection, task, seen)


def is_waiting_for(connection: Connection, task: TaskState, max_attempts: int) -> bool:
    """Whether a retry would change nothing: the task is due, and waits for a worker of orderctl's.

    A retry of one that has been failing begins its patience anew.

    Args:
        connection: In a transaction that holds the task.
        task: The task.
        max_attempts: What the retry would write.
    """
    row = download_tasks.c
    query = select(row.id).where(
        row.id == task.id,
        row.status.in_(WAITING),
        row.lease_token.is_(None),
        row.managed == 1,
        row.max_attempts >= max_attempts,
        row.failing_since.is_(None),
        or_(row.available_at.is_(None), row.available_at <= database.utc_now()),
    )
    return connection.execute(query).first() is not None


def already(connection: Connection, task: TaskState, state: str, event: EventType) -> Moved:
    """Return a move that changes nothing, because another one came first.

    Args:
        connection: A connection for reading.
        task: The task.
        state: The state in which it is already, for people.
        event: The event of the move that came first.
    """
    actor = _actor(connection, task, event)
    done = event.removeprefix("task_")
    by = "" if actor is None else f" by {actor}" if state == done else f", {done} by {actor}"
    return Moved(tasks=(task,), note=f"already {state}{by}")


def _both_unfinished(seen: Seen, task: TaskState) -> bool:
    return seen.status in UNFINISHED and task.status in UNFINISHED


def _superseded(connection: Connection, task: TaskState, seen: Seen) -> Superseded:
    events = {TaskStatus.CANCELLED: EventType.TASK_CANCELLED, TaskStatus.PENDING: EventType.TASK_RETRIED}
    event = next((event for status, event in events.items() if status == task.status), None)
    actor = None if event is None else _actor(connection, task, event)
    then, now = seen.status, task.status
    if then == now:
        then, now = f"{then} after attempt {seen.attempt}", f"{now} after attempt {task.attempt}"
    by = f" (by {actor})" if actor else ""
    return Superseded(
        f"task {task.id} was {then} when it was chosen, and is {now} now{by}",
        hint=f"orderctl tasks show {task.id}",
    )


def _actor(connection: Connection, task: TaskState, event: EventType) -> str | None:
    """Return who moved the task by its newest event of this type."""
    wanted = audit.Search(task_id=task.id)
    events = audit.search(connection, task.order_id, wanted, limit=_RECENT)
    return next((one.actor for one in events if one.event_type == event), None)
