"""An HTTP server whose answers a test defines byte for byte."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

#: Yielded by a script: the connection ends with a reset (RST), and what was not sent by then is lost.
RESET = b"\0reset\0"
_TLS = b"\x16\x03"  # the first byte of a TLS handshake
#: Yields the bytes to send, in blocks; may wait between them.
Script = Callable[["Asked"], bytes | Iterator[bytes]]


@dataclass(frozen=True)
class Asked:
    """A request that the server received."""

    path: str
    headers: dict[str, str]
    count: int  #: Number of requests before this one.

    @property
    def start(self) -> int:
        """The first byte that the request asks for."""
        match = re.match(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(match[1]) if match else 0


@dataclass
class ScriptedServer:
    """A server on loopback that answers what a script yields.

    Attributes:
        script: Yields the answers; may be replaced at any time.
        asked: All requests.
        gone: Set when the server closes, for scripts that wait.
    """

    script: Script
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Self:
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        return self

    def close(self) -> None:
        self.gone.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.host}:{self._listener.getsockname()[1]}"

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._talk, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                secured = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
                with secured:
                    self._answer(secured)
            except OSError:
                return  # the client has closed the connection

    def _answer(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and not head.startswith(_TLS):
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        request, *lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        asked = Asked(request.partition(" ")[2].split(" ")[0], headers, len(self.asked))
        self.asked.append(asked)
        said = self.script(asked)
        for piece in [said] if isinstance(said, bytes) else said:
            if self.gone.is_set():
                return
            if piece == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            connection.sendall(piece)


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return a well-formed answer; ``length`` is the value of Content-Length."""
    claimed = len(body) if length is None else length
    lines = chain([f"HTTP/1.1 {status}", f"Content-Length: {claimed}"], headers)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def chunked(*chunks: bytes, end: bool = True, headers: str = "") -> bytes:
    """Return a chunked answer; ``cut`` leaves out its end."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode()
    return head + body + (b"0\r\n\r\n" if end else b"")


def versioned(body: bytes, asked: Asked, etag: str = '"1"') -> bytes:
    """Return the answer of a correct server, with the whole file or from the requested byte on."""
    start = asked.start if asked.headers.get("if-range", etag) == etag else 0
    if not start:
        return answer(body, f"ETag: {etag}")
    content_range = f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}"
    return answer(body[start:], f"ETag: {etag}", content_range, status="206 Partial Content")
