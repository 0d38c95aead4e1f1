"""The names of Redis channels and keys. No other module spells them.

A channel is ``{scope}:{id}:{type}``. The last message of a channel is kept under a key of the same name for
:data:`SNAPSHOT_TTL` seconds. Both names are a contract with the shop's own programs.

:data:`KINDS` lists the kinds of channels; all code that reads, matches or lists channels uses it. The fields
of the messages are in ``messages``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: The highest id in the name of a channel; that of a BIGINT.
MAX_ID = 2**63 - 1
#: Seconds for which the last message of a channel is kept.
SNAPSHOT_TTL = 3600
#: The jobs that workers have rejected: a hash with one field for each. It is as old as its oldest job.
REJECTED_JOBS = "orderctl:rejected"
#: What earlier versions noted of rejected jobs, which they deleted: a list.
OLD_REJECTED_JOBS = "orderctl:rejected-jobs"
#: Prefix of the keys that mark a message as sent.
SENT_PREFIX = "orderctl:sent:"
#: Prefix of the keys that mark a job as queued a moment ago.
RUNG_PREFIX = "orderctl:rung:"
#: Prefix of the keys that make the workers of a queue pause.
PAUSED_PREFIX = "orderctl:paused:"
#: Prefix of the keys that ask a supervisor to stop.
STOP_PREFIX = "orderctl:stop:"
#: Prefix of the keys in which supervisors register themselves.
SUPERVISOR_PREFIX = "orderctl:supervisor:"
#: Prefix of the keys in which the relay stores the subscriptions of its Socket.IO clients.
SESSION_PREFIX = "orderctl:relay:session:"
#: The names of the running relays: a sorted set, by the time of their last sign.
RELAY_SIGNS = "orderctl:relay:signs"
#: Prefix of the keys in which relays register themselves.
RELAY_SIGN_PREFIX = "orderctl:relay:sign:"
#: Prefix of the channels on which doctor measures how long a message takes.
DOCTOR_PREFIX = "orderctl:doctor:"

_NAME: Final = re.compile(r"([a-z]+):([1-9][0-9]{0,18}):([a-z]+)\Z", re.ASCII)


class Scope(StrEnum):
    """The subject of a channel: an order or a task."""

    ORDER = "order"
    TASK = "task"


class MessageKind(StrEnum):
    """The type of a channel's messages."""

    PROGRESS = "progress"
    STATUS = "status"
    COMPLETE = "complete"


#: The kinds of messages of each scope.
KINDS: Final[Mapping[Scope, tuple[MessageKind, ...]]] = {
    Scope.TASK: tuple(MessageKind),  # orderctl publishes no completion of a task, but other programs may
    Scope.ORDER: tuple(MessageKind),
}
#: The patterns that match all channels.
PATTERNS: Final = tuple(f"{scope}:*" for scope in KINDS)

_BY_NAME: Final = {(str(scope), str(kind)): (scope, kind) for scope in KINDS for kind in KINDS[scope]}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel; ``str()`` returns its name, which is also the name of its snapshot key."""

    scope: Scope
    id: int
    kind: MessageKind

    def __str__(self) -> str:
        return f"{self.scope}:{self.id}:{self.kind}"


def parse(name: str) -> Channel | None:
    """Return the channel with this name, or None if the name is not one of orderctl's channels."""
    match = _NAME.match(name)
    known = match and _BY_NAME.get((match[1], match[3]))
    return Channel(known[0], int(match[2]), known[1]) if match and known else None


def matching(pattern: str) -> re.Pattern[str]:
    r"""Return the regular expression for a glob pattern of Redis: ``*``, ``?``, ``[abc]``, ``[^a]`` and ``\x``."""
    without_escapes = re.sub(r"\\(.)", r"[\1]", pattern.replace("[!", "["))
    return re.compile(fnmatch.translate(without_escapes.replace("[^", "[!")))


def covering(patterns: Iterable[str]) -> list[str]:
    """Return those of :data:`PATTERNS` that together match every channel that one of these patterns matches."""
    firsts = {pattern.partition(":")[0] for pattern in patterns}
    named = [f"{first}:*" for first in firsts]
    return list(PATTERNS) if set(named) - set(PATTERNS) else [one for one in PATTERNS if one in named]


def task_progress(task_id: int) -> Channel:
    """Return the channel for percent, file and speed of a task."""
    return Channel(Scope.TASK, task_id, MessageKind.PROGRESS)


def task_status(task_id: int) -> Channel:
    """Return the channel for a task's changes of status."""
    return Channel(Scope.TASK, task_id, MessageKind.STATUS)


def order_progress(order_id: int) -> Channel:
    """Return the channel for the mean percent of an order's tasks."""
    return Channel(Scope.ORDER, order_id, MessageKind.PROGRESS)


def order_status(order_id: int) -> Channel:
    """Return the channel for an order's changes of status."""
    return Channel(Scope.ORDER, order_id, MessageKind.STATUS)


def order_complete(order_id: int) -> Channel:
    """Return the channel for the end of an order."""
    return Channel(Scope.ORDER, order_id, MessageKind.COMPLETE)


def of_subject(scope: Scope, subject_id: int) -> tuple[Channel, ...]:
    """Return all channels of one order or task."""
    return tuple(Channel(scope, subject_id, kind) for kind in KINDS[scope])


def id_name(scope: Scope) -> str:
    """Return the name of the id field in payloads and in requests to the relay: ``orderId``, ``taskId``."""
    return f"{scope}Id"


def room(scope: Scope, subject_id: int) -> bytes:
    """Return the relay's room for one order or task: the names of its channels up to the type."""
    return f"{scope}:{subject_id}".encode()


def session(digest: str) -> str:
    """Return the key under which the relay stores the subscriptions of a client that may reconnect."""
    return SESSION_PREFIX + digest


def relay_sign(name: str) -> str:
    """Return the key in which a relay registers itself."""
    return RELAY_SIGN_PREFIX + name


def sent_marker(name: str) -> str:
    """Return the key that marks the message with this name as sent."""
    return SENT_PREFIX + name


def rung(job_id: str) -> str:
    """Return the key that marks this job as queued a moment ago."""
    return RUNG_PREFIX + job_id


def paused(queue: str) -> str:
    """Return the key that makes the workers of a queue pause."""
    return PAUSED_PREFIX + queue


def supervisor(name: str) -> str:
    """Return the key in which a supervisor registers itself."""
    return SUPERVISOR_PREFIX + name


def stop(name: str) -> str:
    """Return the key that asks a supervisor to stop."""
    return STOP_PREFIX + name
