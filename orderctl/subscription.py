"""Listen to channels without a gap.

Redis does not store messages for a client that is not connected. So after each subscription (also after a
reconnect) the snapshots of the channels are read: each was either received already or was missed. A message
that is older than the last one returned for its channel is dropped.
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
from orderctl.errors import InvalidMessage, Misconfigured, RedisUnavailable
from orderctl.messages import Data
from orderctl.rights import Part

_log = logging.getLogger(__name__)

#: Maximum number of channels whose last message is remembered.
_REMEMBERED: Final = 10_000
#: The number of keys that are read at once.
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """A message. A snapshot was published earlier, perhaps before the subscription."""

    channel: Channel
    data: Data
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Redis has confirmed the subscription; the snapshots follow.

    Attributes:
        again: Whether this is after a lost connection. Messages may have been missed; the snapshots contain
            only the last one of each channel.
    """

    again: bool


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection was lost and is being retried; yielded again if Redis answers, but refuses the listener."""

    error: RedisUnavailable | Misconfigured


@dataclass(frozen=True, slots=True)
class Idle:
    """No message for a while: the caller can check the time and the database."""


SubscriptionEvent = Message | Subscribed | Reconnecting | Idle


def subscribe(
    url: str,
    subscribed: Iterable[Channel] = (),
    patterns: Iterable[str] = (),
    *,
    kept: Iterable[Channel] | None = None,
    tick: float = 1.0,
    ping_after: float = 5.0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[SubscriptionEvent]:
    """Listen until the caller closes the iterator.

    Args:
        url: The URL, as in ``settings.redis.url``.
        subscribed: The channels to listen to.
        patterns: Glob patterns of channels to listen to, such as ``task:*:progress``. Redis gets the general
            patterns only, ``task:*`` and ``order:*``: access rules may name these, and no narrower ones.
        kept: Of the patterns, only the snapshots of these channels are read, and after a reconnect those of the
            channels that were heard; None: all that Redis has, which takes a scan of its keys.
        tick: Seconds without an event after which :class:`Idle` is yielded; while Redis hangs, it may be up
            to three seconds late.
        ping_after: Seconds without data from the server after which a PING is sent; the reply has to come
            within the same number of seconds.
        clock: A monotonic clock in seconds, for ``tick`` and ``ping_after``.

    Yields:
        The events, :class:`Subscribed` first. To end, close the iterator or let it be garbage-collected.

    Raises:
        RedisUnavailable: The first connection failed; later ones are retried without a limit.
        Misconfigured: Redis denies access when the first connection is made; names all missing rights.
    """
    listener = _Listener(url, subscribed, patterns, kept)
    if not listener.subscribed and not listener.patterns:
        raise ValueError("give at least one channel or pattern")
    try:
        yield from listener.begin()
        while True:
            try:
                yield from listener.listen(tick, ping_after, clock)
            except (RedisUnavailable, Misconfigured) as error:
                yield Reconnecting(error)
                yield from listener.reconnect(tick)
    finally:
        listener.close()


class _Listener:
    """One subscription, which may use several connections, one after the other."""

    def __init__(
        self, url: str, subscribed: Iterable[Channel], patterns: Iterable[str], kept: Iterable[Channel] | None
    ) -> None:
        self.client = broker.brisk(url, name="orderctl-listener")
        self.subscribed = list(dict.fromkeys(subscribed))
        self.patterns = list(dict.fromkeys(patterns))
        self.matchers = [channels.matching(pattern) for pattern in self.patterns]
        self.kept = None if kept is None else list(kept)
        self.prefix = broker.prefix(url)
        self.connection: Any = None
        self.buffered: list[tuple[Channel, Data]] = []  # messages received while catching up
        self.last: dict[Channel, Data] = {}

    def begin(self) -> Iterator[SubscriptionEvent]:
        """Connect for the first time, like :meth:`catch_up`."""
        try:
            yield from self.catch_up(again=False)
        except Misconfigured:
            self.close()
            broker.require(self.client, Part.LISTEN)  # raises an error that names everything at once
            raise

    def catch_up(self, *, again: bool) -> Iterator[SubscriptionEvent]:
        """Connect, subscribe, and yield what was missed."""
        with broker.translating():
            self.open()
            kept = self.read_snapshots()
            # Messages before the reply to this PING may be older than the snapshots; later ones are not.
            self.connection.send_command("PING")
            self.read_until(b"pong", 1)
        yield Subscribed(again)
        for channel, data in kept:
            if self.accept(channel, data, is_old=_is_not_newer):
                yield Message(channel, data, snapshot=True)
        for channel, data in self.buffered:
            if self.accept(channel, data, is_old=_is_not_newer):
                yield Message(channel, data)

    def listen(
        self, tick: float, ping_after: float, clock: Callable[[], float]
    ) -> Iterator[SubscriptionEvent]:
        """Yield messages; raise an error if the connection is lost or the server hangs."""
        last_reply = last_event = clock()
        pinged: float | None = None
        while True:
            with broker.translating():
                reply = self.receive(tick)
                now = clock()
                if reply is not None:
                    last_reply, pinged = now, None
                elif pinged is None and now - last_reply >= ping_after:
                    self.connection.send_command("PING")
                    pinged = now
                elif pinged is not None and now - pinged >= ping_after:
                    raise exceptions.TimeoutError(f"no reply to PING for {ping_after:g} s")
            message = None if reply is None else self.read(reply)
            if message is not None and self.accept(*message, is_old=_is_known_or_overtaken):
                last_event = now
                yield Message(*message)
            elif now - last_event >= tick:
                last_event = now
                yield Idle()

    def reconnect(self, tick: float) -> Iterator[SubscriptionEvent]:
        """Retry until there is a connection, then yield what was missed."""
        said = False
        for attempt in itertools.count():
            self.close()
            yield from _pause(broker.backoff(attempt), tick)
            try:
                yield from self.catch_up(again=True)
            except RedisUnavailable as error:
                _log.debug("attempt %d to connect failed: %s", attempt + 1, error)
            except Misconfigured as error:  # an administrator may repair it
                if not said:
                    yield Reconnecting(error)
                said = True
            else:
                return

    def open(self) -> None:
        self.buffered = []
        self.connection = self.client.connection_pool.get_connection()
        if self.subscribed:
            self.connection.send_command("SUBSCRIBE", *self.on_server(self.subscribed))
            self.read_until(b"subscribe", len(self.subscribed))
        if self.patterns:
            covering = channels.covering(self.patterns)
            self.connection.send_command("PSUBSCRIBE", *self.on_server(covering))
            self.read_until(b"psubscribe", len(covering))

    def close(self) -> None:
        if self.connection is not None:
            self.connection.disconnect()
            self.client.connection_pool.release(self.connection)
            self.connection = None
        self.client.close()

    def receive(self, timeout: float) -> list[Any] | None:
        """Return the next reply of Redis, or None if there is none for ``timeout`` seconds."""
        if not self.connection.can_read(timeout):
            return None
        return self.read_response()

    def read_response(self) -> list[Any]:
        """Return the next reply. With a full disk Redis answers a PING with an error, and passes messages on."""
        try:
            return cast("list[Any]", self.connection.read_response())
        except exceptions.ResponseError as error:
            if broker.is_full_disk(error):
                return [b"pong", b""]
            raise

    def read_until(self, kind: bytes, count: int) -> None:
        """Read until ``count`` replies of a kind have come, and keep the messages between them."""
        while count:
            reply = self.read_response()
            message = self.read(reply)
            if message is not None:
                self.buffered.append(message)
            count -= reply[0] == kind

    def read_snapshots(self) -> list[tuple[Channel, Data]]:
        """Return the snapshots of all channels of this subscription, oldest first."""
        wanted = dict.fromkeys([*self.subscribed, *self.kept_channels()])
        found: list[tuple[Channel, Data]] = []
        names = list(wanted)
        for start in range(0, len(names), _PAGE):
            found += publications.snapshots(self.client, names[start : start + _PAGE]).items()
        return sorted(found, key=lambda item: messages.sent_at(item[1]))

    def kept_channels(self) -> Iterator[Channel]:
        """Yield the channels of the patterns whose snapshots are read."""
        if self.kept is not None:
            yield from self.kept
            yield from self.last
            return
        for pattern in self.on_server(self.patterns):
            for key in self.client.scan_iter(match=pattern, count=_PAGE):
                channel = self.parse(key)
                if channel is not None:
                    yield channel

    def on_server(self, names: Iterable[object]) -> list[str]:
        """Return the names of channels or patterns on the server."""
        return [broker.key(self.client, name) for name in names]

    def parse(self, name: bytes) -> Channel | None:
        """Return the channel with this name on the server; None if it is not one of this shop's."""
        text = name.decode(errors="replace")
        return channels.parse(text.removeprefix(self.prefix)) if text.startswith(self.prefix) else None

    def read(self, reply: list[Any]) -> tuple[Channel, Data] | None:
        """Return the message in a reply of Redis; None for another reply or an invalid message."""
        if reply[0] not in {b"message", b"pmessage"}:
            return None
        name, payload = reply[-2:]
        channel = self.parse(name)
        if reply[0] == b"pmessage" and not any(matcher.match(str(channel)) for matcher in self.matchers):
            return None
        try:
            return None if channel is None else (channel, messages.decode(channel, payload))
        except InvalidMessage as error:
            _log.debug("ignoring an invalid message on %s: %s", channel, error)
            return None

    def accept(self, channel: Channel, data: Data, *, is_old: Callable[[Data, Data], bool]) -> bool:
        """Remember a message as the last one of its channel; return False if it is old."""
        last = self.last.pop(channel, None)
        if last is not None and is_old(data, last):
            self.last[channel] = last
            return False
        self.last[channel] = data
        if len(self.last) > _REMEMBERED:
            del self.last[next(iter(self.last))]
        return True


def _is_not_newer(data: Data, last: Data) -> bool:
    """Whether a message that may be late is old. One with the same time but other content is not."""
    return data == last or messages.is_newer(last, than=data)


def _is_known_or_overtaken(data: Data, last: Data) -> bool:
    """Whether a message that Redis has just sent is old: from a worker that has lost its lease.

    Timestamps are not compared here: the clocks of the machines differ, and Redis keeps the order.
    """
    return data == last or messages.is_overtaken(data, by=last)


def _pause(seconds: float, tick: float) -> Iterator[Idle]:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, tick))
        yield Idle()
