"""The body of a response, whose first bytes can be looked at before it is read."""

from __future__ import annotations

from orderctl.downloads.errors import ConnectionBroken, TooLarge
from orderctl.downloads.urls import Url

#: Bytes at the beginning of a body that say what it is.
HEAD = 4096
_BUFFER = 64 * 1024


class Body:
    """A stream of bytes from a URL.

    Attributes:
        url: The URL that answered, after all redirects.
        length: Bytes of the body, None when that is not known before its end.
        delimited: Whether a truncated body can be distinguished from a complete one.
        decoded: Whether the bytes are not those that the server sent, but decoded from them.
    """

    decoded = False

    def __init__(self, url: Url, length: int | None, *, delimited: bool) -> None:
        self.url = url
        self.length = length
        self.delimited = delimited
        self._ahead = b""
        self._head: bytes | None = None
        self._broken: ConnectionBroken | None = None

    def head(self) -> bytes:
        """Return the first bytes; they are read again by :meth:`readinto`.

        Where the connection breaks before, it returns what has come.
        """
        if self._head is None:
            buffer = memoryview(bytearray(HEAD))
            have = 0
            try:
                while have < HEAD and (count := self._pull(buffer[have:])):
                    have += count
            except ConnectionBroken as error:
                self._broken = error
            self._head = self._ahead = bytes(buffer[:have])
        return self._head

    @property
    def empty(self) -> bool:
        """Whether it has no bytes at all."""
        return not self.head() and self._broken is None

    def readinto(self, view: memoryview) -> int:
        """Read available bytes into a buffer; return their number, 0 at the end.

        Raises:
            ConnectionBroken: The connection ended before the body did.
        """
        if self._ahead:
            piece = self._ahead[: len(view)]
            view[: len(piece)] = piece
            self._ahead = self._ahead[len(piece) :]
            return len(piece)
        if self._broken is not None:
            raise self._broken
        return self._pull(view)

    def _pull(self, view: memoryview) -> int:
        """Read into a buffer from where the body comes from."""
        raise NotImplementedError

    def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            TooLarge: The body has more bytes than the limit.
        """
        body = bytearray()
        buffer = memoryview(bytearray(_BUFFER))
        while count := self.readinto(buffer):
            body += buffer[:count]
            if len(body) > limit:
                raise TooLarge(f"{self.url.shown} is larger than {limit} bytes")
        return bytes(body)
