"""What keeps a task or an operation from going on for a while: a row that another program holds, a missing right."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from orderctl import clock, database_errors
from orderctl.errors import Conflict, InvalidInput, NotFound, OrderctlError
from orderctl.schema import download_tasks

#: For how long a task is passed over whose rows another program holds, in seconds; twice as long each time.
_FIRST_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 120.0
#: The longest pause of an operation that meets one held row after the other, in seconds: each costs a wait for a lock.
_LONGEST_PAUSE: Final = 2.0
#: The longest pause after a fault that is not of one task.
_LONGEST_REST: Final = 16.0
#: Tasks of one order that are passed over with one of them.
_MOST_OF_ORDER: Final = 1000
#: Tasks that are remembered.
_MOST: Final = 5000


@dataclass(slots=True)
class Place:
    """The task that a transaction is about; None: the operation's own rows."""

    task_id: int | None = None


@dataclass(slots=True)
class Obstacles:
    """What an operation has met. It is known to this process only.

    Attributes:
        said: What was logged last.
    """

    said: str = ""
    _until: dict[int, float] = field(default_factory=dict)
    _pauses: dict[int, float] = field(default_factory=dict)
    _times: int = 0

    def passed_over(self) -> frozenset[int]:
        """Return the tasks that are passed over now."""
        now = clock.elapsed()
        return frozenset(task_id for task_id, until in self._until.items() if until > now)

    def meet(self, task_ids: Collection[int] = ()) -> float:
        """Pass these tasks over for a while; return how long the operation pauses, in seconds."""
        now = clock.elapsed()
        if len(self._until) > _MOST:
            self._until, self._pauses = {}, {}
        for task_id in task_ids:
            seconds = min(self._pauses.get(task_id, _FIRST_SECONDS / 2) * 2, _LONGEST_SECONDS)
            self._pauses[task_id], self._until[task_id] = seconds, now + seconds
        self._times += 1
        if not task_ids:
            return min(2.0 ** (self._times - 1), _LONGEST_REST)
        # The first one costs no pause: the tasks behind it may go on.
        return min(self._times - 1.0, _LONGEST_PAUSE)

    def overcome(self) -> None:
        """Note that a transaction has succeeded."""
        self._times = 0


def of_order(connection: Connection, task_id: int) -> set[int]:
    """Return a task and others of its order: who holds the order's row holds them all up.

    Args:
        connection: A connection for reading.
        task_id: The task.
    """
    task = download_tasks.c
    order_id = connection.execute(select(task.order_id).where(task.id == task_id)).scalar()
    if order_id is None:
        return {task_id}
    query = select(task.id).where(task.order_id == order_id).limit(_MOST_OF_ORDER)
    return {task_id, *connection.execute(query).scalars()}


def is_of_task(error: OrderctlError) -> bool:
    """Whether an error is about one task: others may go on, and this one cannot. Else all of them would fail."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError):
        return database_errors.is_about_row(cause)
    return isinstance(error, Conflict | InvalidInput | NotFound)
