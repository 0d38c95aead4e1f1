"""What is wrong with Redis, for the link ``queue``: the cause of each error, and who can repair it."""

from __future__ import annotations

from typing import Final, NamedTuple

from orderctl.errors import Misconfigured, OrderctlError
from orderctl.why.chain import Link, State, Step


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
    _Trouble("NOREPLICAS", "redis-without-replicas", "Start the replicas that min-replicas-to-write asks for."),
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


#: How the hints of errors begin that are commands which repair; the embedded Redis starts again with the workers.
_REPAIRS: Final = ("redis-cli ACL", "orderctl embedded stop")


def step(error: OrderctlError) -> Step:
    """Return what an error of Redis means for the queue."""
    text = str(error)
    known = _LASTING if isinstance(error, Misconfigured) else _TEMPORARY
    found = next((one for one in known if one.word in text), None)
    if found is None and "uses the name of a key" in text:
        return _wrong_type(text, ())
    cause = found.cause if found else ("redis-setting" if isinstance(error, Misconfigured) else "redis-error")
    explanation = found.explanation if found else (_SETTING if cause == "redis-setting" else _OTHER)
    # Other hints are commands that look; these repair.
    repair = error.hint if error.hint and error.hint.startswith(_REPAIRS) else None
    return Step(
        Link.QUEUE, State.BROKEN, text.rstrip("."), cause, (), repair, None if repair else explanation
    )


def wrong_type(key: str, found: str, wanted: str) -> Step:
    """Return that another program has written something else into a key of the queue."""
    return _wrong_type(
        f"another program uses the name of a key of the queue: {key}",
        (f"{key} is a {found}, not a {wanted}",),
    )


def _wrong_type(text: str, facts: tuple[str, ...]) -> Step:
    explanation = (
        "orderctl deletes nothing that it did not write. Rename the key (redis-cli RENAME), or give orderctl a queue or "
        "a prefix of its own by worker.queue or redis.prefix; then it goes on by itself."
    )
    return Step(Link.QUEUE, State.BROKEN, text, "queue-wrong-type", facts, explanation=explanation)
