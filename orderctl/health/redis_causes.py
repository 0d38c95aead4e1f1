"""What is wrong with Redis, by its errors: a stable word for each cause, and who can repair it."""

from __future__ import annotations

from typing import Final, NamedTuple

from orderctl import rights
from orderctl.errors import Misconfigured, OrderctlError


class _Trouble(NamedTuple):
    """What a word in an error means."""

    word: str
    cause: str
    explanation: str


_DOWN: Final = (
    "Start the Redis server, or correct redis.url. Nothing is lost: the database knows what is to be done."
)
_OTHER: Final = "Read the log of the Redis server, and correct what the error says."
#: Of errors that pass, by the first word that Redis answered.
_TEMPORARY: Final = (
    _Trouble("OOM", "redis-full", "Give Redis more memory (maxmemory), or remove what other programs have left in it."),
    _Trouble("READONLY", "redis-read-only", "redis.url leads to a replica: let it lead to the primary, or to Sentinel."),
    _Trouble("MISCONF", "redis-disk-full", "Redis cannot save its data: free its disk, and read the log of the server."),
    _Trouble("NOREPLICAS", "redis-without-replicas", "Start the replicas that min-replicas-to-write asks for, or set it to 0."),
    _Trouble("LOADING", "redis-loading", "Redis reads its data after a start: it answers when that is done."),
    _Trouble("does not answer", "redis-down", _DOWN),
)  # fmt: skip
_SETTING: Final = (
    "Correct redis.url: `orderctl config show` tells where it comes from. Then start the workers again."
)
#: Of errors that last until a setting or a right is repaired, by a part of the error.
_LASTING: Final = (
    _Trouble("redis.url: Redis denies access", "redis-login", _SETTING),
    _Trouble("denies", "redis-rights", "The account of redis.url needs these rights: docs/running.md has the ACL rules."),
    _Trouble("does not know the command", "redis-commands", "Remove rename-command from redis.conf, or use Redis 6.2 or newer."),
)  # fmt: skip


class Cause(NamedTuple):
    """The cause of an error of Redis.

    Attributes:
        name: A stable word for programs, such as ``redis-full``; ``queue-wrong-type``: the error names the key.
        explanation: Who can repair it, and how.
        repair: The command that repairs it; None: no command can.
    """

    name: str
    explanation: str
    repair: str | None


def of(error: OrderctlError) -> Cause:
    """Return the cause of an error of Redis."""
    text = str(error)
    if "uses the name of a key" in text:
        return Cause("queue-wrong-type", _OTHER, None)
    known = _LASTING if isinstance(error, Misconfigured) else _TEMPORARY
    found = next((one for one in known if one.word in text), None)
    name = found.cause if found else ("redis-setting" if isinstance(error, Misconfigured) else "redis-error")
    explanation = found.explanation if found else (_SETTING if name == "redis-setting" else _OTHER)
    return Cause(name, explanation, _repair(error.hint or ""))


def _repair(hint: str) -> str | None:
    """Return a hint that is a command which repairs; others look. The embedded Redis starts again with the workers."""
    grants = hint.startswith(f"{rights.PROGRAM} ") and " ACL SETUSER " in hint
    return hint if grants or hint.startswith("orderctl embedded stop") else None
