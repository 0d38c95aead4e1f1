"""Leases: hosts share the work, a worker stopped for too long writes nothing, each order ends once."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from orderctl import database, leases
from orderctl.lifecycle import Moved
from orderctl.schema import download_tasks, order_audit_logs
from tests.faults.chaos.hosts import children
from tests.faults.world import World
from tests.waiting import eventually

LEASE = 4


@contextmanager
def host(world: World, name: str, *options: str) -> Iterator[int]:
    """Start a supervisor with a separate state folder; yield its process id."""
    state = world.state / name
    state.mkdir()
    with world.supervisor(
        *(options or ("--lease", str(LEASE))), log=world.state / f"{name}.log", ORDERCTL_STATE_DIR=str(state)
    ) as process:
        yield process.pid


def horses(pid: int) -> list[int]:
    return [horse for worker in children(pid) for horse in children(worker)]


@pytest.mark.databases("sqlite", "mariadb")
def test_two_hosts_share_the_work(world: World):
    urls = [world.course(), world.course("/two")]
    for path in ("/go", "/two"):
        world.courses.hold(f"{path}/lesson.bin", at=10_000)
    for number in range(6):
        world.shop.paid(f"DH{number}", urls)
    with host(world, "one", "--lease", "60"), host(world, "two", "--lease", "60"):
        eventually(
            lambda: sum(task.status == "downloading" for task in world.shop.task_rows()) == 2, "two downloads"
        )
        for path in ("/go", "/two"):
            world.courses.release(f"{path}/lesson.bin")
        eventually(world.settled, "the end of all orders")
    world.assert_well(mails=6, completions=6)
    supervisors = Counter(task.worker.partition(".")[0] for task in world.shop.task_rows())
    assert len(supervisors) == 2
    assert [task.attempt for task in world.shop.task_rows()] == [1] * 12


def test_a_worker_that_wakes_after_its_lease_was_taken_over_writes_nothing(world: World):
    world.course()
    reached = world.courses.hold("/go/lesson.bin", at=10_000)
    [task] = world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with host(world, "one") as first:
        reached()
        part = world.downloads / "DH1" / str(task) / ".lesson.bin.part"
        eventually(lambda: part.exists() and part.stat().st_size >= 10_000, "the first bytes")
        [sleeper] = horses(first)
        [worker] = [pid for pid in children(first) if children(pid)]
        os.kill(sleeper, signal.SIGSTOP)
        os.kill(first, signal.SIGSTOP)  # a machine that sleeps, not only one process
        with host(world, "two"):
            eventually(lambda: world.shop.task(task).attempt == 2, "the takeover")
            world.courses.release("/go/lesson.bin")
            eventually(world.settled, "the order's end")
            before = snapshot(world)
            os.kill(sleeper, signal.SIGCONT)
            os.kill(first, signal.SIGCONT)
            eventually(lambda: not children(worker), "the sleeper's end")
        assert snapshot(world) == before
    world.assert_well()
    events = Counter(
        (event.event_type, (event.details or {}).get("attempt")) for event in world.shop.events(1)
    )
    assert events["download_completed", 2] == 1
    assert events["download_completed", 1] == 0


def snapshot(world: World) -> object:
    rows = world.shop.read(lambda c: [tuple(row) for row in c.execute(select(download_tasks))])
    events = world.shop.read(lambda c: c.execute(select(order_audit_logs.c.id)).all())
    # It may remove its own part file, because it holds the lock on it.
    files = {path: path.stat().st_mtime_ns for path in world.downloads.rglob("*.*") if path.suffix != ".part"}
    return rows, events, files


def test_two_last_tasks_that_end_at_the_same_time_end_their_order_once(world: World):
    """The first transaction is held before its commit until the second waits for the order or passes it."""
    claims = [claimed(world, task) for task in world.shop.paid("DH1", [world.course(), world.course("/two")])]
    engines = [database.connect(world.database_url) for _ in claims]
    both, gone_past = threading.Barrier(2), threading.Event()
    ended = []

    def first() -> None:
        with engines[0].begin() as connection:
            finished = complete(connection, claims[0])
            both.wait(120)
            gone_past.wait(1)  # without the order's lock the second would not wait for us
        ended.append(finished.completion)

    def second() -> None:
        both.wait(120)
        finished = database.transact(engines[1], lambda c: complete(c, claims[1]))
        gone_past.set()
        ended.append(finished.completion)

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert [one is not None for one in ended].count(True) == 1
    assert world.shop.order("DH1").order_status == "completed"
    assert [event.event_type for event in world.shop.events(1)].count("order_completed") == 1
    assert Counter(entry.kind for entry in world.shop.outbox()) == {
        "completion": 1,
        "summary": 1,
        "webhook": 1,
    }


def claimed(world: World, task: int) -> leases.Claim:
    claim = world.shop.claimed(task)
    world.shop.start(claim)
    return claim


def complete(connection: object, claim: leases.Claim) -> Moved:
    return leases.complete(connection, claim, folder_name="f", drive_link=None, details={})


@pytest.mark.databases("sqlite", "mariadb")
def test_a_lost_workers_task_runs_again_soon_after_its_lease(world: World):
    """Never before, by the database's clock. ``chaos.lost_worker`` measures how soon: the goal is two seconds."""
    world.course()
    reached = world.courses.hold("/go/lesson.bin", at=10_000)
    [task] = world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with host(world, "one") as first:
        reached()
        [horse] = horses(first)
        os.kill(horse, signal.SIGKILL)
        lease_until = world.shop.task_row(task).lease_until
        eventually(lambda: world.shop.task(task).attempt == 2, "the second attempt")
        world.courses.release("/go/lesson.bin")
        eventually(world.settled, "the order's end")
    world.assert_well()
    [recovered] = [event for event in world.shop.events(1) if event.event_type == "task_recovered"]
    assert recovered.created_at >= lease_until
