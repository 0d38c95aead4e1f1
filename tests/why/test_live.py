"""Whether dashboards see an order live: relays, and the last messages of tasks that run."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from orderctl import channels, database, publications, relay_signs
from orderctl.errors import RedisUnavailable
from orderctl.messages import TaskProgress
from orderctl.relay_signs import RelaySign
from orderctl.schema import order_audit_logs
from orderctl.why.chain import Link, State
from tests.faults.world import World
from tests.why.asking import ask, step

pytestmark = pytest.mark.databases("sqlite")

NOW = datetime.now(UTC)
SIGN = RelaySign("host-1", "host", 1, "0.0.0.0", 3001, "1", 5, 7, secure=True, started=NOW, seen=NOW)


def _announce(world: World) -> None:
    for command in relay_signs.announcement(str, SIGN, first=False):
        world.client.execute_command(*command)


def _running(world: World) -> int:
    """A task that is downloading for a minute."""
    [task] = world.shop.paid("DH1")
    world.shop.start(world.shop.claimed(task))
    log = order_audit_logs.c
    world.shop.transact(
        lambda c: c.execute(update(order_audit_logs).values({log.created_at: database.utc_now(-60)}))
    )
    return task


def _say(world: World, task: int, *, attempt: int = 1, age: float = 0) -> None:
    message = TaskProgress(task, 42, "01.mp4", 1e6, int((time.time() - age) * 1000), attempt, 7)
    publications.publish(world.client, channels.task_progress(task), message.data())


def test_no_relay_is_no_fault(world: World) -> None:
    world.shop.paid("DH1")
    answer = step(ask(world), Link.RELAY)
    assert (answer.state, answer.text) == (State.HOLDS, "no relay is running; a relay is optional")


def test_a_relay_runs_and_one_that_has_died_is_named(world: World) -> None:
    world.shop.paid("DH1")
    _announce(world)
    assert step(ask(world), Link.RELAY).text == "1 relay running, 5 connections"
    world.client.delete(channels.relay_sign(SIGN.name))
    answer = step(ask(world), Link.RELAY)
    assert (answer.state, answer.cause, answer.repair) == (State.BROKEN, "relay-lost", "orderctl relay start")
    assert "host-1" in answer.evidence[0]
    for command in relay_signs.retirement(str, SIGN.name):
        world.client.execute_command(*command)
    assert step(ask(world), Link.RELAY).state is State.HOLDS


def test_a_relay_without_redis(world: World) -> None:
    world.shop.paid("DH1")
    world.__dict__["client"] = RedisUnavailable("Redis does not answer")
    answer = step(ask(world), Link.RELAY)
    del world.__dict__["client"]
    assert (answer.state, answer.cause) == (State.UNKNOWN, "relay-without-redis")


def test_a_task_that_runs_tells_nothing(world: World) -> None:
    task = _running(world)
    answer = step(ask(world), Link.RELAY)
    assert (answer.state, answer.cause) == (State.BROKEN, "no-progress")
    assert answer.evidence == (f"task:{task}:progress: no message; attempt 1 on worker",)
    _say(world, task, attempt=0)
    assert "is of attempt 0" in step(ask(world), Link.RELAY).evidence[0]
    _say(world, task)
    assert step(ask(world), Link.RELAY).state is State.HOLDS
    _say(world, task, age=600)
    silent = step(ask(world), Link.RELAY)
    assert (silent.state, silent.cause) == (State.WAITS, "silent")


def test_a_download_that_has_just_begun_is_no_fault(world: World) -> None:
    [task] = world.shop.paid("DH1")
    world.shop.start(world.shop.claimed(task))
    assert step(ask(world), Link.RELAY).state is State.HOLDS
