"""Reads the head of a response as servers write it, which is often not as RFC 9112 has it.

Lines that are not headers are ignored, and interim responses are skipped. :mod:`http.client` stops at the first odd
line, loses the headers behind it, and takes an interim response other than 100 for the response itself.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from orderctl.downloads.errors import BadAnswer

#: Bytes of the longest line. All lines together are limited by the budget of the connection.
MAX_LINE = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.\d+ +([1-9]\d\d)(?:\s.*)?\Z", re.DOTALL)
#: Characters that would end a line for the next reader; RFC 9110 (5.5) has them replaced.
_BREAKS = re.compile(rb"[\x00\r]+")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a response.

    Attributes:
        status: The HTTP status.
        headers: All values of a header in their order, by its lower-case name. They are decoded as Latin-1: a
            character is a byte.
    """

    status: int
    headers: Mapping[str, Sequence[str]]

    def all(self, name: str) -> Sequence[str]:
        """Return the values of a header."""
        return self.headers.get(name.lower(), ())

    def get(self, name: str) -> str:
        """Return the value of a header, empty when it is absent. One that is sent twice alike counts once."""
        return ", ".join(dict.fromkeys(self.all(name)))


def read(reader: io.BufferedReader[Any], shown: str) -> Head:
    """Read the head of a response, after any interim responses.

    Args:
        reader: The connection.
        shown: The URL for messages.

    Raises:
        BadAnswer: It is not a response of HTTP/1, or too long.
    """
    while True:
        found = _STATUS_LINE.match(line(reader, shown).rstrip(b"\r\n"))
        if found is None:
            raise BadAnswer(f"the response is not valid HTTP (it has no status): {shown}")
        status, headers = int(found[1]), _headers(_unfolded(reader, shown))
        # After 101 another protocol is spoken, which was not asked for.
        if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
            return Head(status, headers)


def line(reader: io.BufferedReader[Any], shown: str) -> bytes:
    """Read a line with its end; it has none where the connection ended within it.

    Raises:
        BadAnswer: It is too long.
    """
    text = reader.readline(MAX_LINE + 1)
    if len(text) > MAX_LINE:
        raise BadAnswer(f"the response is not valid HTTP (it has a line that is too long): {shown}")
    return text


def _unfolded(reader: io.BufferedReader[Any], shown: str) -> list[bytes]:
    """Return the lines up to an empty one; one that begins with a blank belongs to the one before."""
    lines: list[list[bytes]] = []
    while text := line(reader, shown).rstrip(b"\r\n"):
        if text[:1] not in b" \t":
            lines.append([text])
        elif lines:
            lines[-1].append(text.strip())
    return [b" ".join(pieces) for pieces in lines]


def _headers(lines: list[bytes]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in lines:
        name, colon, value = text.partition(b":")
        if colon:
            key = name.strip().lower().decode("latin-1")
            found.setdefault(key, []).append(_BREAKS.sub(b" ", value).strip(b" \t").decode("latin-1"))
    return found
