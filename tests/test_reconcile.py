"""Reconcile: idempotent, safe when several run at once, and not stopped by a fault of one row."""

import json
import subprocess
import threading
from collections import Counter

import pytest
from sqlalchemy import Connection, event, select

from orderctl import broker, database, orders, reconcile
from orderctl.errors import DatabaseReadOnly
from orderctl.grace import Grace
from orderctl.schema import TABLES
from tests.faults.world import World
from tests.script import SCRIPT
from tests.servers.mysql import MysqlServer
from tests.waiting import eventually

#: A lease that is longer than any delay of a busy machine.
HOUR = 3600


def lose(world: World, *codes: str) -> list[int]:
    """Add an order for each code, whose worker died after its claim an hour ago."""
    tasks = [world.shop.paid(code, [world.course()])[0] for code in codes]
    for task in tasks:
        world.play("horse", task, faults="task.claimed:kill")
    world.pass_time()
    return tasks


def everything(world: World) -> dict[str, list[tuple[object, ...]]]:
    return {
        table.name: world.shop.read(lambda c, t=table: [tuple(row) for row in c.execute(select(t))])
        for table in TABLES
    }


def orderctl(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env=world.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_takes_a_lost_workers_task_back_once(world: World):
    [task] = lose(world, "DH1")
    [first] = reconcile.recover(world.engine, world.client, Grace(HOUR))
    assert (first.task_id, first.repaired) == (task, True)
    after = everything(world)
    assert reconcile.recover(world.engine, world.client, Grace(HOUR)) == []
    assert everything(world) == after
    assert world.shop.task(task).status == "pending"


def test_two_that_find_the_same_loss_repair_it_once(world: World):
    [task] = lose(world, "DH1")
    both_have_seen_it = threading.Barrier(2)
    engines = [database.connect(world.database_url) for _ in range(2)]
    found = []

    def wait(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        finds = "lease_until <" in statement and "FOR UPDATE" not in statement
        if finds and not getattr(seen, "it", False):
            seen.it = True
            both_have_seen_it.wait(120)

    seen = threading.local()
    for engine in engines:
        event.listen(engine, "after_cursor_execute", wait)
    threads = [
        threading.Thread(
            target=lambda e=engine: found.extend(reconcile.recover(e, world.client, Grace(HOUR)))
        )
        for engine in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert [finding.task_id for finding in found] == [task]
    assert Counter(event.event_type for event in world.shop.events(1))["task_recovered"] == 1


@pytest.mark.databases("mariadb", "mysql")
def test_a_locked_order_does_not_delay_the_others(world: World):
    held, free = lose(world, "DH1", "DH2")
    impatient = database.connect(world.database_url, lock_wait_seconds=1)
    with world.engine.begin() as connection:
        orders.lock(connection, world.shop.task(held).order_id)
        found = reconcile.recover(impatient, world.client, Grace(HOUR))
    impatient.dispose()
    assert {finding.task_id: finding.repaired for finding in found} == {held: False, free: True}
    [rest] = reconcile.recover(world.engine, world.client, Grace(HOUR))
    assert (rest.task_id, rest.repaired) == (held, True)


@pytest.mark.databases("mariadb", "mysql")
def test_after_an_outage_workers_have_time_for_a_heartbeat(
    world: World, database_server: MysqlServer, monkeypatch: pytest.MonkeyPatch
):
    now = [1000.0]
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: now[0])
    [task] = lose(world, "DH1")
    grace = Grace(HOUR)
    database_server.execute("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(DatabaseReadOnly):
            reconcile.recover(world.engine, world.client, grace)
    finally:
        database_server.execute("SET GLOBAL read_only = 0")
    assert reconcile.recover(world.engine, world.client, grace) == []
    assert world.shop.task_row(task).lease_token is not None
    now[0] += HOUR / 4
    [finding] = reconcile.recover(world.engine, world.client, grace)
    assert (finding.task_id, finding.repaired) == (task, True)


@pytest.mark.databases("sqlite")
def test_a_keeper_takes_tasks_back_while_redis_is_away(world: World):
    """No worker can be woken for the task, but the database says that it is pending."""
    [task] = lose(world, "DH1")
    world.redis_url = "redis://127.0.0.1:9/0"
    with world.playing("keep"):
        eventually(lambda: world.shop.task(task).status == "pending", "the task")


@pytest.mark.databases("sqlite")
def test_a_doorbell_that_redis_has_lost_is_sent_again(world: World):
    world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    world.client.flushall()
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
def test_a_worker_that_died_before_its_claim_is_noticed(world: World):
    """The hash that it left in Redis says that a worker was woken; no list of the queue has the job."""
    [task] = world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    world.play("worker", 1, faults="horse.forked:kill")
    world.client.hset(f"rq:job:task-{task}-0", "left", "behind")
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
def test_a_database_that_is_away_when_a_job_starts_costs_nothing(world: World):
    [task] = world.shop.paid("DH1", [world.course()])
    gone = world.database_url + ".gone/none.db"
    world.play("horse", task, ORDERCTL_DATABASE_URL=gone, ORDERCTL_WORKER_LEASE_SECONDS="1")
    assert world.shop.task(task).attempt == 0
    world.recover()
    world.assert_well()
    assert world.shop.task(task).attempt == 1


def test_an_order_that_was_never_marked_as_ended_is_ended_by_fix(world: World):
    lose(world, "DH1")
    with world.engine.begin() as connection:  # as one of the shop's own workers might leave it
        connection.exec_driver_sql(
            "UPDATE download_tasks SET status='completed', lease_token=NULL, lease_until=NULL"
        )
    client = broker.brisk(world.redis_url)
    assert {finding.kind for finding in reconcile.check(world.engine, client, world.settings)} == {
        "not-ended"
    }
    assert reconcile.run(world.engine, client, world.settings) == []
    [ended] = reconcile.run(world.engine, client, world.settings, fix=True)
    assert (ended.kind, ended.repaired) == ("not-ended", True)
    assert reconcile.run(world.engine, client, world.settings, fix=True) == []
    client.close()
    assert [event.event_type for event in world.shop.events(1)].count("order_completed") == 1


@pytest.mark.databases("sqlite")
def test_check_reports_what_is_wrong_and_changes_nothing(world: World):
    lost, _ = *lose(world, "DH1"), world.shop.paid("DH2", [world.course()])
    before = everything(world), sorted(world.client.keys())
    done = orderctl(world, "reconcile", "--check", "-o", "json")
    assert (everything(world), sorted(world.client.keys())) == before
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [(one["kind"], one["task_id"], one["repaired"]) for one in found] == [
        ("expired-lease", lost, False),
        ("not-rung", 2, False),
    ]


@pytest.mark.databases("sqlite")
def test_reports_what_it_has_repaired(world: World):
    lose(world, "DH1")
    done = orderctl(world, "reconcile", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [(one["kind"], one["repaired"]) for one in json.loads(done.stdout)] == [
        ("expired-lease", True),
        ("not-rung", True),
    ]
    assert orderctl(world, "reconcile", "--check", "-o", "json").stdout.strip() == "[]"


@pytest.mark.databases("sqlite")
def test_tasks_of_a_dead_server_do_not_fill_the_queue(world: World):
    """All of them are tried, the longest due first; a new order waits behind a few of them only."""
    dead = world.shop.paid("DH1", [world.course()] * 5)
    for number, task in enumerate(dead):
        world.shop.execute(
            "UPDATE download_tasks SET failing_since = '2026-01-01', available_at = :due WHERE id = :id",
            id=task,
            due=f"2026-01-0{9 - number}",
        )
    [new] = world.shop.paid("DH2", [world.course()])
    world.more["ORDERCTL_WORKER_CONCURRENCY"] = "2"

    found = reconcile.ring(world.engine, world.client, world.settings)

    assert [finding.task_id for finding in found] == [new, dead[4], dead[3]]
    assert reconcile.ring(world.engine, world.client, world.settings) == []
    assert reconcile.check(world.engine, world.client, world.settings) == []
    world.recover()
    assert world.faults() == []
