"""Two shops on one Redis server, each with an order 1 and a task 1, told apart by redis.prefix alone."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orderctl import publications
from orderctl.channels import order_status, task_progress
from tests.faults.receivers import Listener
from tests.faults.world import World
from tests.script import SCRIPT
from tests.servers.databases import migrate_up

PREFIX = "shop2:"

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def other(world: World, tmp_path: Path) -> Iterator[World]:
    """Return another shop on the Redis of the first, with a prefix."""
    database = f"sqlite:///{tmp_path / 'other.db'}"
    migrate_up(database)
    listener = Listener(world.redis_url, PREFIX).start()
    more = {"ORDERCTL_REDIS_PREFIX": PREFIX}
    other = replace(world, state=tmp_path, database_url=database, listener=listener, more=more)
    yield other
    other.close()
    listener.close()


def run(shop: World, *arguments: str) -> str:
    done = subprocess.run(
        [str(SCRIPT), *arguments], env=shop.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def statuses(listener: Listener) -> list[str]:
    listener.catch_up()
    return [data["newStatus"] for channel, data in listener.heard if channel == "order:1:status"]


def test_each_shop_carries_out_its_own_orders(world: World, other: World) -> None:
    for shop, code in ((world, "DH1"), (other, "DH2")):
        assert shop.shop.add(code, [shop.course()]) == 1
    run(other, "orders", "pay", "DH2", "--amount", "300000")

    run(other, "worker", "start", "--burst")
    names = {name.decode() for name in world.client.scan_iter("*")}
    run(world, "worker", "start", "--burst")

    assert (world.shop.order("DH1").order_status, other.shop.order("DH2").order_status) == (
        "pending",
        "completed",
    )
    assert (statuses(world.listener), statuses(other.listener)) == ([], ["processing", "completed"])
    assert {f"{PREFIX}task:1:progress", f"{PREFIX}rq:queues"} <= names
    assert {name for name in names if not name.startswith(PREFIX)} == set()


def test_each_shop_pauses_and_stops_its_own_workers(world: World, other: World) -> None:
    run(other, "worker", "pause")

    assert "was not paused" in run(world, "worker", "resume")
    assert "running again" in run(other, "worker", "resume")


def test_live_progress_and_snapshots_are_those_of_the_shop(world: World, other: World) -> None:
    for shop, percent in ((world, 10), (other, 90)):
        shop.shop.paid(courses=1)
        publications.publish(
            shop.client,
            task_progress(1),
            {"taskId": 1, "percent": percent, "currentFile": "", "timestamp": 1},
        )
        publications.publish(
            shop.client, order_status(1), {"orderId": 1, "newStatus": f"s{percent}", "timestamp": 1}
        )

    for shop, percent in ((world, 10), (other, 90)):
        assert publications.snapshots(shop.client, [task_progress(1)])[task_progress(1)]["percent"] == percent
        assert statuses(shop.listener) == [f"s{percent}"]
        tail = subprocess.run(
            [str(SCRIPT), "tail", "pattern", "*", "--timeout", "1s"],
            env=shop.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (tail.returncode, tail.stdout.count("task 1"), f"{percent}.0 %" in tail.stdout) == (
            124,
            1,
            True,
        )


def test_rq_keeps_the_prefix_that_it_was_imported_with(world: World) -> None:
    """The variable of RQ in the environment, which the shop may have set for its own workers, does not matter."""
    task = world.shop.paid(courses=[world.course()])[0]
    environment = world.environment | {"RQ_KEY_PREFIX": "elsewhere"}

    done = subprocess.run([str(SCRIPT), "worker", "start", "--burst"], env=environment, check=False)

    assert done.returncode == 0
    assert world.shop.task(task).status == "completed"
    assert list(world.client.scan_iter("elsewhere*")) == []
    assert os.environ.get("RQ_KEY_PREFIX") is None
