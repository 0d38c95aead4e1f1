"""The temporary shop of ``orderctl demo``: a state folder, a course server on loopback, four orders."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

from orderctl import embedded, environment, processes

_FILE_BYTES: Final = 1_500_000
_BYTES_PER_SECOND: Final = 1_000_000
_CHUNK: Final = 32 * 1024
#: Longest wait for the relay to answer, in seconds.
_RELAY_SECONDS: Final = 30.0
#: Where the relay takes what a bank tells of payments.
WEBHOOK: Final = "/api/payment/webhook"
#: The course that answers 404 until it is repaired.
BROKEN: Final = "statistics"
#: The order that a bank's POST pays.
BY_POST: Final = "DEMO-1"
#: The order with the broken course.
BROKEN_ORDER: Final = "DEMO-3"
#: The orders that commands pay. One of all orders is not paid.
BY_HAND: Final = ("DEMO-2", BROKEN_ORDER)
AMOUNT: Final = 300_000
CUSTOMER: Final = "customer@example.com"
ORDERS: Final[dict[str, tuple[str, ...]]] = {
    BY_POST: ("algebra", "geometry"),
    "DEMO-2": ("chemistry",),
    BROKEN_ORDER: ("biology", BROKEN),
    "DEMO-4": ("history",),
}
#: In the shop's folder: all orders but the first, for ``orders add --json``.
FILE: Final = "orders.json"


class CourseServer:
    """A server for courses of two files each, slow enough to watch the downloads."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _CourseHandler)
        _CourseHandler.broken = {BROKEN}
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def repair(self) -> None:
        """Serve the broken course, too."""
        _CourseHandler.broken = set()

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def _content(path: str) -> bytes:
    block = hashlib.sha256(path.encode()).digest()
    return (block * (_FILE_BYTES // len(block) + 1))[:_FILE_BYTES]


class _CourseHandler(BaseHTTPRequestHandler):
    broken: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        """Answer with the manifest of a course, or with one of its files."""
        _, _, course_file = self.path.partition("/")
        course, _, name = course_file.partition("/")
        if course in self.broken:
            self.send_error(404)
        elif name == "course.json":
            self._answer(json.dumps(self._manifest(course)).encode(), "application/json")
        else:
            self._answer(_content(self.path), "video/mp4")

    def _manifest(self, course: str) -> dict[str, Any]:
        files = []
        for name in ("lesson-1.mp4", "lesson-2.mp4"):
            digest = hashlib.sha256(_content(f"/{course}/{name}")).hexdigest()
            files.append({"name": name, "url": name, "size": _FILE_BYTES, "sha256": digest})
        return {"title": course.capitalize(), "files": files}

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), _CHUNK):
            self.wfile.write(body[start : start + _CHUNK])
            if len(body) > _CHUNK:
                time.sleep(_CHUNK / _BYTES_PER_SECOND)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log, since the terminal belongs to the demo."""


@dataclass
class Shop:
    """The temporary shop. Closing it removes everything that it created."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="orderctl-demo-")))
    courses: CourseServer = field(default_factory=CourseServer)
    _background: list[int] = field(default_factory=list)

    @property
    def overrides(self) -> Mapping[str, str]:
        """The settings of the shop, by environment variable."""
        keys = {
            "state_dir": str(self.folder),
            "database.url": embedded.database_url(self.folder),
            "redis.url": embedded.ensure(self.folder),
            "download.allow_private_hosts": "1",
            "progress.interval_seconds": "0.3",
        }
        return {environment.variable(key): value for key, value in keys.items()}

    def environ(self) -> dict[str, str]:
        """Return the environment for its commands: the settings of the shop, and none of this machine."""
        return environment.clean() | dict(self.overrides)

    def addresses(self, code: str) -> list[str]:
        """Return the URLs of an order's courses."""
        return [f"{self.courses.url}/{course}/course.json" for course in ORDERS[code]]

    def write_orders(self) -> None:
        """Write the file of all orders but the first."""
        _, *others = ORDERS
        documents = [
            {
                "order_code": code,
                "user_email": CUSTOMER,
                "total_amount": AMOUNT,
                "courses": self.addresses(code),
            }
            for code in others
        ]
        (self.folder / FILE).write_text(json.dumps(documents, indent=2), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Return a command line that runs orderctl from this installation."""
        return [sys.executable, "-m", "orderctl", *arguments]

    def start(self, *arguments: str) -> None:
        """Run a command in the background; it ends with this process at the latest.

        Its output goes into a file in the shop's folder, since the terminal belongs to the demo.
        """
        argv, environ, parent = self.command(*arguments), self.environ(), os.getpid()
        log = os.open(self.folder / f"{arguments[0]}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        pid = os.fork()
        if pid == 0:
            try:
                processes.die_with(parent)
                os.setpgid(0, 0)  # Ctrl-C reaches only the demo, which then ends this process in order
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.execve(argv[0], argv, environ)  # noqa: S606
            finally:
                os._exit(127)
        os.close(log)
        self._background.append(pid)

    def post(self, port: int, document: Mapping[str, Any]) -> tuple[int, str]:
        """Tell the relay of a payment, as a bank does; return the status and the body of its answer.

        The relay may have just been started: it is given some time.

        Args:
            port: Of the relay, on loopback.
            document: What a bank sends.

        Raises:
            OSError: The relay does not answer.
        """
        deadline = time.monotonic() + _RELAY_SECONDS
        while True:
            try:
                return _post(port, json.dumps(document))
            except ConnectionRefusedError:
                if time.monotonic() > deadline or not self._runs():
                    raise
            time.sleep(0.1)

    def _runs(self) -> bool:
        """Whether no process of the shop has ended."""
        ended = [pid for pid in self._background if os.waitpid(pid, os.WNOHANG) != (0, 0)]
        self._background = [pid for pid in self._background if pid not in ended]
        return not ended

    def last_words(self, command: str) -> str:
        """Return why a command in the background has ended, as it has written it last; empty if it has not."""
        lines = (self.folder / f"{command}.log").read_text(errors="replace").strip().splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("orderctl: ")]
        return "; ".join(lines[starts[-1] :]) if starts else ""

    def close(self) -> None:
        """End all processes of the shop, and remove its folder."""
        for pid in self._background:
            os.kill(pid, signal.SIGTERM)
        for pid in self._background:
            os.waitpid(pid, 0)
        self._background.clear()
        self.courses.close()
        embedded.stop(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def _post(port: int, body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_RELAY_SECONDS)
    try:
        connection.request("POST", WEBHOOK, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    except http.client.HTTPException as error:
        raise ConnectionError(f"its answer is not valid HTTP: {error!r}") from error
    finally:
        connection.close()
