"""The channels: what is heard on them for a moment, how it is spelled, and how long a message takes."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from redis import exceptions

from orderctl import broker, channels, messages, neighbours, texts
from orderctl.channels import Channel, MessageKind, Scope
from orderctl.counting import counted
from orderctl.doctor import redis_repairs, redis_server, spelling
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.spelling import Judgement, Kind
from orderctl.doctor.surroundings import Need, Surroundings
from orderctl.errors import InvalidMessage, Misconfigured
from orderctl.neighbours import Neighbours
from orderctl.settings import Settings

_AREA: Final = Area.CHANNELS
#: The round trip that dashboards need, in ms.
TARGET: Final = 10.0
#: Messages of the round trip, and the seconds that they take at most.
_TRIPS: Final = 200
_TRIP_SECONDS: Final = 0.6
_FEWEST_TRIPS: Final = 5
#: More messages are counted, and not looked at; after the second number nothing more is listened to: on a busy server
#: they would wait in its memory.
_MOST_KEPT: Final = 20_000
_MOST_HEARD: Final = 50_000
#: Names of one kind that are shown.
_SHOWN: Final = 10
#: Messages of a task that are its first, its last, and one between them.
_SPARED: Final = 3


@dataclass(slots=True)
class Heard:
    """What was heard on the channels.

    Attributes:
        seconds: For how long.
        everything: Whether all channels of the server were heard; else those only that orderctl needs.
        total: The number of messages.
        counts: Their number by the name of their channel.
        kept: The first of them.
        listened: The names of channels to which clients are subscribed; None: the account may not ask for them.
    """

    seconds: float = 0.0
    everything: bool = True
    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[str, bytes]] = field(default_factory=list)
    listened: list[str] | None = None


def listen(peers: Peers) -> Heard | None:
    """Listen to all channels for a moment; return None where the embedded Redis does not run.

    Raises:
        OrderctlError: Redis does not answer, or the account may listen to nothing.
        redis.RedisError: The same, from a command.
    """
    url = broker.running_url(peers.settings)
    if url is None:
        return None
    heard = Heard()
    with broker.brisk(url, name="orderctl-doctor") as client:
        try:
            _listen(client, ("*",), heard, peers.listen)
        except exceptions.NoPermissionError:
            heard = Heard(everything=False)
            patterns = [broker.key(client, pattern) for pattern in channels.PATTERNS]
            _listen(client, patterns, heard, peers.listen)
        try:
            listened = (_text(name) for name in _list(client.pubsub_channels())[:_MOST_KEPT])
            heard.listened = [name for name in listened if not _is_doctors(name)]
        except exceptions.ResponseError:
            heard.listened = None
    return heard


def _list(value: Any) -> list[bytes]:
    return value if isinstance(value, list) else []


def _listen(client: redis.Redis, patterns: Iterable[str], heard: Heard, seconds: float) -> None:
    with client.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.psubscribe(*patterns)
        began = time.monotonic()
        while heard.total < _MOST_HEARD and (left := began + seconds - time.monotonic()) > 0:
            _note(listener.get_message(timeout=left), heard)
        heard.seconds = time.monotonic() - began


def _note(message: Any, heard: Heard) -> None:
    if message is None or message["type"] != "pmessage":
        return
    name = _text(message["channel"])
    if _is_doctors(name):
        return
    heard.total += 1
    if name in heard.counts or len(heard.counts) < _MOST_KEPT:
        heard.counts[name] += 1
    if len(heard.kept) < _MOST_KEPT and name in heard.counts:
        heard.kept.append((name, message["data"][: messages.MAX_BYTES + 1]))


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def _is_doctors(name: str) -> bool:
    """Whether it is the channel of the round trip of another doctor, of this shop or of one with a prefix."""
    return channels.DOCTOR_PREFIX in name


# --- How long a message takes


def examine_round_trip(around: Surroundings) -> Iterator[Check]:
    """Publish messages on a channel of our own and receive them again."""
    own = broker.key(around.client, f"{channels.DOCTOR_PREFIX}{secrets.token_hex(8)}")
    try:
        with broker.translating():
            trips = _trips(around.client, own)
    except Misconfigured as error:
        rule = f"&{broker.key(around.client, channels.DOCTOR_PREFIX)}*"
        reads = redis_server.only_reads(around)
        grant = None if reads else redis_repairs.grant(around.settings, "+publish", "+subscribe", rule)
        yield Check(
            _AREA,
            "round-trip",
            Verdict.SKIPPED,
            f"the time that a message takes was not measured: {error}",
            grant,
        )
        return
    yield _trip_check(trips, around.settings)


def _trips(client: redis.Redis, own: str) -> list[float]:
    """Return the milliseconds that each of some messages took, sorted."""
    trips: list[float] = []
    with client.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(own)
        _receive(listener, "subscribe")
        end = time.perf_counter() + _TRIP_SECONDS
        for number in range(_TRIPS):
            began = time.perf_counter()
            client.publish(own, number)
            _receive(listener, "message")
            trips.append((time.perf_counter() - began) * 1000)
            if trips and time.perf_counter() > end and len(trips) >= _FEWEST_TRIPS:
                break
    return sorted(trips)


def _receive(listener: Any, kind: str) -> None:
    end = time.monotonic() + 1
    while (left := end - time.monotonic()) > 0:
        message = listener.get_message(timeout=left)
        if message is not None and message["type"] == kind:
            return
    raise exceptions.TimeoutError("a message did not come back within 1 s")


def _trip_check(trips: list[float], settings: Settings) -> Check:
    half, most = trips[len(trips) // 2], trips[min(len(trips) - 1, len(trips) * 99 // 100)]
    text = f"a message takes {half:.2f} ms (p50), {most:.2f} ms (p99 of {len(trips)}); target {TARGET:g} ms"
    if most <= TARGET:
        return Check(_AREA, "round-trip", Verdict.WELL, text, value=round(most, 3), unit="ms")
    return Check(
        _AREA,
        "round-trip",
        Verdict.WARNING,
        text,
        redis_repairs.command(settings, "SLOWLOG", "GET", "10"),
        "Dashboards see progress late. Look for slow commands (KEYS, big scripts), a busy machine, or a long way to the"
        " server.",
        value=round(most, 3),
        unit="ms",
    )


# --- What was heard


def examine(around: Surroundings, heard: Heard | None) -> Iterator[Check]:
    """Say what is wrong with what was heard.

    Args:
        around: The settings, and the database if it answers.
        heard: From :func:`listen`.
    """
    if heard is None:
        return
    prefix = around.settings.redis.prefix
    listened = [name for name in heard.listened or () if name not in heard.counts]
    judged = {name: spelling.judge(name, prefix) for name in (*heard.counts, *listened)}
    yield _heard(heard, judged)
    yield from _misnamed(heard, judged)
    yield from _other_prefixes(heard, judged, prefix)
    ours = [
        (channel, payload)
        for name, payload in heard.kept
        if judged[name].kind is Kind.OURS and (channel := channels.parse(name.removeprefix(prefix)))
    ]
    yield _payloads(ours)
    yield from _rates(ours, heard.seconds, around.settings.progress.interval_seconds)
    yield from _neighbours(around, {(channel.scope, channel.id) for channel, _ in ours})


def _heard(heard: Heard, judged: dict[str, Judgement]) -> Check:
    right = sum(judged[name].kind is Kind.OURS for name in heard.counts)
    others = [name for name, found in judged.items() if found.kind is Kind.FOREIGN]
    text = (
        f"heard {counted(heard.total, 'message')} in {heard.seconds:.1f} s, on"
        f" {counted(right, 'channel')} of orderctl's"
    )
    if others:
        text += f", {counted(len(others), 'channel')} of other programs' such as {_shown(others[0])}"
    note = None
    if not heard.everything:
        text += "; the account may hear no others"
        note = (
            "Misnamed channels are not seen. An account that may hear all channels (allchannels) sees them."
        )
    verdict = Verdict.WELL if heard.everything else Verdict.NOTE
    return Check(_AREA, "heard", verdict, text, explanation=note, value=heard.total, unit="messages")


def _misnamed(heard: Heard, judged: dict[str, Judgement]) -> Iterator[Check]:
    wrong = {name: found for name, found in judged.items() if found.kind is Kind.MISNAMED}
    if not wrong:
        yield Check(
            _AREA, "misnamed-channel", Verdict.WELL, "no channel is misnamed", value=0, unit="channels"
        )
    for name, found in sorted(wrong.items())[:_SHOWN]:
        times = heard.counts[name]
        what = (
            f"{counted(times, 'message')} on it reached no dashboard"
            if times
            else "a program listens there in vain"
        )
        yield Check(
            _AREA,
            "misnamed-channel",
            Verdict.FAULT if times else Verdict.WARNING,
            f"{_shown(name)} is not one of orderctl's channels: {found.why}; {what}",
            None,
            (f"Use {found.right} in the program that uses this name; " if found.right else "")
            + "orderctl.progress.ProgressEmitter spells names right.",
            value=name[:_LONGEST],
        )
    if len(wrong) > _SHOWN:
        more = f"{len(wrong) - _SHOWN} further channels are misnamed"
        yield Check(_AREA, "misnamed-channel", Verdict.FAULT, more, value=len(wrong), unit="channels")


def _other_prefixes(heard: Heard, judged: dict[str, Judgement], prefix: str) -> Iterator[Check]:
    bare = [name for name in heard.counts if judged[name].kind is Kind.UNPREFIXED]
    if bare:
        yield Check(
            _AREA,
            "prefix",
            Verdict.WARNING,
            f"{counted(len(bare), 'channel')} such as {_shown(bare[0])} lack the prefix {prefix}: a program of this shop"
            " without redis.prefix, or another shop that has none",
            None,
            f"Every program of one shop needs the same prefix: redis.prefix = {json.dumps(prefix)} in the configuration"
            " file of that program, and a restart. Another shop without a prefix does no harm.",
            value=len(bare),
            unit="channels",
        )
    others = Counter(found.prefix for name, found in judged.items() if found.kind is Kind.OTHER_PREFIX)
    for other, number in others.most_common(_SHOWN):
        yield Check(
            _AREA,
            "other-prefix",
            Verdict.NOTE,
            f"another shop uses this server, with the prefix {_shown(other)} ({counted(number, 'channel')})",
            explanation="Shops with different prefixes do not hear each other. If it is a program of this shop, its"
            f" redis.prefix has to be {prefix or 'empty'}.",
            value=other[:_LONGEST],
        )


_LONGEST: Final = 200


def _payloads(ours: Iterable[tuple[Channel, bytes]]) -> Check:
    wrong: dict[Channel, str] = {}
    number = checked = 0
    for channel, payload in ours:
        checked += 1
        if (why := _fault(channel, payload)) is not None:
            number += 1
            wrong.setdefault(channel, why)
    if not wrong:
        text = f"{counted(checked, 'message')} checked, all of them valid"
        return Check(_AREA, "payloads", Verdict.WELL, text, value=0, unit="messages")
    shown = "; ".join(f"{channel}: {texts.legible(why, 80)}" for channel, why in list(wrong.items())[:3])
    return Check(
        _AREA,
        "payloads",
        Verdict.FAULT,
        f"{number} of {counted(checked, 'message')} are not valid: {shown}",
        explanation="Relays drop them. docs/relay.md has the fields; orderctl.progress.ProgressEmitter writes them.",
        value=number,
        unit="messages",
    )


def _fault(channel: Channel, payload: bytes) -> str | None:
    try:
        data = messages.decode(channel, payload)
    except InvalidMessage as error:
        return str(error)
    name = channels.id_name(channel.scope)
    if name in data and data[name] != channel.id:
        return f"its {name} is {texts.shown(data[name])}"
    return None


def _rates(ours: Iterable[tuple[Channel, bytes]], seconds: float, interval: float) -> Iterator[Check]:
    """Yield who publishes progress more often than one message in an interval."""
    counts = Counter(
        channel.id
        for channel, _ in ours
        if channel.scope is Scope.TASK and channel.kind is MessageKind.PROGRESS
    )
    allowed = _SPARED + 2 * seconds / max(interval, 0.2)
    flooders = [(task_id, number) for task_id, number in counts.most_common(_SHOWN) if number > allowed]
    if not counts:
        return
    for task_id, number in flooders:
        yield Check(
            _AREA,
            "progress-rate",
            Verdict.WARNING,
            f"task {task_id} publishes {number / seconds:.1f} progress messages per second; one in {interval:g} s is expected",
            None,
            f"Redis and every relay have the work of it. `orderctl tasks show {task_id}` says whose task it is; one that"
            " it does not know is another shop's. Its program should use"
            " orderctl.progress.ProgressEmitter, or publish as seldom (progress.interval_seconds).",
            value=round(number / seconds, 2),
            unit="messages/s",
        )
    if not flooders:
        most = max(counts.values())
        text = (
            f"{counted(counts.total(), 'progress message')} of {counted(len(counts), 'task')} in {seconds:.1f} s, at most"
            f" {most} of one; one in {interval:g} s is expected"
        )
        yield Check(
            _AREA, "progress-rate", Verdict.WELL, text, value=round(most / seconds, 2), unit="messages/s"
        )


def _neighbours(around: Surroundings, subjects: Iterable[tuple[Scope, int]]) -> Iterator[Check]:
    """Yield a warning about subjects that the database does not have."""
    heard = sorted(subjects)
    if not heard or around.lacking(Need.TABLES) is not None:
        return
    noted = Neighbours()
    for scope, subject_id in heard:
        noted.note(scope, subject_id)
    with around.reading() as connection:
        noted.look(connection)
    if not noted.suspects:
        return
    time.sleep(_REPLICA_SECONDS)  # what was missed may be on its way to a replica
    with around.reading() as connection:
        found = noted.look(connection)
    if found:
        yield Check(
            _AREA,
            "other-shop",
            Verdict.WARNING,
            neighbours.warning(found),
            None,
            "The other shop's programs need a prefix, all of them the same and at once, or all of this one's: redis.prefix"
            ' = "shop2:" in their configuration files, and a restart; docs/running.md, Several shops on one Redis server.',
            value=len(found),
            unit="subjects",
        )


_REPLICA_SECONDS: Final = 0.3


def _shown(name: str) -> str:
    return texts.legible(name, 80) or repr(name)
