"""What the workers take from a queue that other programs use, too, and what they leave in Redis."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Callback
from rq.serializers import DefaultSerializer, JSONSerializer

from orderctl import allowlist, broker, doorbell
from orderctl.worker import rejected
from orderctl.worker.queue import GuardedQueue
from tests import redis_keys
from tests.faults.world import World

pytestmark = pytest.mark.databases("sqlite")

QUEUE = "orderctl"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    yield (client := broker.brisk(redis_url))
    client.close()


@pytest.fixture
def queue(client: redis.Redis) -> Queue:
    return GuardedQueue(QUEUE, connection=client, serializer=JSONSerializer)


def take(queue: Queue) -> Any:
    """What a worker in burst mode gets: a job, or nothing when the queue is empty."""
    found = GuardedQueue.dequeue_any([queue], None, queue.connection)
    return found and found[0]


def put_foreign_jobs(client: redis.Redis) -> list[bytes]:
    """Put jobs of other programs into the queue, with all that RQ offers, and without sense; return their keys."""
    as_json = Queue(QUEUE, connection=client, serializer=JSONSerializer)
    as_pickle = Queue(QUEUE, connection=client, serializer=DefaultSerializer)
    as_json.enqueue("os.getpid", job_id="json", ttl=5000)
    as_pickle.enqueue("os.getpid", job_id="pickle")
    as_pickle.enqueue("os.getpid", job_id="callback", on_success=Callback("os.getcwd"))
    as_json.enqueue(allowlist.FUNCTION, 2, job_id="task-1-0")
    odd: dict[bytes, dict[str, bytes]] = {
        b"giant": {"data": b"x" * 2_000_000, "meta": b"y" * 2_000_000},
        b"\xff\xfe\x1b[2J": {"data": b"\x80junk"},
        b"dependent": {"dependency_id": b"json"},
    }
    for raw, mapping in odd.items():
        client.hset(b"rq:job:" + raw, mapping=mapping)  # type: ignore[arg-type]
        client.rpush(as_json.key, raw)
    client.set("rq:job:text", "no hash")
    client.rpush(as_json.key, "text")
    return [b"rq:job:" + raw for raw in (b"json", b"pickle", b"callback", b"task-1-0", *odd, b"text")]


def test_jobs_of_other_programs_stay_byte_by_byte_with_their_time_to_live(client: redis.Redis, queue: Queue):
    keys = put_foreign_jobs(client)
    before = [redis_keys.held(client, key) for key in keys]
    ttl = client.pttl("rq:job:json")

    assert take(queue) is None

    assert [redis_keys.held(client, key) for key in keys] == before
    assert 0 < ttl - client.pttl("rq:job:json") < 600_000
    assert all(client.ttl(key) == -1 for key in keys if key != b"rq:job:json")
    assert client.llen(queue.key) == client.llen(queue.intermediate_queue_key) == 0
    assert len(rejected.find_newest(client, 100)) == len(keys)


def test_an_id_of_another_program_whose_job_has_expired_is_dropped(client: redis.Redis, queue: Queue):
    client.rpush(queue.key, "gone")

    assert take(queue) is None
    assert rejected.count(client) == client.llen(queue.intermediate_queue_key) == 0


def test_a_job_whose_hash_has_expired_runs(client: redis.Redis, queue: Queue):
    doorbell.ring(client, QUEUE, [(7, 0)])
    client.delete("rq:job:task-7-0")

    assert take(queue).args == (7,)
    assert not client.exists("rq:job:task-7-0")


def test_a_hash_that_is_gone_is_not_made_anew(client: redis.Redis, queue: Queue):
    """RQ's HSET makes a hash that has no time to live."""
    doorbell.ring(client, QUEUE, [(7, 0)])
    job = take(queue)
    client.delete(job.key)

    with client.pipeline() as pipeline:
        job.heartbeat(job.created_at, 90, pipeline=pipeline, xx=True)
        job.prepare_for_execution("worker", pipeline)
        assert pipeline.execute() == [0, 0]
    job.heartbeat(job.created_at, 90)

    assert not client.exists(job.key)


def test_a_worker_deletes_only_the_job_that_it_ran(client: redis.Redis, queue: Queue):
    doorbell.ring(client, QUEUE, [(7, 0)])
    job = take(queue)

    def forget(worker: str) -> bool:
        with client.pipeline() as pipeline:
            job.forget(pipeline, worker)
            pipeline.execute()
        return not client.exists(job.key)

    job.prepare_for_execution("one", client)
    assert client.ttl(job.key) == 90
    assert not forget("another")
    assert forget("one")


@pytest.mark.parametrize(
    "fault", ["job.popped", "horse.forked", "job.started", "task.claimed", "task.ended", "job.rejected"]
)
def test_no_job_lives_for_ever_wherever_its_worker_dies(world: World, fault: str):
    world.shop.paid("DH1", [world.course()])
    keys = put_foreign_jobs(world.client)[4:]
    before = [redis_keys.held(world.client, key) for key in keys]
    world.play("keeper")

    world.play("worker", 1, faults=f"{fault}:kill")
    assert redis_keys.unowned(world.client) == []
    world.recover()
    world.assert_well()

    assert [redis_keys.held(world.client, key) for key in keys] == before
    assert redis_keys.unowned(world.client) == []


def test_a_horse_that_is_killed_leaves_nothing(world: World):
    [task] = world.shop.paid("DH1", [world.course()])
    world.play("keeper")

    played = world.play("worker", 1, faults="handler.enrolled:kill")

    [line] = [one for one in played.stderr.splitlines() if " killed " in one]
    assert re.search(rf"order DH1, task {task} \(.*\): killed \(signal 9\) after \d\.\d s, attempt 1", line)
    assert "horse" not in played.stderr.lower()
    assert not world.client.exists(f"rq:job:task-{task}-0")
    assert redis_keys.unowned(world.client) == []
