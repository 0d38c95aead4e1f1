"""Names of channels that others use: which are right, and how the others would be spelled right. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from orderctl import channels
from orderctl.channels import MAX_ID, MessageKind, Scope

#: Words that programs use in place of ours.
_SCOPES: Final = {"task": Scope.TASK, "tasks": Scope.TASK, "order": Scope.ORDER, "orders": Scope.ORDER}
_KINDS: Final = {
    "progress": MessageKind.PROGRESS,
    "percent": MessageKind.PROGRESS,
    "status": MessageKind.STATUS,
    "statuses": MessageKind.STATUS,
    "state": MessageKind.STATUS,
    "complete": MessageKind.COMPLETE,
    "completed": MessageKind.COMPLETE,
    "completion": MessageKind.COMPLETE,
    "done": MessageKind.COMPLETE,
}
#: Words that say nothing.
_IDLE: Final = frozenset({"download", "downloads", "channel", "update", "updates", "id", "event", "events"})
#: How the channels begin on which Redis itself publishes, such as changes of keys.
_OF_THE_SERVER: Final = "__"
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+", re.ASCII)
_SHAPE: Final = re.compile(rf"({'|'.join(channels.KINDS)}):([^:]*):({'|'.join(MessageKind)})\Z")
_BEHIND_A_PREFIX: Final = re.compile(
    rf"(.*[^A-Za-z0-9])((?:{'|'.join(channels.KINDS)}):[0-9]+:[a-z]+)\Z", re.DOTALL | re.ASCII
)


class Kind(Enum):
    """What the name of a channel is."""

    OURS = auto()  #: Right.
    UNPREFIXED = auto()  #: Right but for the prefix of this shop.
    OTHER_PREFIX = auto()  #: One of another shop's, with a prefix of its own.
    MISNAMED = auto()  #: Meant for one of ours, and none.
    FOREIGN = auto()  #: Something else.


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of a name.

    Attributes:
        kind: What it is.
        right: How it is spelled right; None: that cannot be said.
        why: What is wrong with it.
        prefix: The prefix of the other shop.
    """

    kind: Kind
    right: str | None = None
    why: str = ""
    prefix: str = ""


def judge(name: str, prefix: str = "") -> Judgement:
    """Return what the name of a channel is.

    Args:
        name: As it is on the server.
        prefix: ``redis.prefix`` of this shop.
    """
    own = name.startswith(prefix)
    rest = name.removeprefix(prefix)
    if own and channels.parse(rest) is not None:
        return Judgement(Kind.OURS)
    if prefix and channels.parse(name) is not None:
        return Judgement(Kind.UNPREFIXED, f"{prefix}{name}", f"it lacks the prefix {prefix}")
    if name.startswith(_OF_THE_SERVER):
        return Judgement(Kind.FOREIGN)
    behind = _BEHIND_A_PREFIX.match(name)
    if behind and channels.parse(behind[2]) and not any(word in _SCOPES for word in _words(behind[1])):
        return Judgement(Kind.OTHER_PREFIX, prefix=behind[1])
    found = _misnamed(rest if own else name)
    if found is None:
        return Judgement(Kind.FOREIGN)
    right, why = found
    return Judgement(Kind.MISNAMED, None if right is None else f"{prefix}{right}", why)


def _misnamed(name: str) -> tuple[str | None, str] | None:
    """Return how a name is spelled right, if that can be said, and what is wrong; None: it is something else."""
    if shape := _SHAPE.match(name):
        return _with_wrong_id(*shape.groups())
    words = _words(name)
    ids = [word for word in words if word.isdigit()]
    if ids and not 0 < int(ids[-1][:20]) <= MAX_ID:
        return None
    return _by_words(name, words, ids)


def _by_words(name: str, words: list[str], ids: list[str]) -> tuple[str | None, str] | None:
    scopes = [_SCOPES[word] for word in words if word in _SCOPES]
    kinds = [_KINDS[word] for word in words if word in _KINDS]
    strange = [word for word in words if word not in {*_SCOPES, *_KINDS, *_IDLE} and not word.isdigit()]
    if scopes and kinds and ids:
        return f"{scopes[-1]}:{int(ids[-1])}:{kinds[-1]}", "it is not spelled as {scope}:{id}:{type}"
    if scopes and ids and _is_near(name, strange):
        return _without_kind(scopes[-1], ids[-1], strange)
    if kinds and ids and not strange:
        either = " or ".join(f"{scope}:{int(ids[-1])}:{kinds[-1]}" for scope in channels.KINDS)
        return None, f"it does not say of what it is: {either}"
    if scopes and kinds and not strange:
        return f"{scopes[-1]}:ID:{kinds[-1]}", f"it does not say of which {scopes[-1]} it is"
    return None


def _with_wrong_id(scope: str, given: str, kind: str) -> tuple[str | None, str]:
    stripped = given.strip()
    if stripped.isascii() and stripped.isdigit() and len(stripped) <= len(str(MAX_ID)) and int(stripped):
        return f"{scope}:{int(stripped)}:{kind}", "its id has further characters, such as leading zeros"
    table = "download_tasks" if scope == Scope.TASK else "orders"
    return f"{scope}:ID:{kind}", f"its id is not one of {table}.id, a positive whole number"


def _is_near(name: str, strange: Iterable[str]) -> bool:
    """Whether a name without a type is meant for ours: nothing else is in it, or it begins as ours do."""
    return not any(strange) or name.split(":", maxsplit=1)[0] in channels.KINDS


def _without_kind(scope: Scope, number: str, strange: list[str]) -> tuple[str | None, str]:
    types = ", ".join(channels.KINDS[scope])
    if strange:
        return None, f"{strange[-1][:40]} is not one of the types {types}"
    return f"{scope}:{int(number)}:{MessageKind.PROGRESS}", f"it has no type: {types}"


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
