"""``orderctl worker``."""

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orderctl import broker, channels, publications
from orderctl.messages import TaskProgress
from tests.cli.conftest import Program
from tests.servers.course import CourseServer
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_a_burst_carries_out_what_is_due_and_ends(shop: Shop, course_server: CourseServer, orderctl: Program):
    url = course_server.add_course("/go", {"a.bin": 100_000, "b.bin": 10}, title="Go")
    added = orderctl("orders", "add", "--code", "B1", "--email", "a@b.vn", "--amount", "1", "--course", url)
    paid = orderctl("orders", "pay", "B1", "--amount", "1")
    assert (added.status, paid.status) == (0, 0)

    ended = orderctl("worker", "start", "--burst", env={"ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS": "1"})

    assert ended.status == 0, ended.err
    assert shop.order("B1").order_status == "completed"
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


def test_a_burst_that_leaves_what_was_due_fails_with_the_reason(shop: Shop, orderctl: Program):
    shop.paid("B1")
    assert orderctl("worker", "pause").status == 0

    ended = orderctl("worker", "start", "--burst")

    assert ended.status == 1
    assert "1 task that was due has not been carried out: queue orderctl is paused" in ended.err
    assert "hint: orderctl worker resume --queue orderctl" in ended.err


def test_a_queue_is_paused_and_resumed(shop: Shop, inside: Program):
    assert "is paused" in inside("worker", "pause").err
    assert "is paused" in inside("worker", "list").err
    assert "is running again" in inside("worker", "resume").err
    assert "was not paused" in inside("worker", "resume").err


def test_an_unknown_supervisor_is_not_found(shop: Shop, inside: Program):
    ended = inside("worker", "stop", "nobody", "--yes")

    assert ended.status == 3
    assert "orderctl worker list" in ended.err


def test_stopping_looks_before_it_asks(shop: Shop, redis_url: str, inside: Program):
    assert inside("worker", "stop", "nobody").status == 3
    _start(redis_url, "web1-7")

    asked = inside("worker", "stop", "web1-7.worker-2.13")

    assert asked.status == 2
    assert "Stop supervisor web1-7 with all its workers?" in asked.err


def test_a_supervisor_that_drains_is_not_asked_again(shop: Shop, redis_url: str, inside: Program):
    _start(redis_url, "web1-7", draining=True)

    ended = inside("worker", "stop", "web1-7")

    assert ended.status == 0
    assert ended.err.startswith("Supervisor web1-7 ends already")


def _start(redis_url: str, name: str, **more: Any) -> None:
    """Let there be a supervisor."""
    sign = {
        "name": name, "host": "web1", "pid": 7, "queue": "orderctl", "concurrency": 2, "version": "1", "started": 0
    }  # fmt: skip
    with broker.brisk(redis_url) as client:
        client.set(channels.supervisor(name), json.dumps(sign | more))


def test_each_worker_is_listed_with_what_it_does(shop: Shop, redis_url: str, inside: Program):
    first, second, third, waiting = shop.paid(courses=4, titled=True)
    _start(redis_url, "web1-7", concurrency=3)
    _start(redis_url, "web1-8", draining=True, concurrency=1)
    shop.start(shop.claimed(first, worker="web1-7.worker-2.13"))
    shop.claimed(second, worker="web1-8.worker-1.1")
    shop.claimed(third, worker="web2-9.worker-1.1")
    with broker.brisk(redis_url) as client:
        publications.publish_progress(client, TaskProgress(first, 40.0, "1.mp4", 2e6, 1000, 1, 1), 1, {})

    rows = json.loads(inside("worker", "list", "-o", "json").out)
    shown = inside("worker", "list")

    assert [(row["worker"], row["state"], row["tasks"]) for row in rows] == [
        ("web1-7.worker-1", "idle", []),
        ("web1-7.worker-2", "downloading", [first]),
        ("web1-7.worker-3", "idle", []),
        ("web1-8.worker-1", "draining", [second]),
        ("web2-9.worker-1", "no heartbeat", [third]),
    ]
    busy, lost = rows[1], rows[4]
    assert (busy["name"], busy["alive"], busy["concurrency"], busy["host"]) == ("web1-7", True, 3, "web1")
    assert (busy["order_code"], busy["title"], busy["percent"], busy["speed"]) == ("DH1", "Course 1", 40, 2e6)
    assert busy["since"] is not None
    assert (lost["name"], lost["alive"], lost["host"]) == ("web2-9", False, None)
    assert shown.err == "1 task waits.\n"
    assert waiting


def test_a_worker_that_was_started_again_hides_no_task(shop: Shop, redis_url: str, inside: Program):
    before, now = shop.paid(courses=2)
    _start(redis_url, "web1-7", concurrency=2)
    shop.claimed(before, worker="web1-7.worker-1.2")
    shop.claimed(now, worker="web1-7.worker-1.3")

    rows = json.loads(inside("worker", "list", "-o", "json").out)

    assert [(row["worker"], row["tasks"]) for row in rows] == [
        ("web1-7.worker-1", [before]),
        ("web1-7.worker-1", [now]),
        ("web1-7.worker-2", []),
    ]


def test_no_worker_is_said_with_what_waits(shop: Shop, redis_url: str, inside: Program):
    shop.paid(courses=2)

    listed, document = inside("worker", "list"), inside("worker", "list", "-o", "json")

    assert listed.err == "No worker is running.\n2 tasks wait.\nnext: orderctl worker start\n"
    assert (document.out, document.err) == ("[]\n", "")
    _start(redis_url, "mail-1", queue="mail")
    why = "no worker is running on queue orderctl, only on queue mail"
    assert inside("worker", "list").err == f"2 tasks wait: {why}.\nnext: orderctl worker start\n"
    assert inside("worker", "pause").status == 0
    assert inside("worker", "list").err == (
        "2 tasks wait.\nQueue orderctl is paused.\nnext: orderctl worker resume\n"
    )


def test_a_drained_supervisor_without_tasks_is_a_row(shop: Shop, redis_url: str, inside: Program):
    _start(redis_url, "web1-8", draining=True)

    [row] = json.loads(inside("worker", "list", "-o", "json").out)

    assert (row["worker"], row["state"]) == ("web1-8", "draining")


def test_looking_for_workers_starts_no_server(
    shop: Shop, inside: Program, state_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ORDERCTL_REDIS_URL")
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(state_dir))

    assert inside("worker", "list").status == 0
    assert inside("worker", "stop", "nobody", "--yes").status == 3
    assert not state_dir.exists()


def test_a_dry_run_of_stopping_says_what_would_be_done(shop: Shop, redis_url: str, inside: Program):
    client = broker.brisk(redis_url)
    client.set(channels.supervisor("web1-7"), "{}")

    ended = inside("worker", "stop", "web1-7", "--dry-run")
    unknown = inside("worker", "stop", "web1-8", "--dry-run")

    assert (ended.status, ended.err) == (0, "Would ask supervisor web1-7 to stop; nothing was changed.\n")
    assert unknown.status == 3
    assert not client.exists(channels.stop("web1-7"), channels.stop("web1-8"))
    client.close()


def test_stopping_says_how_to_see_that_it_has_stopped(shop: Shop, redis_url: str, inside: Program):
    client = broker.brisk(redis_url)
    client.set(channels.supervisor("web1-7"), "{}")

    ended = inside("worker", "stop", "web1-7", "--yes")

    assert (ended.status, ended.err) == (0, "Asked supervisor web1-7 to stop.\nnext: orderctl worker list\n")
    assert client.exists(channels.stop("web1-7"))
    client.close()


@pytest.mark.parametrize(("right", "options"), [("blmove", []), ("lmove", ["--burst"])])
def test_a_right_that_redis_denies_is_named_before_a_worker_is_started(
    right: str, options: list[str], shop: Shop, redis_url: str, orderctl: Program
):
    with broker.brisk(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "guest", "on", ">word", "~*", "&*", "+@all", f"-{right}")
        try:
            url = redis_url.replace("redis://", "redis://guest:word@")
            ended = orderctl("worker", "start", *options, "-q", env={"ORDERCTL_REDIS_URL": url})
        finally:
            client.execute_command("ACL", "DELUSER", "guest")

    assert ended.status == 78
    assert ended.err.splitlines() == [
        f"orderctl: Redis denies its user rights that orderctl needs: commands {right.upper()}",
        f"hint: redis-cli -p {redis_url.rpartition(':')[2].partition('/')[0]} ACL SETUSER guest +{right}",
    ]


def test_a_template_of_a_mail_with_an_error_is_found_before_a_worker_starts(
    shop: Shop, orderctl: Program, tmp_path: Path
):
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "order.html").write_text("a\n{% endif %}")

    ended = orderctl("worker", "start", env={"ORDERCTL_MAIL_TEMPLATES": str(folder)})

    assert ended.status == 78
    assert f"setting mail.templates: {folder / 'order.html'}, line 2: Encountered unknown tag" in ended.err


def test_a_supervisor_that_does_not_run_is_answered_with_similar_names(
    shop: Shop, redis_url: str, inside: Program
):
    client = broker.brisk(redis_url)
    sign = json.dumps({"name": "web1-4711-a3f9", "started": 1})
    client.set(broker.key(client, channels.supervisor("web1-4711-a3f9")), sign)

    for typed in ("web1", "web1-4711-a3f8"):
        ended = inside("worker", "stop", typed, "--yes")

        said = f"orderctl: supervisor '{typed}' not found; similar: 'web1-4711-a3f9'"
        assert (ended.status, ended.err.splitlines()[0]) == (3, said)
    assert "similar" not in inside("worker", "stop", "nope", "--yes").err
    client.close()


@pytest.mark.parametrize("workers", ["many", -1, 10**9, [2]])
def test_a_sign_that_no_supervisor_has_written_is_left_out(
    shop: Shop, redis_url: str, inside: Program, workers: object
):
    sign = {"name": "web1-7", "queue": "orderctl", "started": 1, "concurrency": workers}
    with closing(broker.brisk(redis_url)) as client:
        client.set(channels.supervisor("web1-7"), json.dumps(sign))

    ended = inside("worker", "list", "-o", "json")

    assert (ended.status, json.loads(ended.out)) == (0, [])


def test_a_port_that_is_taken_and_a_wrong_file_are_refused_before_anything_starts(
    inside: Program, home: Path, tmp_path: Path
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = inside("worker", "start", "--metrics-port", port)
    wrong = inside("worker", "start", "--metrics-file", str(tmp_path / "orderctl.txt"))

    assert (refused.status, wrong.status) == (78, 78)
    assert refused.err.startswith(f"orderctl: cannot listen on 127.0.0.1 port {port}: ")
    assert wrong.err.endswith("hint: --metrics-file orderctl.txt.prom\n")
    assert not (home / "state" / "orderctl").exists()


@pytest.mark.parametrize(
    "option",
    [("--metrics-port", "0"), ("--metrics-host", "127.0.0.1"), ("--metrics-file", "/nonexistent/x.prom")],
)
def test_a_burst_refuses_metrics_instead_of_ignoring_them(inside, option: tuple[str, str]):
    done = inside("worker", "start", "--burst", *option)

    assert done.status == 2
    assert f"{option[0]} has no effect with --burst" in done.err
