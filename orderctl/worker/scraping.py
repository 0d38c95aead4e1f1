"""Gives the text of the metrics to Prometheus, by HTTP or in a file; a slow client costs a thread for some seconds.

When all threads are taken, the client that has said nothing complete for the longest time makes room for a new one.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final

from orderctl.errors import Misconfigured

#: How long a client may take in all, in seconds.
_PATIENCE: Final = 5.0
#: Longest request of a client that is known to be complete before it is read, in bytes.
_LONGEST_REQUEST: Final = 4096
#: Clients at once; Prometheus is one.
_MOST: Final = 16
#: How long a new client may wait until an older one has its answer, or has been cut, in seconds.
_ROOM_SECONDS: Final = 1.0
#: Of the format: an exposition of Prometheus' text format.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: node_exporter reads files with this ending only.
SUFFIX: Final = ".prom"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The address.
        port: The port; 0: any free one.

    Raises:
        Misconfigured: It cannot listen there: the port is taken, for example.
    """
    try:
        [family, *_], *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server((host, port), family=family, backlog=_MOST)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", "it is not a name")
        raise Misconfigured(
            f"cannot listen on {host} port {port}: {reason}",
            hint="see the settings worker.metrics_host and worker.metrics_port",
        ) from None


def check_file(path: Path) -> None:
    """Check that a file for node_exporter can be written.

    Args:
        path: The file.

    Raises:
        Misconfigured: Its name does not end in ``.prom``, or none can be created beside it.
    """
    if path.suffix != SUFFIX:
        raise Misconfigured(
            f"setting worker.metrics_file: {path} does not end in {SUFFIX}, so node_exporter would not read it",
            hint=f"--metrics-file {path.name}{SUFFIX}",
        )
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    beside = _beside(path)
    try:
        beside.write_bytes(b"")
        beside.unlink()
    except OSError as error:
        raise _unwritable(path, os.strerror(error.errno or 0)) from None


def _unwritable(path: Path, reason: str) -> Misconfigured:
    return Misconfigured(
        f"setting worker.metrics_file: cannot write {path}: {reason}",
        hint=f"it takes a folder {path.parent} in which this user may create files",
    )


def _beside(path: Path) -> Path:
    """Return the file that becomes this one; node_exporter does not read it."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def write(path: Path, text: bytes) -> None:
    """Put a text into a file at once: who reads it sees the old one or the new one.

    Args:
        path: The file.
        text: The text.

    Raises:
        OSError: It cannot be written.
    """
    beside = _beside(path)
    try:
        beside.write_bytes(text)
        beside.chmod(0o644)  # node_exporter has a user of its own
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def serve(listener: socket.socket, text: Callable[[], bytes]) -> None:
    """Answer clients from threads, until the process ends or the socket is closed.

    Args:
        listener: Of :func:`listen`.
        text: Returns the text, from any thread.
    """
    server = _Server(listener, text)
    threading.Thread(target=server.serve_until_closed, name="metrics", daemon=True).start()


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, text: Callable[[], bytes]) -> None:
        super().__init__(("", 0), _Answer, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.text = text
        self._idle: dict[socket.socket, None] = {}  # the connections without a complete request, oldest first
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_MOST)

    def serve_until_closed(self) -> None:
        with suppress(EOFError):
            self.serve_forever()

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError:
            if self.socket.fileno() < 0:
                raise EOFError from None  # the socket is closed
            time.sleep(_ROOM_SECONDS)  # no file is left, for example: it is not asked for again and again
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self._make_room()
            if not self._free.acquire(timeout=_ROOM_SECONDS):
                self.shutdown_request(request)
                return
        with self._lock:
            self._idle[request] = None
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.note_complete(request)
            self._free.release()

    def note_complete(self, request: socket.socket) -> None:
        """Note that a connection has a request that is answered first, or that it has ended."""
        with self._lock:
            self._idle.pop(request, None)

    def _make_room(self) -> None:
        """End the oldest idle connection; one whose request has just arrived is not idle."""
        with self._lock:
            oldest = next((one for one in self._idle if not _has_spoken(one)), None)
            if oldest is not None:
                del self._idle[oldest]
                _cut(oldest)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client has gone."""


class _Answer(BaseHTTPRequestHandler):
    server: _Server
    server_version = "orderctl"
    sys_version = ""
    timeout = _PATIENCE

    def setup(self) -> None:
        super().setup()
        self._end = threading.Timer(_PATIENCE, _cut, [self.connection])
        self._end.daemon = True
        self._end.start()

    def finish(self) -> None:
        self._end.cancel()
        super().finish()

    def do_GET(self) -> None:
        self.server.note_complete(self.connection)
        known = self.path.partition("?")[0] in {"/", "/metrics"}
        body = self.server.text() if known else b"the metrics are at /metrics\n"
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", CONTENT_TYPE if known else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: Prometheus comes every few seconds."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _has_spoken(connection: socket.socket) -> bool:
    """Whether the end of a request waits to be read."""
    try:
        with connection.dup() as same:  # its thread reads from the other one, with a timeout
            same.setblocking(False)
            return b"\r\n\r\n" in same.recv(_LONGEST_REQUEST, socket.MSG_PEEK)
    except OSError:  # nothing waits
        return False
