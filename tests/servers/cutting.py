"""A proxy on loopback that cuts connections to a server after some bytes."""

import contextlib
import socket
import threading
from typing import Self

_BLOCK = 64 * 1024


class CuttingProxy:
    """Passes connections on to a server, each only so far.

    Args:
        port: The server's port on this machine.

    Attributes:
        cuts: After how many bytes of the answer each of the next connections is cut; later ones are not.
        passed: How many bytes of the answer each connection got.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self.cuts: list[int] = []
        self.passed: list[int] = []

    def start(self) -> Self:
        """Accept connections."""
        self._threads[0].start()
        return self

    def close(self) -> None:
        """End, and wait for the connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        """The proxy's address without a slash at its end."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        number = len(self.passed)
        self.passed.append(0)
        limit = self.cuts.pop(0) if self.cuts else None
        with contextlib.suppress(OSError), client, socket.create_connection(self._target) as server:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(_BLOCK)
            server.sendall(request)
            while limit is None or self.passed[number] < limit:
                left = _BLOCK if limit is None else min(_BLOCK, limit - self.passed[number])
                piece = server.recv(left)
                if not piece:
                    return
                client.sendall(piece)
                self.passed[number] += len(piece)
