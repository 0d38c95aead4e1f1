"""A correct HTTP server of courses, on loopback, in threads of the test process."""

import hashlib
import json
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import quote, unquote

_BLOCK = 16 * 1024
_PATIENCE = 120.0


@dataclass(frozen=True)
class Request:
    """A request that was answered."""

    path: str
    status: int
    headers: Mapping[str, str]


@dataclass
class Page:
    """The contents of a path."""

    content: bytes
    content_type: str
    etag: str
    status: int = 200
    hold_at: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)


class CourseServer:
    """Serves generated files and manifests, with Range, If-Range, If-None-Match and strong ETags.

    Attributes:
        rate: Bytes per second on each connection, None for no limit; may be changed at any time.
        requests: The answered requests, in order.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._pages: dict[str, Page] = {}
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.course = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self.closing.set()
        for page in self._pages.values():
            page.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The server's address without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def add(self, path: str, content: bytes | int, *, content_type: str = "application/octet-stream") -> str:
        """Add a file at a path; a number is that many random-looking bytes, the same for the same path.

        Returns:
            The file's URL.
        """
        body = random.Random(path).randbytes(content) if isinstance(content, int) else content
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        self._pages[path] = Page(body, content_type, etag)
        return self.url + quote(path)

    def add_course(
        self,
        path: str,
        files: Mapping[str, bytes | int],
        *,
        title: str = "A course",
        sizes: bool = True,
        checksums: bool = True,
    ) -> str:
        """Add files and their manifest under a path.

        Args:
            path: Such as ``/go``: the manifest is ``/go/course.json``, a file ``/go/NAME``.
            files: Content, or number of bytes, by name.
            title: Title of the course.
            sizes: Whether the manifest has the sizes.
            checksums: Whether the manifest has the checksums.

        Returns:
            The manifest's URL.
        """
        entries = []
        for name, content in files.items():
            url = self.add(f"{path}/{name}", content)
            entry: dict[str, object] = {"name": name, "url": url}
            body = self.content(f"{path}/{name}")
            entry |= {"size": len(body)} if sizes else {}
            entry |= {"sha256": hashlib.sha256(body).hexdigest()} if checksums else {}
            entries.append(entry)
        return self.add_manifest(f"{path}/course.json", {"title": title, "files": entries})

    def add_manifest(self, path: str, manifest: object) -> str:
        """Add any JSON at a path and return its URL."""
        return self.add(path, json.dumps(manifest).encode(), content_type="application/json")

    def content(self, path: str) -> bytes:
        """Return the contents of a path."""
        return self._pages[path].content

    def fail(self, path: str, status: int = 404) -> None:
        """Answer a path with an error from now on, whether it exists or not."""
        self._pages.setdefault(path, Page(b"", "text/plain", '""')).status = status

    def repair(self, path: str) -> None:
        """Undo ``fail``."""
        self._pages[path].status = 200

    def hold(self, path: str, at: int = 0) -> Callable[[], None]:
        """Send a number of bytes of a file, then nothing until ``release``.

        Returns:
            A function that waits until a client has received these bytes.
        """
        page = self._pages[path]
        page.released.clear()
        page.reached.clear()
        page.hold_at = at

        def wait() -> None:
            assert page.reached.wait(_PATIENCE), f"nobody came so far: {path}"

        return wait

    def release(self, path: str) -> None:
        """Undo ``hold``, also for requests that are waiting."""
        self._pages[path].hold_at = None
        self._pages[path].released.set()

    def wait_for_requests(self, count: int) -> list[Request]:
        """Wait until there have been this many requests; return all of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, _PATIENCE), self.requests
            return list(self.requests)

    def page(self, path: str) -> Page | None:
        return self._pages.get(path)

    def note(self, request: Request) -> None:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    course: CourseServer

    def handle_error(self, request, client_address) -> None:
        """Ignore a client that disconnects."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        page = self.server.course.page(unquote(self.path.partition("?")[0]))
        if page is None or page.status != 200:
            self._answer(404 if page is None else page.status, {"Content-Length": "0"})
            return
        headers = {"ETag": page.etag, "Accept-Ranges": "bytes", "Content-Type": page.content_type}
        if self.headers.get("If-None-Match") == page.etag:
            self._answer(304, headers)
            return
        start = self._start(page)
        total = len(page.content)
        if start is None:
            self._answer(416, headers | {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self._answer(206 if start else 200, headers | {"Content-Length": str(total - start)})
        self._send(page, start)

    def _start(self, page: Page) -> int | None:
        """Return the first requested byte; None if the file does not have it."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not match or self.headers.get("If-Range", page.etag) != page.etag:
            return 0
        return int(match[1]) if int(match[1]) < len(page.content) else None

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.server.course.note(Request(self.path, status, dict(self.headers.items())))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, page: Page, start: int) -> None:
        course = self.server.course
        at = start
        while at < len(page.content) and not course.closing.is_set():
            end = min(at + _BLOCK, len(page.content))
            if page.hold_at is not None:
                end = min(end, max(page.hold_at, at))
            if end == at:
                page.reached.set()
                page.released.wait()
                continue
            self.wfile.write(page.content[at:end])
            if course.rate:
                course.closing.wait((end - at) / course.rate)
            at = end

    def log_message(self, *args: object) -> None:
        """Log nothing."""
