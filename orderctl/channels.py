"""The names of Redis channels and keys; the only place that spells them.

A channel is ``{scope}:{id}:{type}``; the last message of a channel is kept under a key of the same
name for :data:`SNAPSHOT_TTL` seconds. Both are a contract with the shop's own programs.

:data:`KINDS` says which channels there are; all that reads, matches or lists channels follows from it. What a
message of a kind carries is in ``messages``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: How long the last message of a channel is kept, in seconds.
SNAPSHOT_TTL = 3600
#: The capped list of jobs that the worker set aside, newest first.
REJECTED_JOBS = "orderctl:rejected-jobs"
#: Prefix of the keys that say that a message was sent.
SENT_PREFIX = "orderctl:sent:"
#: Prefix of the keys that say that a worker was woken for a job a moment ago.
RUNG_PREFIX = "orderctl:rung:"
#: Prefix of the keys that tell workers of a queue to pause.
PAUSED_PREFIX = "orderctl:paused:"
#: Prefix of the keys that tell a supervisor to stop.
STOP_PREFIX = "orderctl:stop:"
#: Prefix of the keys in which supervisors announce themselves.
SUPERVISOR_PREFIX = "orderctl:supervisor:"
#: Prefix of the keys in which the relay keeps the subscriptions of its Socket.IO clients.
SESSION_PREFIX = "orderctl:relay:session:"

_NAME: Final = re.compile(r"([a-z]+):([1-9][0-9]{0,18}):([a-z]+)\Z", re.ASCII)


class Scope(StrEnum):
    """What a channel speaks of."""

    ORDER = "order"
    TASK = "task"


class MessageKind(StrEnum):
    """The type of a channel's messages."""

    PROGRESS = "progress"
    STATUS = "status"
    COMPLETE = "complete"


#: The kinds of messages of each scope.
KINDS: Final[Mapping[Scope, tuple[MessageKind, ...]]] = {
    Scope.TASK: (MessageKind.PROGRESS, MessageKind.STATUS),
    Scope.ORDER: (MessageKind.PROGRESS, MessageKind.STATUS, MessageKind.COMPLETE),
}
#: What a listener to everything subscribes to.
PATTERNS: Final = tuple(f"{scope}:*" for scope in KINDS)

_BY_NAME: Final = {(str(scope), str(kind)): (scope, kind) for scope in KINDS for kind in KINDS[scope]}


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel; ``str()`` of it is its name and that of its snapshot key."""

    scope: Scope
    id: int
    kind: MessageKind

    def __str__(self) -> str:
        return f"{self.scope}:{self.id}:{self.kind}"


def parse(name: str) -> Channel | None:
    """The channel of that name, or None for a name that is no channel of ours."""
    match = _NAME.match(name)
    known = match and _BY_NAME.get((match[1], match[3]))
    return Channel(known[0], int(match[2]), known[1]) if match and known else None


def task_progress(task_id: int) -> Channel:
    """Percent, file and speed of a task."""
    return Channel(Scope.TASK, task_id, MessageKind.PROGRESS)


def task_status(task_id: int) -> Channel:
    """A task's moves from status to status."""
    return Channel(Scope.TASK, task_id, MessageKind.STATUS)


def order_progress(order_id: int) -> Channel:
    """The mean percent of an order's tasks."""
    return Channel(Scope.ORDER, order_id, MessageKind.PROGRESS)


def order_status(order_id: int) -> Channel:
    """An order's moves from status to status."""
    return Channel(Scope.ORDER, order_id, MessageKind.STATUS)


def order_complete(order_id: int) -> Channel:
    """The end of an order."""
    return Channel(Scope.ORDER, order_id, MessageKind.COMPLETE)


def of_subject(scope: Scope, subject_id: int) -> tuple[Channel, ...]:
    """Every channel of one order or task."""
    return tuple(Channel(scope, subject_id, kind) for kind in KINDS[scope])


def id_name(scope: Scope) -> str:
    """The field that names an order or a task in payloads, and in what clients of the relay ask for."""
    return f"{scope}Id"


def room(scope: Scope, subject_id: int) -> bytes:
    """Where the relay gathers the listeners of one order or task: its channels' names up to the type."""
    return f"{scope}:{subject_id}".encode()


def session(digest: str) -> str:
    """The key under which the relay keeps what a client that may come back listens to."""
    return SESSION_PREFIX + digest


def sent_marker(name: str) -> str:
    """The key that says that the message of that name was sent."""
    return SENT_PREFIX + name


def rung(job_id: str) -> str:
    """The key that says that a worker was woken for this job a moment ago."""
    return RUNG_PREFIX + job_id


def paused(queue: str) -> str:
    """The key that tells the workers of a queue to pause."""
    return PAUSED_PREFIX + queue


def supervisor(name: str) -> str:
    """The key in which a supervisor announces itself."""
    return SUPERVISOR_PREFIX + name


def stop(name: str) -> str:
    """The key that tells a supervisor to stop."""
    return STOP_PREFIX + name
