"""The function that RQ calls: jobs of an earlier version, and outages of the database."""

from typing import Any

import pytest

from tests.faults.world import World

#: The key ``rq:job:task-1-0`` as version 0.1 wrote it to Redis for task 1, byte by byte.
QUEUED: dict[Any, Any] = {
    b"created_at": b"2026-11-26T10:46:43.023175Z",
    b"data": b"x\x9c\x8bV\xca/JI-J.\xc9\xd1\xcb\xcaO*\xd6+*\xcd\x8b/I,\xceV\xd2Q\xc8+\xcd\xc9\xd1Q\x886\x8c\xd5Q"
    b"\xa8\xae\x8d\x05\x009\x0f\x0eM",
    b"success_callback_name": b"",
    b"failure_callback_name": b"",
    b"stopped_callback_name": b"",
    b"started_at": b"",
    b"ended_at": b"",
    b"last_heartbeat": b"",
    b"worker_name": b"",
    b"group_id": b"",
    b"origin": b"downloads",
    b"description": b"orderctl.jobs.run_task(1)",
    b"enqueued_at": b"2026-11-26T10:46:43.023752Z",
    b"timeout": b"-1",
    b"result_ttl": b"0",
    b"failure_ttl": b"0",
    b"status": b"queued",
}


def test_job_that_an_earlier_version_queued_is_carried_out(world: World) -> None:
    [task] = world.shop.paid("DH1", [world.course()])
    assert task == 1
    world.client.hset("rq:job:task-1-0", mapping=QUEUED)
    world.client.rpush("rq:queue:orderctl", "task-1-0")

    world.play("worker", 1)

    assert world.shop.task(task).status == "completed"
    assert not world.client.exists("orderctl:rejected")


@pytest.mark.databases("sqlite")
def test_an_outage_that_outlasts_a_claim_is_no_failure_of_the_job(world: World) -> None:
    """RQ would log the job's traceback. A keeper wakes a worker again."""
    world.database_url = "mysql+pymysql://shop@127.0.0.1:1/shop"

    done = world.play("horse", 1, ORDERCTL_WORKER_LEASE_SECONDS="1")

    assert done.returncode == 0
    first, last = done.stderr.splitlines()
    assert "waiting: the database does not answer" in first
    assert "task 1: a keeper and a courier do what is left" in last
