"""On every database of the gallery, a shop's own order is carried out, watched and audited."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from orderctl.cli.main import run
from orderctl.errors import ExitStatus
from tests.migrate.gallery import Style, rows, shape
from tests.servers.course import CourseServer

WORKER = ("worker", "start", "--burst", "--take", "all", "--concurrency", "1")

Call = Callable[..., object]

#: What reconcile reports of the rows that the shop wrote, by style.
UNKNOWN = {
    "latin1": {"unknown-status"},
    "nullable": {"unknown-status", "orphan"},
    "plain_sqlite": {"unknown-status"},
    "strange_rows": {"unknown-status", "no-tasks", "not-ended", "orphan"},
}


@pytest.fixture
def url(engine: Engine, style: Style, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of the gallery, and settings with its URL."""
    style.load(engine)
    url = engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", url)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    monkeypatch.setenv("ORDERCTL_DOWNLOAD_DIRECTORY", str(tmp_path / "downloads"))
    monkeypatch.setenv("ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS", "1")
    return url


@pytest.fixture
def orderctl(url: str, capsys: pytest.CaptureFixture[str]) -> Call:
    """``orderctl(*arguments, status=0)`` returns the program's output, decoded if it is JSON."""

    def call(*arguments: str, status: int = 0) -> object:
        capsys.readouterr()
        ended = run(arguments)
        out, err = capsys.readouterr()
        assert ended == status, err
        return json.loads(out) if "json" in arguments else out + err

    return call


@pytest.fixture
def work(url: str) -> Callable[[], None]:
    """Run a worker until everything that is due is done."""

    def call() -> None:
        command = [sys.executable, "-m", "orderctl", *WORKER]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=280, check=False, env=os.environ
        )
        assert done.returncode == 0, done.stderr

    return call


@pytest.fixture
def courses() -> Iterator[CourseServer]:
    server = CourseServer().start()
    server.add("/8", 1000)
    yield server
    server.close()


def test_everything_can_be_looked_at(orderctl: Call, engine: Engine, style: Style) -> None:
    order = "1" if style.name == "strange_rows" else "DH000001"  # there two orders have the code
    columns = shape(engine)
    before = rows(engine, columns)
    orderctl("migrate", "up")

    assert json.loads(str(orderctl("orders", "list", "-L", "5", "-o", "jsonl")).partition("\n")[0])
    codes = {order["order_code"] for order in orderctl("orders", "list", "-o", "json")}
    assert {"DH000001", "DH000002"} <= codes
    assert "DH000001" in orderctl("orders", "list", "--paid")
    for arguments in (
        ("orders", "show", order),
        ("orders", "show", order, "--timeline"),
        ("orders", "stats"),
        ("orders", "stats", "--exact"),
        ("tasks", "list"),
        ("tasks", "list", "--failed"),
        ("tasks", "list", "--group-by", "error"),
        ("tasks", "show", "1"),
        ("logs", "show", order),
        ("logs", "errors"),
        ("logs", "errors", "--severity", "debug"),
        ("logs", "summary"),
        ("migrate", "status"),
        ("migrate", "check"),
    ):
        orderctl(*arguments)
        if arguments != ("migrate", "check"):
            orderctl(*arguments, "-o", "json")
    assert rows(engine, columns) == before


def test_order_that_the_shop_took_is_carried_out(
    orderctl: Call, work: Callable[[], None], courses: CourseServer, engine: Engine, style: Style
) -> None:
    orderctl("migrate", "up")
    style.take_order(engine, courses.url)

    orderctl("orders", "pay", "DH000008", "--amount", "250000", "--bank", "ACB", "--transaction", "FT8")
    orderctl("orders", "pay", "DH000008", "--amount", "250000", "--bank", "ACB", "--transaction", "FT8")
    work()

    order = orderctl("orders", "show", "DH000008", "-o", "json")
    assert order["order_status"] == "failed"
    assert [task["status"].lower() for task in order["tasks"]] == ["completed", "failed"]
    failed = order["tasks"][1]["id"]
    assert failed in [task["id"] for task in orderctl("tasks", "list", "--failed", "-o", "json")]

    courses.add("/9", 2000)
    orderctl("tasks", "retry", str(failed), "--take", "--reason", "mended")
    work()

    order = orderctl("orders", "show", "DH000008", "-o", "json")
    assert (order["order_status"], order["payment_status"]) == ("completed", "paid")
    assert [task["status"] for task in order["tasks"]] == ["completed", "completed"]
    events = Counter(event["event_type"] for event in orderctl("logs", "show", "DH000008", "-o", "json"))
    for event, times in (
        ("payment_received", 1),
        ("download_failed", 1),
        ("order_failed", 1),
        ("task_retried", 1),
        ("download_completed", 2),
        ("order_completed", 1),
    ):
        assert events[event] == times, events
    findings = orderctl("reconcile", "--check", "-o", "json", status=1 if style.name in UNKNOWN else 0)
    assert {finding["kind"] for finding in findings} == UNKNOWN.get(style.name, set())


def test_order_can_be_added_unless_the_shop_wants_to_know_more(orderctl: Call, style: Style) -> None:
    orderctl("migrate", "up")
    words = (
        "--code",
        "NEW1",
        "--email",
        "a@example.com",
        "--amount",
        "1000",
        "--course",
        "http://x.example/1",
    )

    if style.name == "sequelize_audit":
        told = orderctl("orders", "add", *words, status=ExitStatus.CONFLICT)
        assert "user_id" in str(told)
        return
    orderctl("orders", "add", *words)

    order = orderctl("orders", "show", "NEW1", "-o", "json")
    assert [event["event_type"] for event in order["events"]] == ["task_created"]


@pytest.mark.styles("sequelize", "plain_sqlite")
def test_pending_task_of_the_shop_is_not_touched_unless_asked_to(
    orderctl: Call, courses: CourseServer, engine: Engine, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    orderctl("migrate", "up")
    style.take_order(engine, courses.url)
    orderctl("orders", "pay", "DH000008", "--amount", "250000", "--transaction", "FT8")

    managed = [sys.executable, "-m", "orderctl", "worker", "start", "--burst"]
    subprocess.run(managed, check=True, capture_output=True, timeout=280)

    assert courses.requests == []
    tasks = orderctl("orders", "show", "DH000008", "-o", "json")["tasks"]
    assert {task["status"].lower() for task in tasks} == {"pending"}
