"""Listening to channels without a gap.

Redis forgets what nobody heard. So on every acknowledgement of a subscription (it comes again after a
reconnect) the channels' snapshots are read: what they say was either heard already or was missed. Whatever
is older than what was given out of a channel last is dropped.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import exceptions

from orderctl import broker, channels, messages, publications
from orderctl.channels import Channel
from orderctl.errors import InvalidMessage, RedisUnavailable
from orderctl.messages import Data

_log = logging.getLogger(__name__)

#: How many channels' last messages are remembered.
_REMEMBERED: Final = 10_000
#: How many keys are asked for at once.
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """A message. A snapshot was sent earlier, maybe before we listened."""

    channel: Channel
    data: Data
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Redis has acknowledged the subscription; the snapshots follow.

    Attributes:
        again: Whether it was lost in between: messages may have been missed, of which the snapshots hold
            only each channel's last.
    """

    again: bool


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection is lost; it is being tried again."""

    error: RedisUnavailable


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a while: time to look at the clock and at the database."""


SubscriptionEvent = Message | Subscribed | Reconnecting | Idle


def subscribe(
    url: str,
    subscribed: Iterable[Channel] = (),
    patterns: Iterable[str] = (),
    *,
    tick: float = 1.0,
    silence: float = 5.0,
) -> Iterator[SubscriptionEvent]:
    """Listen until the caller has heard enough.

    Args:
        url: As ``settings.redis.url``.
        subscribed: Channels to listen to.
        patterns: Glob patterns of channels to listen to, such as ``task:*:progress``.
        tick: Seconds without an event after which :class:`Idle` comes; while Redis hangs, it may come up
            to three seconds late.
        silence: After so many seconds without a word the server has to answer a PING within as many.

    Yields:
        What happens, :class:`Subscribed` first. Close the iterator, or leave it to the collector, to end.

    Raises:
        RedisUnavailable: When the first connection fails; a later one is tried again for ever.
        Misconfigured: When Redis refuses us.
    """
    listener = _Listener(url, subscribed, patterns)
    if not listener.subscribed and not listener.patterns:
        raise ValueError("give at least one channel or pattern")
    try:
        yield from listener.catch_up(again=False)
        while True:
            try:
                yield from listener.listen(tick, silence)
            except RedisUnavailable as error:
                yield Reconnecting(error)
                yield from listener.reconnect(tick)
    finally:
        listener.close()


class _Listener:
    """One subscription, over however many connections."""

    def __init__(self, url: str, subscribed: Iterable[Channel], patterns: Iterable[str]) -> None:
        self.client = broker.brisk(url, name="orderctl-listener")
        self.subscribed = list(dict.fromkeys(subscribed))
        self.patterns = list(dict.fromkeys(patterns))
        self.connection: Any = None
        self.heard: list[tuple[Channel, Data]] = []  # while catching up
        self.last: dict[Channel, Data] = {}

    def catch_up(self, *, again: bool) -> Iterator[SubscriptionEvent]:
        """Connect, subscribe, and give out what was missed."""
        with broker.translating():
            self.open()
            kept = self.read_snapshots()
            # What precedes the answer to this PING may be older than the snapshots; what follows is not.
            self.connection.send_command("PING")
            self.read_until(b"pong", 1)
        yield Subscribed(again)
        for channel, data in kept:
            if self.accept(channel, data, is_old=_is_not_newer):
                yield Message(channel, data, snapshot=True)
        for channel, data in self.heard:
            if self.accept(channel, data, is_old=_is_not_newer):
                yield Message(channel, data)

    def listen(self, tick: float, silence: float) -> Iterator[SubscriptionEvent]:
        """Give out messages; raise when the connection is lost or the server hangs."""
        heard = spoken = time.monotonic()
        asked: float | None = None
        while True:
            with broker.translating():
                reply = self.receive(tick)
                now = time.monotonic()
                if reply is not None:
                    heard, asked = now, None
                elif asked is None and now - heard >= silence:
                    self.connection.send_command("PING")
                    asked = now
                elif asked is not None and now - asked >= silence:
                    raise exceptions.TimeoutError(f"no reply to PING for {silence:g} s")
            message = None if reply is None else _read(reply)
            if message is not None and self.accept(*message, is_old=_is_known_or_overtaken):
                spoken = now
                yield Message(*message)
            elif now - spoken >= tick:
                spoken = now
                yield Idle()

    def reconnect(self, tick: float) -> Iterator[SubscriptionEvent]:
        """Try until there is a connection; then give out what was missed."""
        for attempt in itertools.count():
            self.close()
            yield from _pause(broker.backoff(attempt), tick)
            try:
                yield from self.catch_up(again=True)
            except RedisUnavailable as error:
                _log.debug("attempt %d to connect failed: %s", attempt + 1, error)
            else:
                return

    def open(self) -> None:
        self.heard = []
        self.connection = self.client.connection_pool.get_connection()
        if self.subscribed:
            self.connection.send_command("SUBSCRIBE", *map(str, self.subscribed))
            self.read_until(b"subscribe", len(self.subscribed))
        if self.patterns:
            self.connection.send_command("PSUBSCRIBE", *self.patterns)
            self.read_until(b"psubscribe", len(self.patterns))

    def close(self) -> None:
        if self.connection is not None:
            self.connection.disconnect()
            self.client.connection_pool.release(self.connection)
            self.connection = None
        self.client.close()

    def receive(self, timeout: float) -> list[Any] | None:
        """What Redis sends next, or None when it sends nothing in so many seconds."""
        if not self.connection.can_read(timeout):
            return None
        return cast("list[Any]", self.connection.read_response())

    def read_until(self, kind: bytes, count: int) -> None:
        """Read until so many replies of a kind have come, keeping the messages between them."""
        while count:
            reply = self.connection.read_response()
            message = _read(reply)
            if message is not None:
                self.heard.append(message)
            count -= reply[0] == kind

    def read_snapshots(self) -> list[tuple[Channel, Data]]:
        """The snapshots of all that we listen to, oldest first."""
        wanted = dict.fromkeys(self.subscribed)
        for pattern in self.patterns:
            for key in self.client.scan_iter(match=pattern, count=_PAGE):
                channel = channels.parse(key.decode(errors="replace"))
                if channel is not None:
                    wanted[channel] = None
        found: list[tuple[Channel, Data]] = []
        names = list(wanted)
        for start in range(0, len(names), _PAGE):
            found += publications.snapshots(self.client, names[start : start + _PAGE]).items()
        return sorted(found, key=lambda item: messages.sent_at(item[1]))

    def accept(self, channel: Channel, data: Data, *, is_old: Callable[[Data, Data], bool]) -> bool:
        """Remember a message as its channel's last, unless it is an old one."""
        last = self.last.pop(channel, None)
        if last is not None and is_old(data, last):
            self.last[channel] = last
            return False
        self.last[channel] = data
        if len(self.last) > _REMEMBERED:
            del self.last[next(iter(self.last))]
        return True


def _is_not_newer(data: Data, last: Data) -> bool:
    """Whether a message that may have come late is old: a tie with other words is not."""
    return data == last or messages.is_newer(last, than=data)


def _is_known_or_overtaken(data: Data, last: Data) -> bool:
    """Whether a message is old although Redis sent it now: from a worker whose lease was lost.

    Timestamps do not count here: the clocks of several machines differ, and Redis keeps the order.
    """
    return data == last or messages.is_overtaken(data, by=last)


def _read(reply: list[Any]) -> tuple[Channel, Data] | None:
    """The message in a reply of Redis; None where it is something else, or no message of ours."""
    if reply[0] not in {b"message", b"pmessage"}:
        return None
    name, payload = reply[-2:]
    channel = channels.parse(name.decode(errors="replace"))
    try:
        return None if channel is None else (channel, messages.decode(channel, payload))
    except InvalidMessage as error:
        _log.debug("ignoring an invalid message on %s: %s", channel, error)
        return None


def _pause(seconds: float, tick: float) -> Iterator[Idle]:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, tick))
        yield Idle()
