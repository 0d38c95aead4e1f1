"""What a burst was to do, and whether it has done it."""

from collections.abc import Iterator

import pytest
import redis

from orderctl import broker, channels, doorbell
from orderctl.settings import Settings, load
from orderctl.worker import burst, fleet
from orderctl.worker.burst import TasksLeft
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with broker.brisk(redis_url) as client:
        yield client


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(doorbell, "CLAIM_SECONDS", 1)
    return load(environ={})


def check(shop: Shop, client: redis.Redis, settings: Settings) -> None:
    due = {(task, 0) for task in (1, 2)}
    burst.check(shop.engine, client, settings, "s", due)


def test_it_queues_all_that_is_due(shop: Shop, client: redis.Redis, settings: Settings, monkeypatch):
    monkeypatch.setattr("orderctl.findings.BATCH", 1)
    shop.paid("DH1", 3)
    shop.add("DH2", 1)

    assert burst.begin(shop.engine, client, settings) == {(1, 0), (2, 0), (3, 0)}
    assert client.llen(f"rq:queue:{settings.worker.queue}") == 3


def test_a_job_that_a_dead_worker_had_just_taken_is_queued_again(
    shop: Shop, client: redis.Redis, settings: Settings
):
    [task] = shop.paid()
    doorbell.ring(client, settings.worker.queue, [(task, 0)])
    client.lmove("rq:queue:orderctl", "rq:queue:orderctl:intermediate")
    client.delete(channels.rung(f"task-{task}-0"))

    burst.begin(shop.engine, client, settings)

    assert client.lrange("rq:queue:orderctl", 0, -1) == [b"task-1-0"]


def test_a_task_that_was_carried_out_is_not_left(shop: Shop, client: redis.Redis, settings: Settings):
    shop.paid("DH1", 2)
    shop.fail(1)
    shop.claimed(2)  # by another supervisor

    check(shop, client, settings)


def test_a_task_that_waits_or_lost_its_download_is_left(shop: Shop, client: redis.Redis, settings: Settings):
    shop.paid("DH1", 2)
    with pytest.raises(TasksLeft, match="2 tasks that were due have not been carried out"):
        check(shop, client, settings)

    shop.fail(1)
    shop.claimed(2, worker="s.worker-1.1")
    with pytest.raises(TasksLeft, match="1 task that was due has not been carried out") as caught:
        check(shop, client, settings)
    assert caught.value.hint == "orderctl tasks show 2"


def test_a_paused_queue_is_the_reason(shop: Shop, client: redis.Redis, settings: Settings):
    shop.paid("DH1", 2)
    fleet.pause(client, settings.worker.queue)

    with pytest.raises(TasksLeft, match=r"out: queue \w+ is paused") as caught:
        check(shop, client, settings)
    assert caught.value.hint == f"orderctl worker resume --queue {settings.worker.queue}"
