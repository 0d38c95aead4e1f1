"""HTTP/1.1 without I/O: bytes become requests, replies become bytes, over the ``h11`` library.

RFC 9112 is kept where the two ends of a proxy could disagree about where a request ends: a request with both a
length and a transfer coding is refused, and after an error the connection ends.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

import h11

from orderctl.errors import InvalidInput
from orderctl.relay.web import Reply, Request, read_target, split_target

#: Longest head of a request, in bytes, and most of it that is kept to find out what was asked in a malformed one.
MAX_HEAD: Final = 16 * 1024
_MAX_PEEK: Final = 2 * 1024
#: Most chunks of a body. Reading that many takes about 10 ms, in which no other client is served.
_MOST_CHUNKS: Final = 1024
#: ``h11`` gets so many bytes at a time, because it has limits for what is not complete yet only: a head of 250 KiB that
#: arrives in one piece takes 150 ms.
_SLICE: Final = 4 * 1024
_TOO_LONG: Final = f"the head is longer than {MAX_HEAD} bytes"
_VERSIONS: Final = frozenset({b"1.0", b"1.1"})
#: ``Connection: close`` is added where the connection ends.
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_LINE: Final = re.compile(rb"[\r\n]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+([!-~]+)")
_BODYLESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

Headers = list[tuple[bytes, bytes]]


class Malformed(InvalidInput):
    """A request that cannot be answered as it was meant; the connection ends with the answer.

    Args:
        status: The HTTP status of the answer.
        reason: What is wrong.
        request: What was asked, as far as it can be read.
    """

    def __init__(self, status: int, reason: str, request: Request) -> None:
        super().__init__(reason)
        self.status = status
        self.request = request


class Handshake(NamedTuple):
    """A request that asks for a WebSocket."""

    target: str
    headers: list[tuple[str, str]]
    version: str


@dataclass(slots=True)
class _Reading:
    """A request whose body is not complete."""

    event: h11.Request
    request: Request
    most: int
    body: bytearray
    chunks: int = 0


class Stream:
    """The requests of one connection, one after the other.

    Args:
        most: Returns the longest body of a request, in bytes.
    """

    __slots__ = (
        "_connection",
        "_eof",
        "_event",
        "_fresh",
        "_head",
        "_last",
        "_method",
        "_most",
        "_reading",
        "_unread",
    )

    def __init__(self, most: Callable[[Request], int]) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._most = most
        self._reading: _Reading | None = None
        self._event: h11.Request | None = None
        self._method = b""
        self._head = bytearray()
        self._unread = bytearray()
        self._eof = False
        self._fresh = True
        self._last = False

    # Receiving.

    def receive(self, data: bytes) -> None:
        """Take bytes of the client; empty: it sends no more."""
        if data and self._fresh:
            data = data.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines before a request are ignored
            if not data:
                return
            self._fresh = False
        if self._reading is None and len(self._head) < _MAX_PEEK:
            self._head += data[: _MAX_PEEK - len(self._head)]
        self._unread += data
        self._eof = self._eof or not data

    @property
    def idle(self) -> bool:
        """Whether no byte of the next request has arrived."""
        return self._fresh

    @property
    def in_body(self) -> bool:
        """Whether the head of a request has arrived, but not the whole body."""
        return self._reading is not None

    def next_request(self) -> Request | None:
        """Return the next request with its body; None until it is complete.

        Raises:
            Malformed: When it is not valid HTTP, or too large.
        """
        try:
            while True:
                event = self._connection.next_event()
                if isinstance(event, h11.Request):
                    self._reading = self._begin(event)
                elif isinstance(event, h11.Data) and self._reading is not None:
                    self._add(self._reading, event)
                elif isinstance(event, h11.EndOfMessage) and self._reading is not None:
                    return self._complete(self._reading)
                elif event is not h11.NEED_DATA or not self._feed():
                    return None
        except h11.RemoteProtocolError as error:
            # Behind the colon stands what the client sent, which may be a secret.
            reason = str(error).partition(": {")[0].partition(": b")[0]
            if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                reason = (
                    _TOO_LONG
                    if self._reading is None
                    else f"there are more than {MAX_HEAD} bytes of trailers"
                )
            raise self._malformed(error.error_status_hint, reason) from None

    def _feed(self) -> bool:
        """Give ``h11`` the next bytes; return False when there are none."""
        if self._unread:
            self._connection.receive_data(bytes(self._unread[:_SLICE]))
            del self._unread[:_SLICE]
        elif self._eof and not self._connection.trailing_data[1]:
            self._connection.receive_data(b"")
        else:
            return False
        return True

    @property
    def wants_continue(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        return self._reading is not None and self._connection.they_are_waiting_for_100_continue

    def proceed(self) -> bytes:
        """Return the word that the body may come."""
        self._connection.send(h11.InformationalResponse(status_code=100, headers=[]))
        return _CONTINUE

    def _begin(self, event: h11.Request) -> _Reading:
        self._method = event.method
        self._require(event)
        headers = _joined(event.headers)
        method = event.method.decode("ascii")
        try:
            target = read_target(event.target.decode("ascii"))
        except ValueError as error:
            raise self._malformed(HTTPStatus.BAD_REQUEST, str(error)) from None
        if target.host is not None:
            headers["host"] = target.host
        request = Request(method, target.path, target.query, headers)
        reading = _Reading(event, request, self._most(request), bytearray())
        if int(headers.get("content-length", 0)) > reading.most:
            raise self._too_large(reading)
        return reading

    def _require(self, event: h11.Request) -> None:
        """Refuse what ``h11`` lets pass and a proxy may read in another way."""
        names = [name for name, _ in event.headers]
        size = len(event.target) + sum(len(name) + len(value) + 4 for name, value in event.headers)
        if event.http_version not in _VERSIONS:
            raise self._malformed(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "use HTTP/1.1")
        if size > MAX_HEAD:
            raise self._malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LONG)
        if b"transfer-encoding" in names and (b"content-length" in names or event.http_version == b"1.0"):
            raise self._malformed(HTTPStatus.BAD_REQUEST, "a body has either a length or a transfer coding")

    def _add(self, reading: _Reading, data: h11.Data) -> None:
        reading.body += data.data
        reading.chunks += data.chunk_start
        if len(reading.body) > reading.most:
            raise self._too_large(reading)
        if reading.chunks > _MOST_CHUNKS:
            raise Malformed(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body has more than {_MOST_CHUNKS} chunks",
                reading.request,
            )

    def _complete(self, reading: _Reading) -> Request:
        self._reading, self._event = None, reading.event
        if not reading.body:
            return reading.request
        whole = reading.request
        return Request(whole.method, whole.path, whole.query, whole.headers, bytes(reading.body))

    def _too_large(self, reading: _Reading) -> Malformed:
        return Malformed(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is longer than {reading.most} bytes",
            reading.request,
        )

    def give_up(self, reason: str) -> Malformed:
        """Return the error for a request that did not arrive in time."""
        return self._malformed(HTTPStatus.REQUEST_TIMEOUT, reason)

    def _malformed(self, status: int, reason: str) -> Malformed:
        asked = _peek(bytes(self._head))
        self._method = self._method or asked.method.encode("ascii")
        return Malformed(status, reason, asked)

    # Answering.

    def answer(self, reply: Reply, *, last: bool = False) -> bytes:
        """Return the bytes of a reply to the present request.

        Args:
            reply: The reply.
            last: Whether the connection ends with it.
        """
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in reply.headers.items()]
        headers.append((b"Date", email.utils.formatdate(usegmt=True).encode()))
        if reply.status not in _BODYLESS:
            headers.append((b"Content-Length", b"%d" % len(reply.body)))
            headers.append((b"Content-Type", reply.type.encode("ascii")))
        self._last = last
        if last:  # h11 adds this by itself where the client wants it, and where it cannot be otherwise
            headers.append((b"Connection", b"close"))
        return self._send(reply, headers)

    def _send(self, reply: Reply, headers: Headers) -> bytes:
        connection = self._connection
        head = connection.send(
            h11.Response(
                status_code=reply.status,
                headers=headers,
                reason=HTTPStatus(reply.status).phrase.encode(),
            )
        )
        bodyless = self._method == b"HEAD" or reply.status in _BODYLESS
        if bodyless and self._last:
            return head  # h11 may not know the method of a malformed HEAD, and would wait for a body
        body = b"" if bodyless else connection.send(h11.Data(data=reply.body))
        return head + body + connection.send(h11.EndOfMessage())

    def turn(self) -> bool:
        """Go on to the next request; return False when the connection ends instead."""
        if self._last or self._connection.our_state is not h11.DONE:
            return False
        self._connection.start_next_cycle()
        self._event, self._method = None, b""
        rest = self.rest
        self._fresh, self._head = not rest, bytearray(rest[:_MAX_PEEK])
        return True

    # Leaving HTTP.

    @property
    def handshake(self) -> Handshake:
        """The present request, for a WebSocket handshake."""
        assert self._event is not None  # noqa: S101 - for mypy
        return Handshake(
            self._event.target.decode("ascii"),
            [(name.decode("ascii"), value.decode("latin-1")) for name, value in self._event.headers],
            f"HTTP/{self._event.http_version.decode('ascii')}",
        )

    @property
    def rest(self) -> bytes:
        """The bytes behind the present request."""
        return self._connection.trailing_data[0] + bytes(self._unread)


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("ascii").lower(), value.decode("latin-1")
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined


def _peek(head: bytes) -> Request:
    """Return what a malformed request asks for, so that its answer has the right shape."""
    found = _FIRST_LINE.match(head)
    if found is None:
        return Request("GET", "")
    _, path, _ = split_target(found[2].decode("ascii"))
    return Request(found[1].decode("ascii"), path.partition("#")[0])
