"""What is seen while orders and tasks are watched, for those who show it. No store is needed for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orderctl import channels
from orderctl.channels import Channel, Scope
from orderctl.messages import Data
from orderctl.states import TaskStatus

if TYPE_CHECKING:
    from orderctl.audit import Event

#: An order or a task.
Key = tuple[Scope, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of an order or a task.

    Attributes:
        label: Its name for people.
        order_id: The order itself, or the task's order.
        percent: The share of an order's tasks that are completed; 0 or 100 for a task.
        titled: Whether the label is final: a task has no title before it is enrolled.
    """

    scope: Scope
    id: int
    label: str
    status: str
    order_id: int
    percent: float
    titled: bool = True

    @property
    def key(self) -> Key:
        """The order or task."""
        return self.scope, self.id


@dataclass(frozen=True, slots=True)
class Found:
    """What the database says of orders and tasks.

    Attributes:
        first: Whether these are the ones to begin with.
    """

    standings: tuple[Standing, ...]
    first: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """A message; ``snapshot`` is True if it was sent before the subscription."""

    channel: Channel
    data: Data
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a subject waits for.

    Attributes:
        key: The subject; None: everything.
        cause: One word; empty: it waits no longer.
        text: The same for people.
        hint: The command that helps.
    """

    key: Key | None
    cause: str
    text: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that was written into the audit log."""

    event: Event


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark about the watching itself, such as a lost connection."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that has failed, and why."""

    task_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """The end of a subject, as the database has it.

    Attributes:
        name: ``order DH1`` or ``task 4``.
        detail: What has become of it, on one line.
        failed: The tasks that have failed.
        hint: The command that runs them again, which can be pasted.
        standings: The order and its tasks, or the task, as they are now.
    """

    scope: Scope
    id: int
    name: str
    status: str
    detail: str | None = None
    failed: tuple[Failed, ...] = ()
    hint: str | None = None
    standings: tuple[Standing, ...] = field(default=(), compare=False)

    @property
    def is_failure(self) -> bool:
        """Whether it has failed, or was cancelled."""
        return self.status in {TaskStatus.FAILED, TaskStatus.CANCELLED}


Watched = Found | Update | Waiting | Happened | Remark | End


def in_words(channel: Channel, data: Mapping[str, object]) -> str:
    """Return a message as text, for kinds that have no display of their own: ``note: text=Hello``."""
    known = {channels.id_name(channel.scope), "timestamp"}
    fields = (f"{name}={value}" for name, value in data.items() if name not in known and value is not None)
    return f"{channel.kind}: {', '.join(fields)}".removesuffix(": ")
