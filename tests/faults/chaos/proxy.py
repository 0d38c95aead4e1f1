"""A TCP proxy that delays, cuts connections after a number of bytes, or swallows a server's answers."""

import contextlib
import socket
import threading
import time
from typing import Self

_BLOCK = 65536


class Proxy:
    """Passes data between clients and a server on loopback; does nothing else until a test sets it.

    Attributes:
        delay: Delay of each block in seconds, in both directions.
        swallow: Whether the server's answers are dropped.
        cut_after: Number of further bytes, in either direction, after which connections are cut; None: never.
    """

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.swallow = False
        self.cut_after: int | None = None
        self._target = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return self._server.getsockname()[1]

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        self._thread.join()

    def be_honest(self) -> None:
        """Reset all settings, and cut connections that have lost bytes, because they are unusable."""
        swallowed = self.swallow
        self.delay, self.swallow, self.cut_after = 0.0, False, None
        if swallowed:
            self.cut()

    def cut(self) -> None:
        """Cut every connection at once."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                return  # the same effect as a refused connection
            server.settimeout(None)
            with server:
                with self._lock:
                    self._open |= {client, server}
                back = threading.Thread(target=self._pump, args=(server, client, True), daemon=True)
                back.start()
                self._pump(client, server, False)
                back.join()
                with self._lock:
                    self._open -= {client, server}

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_BLOCK):
                if self.delay:
                    time.sleep(self.delay)
                if answers and self.swallow:
                    continue
                target.sendall(self._cut_to(data))
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _cut_to(self, data: bytes) -> bytes:
        if self.cut_after is None:
            return data
        allowed = data[: self.cut_after]
        self.cut_after -= len(allowed)
        if self.cut_after <= 0:
            self.cut_after = None
            threading.Timer(0.01, self.cut).start()
        return allowed
