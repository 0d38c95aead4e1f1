"""Doorbells on a real Redis."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from orderctl import broker, doorbell
from tests import redis_keys

QUEUE = "orderctl"
#: The call of task 1's job, not compressed.
DATA = b'["orderctl.jobs.run_task", null, [1], {}]'


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


def test_tasks_that_have_been_failing_take_a_few_places_only(client: redis.Redis) -> None:
    failing = [(number, 3) for number in range(10, 20)]

    assert doorbell.without_job(client, QUEUE, [(1, 0)], failing, 2) == {1, 10, 11}
    assert doorbell.ring(client, QUEUE, [(1, 0)], failing, 2) == [1, 10, 11]
    assert doorbell.ring(client, QUEUE, [(2, 0)], failing, 2) == [2]
    assert doorbell.without_job(client, QUEUE, [(1, 0), (2, 0), (3, 0)], failing, 2) == {3}

    client.lrem("rq:queue:orderctl", 1, "task-10-3")  # a worker has taken it
    assert doorbell.ring(client, QUEUE, [], failing, 2) == [12]
    assert _queued(client) == ["task-1-0", "task-11-3", "task-2-0", "task-12-3"]


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


def test_a_job_and_its_marker_come_in_one_step_with_a_time_to_live(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])

    assert 0 < client.ttl("rq:job:task-1-0") <= 86_400
    assert 0 < client.ttl("orderctl:rung:task-1-0") <= 3
    assert redis_keys.unowned(client) == []


def test_processes_that_ring_at_the_same_moment_ring_once(redis_url: str, client: redis.Redis) -> None:
    """Between the steps of one, another saw a hash without a job in the queue, and both rang."""
    bells = [(number, 0) for number in range(1, 31)]

    def ring_all(_: int) -> list[int]:
        with contextlib.closing(broker.brisk(redis_url)) as own:
            return doorbell.ring(own, QUEUE, bells)

    with ThreadPoolExecutor(5) as pool:
        rung = list(pool.map(ring_all, range(5)))

    assert sorted(task for tasks in rung for task in tasks) == list(range(1, 31))
    assert len(_queued(client)) == 30


def test_a_job_that_a_worker_took_before_its_marker_was_set_is_not_rung_again(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])
    client.lpop("rq:queue:orderctl")  # at once, on another core
    _hold_patience(client)

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == []
    assert client.exists("rq:job:task-1-0")


def test_a_job_that_is_being_taken_after_a_long_wait_is_not_rung_again(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])
    _let_patience_end(client)
    client.lmove("rq:queue:orderctl", "rq:queue:orderctl:intermediate")

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == []
    assert client.llen("rq:queue:orderctl:intermediate") == 0
    _let_patience_end(client)  # the worker died
    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]


def test_leaves_another_program_s_job_of_the_same_id_where_a_worker_that_died_had_it(
    client: redis.Redis,
) -> None:
    client.hset("rq:job:task-1-0", mapping={"data": "another program's", "origin": "orderctl"})
    client.rpush("rq:queue:orderctl:intermediate", "task-1-0")

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]

    assert client.lrange("rq:queue:orderctl:intermediate", 0, -1) == [b"task-1-0"]
    assert _queued(client) == ["task-1-0-again"]


@pytest.mark.parametrize(
    "odd",
    [
        {"data": b'["os.system", null, ["true"], {}]', "origin": b"mails"},
        {"data": DATA, "success_callback_name": b"os.system"},
        {"data": b"\x80junk"},
        "a text",
    ],
    ids=["call", "callback", "junk", "type"],
)
def test_another_programs_job_with_the_id_of_a_doorbell_stays(client: redis.Redis, odd: Any) -> None:
    if isinstance(odd, str):
        client.set("rq:job:task-1-0", odd)
    else:
        client.hset("rq:job:task-1-0", mapping=odd)
    before = redis_keys.held(client, "rq:job:task-1-0")

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]
    assert doorbell.ring(client, QUEUE, [(1, 0)]) == []

    assert redis_keys.held(client, "rq:job:task-1-0") == before
    assert client.ttl("rq:job:task-1-0") == -1
    assert _queued(client) == ["task-1-0-again"]
    assert doorbell.without_job(client, QUEUE, [(1, 0)]) == set()


def test_ids_that_are_no_text_are_no_obstacle(client: redis.Redis) -> None:
    """RQ decodes all ids of a queue to find one."""
    client.rpush("rq:queue:orderctl", b"\xff\xfe")

    assert doorbell.ring(client, QUEUE, [(1, 0)]) == [1]
    assert doorbell.without_job(client, QUEUE, [(1, 0), (2, 0)]) == {2}


def test_finds_the_tasks_without_a_job(client: redis.Redis) -> None:
    doorbell.ring(client, QUEUE, [(1, 0)])

    assert doorbell.without_job(client, QUEUE, [(1, 0), (1, 1), (2, 0)]) == {1, 2}
