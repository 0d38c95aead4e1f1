"""The feed: one connection to Redis that receives all publications and also sends commands.

It uses RESP3 (Redis 6, Valkey), where a subscribed connection may also send commands. Answers and
publications then arrive in the order in which Redis made them, so a snapshot that is read here can neither
miss nor overtake a publication. Publications are handed on as they are parsed, and flushed once at the end of
each read. A coroutine for each publication, as in redis-py, would cost more than all other work of the relay
on it.

The feed reconnects for ever, and never sends a command twice.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

import hiredis

from orderctl import rights
from orderctl.channels import PATTERNS, Channel
from orderctl.errors import Misconfigured, OrderctlError, RedisUnavailable
from orderctl.redis_urls import Endpoint

#: Longest wait for a connection, and longest time without a byte while an answer is due, in seconds.
CONNECT_TIMEOUT: Final = 3.0
SILENCE: Final = 4.0
_PING_EVERY: Final = 1.0
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
#: Two reads within ``_BUSY_BELOW`` seconds mean load. Then the next read is delayed by ``_GATHER`` seconds.
_BUSY_BELOW: Final = 0.001
_GATHER: Final = 0.003


class CommandRefused(RedisUnavailable):
    """Redis answered the relay's command with an error."""


class NotRedis(RedisUnavailable):
    """The server speaks another protocol."""


class Listener(Protocol):
    """The receiver of publications."""

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Take a publication."""

    def flush(self) -> None:
        """Note the end of a read."""


class _Kept(list[tuple[bytes, bytes]]):
    """Keeps publications until there is a listener."""

    def publish(self, channel: bytes, payload: bytes) -> None:
        self.append((channel, payload))

    def flush(self) -> None:
        """Do nothing: the publications are kept."""


class Wire(asyncio.Protocol):
    """One connection to Redis: parses RESP3 into publications and answers.

    Args:
        lost: Called when the connection is over.
        prefix_length: The number of bytes that are cut off at the start of a channel's name.
    """

    def __init__(self, lost: Callable[[], None], *, prefix_length: int = 0) -> None:
        self._prefix_length = prefix_length
        # A publication may arrive in the same read as the answer to the subscription.
        self._kept = _Kept()
        self._listener: Listener = self._kept
        self._lost = lost
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport
        self._foreign: NotRedis | None = None
        self.heard_at = time.monotonic()
        self._read_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_connection passes this type
        self._transport = transport

    def hand_on(self, listener: Listener) -> None:
        """Pass publications on to a listener from now on, first those that have already arrived."""
        self._listener = listener
        for channel, payload in self._kept:
            listener.publish(channel, payload)
        self._kept.clear()
        listener.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the commands that wait for an answer."""
        while self._asked:
            waiting = self._asked.popleft()
            if not waiting.done():
                waiting.set_exception(
                    self._foreign or RedisUnavailable(f"the connection to Redis is lost: {exc or 'closed'}")
                )
                waiting.exception()  # mark it as retrieved: the caller may be gone, and asyncio would log it
        self._lost()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, and pass on what is complete."""
        self.heard_at = time.monotonic()
        publish = self._listener.publish
        reader, start = self._reader, self._prefix_length
        try:
            reader.feed(data)
            while (item := reader.gets()) is not _MORE:
                if type(item) is hiredis.PushNotification:
                    if item[0] == b"pmessage":
                        publish(item[2][start:], item[3])
                    elif item[0] == b"psubscribe":
                        self._answer(item[1])
                else:
                    self._answer(item)
        except hiredis.ProtocolError as error:
            self._foreign = NotRedis(str(error))
            self._transport.abort()
        self._listener.flush()
        self._gather()

    def _gather(self) -> None:
        """Under load delay the next read, so that it gets several publications: a wake-up is expensive."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._read_at < _BUSY_BELOW:
            self._transport.pause_reading()
            loop.call_later(_GATHER, self._transport.resume_reading)
        self._read_at = now

    def ask(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command; return a future with its answer, or with RedisUnavailable for an error."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            future.set_exception(self._foreign or RedisUnavailable())
            return future
        self._asked.append(future)
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]
        return future

    def drop(self) -> None:
        """Abort the connection."""
        self._transport.abort()

    def _answer(self, item: Any) -> None:
        if not self._asked:
            return
        future = self._asked.popleft()
        if future.done():
            return
        if isinstance(item, hiredis.ReplyError):
            future.set_exception(CommandRefused(str(item)))
        else:
            future.set_result(item)


_MORE: Final = object()


class Feed:
    """Keeps a connection to Redis, and reconnects when it is lost.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, from :func:`orderctl.broker.url`, which adds the prefix.
        listener: Receives the publications.
        went_up: Called after each (re)connect, once the subscriptions are acknowledged and before a
            publication is passed on. The awaitable that it returns runs in a task of its own.
        went_down: Called with the error when the connection is lost or cannot be made: a Misconfigured, if
            Redis refuses it.
    """

    def __init__(
        self,
        url: str,
        listener: Listener,
        *,
        went_up: Callable[[], Awaitable[None]],
        went_down: Callable[[OrderctlError], object],
    ) -> None:
        self._url = url
        self._prefix: str = getattr(url, "prefix", "")
        self._listener = listener
        self._went_up = went_up
        self._went_down = went_down
        self._wire: Wire | None = None
        self._risen = asyncio.Event()
        self._tried = asyncio.Event()
        #: Round trip of the last ping, in seconds.
        self.lag = 0.0
        self.reconnects = 0
        self.connected_once = False

    @property
    def up(self) -> bool:
        """Whether publications arrive."""
        return self._wire is not None

    def key(self, name: object) -> str:
        """Return the name that a channel or a key has on the server."""
        return f"{self._prefix}{name}"

    def ask(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command; return a future with its answer.

        Raises:
            RedisUnavailable: When there is no connection, or it was lost before the answer came; CommandRefused,
                when the answer is an error.
        """
        if self._wire is None:
            raise RedisUnavailable
        return self._wire.ask(*command)

    def read(self, wanted: Iterable[Channel]) -> asyncio.Future[Any]:
        """Ask for the snapshots of these channels; return a future with their payloads, None for a missing one.

        Raises:
            RedisUnavailable: As :meth:`ask`.
        """
        return self.ask("MGET", *map(self.key, wanted))

    async def wait_tried(self) -> None:
        """Wait until the first attempt to connect has succeeded or failed."""
        await self._tried.wait()

    async def wait_up(self, seconds: float) -> None:
        """Wait until there is a connection.

        Raises:
            RedisUnavailable: When there is none after that time.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._risen.wait()
        except TimeoutError:
            raise RedisUnavailable from None

    async def run(self) -> None:
        """Keep a connection to Redis until cancelled.

        Raises:
            Misconfigured: When Redis refuses the first connection: the password is wrong, the server is a
                cluster or too old, rights are missing. Later refusals may be repaired while the relay waits.
        """
        wait = _FIRST_WAIT
        while True:
            lost = asyncio.Event()
            try:
                wire = await self._connect(lost)
            except (OSError, RedisUnavailable) as error:
                self._tried.set()
                self._went_down(RedisUnavailable(f"Redis does not answer: {str(error) or 'no answer'}"))
            except Misconfigured as error:
                if not self.connected_once:
                    raise
                self._went_down(error)
            else:
                wait = _FIRST_WAIT
                self._tried.set()
                await self._stay(wire, lost)
                self.reconnects += 1
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _stay(self, wire: Wire, lost: asyncio.Event) -> None:
        self._wire = wire
        self._risen.set()
        self.connected_once = True
        rising = asyncio.ensure_future(self._went_up())
        wire.hand_on(self._listener)
        try:
            await self._watch(wire, lost)
        finally:
            self._wire = None
            self._risen.clear()
            wire.drop()
            rising.cancel()
            with suppress(asyncio.CancelledError, RedisUnavailable):
                await rising
        self._went_down(RedisUnavailable("Redis does not answer: the connection is lost"))

    async def _watch(self, wire: Wire, lost: asyncio.Event) -> None:
        while not lost.is_set():
            started = time.monotonic()
            answer = wire.ask("PING")
            while not answer.done():
                await asyncio.wait([answer], timeout=_PING_EVERY)
                if not answer.done() and time.monotonic() - max(started, wire.heard_at) > SILENCE:
                    return
            error = answer.exception()
            if error is not None and not str(error).startswith("MISCONF"):  # see _ping
                return
            self.lag = time.monotonic() - started
            try:
                async with asyncio.timeout(_PING_EVERY):
                    await lost.wait()
            except TimeoutError:
                continue

    async def _connect(self, lost: asyncio.Event) -> Wire:
        from orderctl import broker  # noqa: PLC0415 - redis-py takes 170 ms

        server = broker.endpoint(self._url)
        try:
            return await self._make(server, lost)
        except (OSError, RedisUnavailable) as error:
            raise await _explain(error, server) from error

    async def _make(self, server: Endpoint, lost: asyncio.Event) -> Wire:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            wire = await self._open(server, lost)
            try:
                await self._greet(wire, server)
                await self._require_rights(wire, server)
                await asyncio.gather(*[wire.ask("PSUBSCRIBE", self.key(pattern)) for pattern in PATTERNS])
                # A server that still loads its data accepts subscriptions, but no other command.
                await self._ping(wire)
            except BaseException:
                wire.drop()
                raise
        return wire

    async def _ping(self, wire: Wire) -> None:
        try:
            await wire.ask("PING")
        except CommandRefused as error:
            if not str(error).startswith(
                "MISCONF"
            ):  # with a full disk Redis answers so, and passes messages on
                raise

    async def _open(self, server: Endpoint, lost: asyncio.Event) -> Wire:
        loop = asyncio.get_running_loop()

        def make() -> Wire:
            return Wire(lost.set, prefix_length=len(self._prefix))

        if server.path is not None:
            _, wire = await loop.create_unix_connection(make, server.path)
            return wire
        tls: ssl.SSLContext | None = None
        if server.tls is not None:
            from orderctl import redis_connections  # noqa: PLC0415 - as above

            tls = redis_connections.tls_context(server.tls)
        _, wire = await loop.create_connection(make, str(server.host), server.port, ssl=tls)
        return wire

    async def _greet(self, wire: Wire, server: Endpoint) -> None:
        account = [] if server.username is None else ["AUTH", server.username, server.password or ""]
        try:
            if server.username is None and server.password is not None:
                # As redis-py does. HELLO with the user "default" accepts any password where none is set.
                await wire.ask("AUTH", server.password)
            greeting = await wire.ask("HELLO", 3, *account, "SETNAME", "orderctl-relay")
            if server.db:
                await wire.ask("SELECT", server.db)
        except CommandRefused as error:
            raise _as_misconfigured(error) or error from None
        if greeting.get(b"mode") == b"cluster":
            raise Misconfigured(
                "setting redis.url: Redis Cluster is not supported",
                hint="name a single server, such as redis://localhost:6379/0",
            )

    async def _require_rights(self, wire: Wire, server: Endpoint) -> None:
        """Raise a Misconfigured that names each right that the relay lacks."""
        tried = rights.needs(rights.Part.RELAY, self.key)
        for step in (rights.before(tried), rights.within(tried)):
            answers = await asyncio.gather(*[wire.ask(*need.words) for need in step], return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException) and not isinstance(answer, CommandRefused):
                    raise answer
            texts = [str(answer) if isinstance(answer, CommandRefused) else None for answer in answers]
            missing = rights.find_missing(step, texts, server.username)
            if missing is not None:
                raise missing


def _as_misconfigured(error: CommandRefused) -> Misconfigured | None:
    return rights.explain(str(error)) if rights.is_refusal(str(error)) else None


async def _explain(error: Exception, server: Endpoint) -> BaseException:
    """Return a Misconfigured for a connection that waiting does not cure; else the error itself."""
    from orderctl import redis_connections  # noqa: PLC0415 - redis-py takes 170 ms

    if server.tls is not None:
        return await asyncio.to_thread(redis_connections.explain, error, server, ask=True)
    if isinstance(error, CommandRefused):
        return _as_misconfigured(error) or error
    ended = isinstance(error, RedisUnavailable | ConnectionResetError | BrokenPipeError)
    if ended and await asyncio.to_thread(redis_connections.wants_tls, server):
        return redis_connections.needs_tls(server)
    if isinstance(error, NotRedis):
        return Misconfigured(f"the server at redis.url is not Redis: {error}", hint="orderctl config show")
    return error
