"""``orderctl worker``."""

import json
from pathlib import Path

import pytest

from orderctl import broker, channels
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


def test_stopping_asks_first(shop: Shop, inside: Program):
    assert inside("worker", "stop", "nobody").status == 2


def test_supervisors_are_listed_with_their_heartbeat(shop: Shop, redis_url: str, inside: Program):
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
        f"hint: redis-cli ACL SETUSER guest +{right}",
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
