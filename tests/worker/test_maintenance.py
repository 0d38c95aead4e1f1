"""What workers clear away on a queue that other programs use, too."""

import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from orderctl import allowlist, broker, doorbell
from orderctl.worker import maintenance, rejected
from orderctl.worker.consumer import DownloadWorker
from tests import redis_keys
from tests.faults.world import World


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    yield (client := broker.brisk(redis_url))
    client.close()


def open_queue(client: redis.Redis, name: str = "orderctl") -> Queue:
    return Queue(name, connection=client, serializer=JSONSerializer)


def all_of(client: redis.Redis, pattern: str = "*") -> dict[bytes, Any]:
    return {key: redis_keys.held(client, key) for key in client.scan_iter(pattern)}


def test_orderctls_jobs_leave_the_queue_of_earlier_versions_and_others_stay(client: redis.Redis):
    old = open_queue(client, "downloads")
    for number in range(1, 51):
        doorbell.ring(client, "downloads", [(number, 0)])
        old.enqueue("shop.mail", number, job_id=f"mail-{number}")
    old.enqueue("shop.mail", 1, job_id="task-9-7")  # as orderctl's, but it is not
    client.delete("rq:job:task-3-0")  # it has expired
    client.persist("rq:job:task-4-0")  # earlier versions set no time to live
    client.rpush(old.intermediate_queue_key, "task-77-1", "mail-0")
    client.rpush(old.key, b"\xff")
    before = all_of(client, "rq:job:mail-*") | all_of(client, "rq:job:task-9-7")

    assert maintenance.take_over(client, "downloads") == 0
    assert maintenance.take_over(client, "orderctl") == 51
    assert maintenance.take_over(client, "orderctl") == 0

    mails = [b"mail-%d" % number for number in range(1, 51)]
    assert client.lrange(old.key, 0, -1) == [*mails, b"task-9-7", b"\xff"]
    assert client.lrange(old.intermediate_queue_key, 0, -1) == [b"mail-0"]
    assert all_of(client, "rq:job:*") == before


@pytest.mark.parametrize("clear_away", [lambda _: None, maintenance.clean])
def test_a_job_of_another_program_that_takes_the_id_meanwhile_stays(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, clear_away: Callable[[Queue], None]
):
    """The shop writes a job under the id of orderctl's between the look at it and its removal."""
    old = open_queue(client, "downloads")
    doorbell.ring(client, "downloads", [(1, 0)])
    client.zadd(old.failed_job_registry.key, {"task-1-0": 1})
    look = allowlist.look

    def interrupted(*arguments: Any, **more: Any) -> allowlist.Look:
        seen = look(*arguments, **more)
        old.create_job("shop.mail", job_id="task-1-0").save()
        return seen

    monkeypatch.setattr(allowlist, "look", interrupted)

    clear_away(old)
    maintenance.take_over(client, "orderctl")

    assert client.lrange(old.key, 0, -1) == [b"task-1-0"]
    assert client.zscore(old.failed_job_registry.key, "task-1-0") == 1
    assert b"shop.mail" in zlib.decompress(client.hget("rq:job:task-1-0", "data"))


def test_a_job_that_was_queued_anew_meanwhile_keeps_its_hash(client: redis.Redis):
    doorbell.ring(client, "downloads", [(1, 0)])
    client.delete("orderctl:rung:task-1-0")
    doorbell.ring(client, "orderctl", [(1, 0)])

    assert maintenance.take_over(client, "orderctl") == 1

    assert client.lrange("rq:queue:orderctl", 0, -1) == [b"task-1-0"]
    assert client.hget("rq:job:task-1-0", "origin") == b"orderctl"


def test_only_orderctls_entries_leave_the_registries(client: redis.Redis):
    """Of the whole queue, RQ's lists of failed, running and just taken jobs were deleted."""
    queue = open_queue(client)
    for name in ("shop-1", "shop-2", "task-8-0"):
        queue.create_job("shop.mail", job_id=name).save()
    doorbell.ring(client, "orderctl", [(1, 0), (2, 0), (3, 0)])
    client.lpop(queue.key, 2)
    client.persist("rq:job:task-1-0")  # as a stock worker leaves it
    past = time.time() - 100
    client.zadd(queue.failed_job_registry.key, {"shop-1": past, "task-8-0": past, "task-1-0": past})
    client.zadd(
        queue.started_job_registry.key, {"shop-2:e": past, "task-2-0:e": past, "task-3-0:e": past + 999}
    )
    client.rpush(queue.intermediate_queue_key, "shop-2", "task-1-0", "gone")
    foreign = all_of(client, "rq:job:shop-*") | all_of(client, "rq:job:task-8-0")

    maintenance.clean(queue)

    assert client.zrange(queue.failed_job_registry.key, 0, -1) == [b"shop-1", b"task-8-0"]
    assert client.zrange(queue.started_job_registry.key, 0, -1) == [b"shop-2:e", b"task-3-0:e"]
    assert client.lrange(queue.intermediate_queue_key, 0, -1) == [b"shop-2"]
    assert client.lrange(queue.key, 0, -1) == [b"task-3-0"]
    assert all_of(client, "rq:job:shop-*") | all_of(client, "rq:job:task-8-0") == foreign
    assert set(client.scan_iter("rq:job:task-*")) == {b"rq:job:task-8-0", b"rq:job:task-3-0"}


def test_a_job_of_another_program_that_a_dead_worker_had_taken_is_rejected_after_a_minute(
    client: redis.Redis,
):
    queue = open_queue(client)
    for name in ("left", "running"):
        queue.create_job("shop.mail", job_id=name).save()
    client.zadd(queue.started_job_registry.key, {"running:e": time.time() + 60})
    client.rpush(queue.intermediate_queue_key, "left", "running")

    maintenance.clean(queue)
    assert rejected.count(client) == 0  # a worker of the shop may be about to run them
    for name in ("left", "running"):
        client.set(f"{queue.intermediate_queue_key}:first_seen:{name}", time.time() - 61, keepttl=True)
    maintenance.clean(queue)

    [job] = rejected.find_newest(client, 9)
    assert (job.job_id, job.queue) == ("left", "orderctl")
    assert client.lrange(queue.intermediate_queue_key, 0, -1) == [b"running"]


def test_only_the_names_of_orderctls_dead_workers_are_forgotten(client: redis.Redis):
    queue = open_queue(client)
    dead, alive, shops = "rq:worker:h-1-ab.worker-1.1", "rq:worker:h-1-ab.worker-2.1", "rq:worker:8f14e45f"
    client.hset(alive, "state", "idle")
    for names in ("rq:workers", "rq:workers:orderctl"):
        client.sadd(names, dead, alive, shops)
    client.lpush("orderctl:rejected-jobs", "{}")
    assert (
        len(redis_keys.unowned(client)) == 4
    )  # the names, the old list, and the worker without a time to live

    maintenance.clean(queue)

    for names in ("rq:workers", "rq:workers:orderctl"):
        assert client.smembers(names) == {alive.encode(), shops.encode()}
    assert redis_keys.unowned(client) == [alive]


def test_what_dead_workers_of_earlier_versions_left_goes_when_its_time_is_over(client: redis.Redis):
    """Workers looked once, when they started: 90 s too early."""
    old = open_queue(client, "downloads")
    old.create_job("shop.mail", job_id="shop-1").save()
    doorbell.ring(client, "downloads", [(1, 0)])
    client.lpop(old.key)
    client.persist("rq:job:task-1-0")
    client.delete("orderctl:rung:task-1-0")
    client.sadd("rq:workers:downloads", "rq:worker:h-1-ab.worker-1.1", "rq:worker:8f14e45f")
    running, over = time.time() + 60, time.time() - 1
    client.zadd(old.started_job_registry.key, {"task-1-0:e": running, "shop-1:e": over})
    before = all_of(client, "rq:job:*")

    maintenance.clean_old(client, "downloads")
    maintenance.clean_old(client, "orderctl")
    assert all_of(client, "rq:job:*") == before
    client.zadd(old.started_job_registry.key, {"task-1-0:e": over})
    maintenance.clean_old(client, "orderctl")

    assert set(client.scan_iter("rq:job:*")) == {b"rq:job:shop-1"}
    assert client.zrange(old.started_job_registry.key, 0, -1) == [b"shop-1:e"]
    assert client.smembers("rq:workers:downloads") == {b"rq:worker:8f14e45f"}


@pytest.mark.databases("sqlite")
def test_a_worker_looks_at_the_old_queue_each_minute(world: World, client: redis.Redis):
    worker = DownloadWorker(world.settings, "h-1-ab.worker-1.1")
    worker.run_maintenance_tasks()
    client.sadd("rq:workers:downloads", "rq:worker:h-1-ab.worker-2.1")

    worker.run_maintenance_tasks()

    assert not client.exists("rq:workers:downloads")
