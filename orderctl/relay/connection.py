"""A WebSocket connection of the relay, as a subclass of the ``websockets`` library's.

The library does the handshake, the parsing of frames and the closing. Messages for many clients are encoded
once and written directly to the transports. No private attribute is needed for that: :class:`Connection`
overrides the callbacks of :class:`asyncio.Protocol` and receives the library's parsed frames.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

from websockets.asyncio.connection import Connection as Base
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as HandshakeRequest
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from orderctl.relay.access import Access
from orderctl.relay.clients import PlainClient, RelayClient, SocketIoClient, Verify
from orderctl.relay.closing import SLOW, TIMEOUT, UNAUTHORIZED
from orderctl.relay.codecs.calls import MAX_BYTES
from orderctl.relay.exchange import Exchange
from orderctl.relay.http import Handshake
from orderctl.relay.hub import BACKLOG
from orderctl.relay.limits import Door, Lobby, Wheel
from orderctl.relay.metrics import Tally
from orderctl.relay.rooms import Dialect
from orderctl.relay.site import Upgrade
from orderctl.relay.throttle import Throttle
from orderctl.relay.web import Reply, in_json

_log = logging.getLogger(__name__)
#: For the library: what clients do wrong is counted, not logged.
_quiet = logging.getLogger("orderctl.relay.websockets")
_quiet.setLevel(logging.ERROR)

#: Time for a client to send its token, and time for the closing handshake of one whose token is not valid (any more),
#: in seconds.
_AUTH_TIMEOUT: Final = 9.0
_SHORT_LEAVE: Final = 0.5
#: Time for a client to answer a close frame, in seconds. Then its connection is aborted.
CLOSE_TIMEOUT: Final = 3.0
#: Most bytes of one client that are parsed in one turn of the event loop: 680 empty frames take about 10 ms.
_CHUNK: Final = 4096
_MAX_REASON: Final = 120
#: Sizes of a write buffer, in bytes: above the first a member is paused, below the second it is resumed.
_WRITE_LIMIT: Final = (128 * 1024, 32 * 1024)
#: Headers of the library's answer to an invalid handshake that say what would be valid.
_HINTS: Final = ("Allow", "Upgrade", "Sec-WebSocket-Version")
_CLIENTS: Final[dict[Dialect, type[RelayClient]]] = {
    Dialect.PLAIN: PlainClient,
    Dialect.SOCKETIO: SocketIoClient,
}


class Open(Protocol):
    """An open connection."""

    def abort(self) -> None:
        """End it at once."""


@dataclass(slots=True)
class Shared:
    """The objects that all connections of a relay share.

    Attributes:
        exchange: Delivers messages to the subscribed clients.
        door: Limits the number of clients.
        lobby: The connections that wait for a request.
        tally: Counters for the metrics.
        max_rate: Most frames per second from one client.
        wheel: Schedules the pings.
        connections: All open connections.
        closing: Whether the relay stops.
        changed: Set when a connection has ended.
    """

    exchange: Exchange
    door: Door
    lobby: Lobby
    tally: Tally
    max_rate: int
    wheel: Wheel = field(default_factory=Wheel)
    connections: set[Open] = field(default_factory=set)
    closing: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, connection: Open) -> None:
        """Count a new connection."""
        self.connections.add(connection)
        self.tally.connections = len(self.connections)

    def leave(self, connection: Open) -> None:
        """Count the end of a connection."""
        self.connections.discard(connection)
        self.tally.connections = len(self.connections)
        self.changed.set()


def shake_hands(shared: Shared, handshake: Handshake, address: str) -> tuple[Connection, bytes] | Reply:
    """Make the WebSocket connection that a request asks for.

    Args:
        shared: The objects that all connections share.
        handshake: The request.
        address: The client's address.

    Returns:
        The connection and the bytes of the answer; a reply when the handshake is not valid.
    """
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_BYTES, logger=_quiet)
    asked = HandshakeRequest(handshake.target, Headers(handshake.headers), protocol=handshake.version)
    answer = protocol.accept(asked)
    if answer.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        return Connection(shared, protocol, address), answer.serialize()
    hints = {name: answer.headers[name] for name in _HINTS if name in answer.headers}
    return in_json(answer.status_code, {"error": bytes(answer.body or b"").decode().strip()}, **hints)


class Connection(Base):
    """One connection of a WebSocket client, after its handshake.

    Args:
        shared: The objects that all connections share.
        protocol: The protocol that accepted the handshake.
        address: The client's address, for which the door was asked.
    """

    def __init__(self, shared: Shared, protocol: ServerProtocol, address: str) -> None:
        super().__init__(protocol, ping_interval=None, close_timeout=CLOSE_TIMEOUT, write_limit=_WRITE_LIMIT)
        self.shared = shared
        self.client: RelayClient | None = None
        self.write: Callable[[bytes], object]
        #: Whether the client has sent anything since the last ping.
        self.heard = True
        self._address = address
        self._hung_up = False
        self._throttle = Throttle(shared.max_rate, self.loop.time())
        self._frames = 0
        self._unread = bytearray()
        self._waiting = False
        self._fragments: bytearray | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] | None = None

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_server passes this type
        self.write = transport.write
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from everything that refers to it."""
        self.shared.door.release(self._address)
        self.shared.leave(self)
        self.shared.wheel.remove(self)
        if self.client is not None:
            self.client.gone()
        self._set_timer(None)
        for task in self._tasks or ():
            task.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Pause the client, because its socket is full."""
        super().pause_writing()
        if self.client is not None:
            self.shared.exchange.hub.pause(self.client.member)

    def resume_writing(self) -> None:
        """Resume the client, because its socket accepts bytes again."""
        super().resume_writing()
        if self.client is not None:
            self.shared.exchange.hub.resume(self.client.member)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, in pieces of limited size."""
        self.heard = True
        if self._waiting:
            self._unread += data
            self.transport.pause_reading()
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        if len(data) > _CHUNK:
            self._unread += data[_CHUNK:]
            data = data[:_CHUNK]
        self._frames = 0
        super().data_received(data)
        if self.client is not None:
            self._look_after()
        pause = self._throttle.spend(self._frames, len(data), self.loop.time())
        if pause or self._unread:
            self._waiting = True
            self.transport.pause_reading()
            self.loop.call_later(pause, self._read_on)

    def _read_on(self) -> None:
        self._waiting = False
        if self.transport.is_closing():
            return
        if self._unread:
            data = bytes(self._unread)
            self._unread.clear()
            self._read(data)
        if not self._waiting:
            self.transport.resume_reading()

    def _look_after(self) -> None:
        assert self.client is not None  # noqa: S101 - for mypy
        if self.protocol.state is not State.OPEN:
            self.client.gone()
        elif self.paused and self.transport.get_write_buffer_size() > BACKLOG:
            self.cut(SLOW, "slow")  # it sends calls, but does not read the answers

    # Frames.

    def process_event(self, event: Event) -> None:
        """Handle a frame. The library has already answered pings and close frames."""
        self._frames += 1
        self.shared.tally.frames += 1
        if isinstance(event, Frame) and not self._hung_up and not self.transport.is_closing():
            self._collect(event)

    def _collect(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self.hang_up(CloseCode.UNSUPPORTED_DATA, "binary frames are not supported")
        elif frame.opcode is Opcode.TEXT and frame.fin:
            self._receive(frame.data)
        elif frame.opcode is Opcode.TEXT:
            self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                whole, self._fragments = self._fragments, None
                self._receive(whole)

    def _receive(self, payload: bytes | bytearray | memoryview) -> None:
        assert self.client is not None  # noqa: S101 - for mypy
        try:
            text = str(payload, "utf-8")
        except UnicodeDecodeError as error:
            self.hang_up(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        else:
            self.client.receive(text)

    # Line.

    def begin(self, upgrade: Upgrade, verify: Verify) -> None:
        """Start the client. The relay's wheel sends the pings: a task for each connection would cost memory."""
        self.shared.wheel.add(self)
        self._set_timer(self.loop.call_later(_AUTH_TIMEOUT, self._too_late))
        kind = _CLIENTS[upgrade.dialect]
        self.client = kind(self.shared.exchange, self, verify, upgrade.access)
        self.client.open()

    def authorized(self, access: Access) -> None:
        """Note the client's token; close the connection when it expires."""
        self._set_timer(None)
        if access.expires != float("inf"):
            left = max(0.0, access.expires - time.time())
            self._set_timer(self.loop.call_later(left, self._expire))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task, which is cancelled when the connection ends."""
        if self._tasks is None:
            self._tasks = set()
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, delay: float, callback: Callable[[], object]) -> None:
        """Call a function after ``delay`` seconds."""
        self.loop.call_later(delay, callback)

    def hang_up(self, code: int, reason: str) -> None:
        """Leave all rooms and close the connection; abort it if the client does not answer in time."""
        if self._hung_up:
            return
        self._hung_up = True
        if self.client is not None:
            self.client.gone()
        if self.paused:
            self.transport.abort()
            return
        self.spawn(self.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore")))
        leave = _SHORT_LEAVE if code == UNAUTHORIZED else CLOSE_TIMEOUT
        self.loop.call_later(leave, self.transport.abort)

    def cut(self, code: int, why: str) -> None:
        """Abort the connection. The client cannot receive the code; it is only logged."""
        _log.info("closed the connection of a client at %s: %s (%d)", self._address, why, code)
        self.shared.tally.cut[why] += 1
        if self.client is not None:
            self.client.gone()
        self.transport.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def send_ping(self) -> None:
        """Send a ping."""
        if self.client is not None and not self._hung_up:
            self.heard = False
            self.shared.exchange.hub.send(self.client.member, self.client.ping())

    def check_pong(self) -> None:
        """Abort the connection if the client has sent nothing since the last ping."""
        if not self.heard:
            self.cut(TIMEOUT, "silent")

    def _too_late(self) -> None:
        self.shared.tally.cut["unauthenticated"] += 1
        self.hang_up(UNAUTHORIZED, f"no token within {_AUTH_TIMEOUT:g} s")

    def _expire(self) -> None:
        self.shared.tally.cut["expired"] += 1
        self.hang_up(UNAUTHORIZED, "the token has expired")

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
