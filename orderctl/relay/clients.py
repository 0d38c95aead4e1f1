"""One client of the relay: its calls and their answers, without its socket.

:meth:`RelayClient.open` begins it, :meth:`RelayClient.receive` gets its text frames, :meth:`RelayClient.gone`
ends it. It closes its connection through its :class:`Line`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

from orderctl.errors import OrderctlError, RedisUnavailable
from orderctl.relay import recovery
from orderctl.relay.access import Access, Unauthorized
from orderctl.relay.closing import NORMAL, POLICY_VIOLATION, TRY_AGAIN
from orderctl.relay.codecs import frames, plain, socketio
from orderctl.relay.codecs.calls import Call, InvalidFrame, Topic
from orderctl.relay.exchange import Exchange, Line
from orderctl.relay.rooms import Dialect, Member
from orderctl.relay.subscriptions import Subscriptions

AUTH: Final = "auth"
UNSUBSCRIBED: Final = "relay:unsubscribed"
#: Changes of subscriptions within this time are saved together, in seconds.
_SAVE_AFTER: Final = 0.05

Verify = Callable[[str], Access]


class RelayClient:
    """One connection of either dialect.

    Args:
        exchange: Delivers the messages of its subscriptions.
        line: Its connection.
        verify: Checks a token.
        access: What the token of the handshake allows; None if there was none.
    """

    dialect: Dialect

    def __init__(self, exchange: Exchange, line: Line, verify: Verify, access: Access | None) -> None:
        self.exchange = exchange
        self.line = line
        self.access = access
        self.member = Member(self.dialect, line.write)
        self.subscriptions = Subscriptions(self, exchange, line, self.member)
        self._verify = verify

    def open(self) -> None:
        """Begin: the connection is open."""
        self.exchange.enter(self.member, self.line)

    def receive(self, text: str) -> None:
        """Handle a text frame of the client."""
        raise NotImplementedError

    def gone(self) -> None:
        """Leave all rooms, because the connection ends or has ended. It may be called more than once."""
        self.exchange.leave(self.member)

    def ping(self) -> bytes:
        """Return the ping frame of its dialect."""
        raise NotImplementedError

    def _act_under(self, access: Access) -> None:
        """Go by this token from now on."""
        self.access = access
        self.exchange.hub.hide_addresses(self.member, hides=access.hides_addresses)
        self.line.authorized(access)
        self.exchange.hold(self.member, access)

    def send(self, payload: bytes) -> None:
        """Send a text frame."""
        if self.member in self.exchange.members:
            self.exchange.hub.send(self.member, frames.text(payload))

    def answer(self, call: Call, topic: Topic) -> None:
        """Answer that the call was carried out."""
        raise NotImplementedError

    def refuse(self, call: Call, why: str) -> None:
        """Answer that the call was not carried out, and why."""
        raise NotImplementedError

    def ended(self, topic: Topic, why: str) -> None:
        """Tell that a subscription has ended, and why."""
        raise NotImplementedError


class PlainClient(RelayClient):
    """A client of ``/ws``."""

    dialect = Dialect.PLAIN

    def open(self) -> None:
        """Begin. The relay sends nothing before the client does."""
        super().open()
        if self.access is not None:
            self._act_under(self.access)

    def receive(self, text: str) -> None:
        """Carry out a call and answer it."""
        try:
            call = plain.decode(text)
        except InvalidFrame as error:
            self.send(plain.error(None, str(error)))
            return
        try:
            self._carry_out(call)
        except OrderctlError as error:
            self.refuse(call, str(error))

    def _carry_out(self, call: Call) -> None:
        if call.event == AUTH:
            self._authenticate(call)
        elif self.access is None:
            raise Unauthorized('send {"event":"auth","data":{"token":"..."}} first')
        else:
            self.subscriptions.act(call)

    def _authenticate(self, call: Call) -> None:
        token = call.data.get("token") if isinstance(call.data, dict) else None
        if not isinstance(token, str):
            raise Unauthorized('auth must be {"token": "..."}')
        # If the token is refused, the client keeps the one that it has.
        self._act_under(self._verify(token))
        self.subscriptions.narrow()
        self.send(plain.acknowledgement(call.id))

    def ping(self) -> bytes:
        """Return a WebSocket ping."""
        return frames.PING

    def answer(self, call: Call, topic: Topic) -> None:
        """Send ``ack`` with the topic."""
        self.send(plain.acknowledgement(call.id, {"scope": topic.scope, "id": topic.id}))

    def refuse(self, call: Call, why: str) -> None:
        """Send ``error`` with the reason."""
        self.send(plain.error(call.id, why))

    def ended(self, topic: Topic, why: str) -> None:
        """Send ``relay:unsubscribed`` with the topic and the reason."""
        self.send(plain.event(UNSUBSCRIBED, {"scope": topic.scope, "id": topic.id, "error": why}))


class SocketIoClient(RelayClient):
    """A client of ``/socket.io/``."""

    dialect = Dialect.SOCKETIO

    def __init__(self, exchange: Exchange, line: Line, verify: Verify, access: Access | None) -> None:
        super().__init__(exchange, line, verify, None)
        self._handshake = access
        self._connecting = False
        self._session = recovery.begin()
        self._unsaved = False

    def open(self) -> None:
        """Begin with the handshake packet: in Engine.IO the server sends first."""
        super().open()
        if self._handshake is not None:
            self.exchange.hold(self.member, self._handshake)
        self.send(socketio.handshake(secrets.token_urlsafe(15)))

    def receive(self, text: str) -> None:
        """Handle a packet. A malformed one closes the connection, as in Socket.IO's own server."""
        try:
            packet = socketio.decode(text)
        except InvalidFrame as error:
            self.line.hang_up(POLICY_VIOLATION, str(error))
            return
        match packet:
            case socketio.Connect():
                self._connect(packet)
            case socketio.EventPacket(namespace=socketio.ROOT, call=call) if self.access:
                self._take(call)
            case socketio.EventPacket():
                self.line.hang_up(POLICY_VIOLATION, "send a Connect packet first")
            case socketio.Disconnect(namespace=socketio.ROOT) | socketio.Close():
                self._say_goodbye()
            case _:
                pass

    def gone(self) -> None:
        """Save the subscriptions, because the client may come back, and leave all rooms."""
        self._save()
        if self.access and self.member.rooms:
            self.exchange.recovery.part(self._session)
        self.access = None
        super().gone()

    def _say_goodbye(self) -> None:
        if self.access:
            self.exchange.recovery.forget(self._session)
            self.access = None
        self.line.hang_up(NORMAL, "")

    def _connect(self, packet: socketio.Connect) -> None:
        if packet.namespace != socketio.ROOT:
            self.send(socketio.refused(packet.namespace, "Invalid namespace"))
            return
        if self.access or self._connecting:
            # As Socket.IO's own server. To ignore it would leave a client that sends a lesser token its old one.
            self.line.hang_up(POLICY_VIOLATION, "already connected")
            return
        try:
            access = self._read_access(packet.auth)
        except Unauthorized as error:
            self.send(socketio.refused(packet.namespace, str(error)))
            return
        if "pid" in packet.auth:
            self._connecting = True
            self.line.spawn(self._restore(access, packet.auth["pid"]))
        else:
            self._welcome(access)

    def _welcome(self, access: Access) -> None:
        self._act_under(access)
        self._connecting = False
        self.member.changed = self._changed
        self.send(socketio.connected(self._session.sid, self._session.pid))

    async def _restore(self, access: Access, pid: object) -> None:
        """Restore the subscriptions of a client that reconnects, as far as its present token allows them."""
        try:
            found = await self.exchange.recovery.find(pid)
        except RedisUnavailable:
            # The client reconnects with the same pid. A new pid would lose its subscriptions.
            self.line.hang_up(TRY_AGAIN, "Redis does not answer")
            return
        if found is None:
            self._welcome(access)
            return
        self._session, topics = found
        self._welcome(access)
        self.subscriptions.restore(topics)

    def _changed(self) -> None:
        """Save the changed subscriptions soon, once for all changes until then."""
        if not self._unsaved:
            self._unsaved = True
            self.line.later(_SAVE_AFTER, self._save)

    def _save(self) -> None:
        if self._unsaved and self.access:
            self._unsaved = False
            self.exchange.recovery.save(self._session, [room.topic for room in self.member.rooms])

    def _read_access(self, auth: dict[str, Any]) -> Access:
        token = auth.get("token")
        if isinstance(token, str) and token:
            return self._verify(token)
        if self._handshake is None:
            raise Unauthorized('auth must be {"token": "..."}')
        return self._handshake

    def _take(self, call: Call) -> None:
        try:
            self.subscriptions.act(call)
        except OrderctlError as error:
            self.refuse(call, str(error))

    def ping(self) -> bytes:
        """Return an Engine.IO ping."""
        if self.access and self.member.rooms:
            self.exchange.recovery.renew(self._session)
        return _SOCKETIO_PING

    def answer(self, call: Call, topic: Topic) -> None:
        """Send an acknowledgement, if the client asked for one."""
        self._acknowledge(call, {"ok": True, "scope": topic.scope, "id": topic.id})

    def refuse(self, call: Call, why: str) -> None:
        """Send an acknowledgement with the reason, if the client asked for one."""
        self._acknowledge(call, {"ok": False, "error": why})

    def ended(self, topic: Topic, why: str) -> None:
        """Tell nothing: Socket.IO has no such event."""

    def _acknowledge(self, call: Call, result: dict[str, Any]) -> None:
        if isinstance(call.id, int):
            self.send(socketio.acknowledgement(call.id, result))


_SOCKETIO_PING: Final = frames.text(socketio.PING)
