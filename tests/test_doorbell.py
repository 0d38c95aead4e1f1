"""Doorbells on a real Redis."""

from collections.abc import Iterator

import pytest
import redis

from orderctl import broker, doorbell

QUEUE = "downloads"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    yield (client := broker.brisk(redis_url))
    client.close()


def _queued(client: redis.Redis) -> list[str]:
    return [name.decode() for name in client.lrange("rq:queue:downloads", 0, -1)]


def _let_patience_end(client: redis.Redis) -> None:
    for key in client.scan_iter(match="orderctl:rung:*"):
        client.delete(key)


def test_rings_once_for_each_task(client: redis.Redis) -> None:
    assert doorbell.ring(client, QUEUE, [(1, 0), (2, 0)]) == [1, 2]
    assert doorbell.ring(client, QUEUE, [(1, 0), (2, 0), (3, 0)]) == [3]

    assert _queued(client) == ["task-1-0", "task-2-0", "task-3-0"]


def test_another_attempt_is_another_ring(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])

    assert doorbell.ring(client, QUEUE, [(1, 1)]) == [1]


def test_rings_again_where_a_dead_worker_left_the_hash(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])
    client.lpop("rq:queue:downloads")

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == []  # a worker took the job a moment ago
    _let_patience_end(client)
    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]

    assert _queued(client) == ["task-1-0"]


def test_somebody_who_rings_at_the_same_moment_is_no_error(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])
    client.lpop("rq:queue:downloads")
    _let_patience_end(client)

    def pass_point(name: str) -> None:
        if name == "doorbell.forgotten":
            client.hset("rq:job:task-1-0", "status", "started")

    monkeypatch.setattr("orderctl.faultpoints.point", pass_point)

    assert doorbell.ring(client, QUEUE, [(1, 0), (2, 0)]) == [2]
    monkeypatch.undo()
    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]


def test_tells_who_is_not_rung_for(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])

    assert doorbell.without_job(client, QUEUE, [(1, 0), (1, 1), (2, 0)]) == {1, 2}
