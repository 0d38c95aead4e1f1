"""The running relays: what each of them reports in Redis every few seconds, and how it is read.

A sign is a key that expires. A sorted set has the names of all signs, so that nobody has to look through the keys of a
Redis that other programs use, too. It is a process that has a sign: several relays may share a port.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis

from orderctl import broker, channels
from orderctl.counting import counted

#: Time between two signs of a relay, and how long one counts, in seconds.
INTERVAL: Final = 5.0
SIGN_SECONDS: Final = 16
#: How long the names are kept, in seconds: longer than the clocks of two machines differ.
_NAMES_SECONDS: Final = 86_400
#: A relay without a sign of life for so long has ended, whatever the clocks say, in seconds.
_LOST_SECONDS: Final = 60
#: Time between two numbers of connections that a sign keeps, and how many it keeps: three hours.
SAMPLE_SECONDS: Final = 600
MOST_SAMPLES: Final = 18
#: How far the age of "an hour ago" may be off.
_TOLERANCE: Final = timedelta(minutes=15)
_HOUR: Final = timedelta(hours=1)
#: More relays than a shop has.
_MOST_SIGNS: Final = 1000
#: The year 5138, in ms since the epoch.
_LAST_MOMENT: Final = 10**14
_MOST: Final = 10**9
#: Names of which it is looked at whether they are of lost relays.
_MOST_LOST: Final = 20
_MOST_CHARACTERS: Final = 255

#: The names and addresses of machines, which stand in commands; a name of others may be anything.
_HOST: Final = re.compile(r"[A-Za-z0-9_:.][A-Za-z0-9_:.%-]{0,254}", re.ASCII)
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)

#: A command for Redis.
Command = tuple[str | int, ...]
#: Returns the name that a key has on the server.
Key = Callable[[object], str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The number of connections that a relay had at a time."""

    at: datetime
    connections: int


@dataclass(frozen=True, slots=True)
class RelaySign:
    """A process of the relay that is running.

    Attributes:
        name: Its own among all relays: host, process and a few random digits.
        host: The machine's name.
        pid: The process on it.
        address: The address that it listens on, without the brackets of IPv6; ``0.0.0.0``: all of the machine.
        port: The port.
        version: orderctl's.
        connections: Open connections, also those of probes.
        subscriptions: Subscriptions of its clients.
        secure: Whether clients need a token.
        started: When it began to listen, by its machine's clock.
        seen: When it sent this.
        samples: Earlier numbers of connections, one for every ten minutes of the last three hours, oldest first.
    """

    name: str
    host: str
    pid: int
    address: str
    port: int
    version: str
    connections: int
    subscriptions: int
    secure: bool
    started: datetime
    seen: datetime
    samples: tuple[Sample, ...] = ()

    @property
    def hour_ago(self) -> Sample | None:
        """The number of connections an hour ago; None: it was not running then, or has no sample of that time."""
        wanted = self.seen - _HOUR
        near = [sample for sample in self.samples if abs(sample.at - wanted) <= _TOLERANCE]
        return min(near, key=lambda sample: abs(sample.at - wanted), default=None)


def this_host() -> str:
    """Return the name of this machine as signs have it: what no host name has is a dash in it."""
    name = _UNUSUAL.sub("-", socket.gethostname()).strip("-")
    return name[:_MOST_CHARACTERS] or "localhost"


def announcement(key: Key, sign: RelaySign, *, first: bool) -> list[Command]:
    """Return the commands that write a sign, and that forget the names of relays that were gone a day ago.

    Args:
        key: Returns the name that a key has on the server.
        sign: What to report.
        first: Whether the relay has just started: it takes the place of those that ended without a word.
    """
    names, now = key(channels.RELAY_SIGNS), _milliseconds(sign.seen)
    forgotten = _LOST_SECONDS if first else _NAMES_SECONDS
    return [
        ("SET", key(channels.relay_sign(sign.name)), _text(sign), "EX", SIGN_SECONDS),
        ("ZADD", names, now, sign.name),
        ("ZREMRANGEBYSCORE", names, "-inf", now - forgotten * 1000),
        ("EXPIRE", names, _NAMES_SECONDS),
    ]


def retirement(key: Key, name: str) -> list[Command]:
    """Return the commands that take a sign away."""
    return [("DEL", key(channels.relay_sign(name))), ("ZREM", key(channels.RELAY_SIGNS), name)]


def find_all(client: redis.Redis) -> list[RelaySign]:
    """Return the relays that have sent a sign in the last seconds, in the order of their hosts and ports.

    Raises:
        RedisUnavailable: When Redis does not answer.
        Misconfigured: When the account may not read signs.
    """
    with broker.translating():
        names: Any = client.zrange(broker.key(client, channels.RELAY_SIGNS), -_MOST_SIGNS, -1)
        known = [name.decode(errors="replace") for name in names]
        keys = [broker.key(client, channels.relay_sign(name)) for name in known]
        values: Any = client.mget(keys) if keys else []
    found = [_sign(broker.read_json(value)) for value in values if value is not None]
    return sorted(
        (sign for sign in found if sign is not None and sign.name in known),
        key=lambda sign: (sign.host, sign.port, sign.pid, sign.name),
    )


def find_lost(client: redis.Redis, alive: AbstractSet[str]) -> list[tuple[str, datetime]]:
    """Return the relays that sent a sign in the last day and do not any more, newest first. One that is stopped says so.

    Args:
        client: Redis.
        alive: The names of those that have a sign.

    Raises:
        RedisUnavailable: When Redis does not answer.
        Misconfigured: When the account may not read signs.
    """
    with broker.translating():
        found: Any = client.zrange(
            broker.key(client, channels.RELAY_SIGNS), 0, _MOST_LOST - 1, desc=True, withscores=True
        )
    named = [(name.decode(errors="replace"), score) for name, score in found]
    return [
        (name, datetime.fromtimestamp(score / 1000, UTC))
        for name, score in named
        if name not in alive and 0 < score < _LAST_MOMENT
    ]


def said_of_lost(number: int) -> str:
    """Return what is said of relays that are lost."""
    return f"{counted(number, 'relay')} ended without a word, or cannot write to Redis"


def _text(sign: RelaySign) -> str:
    return json.dumps(
        {
            "name": sign.name,
            "host": sign.host,
            "pid": sign.pid,
            "address": sign.address,
            "port": sign.port,
            "version": sign.version,
            "connections": sign.connections,
            "subscriptions": sign.subscriptions,
            "secure": sign.secure,
            "started": _milliseconds(sign.started),
            "seen": _milliseconds(sign.seen),
            "samples": [[_milliseconds(sample.at), sample.connections] for sample in sign.samples],
        },
        separators=(",", ":"),
    )


def _sign(value: Any) -> RelaySign | None:
    """Return what a relay has written; None: something else has written it."""
    try:
        return RelaySign(
            name=_word(value["name"]),
            host=_host(value["host"]),
            pid=_number(value["pid"]),
            address=_host(value["address"]),
            port=_number(value["port"], most=65_535),
            version=_word(value["version"]),
            connections=_number(value["connections"]),
            subscriptions=_number(value["subscriptions"]),
            secure=value["secure"] is True,
            started=_moment(value["started"]),
            seen=_moment(value["seen"]),
            samples=_samples(value["samples"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _samples(value: Sequence[Any]) -> tuple[Sample, ...]:
    return tuple(Sample(_moment(at), _number(connections)) for at, connections in value[-MOST_SAMPLES:])


def _word(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_CHARACTERS:
        raise ValueError
    return value


def _host(value: Any) -> str:
    if _HOST.fullmatch(name := _word(value)) is None:
        raise ValueError
    return name


def _number(value: Any, *, most: int = _MOST) -> int:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError
    return value


def _moment(value: Any) -> datetime:
    return datetime.fromtimestamp(_number(value, most=_LAST_MOMENT) / 1000, UTC)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
