"""The codec of Socket.IO v4 over Engine.IO v4, websocket transport, text frames. No I/O.

    server   0{"sid":"...","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}
    client   40{auth}              server   40{"sid":"...","pid":"..."}  or  44{"message":"..."}
    client   42["event",{...}]     client   421["event",{...}]   server   431[{...}]
    server   42["progress",{...}]  server   2   client   3

A packet is an Engine.IO digit, for messages a Socket.IO digit, an optional ``/namespace,``, an optional
number that asks for an acknowledgement, and JSON. The contract has no binary attachments: a packet that
announces some is refused before any memory is used for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from orderctl.relay.codecs.calls import MAX_BYTES, MAX_NAME, Call, InvalidFrame, parse_json, to_json
from orderctl.relay.codecs.frames import PING_INTERVAL, PING_TIMEOUT

PING: Final = b"2"
ROOT: Final = "/"

_MAX_NAMESPACE: Final = 128
#: Most digits of an acknowledgement id: JavaScript represents numbers of this length exactly.
_MAX_ACK_DIGITS: Final = 15
_HEAD: Final = re.compile(r"4([0-6])(?:(/[^,]*),?)?([0-9]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pong:
    """The client answers a ping."""


@dataclass(frozen=True, slots=True)
class Close:
    """The client closes the transport."""


@dataclass(frozen=True, slots=True)
class Connect:
    """The client connects to a namespace; ``auth`` may have its token and its ``pid``."""

    namespace: str
    auth: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The client leaves a namespace."""

    namespace: str


@dataclass(frozen=True, slots=True)
class EventPacket:
    """An event in a namespace."""

    namespace: str
    call: Call


@dataclass(frozen=True, slots=True)
class Ignored:
    """An acknowledgement that was not requested, or an empty packet."""


Packet = Pong | Close | Connect | Disconnect | EventPacket | Ignored


def decode(text: str) -> Packet:
    """Read a client's packet.

    Raises:
        InvalidFrame: When it is not a packet that a client may send.
    """
    if text == "3":
        return Pong()
    if text == "1":
        return Close()
    if text == "6":
        return Ignored()
    head = _HEAD.match(text)
    if head is None:
        raise InvalidFrame("not an Engine.IO 4 packet")
    namespace = head[2] or ROOT
    if len(namespace) > _MAX_NAMESPACE or len(head[3]) > _MAX_ACK_DIGITS:
        raise InvalidFrame("the namespace or the acknowledgement id is too long")
    return _read(head[1], namespace, int(head[3]) if head[3] else None, text[head.end() :])


def _read(kind: str, namespace: str, ack: int | None, rest: str) -> Packet:
    if kind == "0" and ack is None:
        return Connect(namespace, _read_auth(rest))
    if kind == "1" and ack is None and not rest:
        return Disconnect(namespace)
    if kind == "2":
        return EventPacket(namespace, _read_call(rest, ack))
    if kind == "3" and ack is not None:
        return Ignored()
    raise InvalidFrame("not a packet that a client may send")


def _read_auth(rest: str) -> dict[str, Any]:
    auth = parse_json(rest) if rest else {}
    if not isinstance(auth, dict):
        raise InvalidFrame("auth must be a JSON object")
    return auth


def _read_call(rest: str, ack: int | None) -> Call:
    arguments = parse_json(rest)
    if not isinstance(arguments, list) or not arguments or not isinstance(arguments[0], str):
        raise InvalidFrame("an event must be a JSON list that begins with the event's name")
    if len(arguments[0]) > MAX_NAME:
        raise InvalidFrame("the event's name is too long")
    return Call(arguments[0], arguments[1] if len(arguments) > 1 else None, ack)


def handshake(sid: str) -> bytes:
    """Encode the server's first packet."""
    return b"0" + to_json(
        {
            "sid": sid,
            "upgrades": [],
            "pingInterval": PING_INTERVAL * 1000,
            "pingTimeout": PING_TIMEOUT * 1000,
            "maxPayload": MAX_BYTES,
        }
    )


def connected(sid: str, pid: str) -> bytes:
    """Encode that the client is connected. If it sends ``pid`` again, it gets its subscriptions back."""
    return b"40" + to_json({"sid": sid, "pid": pid})


def refused(namespace: str, text: str) -> bytes:
    """Encode that the client may not connect to the namespace."""
    prefix = "44" if namespace == ROOT else f"44{namespace},"
    return prefix.encode() + to_json({"message": text})


def message(kind: bytes, envelope: bytes) -> bytes:
    """Encode a publication, whose envelope is JSON already."""
    return b'42["%b",%b]' % (kind, envelope)


def acknowledgement(call_id: int, data: Any) -> bytes:
    """Encode the acknowledgement of an event that asked for one."""
    return b"43%d" % call_id + to_json([data])
