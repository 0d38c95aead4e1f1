"""Orders through the whole pipeline: real supervisors, real servers."""

import subprocess
from collections import Counter

import pytest

from orderctl import order_stats
from orderctl.states import ErrorType
from tests.faults.world import SIZE, World
from tests.script import SCRIPT
from tests.servers.process import free_port
from tests.waiting import eventually


@pytest.mark.databases("sqlite", "mysql")  # the storm of test_chaos runs on MariaDB
def test_ten_orders_of_three_tasks_with_four_workers(world: World) -> None:
    courses = [world.course(f"/course{number}") for number in range(3)]
    codes = [f"DH{number}" for number in range(10)]
    for code in codes:
        world.shop.add(code, courses)

    with world.supervisor("--concurrency", "4"):
        for code in codes:
            world.shop.pay(code)
        eventually(world.settled, "the end of all orders")

    world.assert_well(mails=10, completions=10)
    each = {
        "task_created": 3,
        "payment_received": 1,
        "enrollment_success": 3,
        "download_started": 3,
        "download_completed": 3,
        "order_completed": 1,
        "email_sent": 1,
    }
    for code in codes:
        order = world.shop.order(code)
        assert order.order_status == "completed"
        assert Counter(event.event_type for event in world.shop.events(order.id)) == each
        for task in world.shop.tasks(order.id):
            assert (task.status, task.attempt) == ("completed", 1)
            assert [
                event.event_type for event in world.shop.events(order.id) if event.task_id == task.id
            ] == [
                "task_created",
                "enrollment_success",
                "download_started",
                "download_completed",
            ]
    stats = world.shop.read(lambda c: order_stats.count(c, exact=True))
    assert (stats.orders["completed"], sum(stats.orders.values())) == (10, 10)
    assert (stats.tasks["completed"], sum(stats.tasks.values())) == (30, 30)
    assert Counter(body["event"] for _, body in world.receiver.posts) == {"order_completed": 10}


def _wrong_checksum(world: World) -> str:
    url = world.courses.add("/wrong/lesson.bin", SIZE)
    file = {"name": "lesson.bin", "url": url, "size": SIZE, "sha256": "0" * 64}
    return world.courses.add_manifest("/wrong/course.json", {"title": "Wrong", "files": [file]})


@pytest.mark.databases("sqlite", "mysql")
def test_each_failure_is_reported_everywhere_with_its_type(world: World) -> None:
    urls = {
        world.courses.url + "/missing": ("NOT_FOUND", "404"),
        f"http://127.0.0.1:{free_port()}/course": ("NETWORK", "onnect"),
        _wrong_checksum(world): ("CHECKSUM", "SHA-256"),
    }
    task_ids = world.shop.paid("DH1", list(urls), max_attempts=1)

    with world.supervisor("--concurrency", "2", ORDERCTL_WORKER_GIVE_UP_AFTER="0"):
        eventually(world.settled, "the order's end")
    world.listener.catch_up()

    order = world.shop.order("DH1")
    assert (order.order_status, order.failed_tasks) == ("failed", 3)
    for task_id, (error_type, words) in zip(task_ids, urls.values(), strict=True):
        task = world.shop.task(task_id)
        assert (task.status, task.error_type) == ("failed", error_type)
        assert words in task.error_log
        [event] = [
            event
            for event in world.shop.events(order.id)
            if (event.task_id, event.event_type) == (task_id, "download_failed")
        ]
        assert (event.severity, event.new_status) == ("error", "failed")
        assert event.details["error_type"] == ErrorType(error_type).contract
        assert event.details["error_kind"] == error_type
        assert words in event.details["error_message"]
        assert event.details["fingerprint"] == task.error_fingerprint
        heard = [data for channel, data in world.listener.heard if channel == f"task:{task_id}:status"]
        assert (heard[-1]["newStatus"], heard[-1]["errorKind"]) == ("failed", error_type)
        assert words in heard[-1]["error"]
        live = [data for channel, data in world.listener.heard if channel == f"task:{task_id}:progress"]
        assert live[-1]["percent"] == 0
        assert live[-1]["currentFile"].startswith("Failed: ")
    told = Counter(body["event"] for _, body in world.receiver.posts)
    assert told == {"task_failed": 3, "order_failed": 1}
    world.assert_well()


@pytest.mark.databases("sqlite", "mariadb")
def test_retry_after_a_repair_completes_the_order_once(world: World) -> None:
    good, lost = world.course("/good"), world.course("/lost")
    world.courses.fail("/lost/lesson.bin", 404)
    _, failed = world.shop.paid("DH1", [good, lost], max_attempts=1)

    with world.supervisor("--concurrency", "2"):
        eventually(world.settled, "the order's first end")
        assert world.shop.order("DH1").order_status == "failed"
        world.courses.repair("/lost/lesson.bin")
        subprocess.run(
            [str(SCRIPT), "tasks", "retry", str(failed)],
            env=world.environment,
            check=True,
            capture_output=True,
        )
        eventually(lambda: world.shop.order("DH1").order_status == "completed", "the order's second end")
        eventually(world.settled, "the last mail")

    order = world.shop.order("DH1")
    assert (order.order_status, order.round) == ("completed", 1)
    counts = Counter(event.event_type for event in world.shop.events(order.id))
    assert (counts["order_failed"], counts["order_completed"]) == (1, 1)
    assert (counts["download_failed"], counts["download_completed"]) == (1, 2)
    assert world.shop.task(failed).attempt == 2
    world.assert_well(mails=2, completions=2)


@pytest.mark.databases("sqlite")
def test_task_of_the_shop_is_left_alone_unless_all_are_taken(world: World) -> None:
    [ours] = world.shop.paid("DH1", [world.course("/ours")])
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO orders (order_code, user_email, payment_status) VALUES ('DH2', 'a@b.c', 'paid')"
        )
        connection.exec_driver_sql(
            f"INSERT INTO download_tasks (order_id, course_url) VALUES (2, '{world.course('/theirs')}')"
        )

    assert world.play("supervisor").returncode == 0
    theirs = world.shop.tasks(2)[0]
    assert (world.shop.task(ours).status, theirs.status, theirs.attempt) == ("completed", "pending", 0)

    assert world.play("supervisor", ORDERCTL_WORKER_TAKE="all").returncode == 0
    assert world.shop.tasks(2)[0].status == "completed"
    assert world.shop.order("DH2").order_status == "completed"
