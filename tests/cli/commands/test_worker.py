"""``orderctl worker``, ``reconcile``, ``embedded`` and ``demo``."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import pytest

from orderctl import broker, channels
from tests.cli.conftest import Program
from tests.cli.shop import Shop
from tests.servers.course import CourseServer
from tests.servers.strict import DEVELOPMENT, complaints

pytestmark = pytest.mark.databases("sqlite")


def test_check_tells_what_is_wrong_and_changes_nothing(shop: Shop, redis_url: str, inside: Program):
    shop.order("DH1", courses=1)

    first = inside("reconcile", "--check", "-o", "json")
    second = inside("reconcile", "--check", "-o", "json")

    assert first == second
    assert first.status == 1
    [finding] = json.loads(first.out)
    assert (finding["kind"], finding["task_id"], finding["mended"]) == ("not-rung", 1, False)
    client = broker.brisk(redis_url)
    assert list(client.scan_iter("rq:*")) == []
    client.close()


def test_reconcile_mends_and_then_finds_nothing(shop: Shop, inside: Program):
    shop.order("DH1", courses=1)

    first = inside("reconcile", "-o", "json")
    second = inside("reconcile", "-o", "json")

    assert first.status == second.status == 0
    assert [finding["mended"] for finding in json.loads(first.out)] == [True]
    assert json.loads(second.out) == []
    assert inside("reconcile", "--check").status == 0


def test_quiet_reconcile_says_nothing_when_all_is_well(shop: Shop, inside: Program):
    ended = inside("reconcile", "--quiet")

    assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_a_paid_order_without_tasks_is_told(shop: Shop, inside: Program):
    shop.order("DH1", courses=1, paid=True)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM order_audit_logs")
        connection.exec_driver_sql("DELETE FROM download_tasks")

    ended = inside("reconcile", "--fix", "-o", "json")

    assert ended.status == 1
    assert [finding["kind"] for finding in json.loads(ended.out)] == ["no-tasks"]


def test_fix_and_check_exclude_each_other(inside: Program):
    assert inside("reconcile", "--fix", "--check").status == 2


def test_a_burst_carries_out_what_is_due_and_ends(shop: Shop, course_server: CourseServer, orderctl: Program):
    url = course_server.add_course("/go", {"a.bin": 100_000, "b.bin": 10}, title="Go")
    added = orderctl("orders", "add", "--code", "B1", "--email", "a@b.vn", "--amount", "1", "--course", url)
    paid = orderctl("orders", "pay", "B1", "--amount", "1")
    assert (added.status, paid.status) == (0, 0)

    ended = orderctl("worker", "start", "--burst", env={"ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS": "1"})

    assert ended.status == 0, ended.err
    assert shop.find("B1").order_status == "completed"
    kinds = [event.event_type for event in shop.events("B1")]
    assert sorted(kinds) == sorted(
        [
            "task_created",
            "payment_received",
            "enrollment_success",
            "download_started",
            "download_completed",
            "order_completed",
        ]
    )


def test_a_queue_is_paused_and_resumed(shop: Shop, inside: Program):
    assert "is paused" in inside("worker", "pause").err
    assert "is paused" in inside("worker", "list").err
    assert "is running again" in inside("worker", "resume").err
    assert "was not paused" in inside("worker", "resume").err


def test_a_supervisor_that_nobody_knows_is_not_found(shop: Shop, inside: Program):
    ended = inside("worker", "stop", "nobody", "--yes")

    assert ended.status == 3
    assert "orderctl worker list" in ended.err


def test_stopping_asks_first(shop: Shop, inside: Program):
    assert inside("worker", "stop", "nobody").status == 2


def test_supervisors_are_listed_with_what_they_said(shop: Shop, redis_url: str, inside: Program):
    client = broker.brisk(redis_url)
    sign = {
        "name": "web1-7",
        "host": "web1",
        "pid": 7,
        "queue": "q",
        "concurrency": 2,
        "version": "1",
        "started": 0,
    }
    client.set(channels.supervisor("web1-7"), json.dumps(sign))
    client.close()

    [row] = json.loads(inside("worker", "list", "-o", "json").out)

    assert (row["name"], row["alive"], row["concurrency"], row["tasks"]) == ("web1-7", True, 2, [])


def test_the_embedded_redis_is_told_of_and_stopped(inside: Program, orderctl: Program):
    assert inside("embedded", "status").status == 1
    assert orderctl("migrate", "up", "-q").status == 0
    assert orderctl("worker", "resume").status == 0
    assert inside("embedded", "status").status == 0
    assert "stopped" in inside("embedded", "stop").err
    assert inside("embedded", "status").status == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "relay start --host 0.0.0.0", "relay start --port nonsense", "relay probe",
        "worker start", "worker start --burst", "worker start --handler nonsense", "worker list",
        "reconcile", "reconcile --fix", "reconcile --check", "reconcile --fix --check",
        "tail task 1", "tail order X", "tail pattern nonsense", "orders pay X --amount 1", "orders wait X",
        "orders show X", "orders list --paid", "tasks list", "tasks retry 1", "tasks cancel 1", "logs show X -f",
    ],
)  # fmt: skip
def test_a_command_that_is_refused_starts_no_embedded_redis(inside: Program, home: Path, arguments: str):
    """The database is not migrated, or the command would not do without one."""
    assert inside(*arguments.split()).status in {2, 69, 78}

    assert not (home / "state" / "orderctl" / "redis").exists()


@pytest.mark.timeout(180)
def test_the_demo_shows_the_whole_job_and_leaves_nothing(orderctl: Program, home: Path, monkeypatch):
    (place := home / "t").mkdir()  # short, for the path of a socket
    monkeypatch.setenv("TMPDIR", str(place))
    for name, value in DEVELOPMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql://nobody@127.0.0.1:1/production")

    with ThreadPoolExecutor(1) as running:
        demo = running.submit(orderctl, "demo")
        logs = [opened_when_there(place, name) for name in ("worker.log", "relay.log")]
        ended = demo.result()

    assert ended.status == 0, ended.err
    for log in logs:
        with log:
            assert complaints(log.read()) == []
    assert len({line for line in ended.out.splitlines() if " %  lesson-" in line}) > 3  # it moves
    assert "UNKNOWN: HTTP 404" in ended.out
    assert "task_retried" in ended.out
    assert "order_completed" in ended.out
    assert list(place.iterdir()) == []
    assert not any(str(place).encode() in _environ(path) for path in Path("/proc").glob("[0-9]*/environ"))


def opened_when_there(place: Path, name: str) -> TextIO:
    """A file of the demo's folder, which can be read when it has been removed."""
    for _ in range(600):
        if found := list(place.glob(f"*/{name}")):
            return found[0].open()
        time.sleep(0.1)
    raise AssertionError(f"there is no {name}")


def _environ(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended since
        return b""
