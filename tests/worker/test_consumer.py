"""The RQ worker of orderctl: what it does when Redis refuses, and what it notes of jobs."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.serializers import JSONSerializer

from orderctl import clock, doorbell
from orderctl.errors import OrderctlError
from orderctl.worker import consumer
from orderctl.worker.consumer import DownloadWorker
from orderctl.worker.queue import DownloadJob, GuardedQueue
from orderctl.worker.rejected import Rejected
from tests import redis_keys
from tests.faults.world import World
from tests.script import SCRIPT
from tests.servers.fixtures import OwnRedis
from tests.waiting import Clock, eventually

STOCK = SCRIPT.with_name("rq")

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def worker(world: World) -> DownloadWorker:
    return DownloadWorker(world.settings, "h-1-ab.worker-1.1")


def take(world: World, worker: DownloadWorker) -> DownloadJob:
    doorbell.ring(world.client, "orderctl", [(1, 0)])
    found = worker._dequeue(None)
    assert found is not None
    return found[0]


def test_workers_wait_for_memory_in_one_line(world: World, own_redis: OwnRedis):
    """Before, they ended with a traceback again and again."""
    server = own_redis()
    world.redis_url = server.url
    control = redis.Redis(port=server.port)
    log: Path = world.state / "supervisor.log"

    def lines(word: str) -> Callable[[], int]:
        return lambda: len(re.findall(word, log.read_text()))

    with world.supervisor(log=log):
        eventually(lambda: control.keys("rq:worker:*"), "the worker's start")
        control.config_set("maxmemory", "1kb")
        world.shop.paid("DH1", [world.course()])
        with world.supervisor(log=world.state / "late.log") as late:  # one that starts now
            eventually(lambda: "waiting" in (world.state / "late.log").read_text(), "the late worker's line")
            eventually(lambda: lines("waiting: Redis refuses")() >= 2, "the lines of worker and keeper")
            control.config_set("maxmemory", "0")
            eventually(world.settled, "the order's end")
            assert late.poll() is None
    control.close()

    for text in (log.read_text(), (world.state / "late.log").read_text()):
        assert "Traceback" not in text
        assert "restarted" not in text
        assert text.count("waiting: ") <= 5  # one for the worker, the keeper and each thread of the courier


def test_a_worker_that_may_not_ask_for_its_address_warns_of_nothing(world: World, own_redis: OwnRedis):
    server = own_redis()
    with redis.Redis(port=server.port) as control:
        control.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-client")
    world.redis_url = server.url.replace("//", "//u:p@")

    made = DownloadWorker(world.settings, "h-1-ab.worker-1.1")

    assert made.ip_address == "unknown"
    made.connection.close()


def test_a_primary_that_is_demoted_is_an_outage(world: World, own_redis: OwnRedis):
    """It ends the blocking commands with an error of its own."""
    server = own_redis()
    world.redis_url = server.url
    control = redis.Redis(port=server.port)
    log = world.state / "supervisor.log"
    with world.supervisor(log=log):
        eventually(
            lambda: any(one["cmd"] == "blmove" for one in control.client_list()),
            "a worker that waits for a job",
        )
        control.replicaof("127.0.0.1", "1")
        eventually(lambda: "waiting: Redis refuses" in log.read_text(), "the worker's line")
        control.replicaof("NO", "ONE")
        world.shop.paid("DH1", [world.course()])
        eventually(world.settled, "the order's end")
    control.close()

    assert "Traceback" not in log.read_text()
    assert "restarted" not in log.read_text()


def test_a_refusal_that_lasts_ends_the_worker_with_its_reason(world: World):
    world.client.set("rq:queue:orderctl", "not a list")

    with pytest.raises(OrderctlError, match="WRONGTYPE"):
        consumer.work(world.settings, "h-1-ab.worker-1.1", burst=True)


def test_a_job_runs_although_redis_takes_no_note_of_it(
    world: World, worker: DownloadWorker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    [task] = world.shop.paid("DH1", [world.course()])
    job = take(world, worker)
    ran = []
    monkeypatch.setattr(DownloadJob, "func", ran.append)
    world.client.config_set("maxmemory", "1kb")
    try:
        execution = worker.prepare_execution(job)
        assert worker.perform_job(job, worker.queues[0], execution)
    finally:
        world.client.config_set("maxmemory", "0")

    assert ran == [task]
    assert "Traceback" not in caplog.text


def test_what_expired_meanwhile_comes_back_with_a_time_to_live(world: World, worker: DownloadWorker):
    worker.register_birth()
    job = take(world, worker)
    execution = worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    assert world.client.hget(job.key, "status") == b"started"
    assert 0 < world.client.ttl(job.key) <= 90

    for spoil in (
        worker.heartbeat,
        lambda: worker.set_state("busy"),
        lambda: worker.maintain_heartbeats(job, execution),
    ):
        world.client.delete(worker.key, job.key)
        spoil()
        assert redis_keys.unowned(world.client) == []
        assert not world.client.exists(job.key)
    world.client.flushdb()
    worker._end_job(job, worker.queues[0], execution)
    worker.handle_job_failure(job, worker.queues[0], exc_string="killed", execution=execution)
    assert redis_keys.unowned(world.client) == []


def test_a_job_that_two_workers_had_leaves_nothing(
    world: World, worker: DownloadWorker, monkeypatch: pytest.MonkeyPatch
):
    """RQ's worker raised InvalidJobOperation at the end of the second, and wrote a hash that stays."""
    monkeypatch.setattr(DownloadJob, "func", lambda _job, _task: None)
    first = take(world, worker)
    world.client.delete("orderctl:rung:task-1-0")
    second = take(world, worker)
    for job in (first, second):
        execution = worker.prepare_execution(job)
        assert isinstance(execution, Execution)
        assert worker.perform_job(job, worker.queues[0], execution)

    assert not world.client.keys("rq:job:*")
    assert not world.client.keys("rq:exec*")
    assert not world.client.exists("rq:wip:orderctl", "rq:failed:orderctl")


def test_jobs_of_the_shop_that_depend_on_orderctls_run(world: World, worker: DownloadWorker):
    doorbell.ring(world.client, "orderctl", [(1, 0)])
    mails = Queue("mails", connection=world.client, serializer=JSONSerializer)
    mails.enqueue("os.getpid", job_id="mail-1", depends_on="task-1-0")
    found = worker._dequeue(None)
    assert found is not None
    assert mails.job_ids == []

    worker._end_job(found[0], worker.queues[0], worker.prepare_execution(found[0]))

    assert mails.job_ids == ["mail-1"]
    assert not world.client.exists("rq:job:task-1-0:dependents")


def test_a_stock_worker_that_takes_a_job_costs_nothing(world: World):
    world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    options = (
        "--burst",
        "--url",
        world.redis_url,
        "--serializer",
        "rq.serializers.JSONSerializer",
        "orderctl",
    )
    subprocess.run([STOCK, "worker", *options], check=True, capture_output=True, timeout=60)
    assert world.client.llen("rq:queue:orderctl") == 0

    world.recover()
    world.assert_well()
    assert redis_keys.unowned(world.client) == []


def test_a_worker_that_only_rejects_jobs_stays_alive_and_stops_when_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """It read the queue to its end first, which took longer than a drain may."""
    world.client.rpush("rq:queue:orderctl", *(f"shop-{number}" for number in range(30)))
    with world.client.pipeline() as pipeline:
        for number in range(30):
            pipeline.hset(f"rq:job:shop-{number}", "origin", "mails")
        pipeline.execute()
    now = Clock()
    monkeypatch.setattr(clock, "elapsed", now)
    worker = DownloadWorker(world.settings, "h-1-ab.worker-1.1")
    beats: list[float] = []
    monkeypatch.setattr(worker, "heartbeat", lambda *_, **__: beats.append(now.now))
    note = GuardedQueue.on_rejected

    def rejected(job: Rejected) -> None:
        now.now += 3
        note(job)
        if world.client.llen("rq:queue:orderctl") == 10:
            worker._stop_requested = True

    monkeypatch.setattr(GuardedQueue, "on_rejected", rejected)
    with pytest.raises(StopRequested):
        worker._dequeue(None)

    assert world.client.llen("rq:queue:orderctl") == 10
    assert len(beats) >= 5
