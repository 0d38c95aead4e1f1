"""Where the body of a response ends: after chunks, after Content-Length, or with the connection."""

from __future__ import annotations

import io
import re
from typing import Any

from orderctl.downloads import headers, heads
from orderctl.downloads.errors import BadAnswer, ConnectionBroken
from orderctl.downloads.heads import Head

_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\Z", re.DOTALL)


def is_chunked(head: Head) -> bool:
    """Whether the body comes in chunks.

    Raises:
        BadAnswer: It is transferred in a coding that orderctl does not support.
    """
    coding = head.get("Transfer-Encoding").lower()
    if coding not in {"", "identity", "chunked"}:
        raise BadAnswer("the response has a transfer encoding that orderctl does not support")
    return coding == "chunked"


def content_length(head: Head) -> int | None:
    """Return the header Content-Length, None when it is absent. One that is sent twice alike counts once.

    Raises:
        BadAnswer: It is not a number.
    """
    values = {
        headers.number(value.strip()) for line in head.all("Content-Length") for value in line.split(",")
    }
    if None in values or len(values) > 1:
        raise BadAnswer("the response's Content-Length is not a number of bytes")
    return next(iter(values), None)


class Chunks:
    """Reads a body that comes in chunks (RFC 9112, section 7.1).

    Args:
        reader: The connection, behind the head.
        shown: The URL for messages.
    """

    def __init__(self, reader: io.BufferedReader[Any], shown: str) -> None:
        self._reader = reader
        self._shown = shown
        self._left = 0
        self._begun = self._ended = False

    def readinto1(self, view: memoryview) -> int:
        """Read bytes of one chunk into a buffer; return their number, 0 at the end of the body.

        Raises:
            ConnectionBroken: The connection ended before, or something else came than a chunk. A proxy may put an
                error message there when the server behind it breaks off.
            BadAnswer: A line is too long.
        """
        if not (self._left or self._ended):
            self._next()
        if self._ended:
            return 0
        count = self._reader.readinto1(view[: self._left])
        if not count:
            raise self._broken()
        self._left -= count
        return count

    def _next(self) -> None:
        """Go on to the next chunk, or to the end."""
        if self._begun and self._line():
            raise self._broken()
        found = _SIZE.match(self._line())
        if found is None:
            raise self._broken()
        self._left = int(found[1], 16)
        self._begun, self._ended = True, not self._left
        while self._ended and heads.line(self._reader, self._shown).rstrip(b"\r\n"):
            pass  # nothing in the trailers is needed

    def _line(self) -> bytes:
        text = heads.line(self._reader, self._shown)
        if text[-1:] not in {b"\r", b"\n"}:
            raise self._broken()  # the beginning of a size may look like a size
        return text.rstrip(b"\r\n")

    def _broken(self) -> ConnectionBroken:
        return ConnectionBroken(f"the connection ended before the response was complete: {self._shown}")
