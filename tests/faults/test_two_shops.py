"""Two shops on one Redis server, each with an order 1 and a task 1, told apart by redis.prefix alone."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orderctl import publications
from orderctl.channels import PATTERNS, order_status, task_progress
from orderctl.messages import TaskProgress
from orderctl.worker import fleet
from tests.faults.receivers import Listener
from tests.faults.world import World
from tests.relay.conftest import Answer, RunningRelay, SocketIo, play
from tests.script import SCRIPT
from tests.servers.databases import migrate_up

PREFIX = "shop2:"

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def other(world: World, tmp_path: Path) -> Iterator[World]:
    """Return another shop on the Redis of the first, with a prefix. Its account may use no other name."""
    database = f"sqlite:///{tmp_path / 'other.db'}"
    migrate_up(database)
    channels = [f"{PREFIX}{pattern}" for pattern in PATTERNS]
    rights = {"keys": [f"{PREFIX}*"], "channels": channels, "commands": ["+@all"]}
    world.client.acl_setuser("shop2", enabled=True, passwords=["+pw"], **rights)
    redis_url = world.redis_url.replace("//", "//shop2:pw@")
    listener = Listener(redis_url, PREFIX).start()
    more = {"ORDERCTL_REDIS_PREFIX": PREFIX}
    other = replace(
        world, state=tmp_path, database_url=database, redis_url=redis_url, listener=listener, more=more
    )
    yield other
    other.close()
    listener.close()
    world.client.acl_deluser("shop2")


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


def test_each_shop_pauses_its_own_workers(world: World, other: World) -> None:
    run(other, "worker", "pause")

    assert [fleet.is_paused(shop.client, "orderctl") for shop in (world, other)] == [False, True]


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
            [str(SCRIPT), "tail", "pattern", "*", "--history", "--timeout", "1s"],
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


def test_the_relay_and_the_commands_use_no_name_without_the_prefix(other: World) -> None:
    """Redis refuses every other name, so whatever a part of the program forgets fails here."""
    other.shop.paid(courses=[other.course()])
    settings = {
        name.removeprefix("ORDERCTL_"): text
        for name, text in other.environment.items()
        if "ORDERCTL_" in name
    }
    relay = RunningRelay(other.redis_url, "--allow-actions", **settings).start()
    try:
        play(use(relay, other))
        assert relay.stop() == 0
    finally:
        said = relay.close()
    for command in ("worker list", "reconcile"):
        said += run(other, *command.split())
    assert "NOPERM" not in said


def act(relay: RunningRelay) -> Answer:
    return relay.ask("/api/admin/tasks/1/cancel", "POST", X_Orderctl_Action="1")


async def use(relay: RunningRelay, shop: World) -> None:
    """Subscribe, hear a message, come back after a reconnect, and read the API."""
    client = await SocketIo.connect(relay)
    await client.subscribe(task=1)
    shop.shop.start(shop.shop.claimed(1))
    publications.publish_progress(shop.client, TaskProgress(1, 40.0, "a.mp4", None, 1, 1, 1), 1, {})
    assert (await client.hear())[1]["data"]["percent"] == 40
    await client.socket.close()
    again = await SocketIo.connect(relay, {"pid": client.session["pid"]})
    assert again.session["pid"] == client.session["pid"]
    assert (await again.hear())[1]["data"]["percent"] == 40
    [order] = (await asyncio.to_thread(relay.ask, "/api/admin/orders/paid")).json["data"]
    assert order["tasks"][0]["currentProgress"] == 40
    assert (await asyncio.to_thread(act, relay)).status == 200
