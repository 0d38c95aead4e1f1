"""The front of the relay: every connection begins here, as HTTP/1.1.

A request is read whole, then answered, then the next one is read. A request that asks for a WebSocket hands the
transport to a :class:`orderctl.relay.connection.Connection`.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import Final

from orderctl.relay.connection import Shared, shake_hands
from orderctl.relay.http import Malformed, Stream
from orderctl.relay.limits import ADDRESS, Patience
from orderctl.relay.site import Site, Upgrade
from orderctl.relay.web import Reply, Request

_log = logging.getLogger(__name__)

#: Longest time for a request's head, for its body, between two requests, and for a client to take an answer, in
#: seconds.
HEAD_TIMEOUT: Final = 10.0
BODY_TIMEOUT: Final = 30.0
IDLE_TIMEOUT: Final = 75.0
_TAKE_TIMEOUT: Final = 30.0
#: Time for a request while many connections of the same address wait, in seconds.
_HURRY: Final = 2.0
#: After its last answer a connection is read for so long, and so many bytes, until the client has closed it. If it
#: were closed with unread bytes, the client's machine could drop the answer.
_LINGER: Final = 2.0
_LINGER_BYTES: Final = 1024 * 1024
_RESTARTING: Final = "the relay is restarting"


class _State(Enum):
    IDLE = auto()  #: Between two requests.
    HEAD = auto()  #: The first bytes of a request may have arrived.
    BODY = auto()  #: Its head has arrived.
    BUSY = auto()  #: It is being answered.
    SENDING = auto()  #: The client has not taken the answers to its requests yet.
    ENDING = auto()  #: The last answer is sent.
    GONE = auto()


_PATIENCE: Final = {
    _State.IDLE: Patience(IDLE_TIMEOUT, _HURRY),
    _State.HEAD: Patience(HEAD_TIMEOUT, _HURRY),
    _State.BODY: Patience(BODY_TIMEOUT, HEAD_TIMEOUT),
    _State.SENDING: Patience(_TAKE_TIMEOUT, _TAKE_TIMEOUT),
    _State.ENDING: Patience(_LINGER, _LINGER),
}


class Front(asyncio.Protocol):
    """One connection, as long as it speaks HTTP.

    Args:
        shared: The objects that all connections share.
        site: Answers the requests.
    """

    def __init__(self, shared: Shared, site: Site) -> None:
        self.address = ""
        self._shared = shared
        self._site = site
        self._stream = Stream(site.most_bytes)
        self._state = _State.BUSY
        self._paused = False
        self._admitted = False
        self._eof = False
        self._drained = 0
        self._task: asyncio.Task[None] | None = None
        self._asked: Request | None = None
        self._transport: asyncio.Transport

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_server passes this type
        self._transport = transport
        self.address = str((transport.get_extra_info("peername") or [""])[0])
        self._shared.enter(self)
        self._shared.tally.accepted += 1
        self._wait(_State.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        """Remove the connection from everything that refers to it."""
        self._leave()
        self._release()
        if self._task is not None:
            self._task.cancel()
        self._shared.leave(self)

    def pause_writing(self) -> None:
        """Note that the client does not take the answers fast enough."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on, because the client has taken the answers."""
        self._paused = False
        if self._state is _State.SENDING:
            self._read_on()

    def data_received(self, data: bytes) -> None:
        """Read what has arrived, unless a request is being answered."""
        if self._state is _State.ENDING:
            self._drained += len(data)
            if self._drained > _LINGER_BYTES:
                self._transport.abort()
            return
        self._stream.receive(data)
        if self._state in _PATIENCE and self._state is not _State.SENDING:
            self._read()
        else:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer what was asked, although the client sends no more."""
        if self._state in {_State.ENDING, _State.IDLE} or (self._state is _State.HEAD and self._stream.idle):
            return False
        self._eof = True
        self._stream.receive(b"")
        if self._state in {_State.HEAD, _State.BODY}:
            self._read()
        return True

    # Requests.

    def _read(self) -> None:
        try:
            request = self._stream.next_request()
        except Malformed as error:
            self._end(self._site.refuse(error.request, error.status, str(error)))
            return
        if request is not None:
            self._begin(request)
        elif self._eof:
            self._close()
        else:
            if self._stream.wants_continue:
                self._transport.write(self._stream.proceed())
            self._wait(_State.BODY if self._stream.in_body else _State.HEAD)

    def _read_on(self) -> None:
        self._transport.resume_reading()
        if self._stream.idle and not self._eof:
            self._wait(_State.IDLE)
        else:
            self._read()

    def _begin(self, request: Request) -> None:
        self._leave()
        if not self._site.is_probe(request):
            refused = self._shared.door.admit(self.address)
            if refused is not None:
                self._end(self._site.overloaded(request, of_address=refused == ADDRESS))
                return
            self._admitted = True
        self._asked = request
        self._task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            found = await self._site.answer(request)
            reply = self._upgrade(request, found) if isinstance(found, Upgrade) else found
        except Exception:  # noqa: BLE001 - every request gets an answer
            _log.exception("%s %s failed", request.method, request.path)
            reply = self._site.refuse(request, 500, "internal error")
        self._task = None
        if reply is None:
            return
        try:
            self._send(reply)
        except Exception:  # noqa: BLE001 - otherwise the connection would never end
            _log.exception("%s %s cannot be answered", request.method, request.path)
            self._transport.abort()

    def _send(self, reply: Reply) -> None:
        self._release()
        self._transport.write(self._stream.answer(reply, last=self._shared.closing))
        if not self._stream.turn():
            self._close()
        elif self._paused:
            self._wait(_State.SENDING)
        else:
            self._read_on()

    def _upgrade(self, request: Request, upgrade: Upgrade) -> Reply | None:
        """Hand the transport to a WebSocket connection; return a reply if the handshake is not valid."""
        if self._shared.closing:
            return self._site.refuse(request, 503, _RESTARTING)
        if self._stream.rest:  # RFC 6455, 4.1: the client waits for the answer
            self._release()
            self._end(self._site.refuse(request, 400, "there are bytes behind the handshake"))
            return None
        made = shake_hands(self._shared, self._stream.handshake, self.address)
        if isinstance(made, Reply):
            return self._site.dress(request, made)
        connection, answer = made
        self._state = _State.GONE  # the connection is the client from now on, and leaves by the same door
        self._shared.leave(self)
        self._shared.enter(connection)
        self._transport.write(answer)
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        self._transport.resume_reading()
        connection.begin(upgrade, self._site.verify)
        return None

    # The end.

    def expire(self) -> None:
        """End the connection, because it has waited too long; what was begun gets an answer."""
        if self._state in {_State.ENDING, _State.SENDING}:
            self._transport.abort()
        elif self._stream.idle:
            self._transport.close()
        else:
            late = self._stream.give_up("the request did not arrive in time")
            self._end(self._site.refuse(late.request, late.status, str(late)))

    def hang_up(self) -> None:
        """End the connection, because the relay stops; a request that is being answered gets its answer."""
        if self._state is _State.IDLE or (self._state is _State.HEAD and self._stream.idle):
            self._transport.close()

    def give_up(self) -> None:
        """Answer at once what was asked, because the relay cannot wait for it any longer; then end."""
        if self._task is not None and self._asked is not None:
            self._task.cancel()
            self._release()
            self._end(self._site.refuse(self._asked, 503, _RESTARTING))
        elif self._state in {_State.HEAD, _State.BODY} and not self._stream.idle:
            late = self._stream.give_up(_RESTARTING)
            self._end(self._site.refuse(late.request, 503, _RESTARTING))
        else:
            self._transport.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _end(self, reply: Reply) -> None:
        self._transport.write(self._stream.answer(reply, last=True))
        self._close()

    def _close(self) -> None:
        """Send the end of the stream, and wait for that of the client."""
        self._wait(_State.ENDING)
        if self._eof or not self._transport.can_write_eof():
            self._transport.close()
        elif not self._transport.is_closing():
            try:
                self._transport.write_eof()
            except OSError:  # the client has reset the connection; asyncio has not read that yet
                self._transport.abort()
            else:
                self._transport.resume_reading()

    def _wait(self, state: _State) -> None:
        if state is not self._state:
            self._state = state
            self._shared.lobby.enter(self, _PATIENCE[state])

    def _leave(self) -> None:
        self._state = _State.BUSY
        self._shared.lobby.leave(self)

    def _release(self) -> None:
        if self._admitted:
            self._admitted = False
            self._shared.door.release(self.address)
