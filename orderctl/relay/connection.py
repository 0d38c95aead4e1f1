"""One connection of the relay: the library's, with what the relay's inside needs of it.

The library does the handshake, the frames and the closing; what leaves for many clients is written past
it, ready-made, to their transports. That takes no private attribute: :class:`Connection` overrides the
callbacks of :class:`asyncio.Protocol` and reads the library's frames as they come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from orderctl.relay.access import Access
from orderctl.relay.clients import PlainClient, RelayClient, SocketIoClient, Verify
from orderctl.relay.closing import SLOW, TIMEOUT, UNAUTHORIZED
from orderctl.relay.exchange import Exchange
from orderctl.relay.hub import BACKLOG
from orderctl.relay.limits import Door, Wheel
from orderctl.relay.metrics import Tally
from orderctl.relay.rooms import Dialect
from orderctl.relay.site import Upgrade
from orderctl.relay.throttle import Throttle

_log = logging.getLogger(__name__)

#: Time to say who one is, and to take leave where that did not happen, in seconds.
_AUTH_TIMEOUT: Final = 9.0
_SHORT_LEAVE: Final = 0.5
#: Time for a client to answer a close, in seconds; then its connection is cut.
CLOSE_TIMEOUT: Final = 3.0
#: Bytes that are read of one client in one turn of the event loop: 680 empty frames take about 10 ms.
_CHUNK: Final = 4096
_MAX_REASON: Final = 120
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_CLIENTS: Final[dict[Dialect, type[RelayClient]]] = {
    Dialect.PLAIN: PlainClient,
    Dialect.SOCKETIO: SocketIoClient,
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a relay have in common.

    Attributes:
        exchange: Who hears what.
        door: Who is let in.
        tally: What is counted.
        max_rate: Frames a second from one client.
        wheel: Who is pinged when.
        connections: The open ones.
    """

    exchange: Exchange
    door: Door
    tally: Tally
    max_rate: int
    wheel: Wheel = field(default_factory=Wheel)
    connections: set[Connection] = field(default_factory=set)


class Connection(ServerConnection):
    """One connection: HTTP at first, then perhaps a client's.

    Args:
        shared: What all connections have in common.
        arguments: As :class:`ServerConnection` wants them.
        options: As above.
    """

    def __init__(self, shared: Shared, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shared = shared
        self.upgrade: Upgrade | None = None
        self.client: RelayClient | None = None
        self.write: Callable[[bytes], object]
        #: Whether the client was heard since the last ping.
        self.heard = True
        self._address = ""
        self._refused = False
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
        """Take the connection, unless there are too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is what create_server gives
        self._address = str((transport.get_extra_info("peername") or [""])[0])
        self._refused = not self.shared.door.admit(self._address)
        if self._refused:
            transport.write(_BUSY)
            transport.close()
            return
        self.write = transport.write
        self.shared.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about it."""
        if self._refused:
            return
        self.shared.door.release(self._address)
        self.shared.connections.discard(self)
        self.shared.wheel.remove(self)
        if self.client is not None:
            self.client.gone()
        self._set_timer(None)
        for task in self._tasks or ():
            task.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The socket is full."""
        super().pause_writing()
        if self.client is not None:
            self.shared.exchange.hub.pause(self.client.member)

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        super().resume_writing()
        if self.client is not None:
            self.shared.exchange.hub.resume(self.client.member)

    def data_received(self, data: bytes) -> None:
        """Read what came, a piece at a time."""
        if self._refused:
            return
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
            self.cut(SLOW, "slow")  # it asks, and does not read the answers

    # Frames.

    def process_event(self, event: Event) -> None:
        """Take a frame; the library has answered pings and closes already."""
        if self.request is None:
            super().process_event(event)
            return
        if self.client is None:
            self.transport.abort()  # it spoke before it was let in
            return
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

    def start_keepalive(self) -> None:
        """Pings come from the relay's own clock: a task for each connection costs memory."""

    # Line.

    def begin(self, upgrade: Upgrade, verify: Verify) -> None:
        """The handshake is done: here is a client."""
        self._set_timer(self.loop.call_later(_AUTH_TIMEOUT, self._too_late))
        kind = _CLIENTS[upgrade.dialect]
        self.client = kind(self.shared.exchange, self, verify, upgrade.access)
        self.client.open()

    def authorized(self, access: Access) -> None:
        """The client has said who it is."""
        self._set_timer(None)
        if access.expires != float("inf"):
            left = max(0.0, access.expires - time.time())
            self._set_timer(self.loop.call_later(left, self._expire))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what has to wait; it ends with the connection."""
        if self._tasks is None:
            self._tasks = set()
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, delay: float, callback: Callable[[], object]) -> None:
        """Call back after that many seconds."""
        self.loop.call_later(delay, callback)

    def hang_up(self, code: int, reason: str, *, leave: float = CLOSE_TIMEOUT) -> None:
        """Leave all rooms, then close; cut where the client does not answer in time."""
        if self._hung_up:
            return
        self._hung_up = True
        if self.client is not None:
            self.client.gone()
        if self.paused:
            self.transport.abort()
            return
        self.spawn(self.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore")))
        self.loop.call_later(leave, self.transport.abort)

    def cut(self, code: int, why: str) -> None:
        """End the connection at once; the code can reach nobody, but stands in the log."""
        _log.info("closed the connection of a client at %s: %s (%d)", self._address, why, code)
        self.shared.tally.cut[why] += 1
        if self.client is not None:
            self.client.gone()
        self.transport.abort()

    def knock(self) -> None:
        """Ask whether the client lives."""
        if self.client is not None and not self._hung_up:
            self.heard = False
            self.shared.exchange.hub.send(self.client.member, self.client.ping())

    def look(self) -> None:
        """Cut the client if it does not."""
        if not self.heard:
            self.cut(TIMEOUT, "silent")

    def _too_late(self) -> None:
        self.shared.tally.cut["unauthenticated"] += 1
        self.hang_up(UNAUTHORIZED, f"no token within {_AUTH_TIMEOUT:g} s", leave=_SHORT_LEAVE)

    def _expire(self) -> None:
        self.shared.tally.cut["expired"] += 1
        self.hang_up(UNAUTHORIZED, "the token has expired", leave=_SHORT_LEAVE)

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
