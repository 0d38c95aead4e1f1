"""Doorbells on a real Redis."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from rq.serializers import JSONSerializer

from orderctl import broker, doorbell
from orderctl.worker import allowlist
from orderctl.worker.consumer import DownloadJob, GuardedQueue

QUEUE = "orderctl"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    yield (client := broker.brisk(redis_url))
    client.close()


def _queued(client: redis.Redis) -> list[str]:
    return [name.decode() for name in client.lrange("rq:queue:orderctl", 0, -1)]


def _let_patience_end(client: redis.Redis) -> None:
    for key in client.scan_iter(match="orderctl:rung:*"):
        client.delete(key)


def _hold_patience(client: redis.Redis) -> None:
    """Have it last until it is ended: on a busy machine three seconds may pass anywhere."""
    for key in client.scan_iter(match="orderctl:rung:*"):
        client.persist(key)


def test_rings_once_for_each_task(client: redis.Redis) -> None:
    assert doorbell.ring(client, QUEUE, [(1, 0), (2, 0)]) == [1, 2]
    assert doorbell.ring(client, QUEUE, [(1, 0), (2, 0), (3, 0)]) == [3]

    assert _queued(client) == ["task-1-0", "task-2-0", "task-3-0"]


def test_another_attempt_is_another_ring(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])

    assert doorbell.ring(client, QUEUE, [(1, 1)]) == [1]


def test_sends_a_doorbell_again_where_a_dead_worker_left_the_hash(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])
    client.lpop("rq:queue:orderctl")
    _hold_patience(client)

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == []  # a worker took the job a moment ago
    _let_patience_end(client)
    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]

    assert _queued(client) == ["task-1-0"]


def test_another_process_that_rings_at_the_same_moment_is_not_an_error(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])
    client.lpop("rq:queue:orderctl")
    _let_patience_end(client)

    def pass_point(name: str) -> None:
        if name == "doorbell.forgotten":
            client.hset("rq:job:task-1-0", "status", "started")

    monkeypatch.setattr("orderctl.faultpoints.point", pass_point)

    assert doorbell.ring(client, QUEUE, [(1, 0), (2, 0)]) == [2]
    monkeypatch.undo()
    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]


def test_job_that_another_worker_finishes_meanwhile_is_not_set_aside(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that was rung for twice has two workers look at one hash, and the first of them deletes it."""
    doorbell.ring(client, QUEUE, [(1, 0)])
    fetch = DownloadJob.fetch

    def fetch_late(job_id: str, **more: Any) -> Any:
        client.delete(f"rq:job:{job_id}")
        return fetch(job_id, **more)

    monkeypatch.setattr(DownloadJob, "fetch", fetch_late)
    queue = GuardedQueue(QUEUE, connection=client, serializer=JSONSerializer)

    assert GuardedQueue._admit(client, queue, "task-1-0") is None
    assert allowlist.rejected(client) == []


def test_finds_the_tasks_without_a_job(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])

    assert doorbell.without_job(client, QUEUE, [(1, 0), (1, 1), (2, 0)]) == {1, 2}
