"""Asks a relay as its clients do: over HTTP, as a plain WebSocket client, and as one of Socket.IO."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Final

from orderctl import texts
from orderctl.deadlines import Begun

_PATHS: Final = {"ws": "/ws", "socketio": "/socket.io/?EIO=4&transport=websocket"}
#: Longest head of an answer, and longest frame that is read, in bytes.
_MOST: Final = 16 * 1024
#: The first line of an answer has a version and a status.
_FEWEST_WORDS: Final = 2
_SWITCHED: Final = 101
#: A close frame of a client, masked with zeros, with the code 1000.
_GOODBYE: Final = b"\x88\x82\0\0\0\0" + struct.pack("!H", 1000)
_TEXT: Final = 0x81


class Way(StrEnum):
    """How a relay is asked."""

    HTTP = "http"  #: GET /healthz
    PLAIN = "ws"  #: JSON on /ws
    SOCKETIO = "socketio"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a relay listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a relay has answered to one way of asking.

    Attributes:
        well: Whether it is right.
        error: What is wrong: no connection, a wrong answer, a relay that is not healthy.
        connected: Whether something listens there.
    """

    well: bool
    error: str = ""
    connected: bool = True


def ask(place: Place, patience: float) -> dict[Way, Answer]:
    """Ask a relay in all ways at the same time.

    Args:
        place: Where it listens.
        patience: Seconds for each answer.
    """
    begun = {way: Begun(lambda way=way: _ask(place, way, patience)) for way in Way}  # type: ignore[misc]
    found = {}
    for way, one in begun.items():
        try:
            found[way] = one.result(patience + 0.5)
        except TimeoutError as error:
            found[way] = Answer(well=False, error=str(error))
    return found


def _ask(place: Place, way: Way, patience: float) -> Answer:
    try:
        wire = socket.create_connection((place.host, place.port), patience)
    except (OSError, UnicodeError) as error:  # of a name that no name server can be asked for, such as a..b
        return Answer(well=False, error=_said(error), connected=False)
    with wire, wire.makefile("rb") as source:
        wire.settimeout(patience)
        try:
            return _health(wire, source) if way is Way.HTTP else _shake_hands(wire, source, way)
        except (OSError, ValueError) as error:
            return Answer(well=False, error=_said(error))


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, UnicodeError):
        return "it is not the name of a host"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _health(wire: socket.socket, source: BinaryIO) -> Answer:
    wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    status, length = _head(source)
    try:
        body: Any = json.loads(source.read(min(length, _MOST)))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or "status" not in body:
        raise ValueError("the answer is not a relay's")
    if status == 200 and body["status"] == "ok":  # noqa: PLR2004
        return Answer(well=True)
    return Answer(well=False, error=texts.legible(f"it is {body['status']}: {body.get('error')}", 200))


def _shake_hands(wire: socket.socket, source: BinaryIO, way: Way) -> Answer:
    key = base64.b64encode(os.urandom(16)).decode()
    wire.sendall(
        f"GET {_PATHS[way]} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    status, _ = _head(source)
    if status != _SWITCHED:
        return Answer(well=False, error=f"it refuses WebSocket with HTTP {status}")
    if way is Way.SOCKETIO:
        _require_open(source)
    wire.sendall(_GOODBYE)
    return Answer(well=True)


def _require_open(source: BinaryIO) -> None:
    """Read the packet with which Engine.IO begins: ``0{"sid":...}``."""
    first, length = source.read(2) or b"\0\0"
    if length == 126:  # noqa: PLR2004 - RFC 6455, 5.2
        (length,) = struct.unpack("!H", source.read(2))
    payload = source.read(min(length, _MOST))
    if first != _TEXT or not payload.startswith(b'0{"sid"'):
        raise ValueError("it does not speak Engine.IO 4")


def _head(source: BinaryIO) -> tuple[int, int]:
    """Read the head of an answer; return its status and the length of its body."""
    words = source.readline(_MOST).split()
    if len(words) < _FEWEST_WORDS or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    length = 0
    while line := source.readline(_MOST).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
    return int(words[1]), length
