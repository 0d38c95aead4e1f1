"""The rights of orderctl on Redis: what each of its parts needs, and what an answer says about a right that is missing.

The rights are tried in a transaction that is discarded: Redis checks the rights to a command when it queues it, so
nothing is executed, nobody is notified, and each missing right is found at once. ``docs/running.md`` has the ACL rules
that suffice.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orderctl import channels
from orderctl.channels import SESSION_PREFIX
from orderctl.errors import Misconfigured

Key = Callable[[object], str]

#: How the hints begin that grant rights.
PROGRAM: Final = "redis-cli"
#: What is said where an account that only reads looks at what others may do.
ONLY_READS: Final = "this account only reads; what workers may do is not known"


class Part(StrEnum):
    """A part of orderctl that needs rights of its own."""

    WORK = "work"  #: Workers, and commands that queue tasks and publish changes.
    RELAY = "relay"
    SIGN = "sign"  #: The relay's sign, without which it works, too.
    LISTEN = "listen"  #: ``orderctl tail``


@dataclass(frozen=True, slots=True)
class Need:
    """A command that is tried.

    Attributes:
        words: The command and its arguments.
        rule: What the user lacks if the names are refused, as an ACL rule: ``~task:*``, ``&task:*``.
    """

    words: tuple[str, ...]
    rule: str = ""


#: Commands that have no effect outside of a transaction: the answer to EXEC is an error then.
_OUTSIDE: Final = ("WATCH", "EXEC")


def needs(part: Part, key: Key, queue: str = "") -> list[Need]:
    """Return what a part of orderctl needs.

    Args:
        part: The part.
        key: Returns the name that a channel or a key has on the server.
        queue: For :data:`Part.WORK`, the RQ queue.
    """
    if part is Part.WORK:
        return [*_snapshots(key, "SET"), *_publishing(key), *_work(key, queue)]
    if part is Part.RELAY:
        return [*_snapshots(key, "MGET"), *_patterns(key), *_sessions(key), Need(("PING",))]
    if part is Part.SIGN:
        return list(_signs(key))
    return [*_snapshots(key, "MGET"), *_patterns(key), *_listening(key), Need(("PING",))]


def before(tried: Iterable[Need]) -> list[Need]:
    """Return what to send before the rest: what Redis refuses in a transaction in any case, then MULTI.

    If MULTI is refused, nothing else may be sent: it would be executed.
    """
    return [*(need for need in tried if need.words[0] in _OUTSIDE), Need(("MULTI",))]


def within(tried: Iterable[Need]) -> list[Need]:
    """Return what to send after MULTI; the last one discards the transaction."""
    return [*(need for need in tried if need.words[0] not in _OUTSIDE), Need(("DISCARD",))]


def _sample(scope: channels.Scope) -> channels.Channel:
    return channels.of_subject(scope, 0)[0]


def _snapshots(key: Key, command: str) -> Iterable[Need]:
    for scope in channels.KINDS:
        value = ("x",) if command == "SET" else ()
        yield Need((command, key(_sample(scope)), *value), f"~{key(scope)}:*")


def _patterns(key: Key) -> Iterable[Need]:
    return (Need(("PSUBSCRIBE", key(pattern)), f"&{key(pattern)}") for pattern in channels.PATTERNS)


def _listening(key: Key) -> Iterable[Need]:
    for scope in channels.KINDS:
        yield Need(("SUBSCRIBE", key(_sample(scope))), f"&{key(scope)}:*")
    yield Need(("SCAN", "0"))


def _sessions(key: Key) -> Iterable[Need]:
    name, rule = key(channels.session("0")), f"~{key(SESSION_PREFIX)}*"
    for words in (("GET", name), ("SET", name, "x"), ("EXPIRE", name, "1"), ("DEL", name)):
        yield Need(words, rule)


def _signs(key: Key) -> Iterable[Need]:
    one, names = key(channels.relay_sign("0")), key(channels.RELAY_SIGNS)
    rule = f"~{key(channels.RELAY_SIGN_PREFIX)[:-1]}*"
    for words in (("SET", one, "x"), ("DEL", one), ("ZADD", names, "1", "x"), ("ZREM", names, "x")):
        yield Need(words, rule)
    yield Need(("ZREMRANGEBYSCORE", names, "0", "0"), rule)
    yield Need(("EXPIRE", names, "1"), rule)


def _publishing(key: Key) -> Iterable[Need]:
    for scope in channels.KINDS:
        yield Need(("PUBLISH", key(_sample(scope)), "x"), f"&{key(scope)}:*")
    names = [key(_sample(scope)) for scope in channels.KINDS]
    yield Need(("GET", names[0]), f"~{names[0].partition(':0:')[0]}:*")
    yield Need(("EVAL", "return 1", "1", names[0]), f"~{names[0].partition(':0:')[0]}:*")
    yield Need(("EVALSHA", "0" * 40, "1", names[0]), f"~{names[0].partition(':0:')[0]}:*")
    yield Need(("SCRIPT", "LOAD", "return 1"))
    yield Need(("TIME",))


def _work(key: Key, queue: str) -> Iterable[Need]:
    own = key(channels.paused(queue))
    yield Need(("EXISTS", own), f"~{key('orderctl:*')}")
    yield Need(("GETDEL", own), f"~{key('orderctl:*')}")
    yield Need(("SCAN", "0"))
    yield Need(("EXEC",))
    name = key(f"rq:queue:{queue}")
    for command in _OF_RQ:
        yield Need(tuple(word.format(name) for word in command.split()), f"~{key('rq:*')}")


#: What RQ, the worker, the doorbell's script and the commands about rejected jobs send; {0} is the name of a key.
_OF_RQ: Final = (
    "RPUSH {0} x", "LPUSH {0} x", "LPOS {0} x", "LLEN {0}", "LRANGE {0} 0 0", "LREM {0} 1 x", "LMOVE {0} {0} LEFT RIGHT",
    "BLMOVE {0} {0} LEFT RIGHT 1", "SADD {0} x", "SREM {0} x", "SSCAN {0} 0", "HSET {0} a x", "HGET {0} a", "HDEL {0} a",
    "HLEN {0}", "HSTRLEN {0} a", "HSCAN {0} 0", "TYPE {0}", "ZADD {0} 1 x", "ZREM {0} x", "ZRANGEBYSCORE {0} 0 0",
    "ZSCAN {0} 0", "EXPIRE {0} 1", "DEL {0}", "EXISTS {0}", "WATCH {0}", "TTL {0}", "HEXISTS {0} a", "UNLINK {0}",
)  # fmt: skip


# --- What Redis answers

#: How an answer begins, or what it contains, if waiting does not help.
_REFUSALS: Final = re.compile(
    r"(?:-|ERR )?(?:NOPERM|NOAUTH|WRONGPASS|NOPROTO|DENIED)\b|ACL failure in script|unknown (?:command|subcommand)"
    r"|no permissions to |No permissions? to access|user executing the script can't"
    r"|AUTH <password> called without|invalid username-password|invalid password|Client sent AUTH, but no password"
    r"|DB index is out of range|invalid DB index"
)
_LOGIN: Final = re.compile("NOAUTH|WRONGPASS|NOPROTO|DENIED|AUTH|invalid password|username-password")
_COMMAND: Final = re.compile(r"'([\w|]+)' command")
_UNKNOWN: Final = re.compile(r"unknown (?:command|subcommand) ['`]?([\w|]+)")


def is_refusal(text: str) -> bool:
    """Whether an error of Redis lasts until the setting, the user or the server's configuration is repaired."""
    return _REFUSALS.search(text) is not None


def explain(text: str, asked: str = "") -> Misconfigured:
    """Return the error for an answer that is a refusal.

    Args:
        text: What Redis answered.
        asked: The command and the name that it is about, if they are known.
    """
    unknown = _UNKNOWN.search(text)
    if "DB index" in text:
        return Misconfigured(
            "setting redis.url: Redis has no database with this number", hint="orderctl config show"
        )
    if unknown:
        return Misconfigured(
            f"Redis does not know the command {unknown[1].upper()}: it is renamed or disabled, or the server is too old",
            hint="look for rename-command in redis.conf; orderctl needs Redis 6.2 or newer, or Valkey",
        )
    login = _LOGIN.search(text)
    if login:
        said = "NOAUTH: it needs a user or a password" if login[0] == "NOAUTH" else text
        return Misconfigured(f"setting redis.url: Redis denies access: {said}", hint="orderctl config show")
    about = f" ({asked})" if asked and "access" in text else ""
    return Misconfigured(f"Redis denies access: {text}{about}", hint="orderctl config show")


class OnlyReads(Misconfigured):
    """An account has the right to read, and none to write."""


def find_missing(
    tried: Iterable[Need], answers: Sequence[str | None], user: str | None, untried: Iterable[Need] = ()
) -> Misconfigured | None:
    """Return an error that names each missing right, or None.

    Args:
        tried: What was tried.
        answers: For each the text of the error, or None. Other errors than refusals do not count: a full server
            refuses commands, too, for example.
        user: Who was logged in; None: the default user.
        untried: What could not be tried: the hint names its commands, too.
    """
    tried = list(tried)
    unknown: dict[str, None] = {}
    rules: dict[str, None] = {}
    for need, answer in zip(tried, answers, strict=True):
        if answer is None or not is_refusal(answer):
            continue
        if _UNKNOWN.search(answer):
            unknown[need.words[0]] = None
        else:
            rules[_rule(need, answer)] = None
    found = _lacking(unknown, rules, user or "default", [_command(need) for need in untried])
    if found is None or not _only_reads(tried, answers):
        return found
    return OnlyReads(str(found), hint=found.hint)


#: Commands of :func:`needs` that change something, and some that only read.
_WRITING: Final = {
    "SET", "PUBLISH", "GETDEL", "RPUSH", "LPUSH", "LREM", "LMOVE", "BLMOVE", "SADD", "SREM", "HSET", "HDEL", "ZADD",
    "ZREM", "EXPIRE", "DEL", "UNLINK",
}  # fmt: skip
_READING: Final = {"GET", "LLEN", "TYPE"}


def _only_reads(tried: Sequence[Need], answers: Sequence[str | None]) -> bool:
    """Whether each command that writes was refused, and each of those that only read was not."""
    refused = {
        need.words[0]
        for need, answer in zip(tried, answers, strict=True)
        if answer and _COMMAND.search(answer)
    }
    asked = {need.words[0] for need in tried}
    return asked >= _WRITING | _READING and refused >= _WRITING and not refused & _READING


def _command(need: Need) -> str:
    return "+" + ("|".join(need.words[:2]) if need.words[0] == "SCRIPT" else need.words[0]).lower()


def _rule(need: Need, answer: str) -> str:
    command = _COMMAND.search(answer)
    if command:
        return f"+{command[1].lower()}"
    return need.rule or f"+{need.words[0].lower()}"


def _lacking(
    unknown: Iterable[str], rules: Iterable[str], user: str, more: Iterable[str]
) -> Misconfigured | None:
    commands = [rule[1:].upper().replace("|", " ") for rule in rules if rule.startswith("+")]
    keys = [rule[1:] for rule in rules if rule.startswith("~")]
    heard = [rule[1:] for rule in rules if rule.startswith("&")]
    lists = (("commands", commands), ("keys", keys), ("channels", heard))
    lacks = [f"{what} {', '.join(names)}" for what, names in lists if names]
    renamed = ", ".join(unknown)
    if renamed:
        return Misconfigured(
            f"Redis does not know the commands {renamed}: they are renamed or disabled"
            + (f"; its user has no rights to {'; '.join(lacks)}" if lacks else ""),
            hint="look for rename-command in redis.conf",
        )
    if not lacks:
        return None
    words = shlex.join(dict.fromkeys([*rules, *more]))
    return Misconfigured(
        f"Redis denies its user rights that orderctl needs: {'; '.join(lacks)}",
        hint=f"{PROGRAM} ACL SETUSER {shlex.quote(user)} {words}",
    )
