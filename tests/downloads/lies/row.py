"""A row of the tables: what the server says, and what must come out of the download."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from orderctl.downloads.errors import DownloadError
from tests.servers.scripted import Asked, Script, answer, versioned

#: The course's only file. It is neither text nor of any known type, and 64 KiB long.
BODY = random.Random(1).randbytes(64 * 1024)
SIZE = len(BODY)
HALF = SIZE // 2
ETAG = 'ETag: "1"'


@dataclass(frozen=True)
class Completes:
    """The download completes.

    Attributes:
        name: The file's name; None: as in the URL.
        body: Its content.
        wholly: Whether the last request must have been one for the whole file.
        attempts: Within how many attempts. The failures before are transient.
    """

    name: str | None = None
    body: bytes = BODY
    wholly: bool = False
    attempts: int = 1


@dataclass(frozen=True)
class Fails:
    """The download fails.

    Attributes:
        error: Type of the error, or a subclass of it.
        words: Regular expression for its message.
        transient: Whether it may pass by itself, so that the task is tried again; None: either.
        waits: The least and the most seconds for which the server's word is to wait; None: it says nothing.
    """

    error: type[DownloadError] | tuple[type[DownloadError], ...]
    words: str
    transient: bool | None = False
    waits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Lie:
    """What the server does.

    Attributes:
        first: The answer to a request for the whole file.
        ranged: The answer to a request for the rest, after the connection broke in the middle.
        conditional: The answer to the question whether a finished file has changed.
        ends: What must come out.
        path: Where the file is.
        known: What a manifest says of the file; without a manifest the handler asks the server first.
        hurried: Whether the client is impatient, because the server is slow.
    """

    ends: Completes | Fails
    first: Script | bytes | None = None
    ranged: Script | bytes | None = None
    conditional: Script | bytes | None = None
    path: str = "/a.bin"
    known: Mapping[str, object] = field(default_factory=dict)
    hurried: bool = False

    @property
    def breaks(self) -> int:
        """The number of the request that is cut off in the middle, so that the client asks for the rest."""
        return -1 if self.ranged is None else int(not self.known)

    def script(self, asked: Asked) -> object:
        """Answer a request."""
        if "if-none-match" in asked.headers and self.conditional is not None:
            return _said(self.conditional, asked)
        if "range" in asked.headers and self.ranged is not None:
            return _said(self.ranged, asked)
        if asked.count == self.breaks:
            return versioned(BODY, asked)[:-HALF]
        return honest(asked) if self.first is None else _said(self.first, asked)


def honest(asked: Asked) -> bytes:
    """Answer as a correct server."""
    return versioned(BODY, asked)


def ok(*headers: str, body: bytes = BODY) -> bytes:
    """Return a correct answer with further headers; one that is empty is left out."""
    return answer(body, ETAG, *filter(None, headers))


def rest(
    *headers: str, total: object = SIZE, start: int = HALF, status: str = "206 Partial Content"
) -> bytes:
    """Return the second half with the right range; further headers may contradict."""
    return answer(BODY[start:], f"Content-Range: bytes {start}-{SIZE - 1}/{total}", *headers, status=status)


def raw(*lines: str, body: bytes = BODY, end: str = "\r\n") -> bytes:
    """Return an answer with exactly these lines before the body, in UTF-8."""
    return "".join(f"{line}{end}" for line in (*lines, "")).encode() + body


def _said(said: Script | bytes, asked: Asked) -> object:
    return said if isinstance(said, bytes) else said(asked)
