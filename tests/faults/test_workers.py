"""Workers under signals, outages and malformed jobs in the queue."""

import os
import signal

import pytest
import redis

from orderctl.worker.consumer import DownloadWorker
from tests.faults.chaos.hosts import children
from tests.faults.world import World
from tests.servers.fixtures import OwnRedis
from tests.servers.reaper import is_running
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")


def test_malformed_entries_that_a_dead_worker_left_do_not_stop_the_next(world: World):
    """RQ's own maintenance unpacks everything in its lists; here an entry is malformed."""
    [task] = world.shop.paid("DH1", [world.course()])
    world.client.rpush("rq:queue:orderctl:intermediate", "rubbish", f"task-{task}-0")
    world.client.zadd("rq:wip:orderctl", {"rubbish:1": 1, "more": 1})
    for name in ("rubbish", "more"):
        world.client.hset(
            f"rq:job:{name}", mapping={"created_at": "yesterday", "data": b"\xff", "origin": "orderctl"}
        )
    world.play("keeper")
    world.pass_time()
    done = world.play("supervisor")
    assert "unhandled exception" not in done.stderr
    assert world.shop.task(task).status == "completed"


def test_an_answer_that_got_lost_does_not_hold_a_worker_up_for_minutes(world: World):
    worker = DownloadWorker(world.settings, "worker-1")
    assert worker.connection_timeout <= 15
    assert worker.connection.connection_pool.connection_kwargs["socket_timeout"] <= 15


def test_an_outage_of_redis_at_the_end_of_a_job_is_one_line(world: World, caplog: pytest.LogCaptureFixture):
    """RQ would print the traceback; the task's end is in the database."""
    worker = DownloadWorker(world.settings, "worker-1")
    job = worker.queues[0].enqueue("orderctl.jobs.run_task", 1, job_id="task-1-0")
    for error in (redis.ConnectionError("refused"), ValueError("a mistake")):
        worker.handle_exception(job, type(error), error, None)
    assert [record.getMessage().partition("\n")[0] for record in caplog.records] == [
        "cannot report the end of job task-1-0 to Redis: refused",
        "Worker worker-1: job task-1-0: exception raised while executing (orderctl.jobs.run_task)",
    ]


@pytest.mark.databases("sqlite")
def test_a_keeper_hears_its_end_wherever_it_comes(world: World):
    """Also while the keeper waits for that signal."""
    assert world.play("signalled-anywhere", 60).stderr == ""


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_supervisor_ends_at_once_while_redis_is_away(world: World, own_redis: OwnRedis, busy: bool):
    """No part of it waits for Redis, which may never come back."""
    redis = own_redis()
    world.redis_url = redis.url
    world.more["ORDERCTL_WORKER_DRAIN_TIMEOUT_SECONDS"] = "3600"
    if busy:
        world.course("/go")
        reached = world.courses.hold("/go/lesson.bin", at=10_000)
        world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with world.supervisor() as supervisor:
        if busy:
            reached()
        else:
            eventually(lambda: world.client.keys("rq:worker:*"), "the worker's start")
        redis.kill()
        supervisor.terminate()
        if busy:
            world.courses.release("/go/lesson.bin")
        supervisor.wait(120)
    if busy:
        assert world.shop.task(1).status == "completed"


def test_a_worker_stops_although_the_exception_was_swallowed(world: World):
    """A signal may reach the worker anywhere, also where a library catches every exception."""
    with world.playing("worker-that-swallows", "1") as worker:
        assert worker.wait(120) == 0


def test_when_a_supervisor_is_killed_all_its_processes_end(world: World):
    """An orphaned work-horse would continue the download next to its successor."""
    world.course("/go")
    reached = world.courses.hold("/go/lesson.bin", at=10_000)
    world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with world.supervisor() as supervisor:
        reached()
        family = descendants(supervisor.pid)
        assert len(family) == 5, "worker, its horse, keeper, courier, operator"
        supervisor.kill()
        supervisor.wait()
        eventually(lambda: not any(is_running(pid) for pid in family), "the end of all")


def test_when_a_worker_is_killed_its_work_horse_ends(world: World):
    world.course("/go")
    reached = world.courses.hold("/go/lesson.bin", at=10_000)
    world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with world.supervisor() as supervisor:
        reached()
        [worker] = [pid for pid in children(supervisor.pid) if children(pid)]
        [horse] = children(worker)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not is_running(horse), "the horse's end")
        world.courses.release("/go/lesson.bin")


def test_a_lost_worker_s_task_is_run_again_by_its_own_supervisor(world: World):
    world.more["ORDERCTL_WORKER_LEASE_SECONDS"] = "5"
    world.course("/go")
    reached = world.courses.hold("/go/lesson.bin", at=10_000)
    world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with world.supervisor() as supervisor:
        reached()
        [worker] = [pid for pid in children(supervisor.pid) if children(pid)]
        os.kill(worker, signal.SIGKILL)
        world.courses.release("/go/lesson.bin")
        eventually(world.settled, "the order's end")
    world.assert_well()
    assert [event.event_type for event in world.shop.events(1)].count("task_recovered") == 1


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return [*found, *(inner for child in found for inner in descendants(child))]
