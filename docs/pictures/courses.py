"""A course server on loopback, whose courses behave in as many ways as those of the world."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_LESSON = 60_000
_SLOW_LESSON = 4_000_000
TITLES = (
    "Đại số tuyến tính", "Figma for engineers", "Tiếng Nhật N3: ngữ pháp và từ vựng", "Python, typed",
    "Nhiếp ảnh chân dung 📷", "Excel cho kế toán", "Kỹ năng thuyết trình trước đám đông trong môi trường doanh nghiệp",
    "Node.js từ số 0", "日本語会話 初級", "SQL thực hành",
)  # fmt: skip
_STATUSES = {"missing": 404, "locked": 401, "busy": 503}


class Courses:
    """The server. ``/KIND/NUMBER/course.json`` is a course; its kind says how it behaves."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def content(path: str, size: int) -> bytes:
    """Return what is in a lesson."""
    block = hashlib.sha256(path.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        _, kind, number, name = self.path.split("/")
        if kind in _STATUSES:
            self.send_response(_STATUSES[kind])
            self.send_header("Content-Length", "0")
            if kind == "busy":
                self.send_header("Retry-After", "900")
            self.end_headers()
        elif name == "course.json":
            self._answer(self._manifest(kind, number), "application/json")
        elif kind == "page":
            self._answer(b"<!doctype html><title>Sign in</title>", "text/html")
        else:
            self._answer(content(self.path, _size(kind)), "video/mp4", is_slow=kind == "slow")

    def _manifest(self, kind: str, number: str) -> bytes:
        files = [
            {
                "name": f"{lesson:02}-lesson.mp4",
                "url": f"{lesson:02}-lesson.mp4",
                "size": _size(kind),
                "sha256": hashlib.sha256(
                    content(f"/{kind}/{number}/{lesson:02}-lesson.mp4", _size(kind))
                ).hexdigest(),
            }
            for lesson in range(1, 4)
        ]
        if kind == "page":
            files = [{"name": "01-lesson.mp4", "url": "01-lesson.mp4"}]
        return json.dumps({"title": TITLES[int(number) % len(TITLES)], "files": files}).encode()

    def _answer(self, body: bytes, kind: str, *, is_slow: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        step = 8192 if is_slow else len(body)
        try:
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                time.sleep(0.1 if is_slow else 0)
        except OSError:  # the worker has ended
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Write no log."""


def _size(kind: str) -> int:
    return _SLOW_LESSON if kind == "slow" else _LESSON
