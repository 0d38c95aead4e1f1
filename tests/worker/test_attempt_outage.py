"""A course server is down for an hour: every order completes, nobody presses a button. The database's clock is moved."""

import itertools
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orderctl import broker, listing, moments, reconcile
from orderctl.downloads import registry
from orderctl.settings import load
from orderctl.worker import attempt
from orderctl.worker.heartbeat import StopRequest
from tests.servers.course import CourseServer
from tests.shop import Shop

HOUR = 3600.0
SIZE = 1000
CUT, SILENT = 0, -1


@dataclass
class Clock:
    """The database's clock, which a test moves on."""

    ahead: float = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, seconds = Clock(), moments.seconds
    monkeypatch.setattr(moments, "seconds", lambda offset, zone: seconds(offset, zone) + clock.ahead)
    monkeypatch.setattr(moments.utc_now, "is_utc", lambda _self, _dialect: False)
    return clock


class Down(ThreadingHTTPServer):
    """In the place of a course server: while that is down, it refuses each request in another way.

    Attributes:
        goes_to: Where requests are redirected to; None while the course server is down.
    """

    #: What is answered in turn: a status and Retry-After. CUT: nothing. SILENT: nothing, and the connection stays open.
    answers = (
        (503, "20"), (429, "1"), (CUT, ""), (503, ""), (502, ""), (SILENT, ""), (503, "soon"), (429, "-5"),
        (503, "9" * 30),
    )  # fmt: skip
    daemon_threads = True

    def __init__(self, port: int = 0, goes_to: str | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Answer)
        self.goes_to = goes_to
        self.turns = itertools.cycle(self.answers)
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that disconnects."""


class _Answer(BaseHTTPRequestHandler):
    server: Down

    def do_GET(self) -> None:
        status, after = next(self.server.turns)
        if self.server.goes_to:
            status = 302
        if status == SILENT:
            self.server.closing.wait(5)
        if status in {CUT, SILENT}:
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.goes_to + self.path)
        elif after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class Outage:
    """A shop, its worker, and course servers that are down.

    Three courses: the server of the first answers with errors, that of the second refuses connections, and the third
    one's manifest is there, but not its file.
    """

    def __init__(self, shop: Shop, redis_url: str, folder: Path, clock: Clock, courses: CourseServer) -> None:
        self.shop, self.clock, self.courses = shop, clock, courses
        self.settings = load(
            {
                "state_dir": str(folder),
                "redis.url": redis_url,
                "download.allow_private_hosts": "1",
                "download.timeout_seconds": "0.1",
                "worker.max_retry_after": "300",
                "worker.concurrency": "3",
            }
        )
        self.client = broker.hasty(broker.url(self.settings))
        self.tools = attempt.Tools(
            self.settings, shop.engine, "w", registry.load("http"), self.client, StopRequest()
        )
        self.servers = [Down()]
        self.refusing = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self.refusing.getsockname()[1]
        self.refusing.close()

    def add_courses(self) -> list[int]:
        """Add and pay an order for each course; return the ids of the tasks."""
        down = self.servers[0].url
        self.courses.add("/one.bin", SIZE)
        self.courses.add("/two.bin", SIZE)
        self.courses.add("/three.bin", SIZE)
        file = {"name": "three.bin", "url": f"{down}/three.bin", "size": SIZE}
        manifest = self.courses.add_manifest("/three.json", {"title": "Three", "files": [file]})
        urls = [f"{down}/one.bin", f"http://127.0.0.1:{self.port}/two.bin", manifest]
        return [self.shop.paid(f"DH{number}", [url])[0] for number, url in enumerate(urls)]

    def end(self) -> None:
        """The course servers are back."""
        self.servers[0].goes_to = self.courses.url
        self.servers.append(Down(self.port, self.courses.url))

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self.client.close()

    def work(self) -> bool:
        """Run what is due, or move the clock on to the next try; return whether anything is left."""
        due = self.shop.read(lambda c: reconcile.find_due(c, self.settings))
        for task_id, _, _ in due:
            attempt.run(self.tools, task_id)
        waits = [row.available_at for row in self.shop.task_rows() if row.status == "pending"]
        if waits:
            self.clock.ahead += max((min(waits) - self.shop.now()).total_seconds(), 0.0) + 0.001
        return bool(waits)


@pytest.fixture
def outage(
    shop: Shop, redis_url: str, tmp_path: Path, clock: Clock, course_server: CourseServer
) -> Iterator[Outage]:
    yield (outage := Outage(shop, redis_url, tmp_path, clock, course_server))
    outage.close()


@pytest.mark.databases("sqlite", "mysql")
def test_every_order_completes_after_an_hour_and_nobody_pressed_a_button(outage: Outage, shop: Shop) -> None:
    tasks = outage.add_courses()

    while outage.clock.ahead < HOUR:
        assert outage.work()
    stale = shop.read(lambda c: listing.page(c, listing.OrderFilter(stale_seconds=HOUR / 2)))
    assert len(stale.orders) == len(tasks)
    rung = reconcile.ring(shop.engine, outage.client, outage.settings)
    assert {finding.task_id for finding in rung} == {
        task.id for task in map(shop.task, tasks) if task.available_at <= shop.now()
    }
    assert reconcile.check(shop.engine, outage.client, outage.settings) == []
    for task in map(shop.task, tasks):
        assert task.status == "pending"
        assert task.retry_at is not None
        assert (shop.now() - task.failing_since).total_seconds() > HOUR * 0.99
        assert 10 < task.attempt < 100
        assert task.max_attempts - task.attempt == 3
    outage.end()
    while outage.work():
        pass

    assert outage.clock.ahead < HOUR + 350  # the longest pause
    for task in map(shop.task, tasks):
        assert shop.order(task.order_code).order_status == "completed"
        assert (task.status, task.failing_since, task.error_log) == ("completed", None, None)
        told = Counter(event.event_type for event in shop.events(task.order_code))
        assert sum(told.values()) <= 20
        assert told["task_retried"] == 0
        assert (told["enrollment_success"], told["download_started"], told["download_completed"]) == (1, 1, 1)
        assert 4 <= told["download_failed"] <= 12
