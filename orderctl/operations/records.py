"""What an operation is, and the states of operations and of their tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from orderctl import foreign, masking
from orderctl.errors import Conflict, NotFound

#: Seconds for which a supervisor holds an operation without a sign of life. Then another one goes on.
LEASE_SECONDS: Final = 5.0
#: The same for the process that makes one.
MAKING_SECONDS: Final = 60.0


class OperationNotFound(NotFound):
    """There is no such operation."""


class NameTaken(Conflict):
    """Another operation has this name."""


class Kind(StrEnum):
    """What an operation does to its tasks."""

    RETRY = "retry"
    CANCEL = "cancel"

    @property
    def done(self) -> str:
        """The participle, for people."""
        return "retried" if self is Kind.RETRY else "cancelled"


class State(StrEnum):
    """How far an operation is."""

    PREPARING = "preparing"  #: Its tasks are being written; nothing is carried out yet.
    CANARY = "canary"  #: The first tasks go; the others wait until these have passed.
    RUNNING = "running"  #: Its tasks are changed, one after the other.
    SETTLING = "settling"  #: All were retried; some have not ended yet.
    FINISHED = "finished"  #: All were changed, and have ended.
    STOPPING = (
        "stopping"  #: It was stopped: nothing more is changed, but some tasks that were have not ended yet.
    )
    STOPPED = "stopped"  #: It was stopped, and the tasks that were changed have ended.


#: An operation that changes tasks, or will do so.
CHANGING: Final = (State.CANARY, State.RUNNING)
#: A supervisor has something to do.
ACTIVE: Final = (State.PREPARING, *CHANGING, State.SETTLING, State.STOPPING)
#: Nothing more is changed, and all that was changed has ended.
OVER: Final = (State.FINISHED, State.STOPPED)


class ItemState(StrEnum):
    """What has become of a task of an operation."""

    WAITING = "waiting"  #: Its turn has not come.
    CHANGED = "changed"  #: It was retried, and has not ended since; or it was cancelled by a cancellation.
    UNCHANGED = "unchanged"  #: Nothing was left to do: another one had changed it.
    REFUSED = "refused"  #: It could not be changed.
    COMPLETED = "completed"  #: It was retried, and has completed.
    FAILED = "failed"  #: It was retried, and has failed again.
    CANCELLED = "cancelled"  #: It was retried, and cancelled or deleted since.


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation.

    Attributes:
        selection: What was selected, as it was given.
        take: Whether tasks of the shop's own workers are retried, too.
        max_attempts: How many further attempts a task gets.
        rate: The pace, as it was given; None: as fast as possible.
        per_hour: The same in tasks per hour.
        canary: How many tasks have to pass first.
        max_failures: How many tasks may fail again after the canary, of which none may; None: any number.
        why: Why it was stopped.
        total: The number of its tasks.
        changed: How many were changed; these are also counted below, once they have ended.
        unchanged: Those with which nothing was left to do.
        refused: Those that could not be changed.
        next_at: When the next task is due.
        now: The database's clock.
    """

    id: int
    name: str
    kind: str
    selection: Mapping[str, Any]
    reason: str | None
    actor: str
    source: str
    take: bool
    max_attempts: int
    rate: str | None
    per_hour: int | None
    canary: int
    max_failures: int | None
    state: str
    why: str | None
    stopped_by: str | None
    total: int
    changed: int
    unchanged: int
    refused: int
    completed: int
    failed: int
    cancelled: int
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    next_at: datetime | None
    looked_to: int | None
    lease_token: str | None
    lease_until: datetime | None
    now: datetime

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """Make an operation from a row."""
        try:
            selection = json.loads(row["selection"])
        except ValueError:
            selection = {}
        shown = {name: masking.foreign(row[name]) for name in ("reason", "why") if row[name]}
        per_hour = None if row["per_hour"] is None else max(1, foreign.whole(row["per_hour"]) or 0)
        known = {"selection": selection, "take": bool(row["take"]), "per_hour": per_hour}
        return cls(**{**row, **shown, **known})

    @property
    def waiting(self) -> int:
        """The number of tasks whose turn has not come."""
        return max(0, self.total - self.changed - self.unchanged - self.refused)

    @property
    def canaries(self) -> int:
        """The number of tasks that are retried first: fewer than was asked for, if no more can be retried."""
        return min(self.canary, self.changed + self.waiting)

    @property
    def unfinished(self) -> int:
        """The number of tasks that were retried and have not ended."""
        if self.kind != Kind.RETRY:
            return 0
        return max(0, self.changed - self.completed - self.failed - self.cancelled)

    @property
    def allowed(self) -> int | None:
        """How many tasks may fail again in the present state, none of the canary; None: any number."""
        return 0 if self.state == State.CANARY else self.max_failures

    @property
    def free(self) -> bool:
        """Whether no process holds it."""
        return self.lease_token is None or self.lease_until is None or self.lease_until < self.now

    @property
    def orphaned(self) -> bool:
        """Whether it is not complete, and the process that was making it gives no sign of life."""
        return self.state == State.PREPARING and self.free


@dataclass(frozen=True, slots=True)
class Item:
    """A task of an operation, as it was when it was selected."""

    task_id: int
    seen_status: str
    seen_attempt: int
    state: str
    note: str | None
    changed_at: datetime | None


def missing(name: str) -> OperationNotFound:
    """Return the error for a name that no operation has."""
    return OperationNotFound(f"operation {name!r} not found", hint="orderctl ops list")
