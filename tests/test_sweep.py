"""What a supervisor looks at each second: a part of the open orders, so that in the end it has seen all."""

from __future__ import annotations

import pytest
import redis

from orderctl import readiness, reconcile, sweep
from orderctl.settings import Settings, load
from orderctl.sweep import Sweep
from tests.shop import Shop

QUEUE = "rq:queue:orderctl"


@pytest.fixture
def settings() -> Settings:
    return load(environ={"ORDERCTL_STATE_DIR": "/nonexistent", "ORDERCTL_WORKER_CONCURRENCY": "2"})


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    client = redis.Redis.from_url(redis_url)
    client.flushdb()
    return client


def _taking_all() -> Settings:
    return load(environ={"ORDERCTL_STATE_DIR": "/nonexistent", "ORDERCTL_WORKER_TAKE": "all"})


def _ids(shop: Shop, looks: Sweep, queued: int = 0) -> list[int]:
    return sorted(one.id for one in looks.find(shop.engine, queued))


def _paid_by_the_shop(shop: Shop, count: int) -> None:
    """Add orders that are paid by an UPDATE, the first one the oldest."""
    for number in range(1, count + 1):
        shop.add(f"DH{number}")
        shop.execute(f"UPDATE orders SET created_at = '2026-01-01 00:00:{number:02}' WHERE id = {number}")
    shop.execute("UPDATE orders SET payment_status = 'paid'")


def test_what_the_shop_pays_by_itself_is_found_and_noted(shop: Shop, settings: Settings) -> None:
    shop.add("DH1", 2)
    looks = Sweep(settings)
    assert _ids(shop, looks) == []
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    before = [row.updated_at for row in shop.task_rows()]
    assert _ids(shop, looks) == [1, 2]
    assert [row.ready for row in shop.task_rows()] == [readiness.READY] * 2
    assert [row.updated_at for row in shop.task_rows()] == before
    assert _ids(shop, looks) == [1, 2]


@pytest.mark.parametrize("status", ["pending", "processing", "PROCESSING", "Pending"])
def test_orders_of_every_open_status_are_found(shop: Shop, settings: Settings, status: str) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid', order_status = :status", status=status)
    assert _ids(shop, Sweep(settings)) == [1]


@pytest.mark.databases("mariadb", "mysql")  # SQLite cannot change the column
def test_orders_without_a_status_are_found(shop: Shop, settings: Settings) -> None:
    shop.execute("ALTER TABLE orders MODIFY order_status VARCHAR(16) NULL")
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid', order_status = NULL")
    assert _ids(shop, Sweep(settings)) == [1]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET payment_status = 'refunded'",
        "UPDATE orders SET order_status = 'completed'",
        "UPDATE download_tasks SET status = 'completed'",
        "UPDATE download_tasks SET lease_token = 'x'",
        "UPDATE download_tasks SET managed = 0",
        "UPDATE download_tasks SET available_at = '2099-01-01'",
    ],
)
@pytest.mark.databases("sqlite")
def test_only_what_may_be_claimed_now_is_found(shop: Shop, settings: Settings, change: str) -> None:
    shop.paid()
    shop.execute(change)
    assert _ids(shop, Sweep(settings)) == []


def test_deleted_rows_are_left_out_and_not_noted_again(shop: Shop, settings: Settings) -> None:
    shop.paid("DH1")
    shop.paid("DH2", 2)
    shop.soft_delete("orders", 1)
    shop.soft_delete("download_tasks", 2)
    looks = Sweep(settings)
    for _ in range(2):
        assert _ids(shop, looks) == [3]
        assert [row.ready for row in shop.task_rows()] == [0, 0, 1]


def test_a_shops_own_tasks_are_taken_where_all_are(shop: Shop) -> None:
    shop.paid()
    shop.execute("UPDATE download_tasks SET managed = 0, ready = 0, available_at = NULL")
    assert _ids(shop, Sweep(_taking_all())) == [1]
    assert shop.task_row(1).ready == readiness.READY


def test_a_turn_looks_at_a_part_and_comes_round(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of time, whatever is in it; every other turn has the newest, which may just have been paid."""
    monkeypatch.setattr(sweep, "PART", 3)
    monkeypatch.setattr(sweep, "_NEWEST", 1)
    _paid_by_the_shop(shop, 8)
    looks, seen = Sweep(settings), []
    for turn in range(6):
        if turn == 2:
            shop.add("DH9")
            shop.execute("UPDATE orders SET payment_status = 'paid', created_at = '2026-02-02' WHERE id = 9")
        before = {row.id for row in shop.task_rows() if row.ready}
        looks.find(shop.engine, 0)
        seen.append([row.id for row in shop.task_rows() if row.ready and row.id not in before])
    assert seen == [[6, 7, 8], [3, 4, 5], [9], [1, 2], [], []]


@pytest.mark.databases("mysql", "mariadb")
def test_orders_with_odd_times_are_reached(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PART", 2)
    monkeypatch.setattr(sweep, "_NEWEST", 1)
    shop.execute("ALTER TABLE orders MODIFY created_at DATETIME NULL")
    _paid_by_the_shop(shop, 9)
    shop.execute("UPDATE orders SET created_at = NULL WHERE id < 4")
    shop.execute("UPDATE orders SET created_at = '0000-00-00' WHERE id IN (4, 5, 6)")
    looks = Sweep(settings)
    for _ in range(12):
        looks.find(shop.engine, 0)
    assert {row.ready for row in shop.task_rows()} == {readiness.READY}


@pytest.mark.databases("sqlite")
def test_an_order_with_very_many_tasks_is_noted_bit_by_bit(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_MOST_TASKS", 2)
    sweep._query.cache_clear()
    shop.add("DH1", 5)
    shop.add("DH2")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    looks, ready = Sweep(settings), []
    for _ in range(4):
        looks.find(shop.engine, 0)
        ready.append(sum(row.ready for row in shop.task_rows()))
    sweep._query.cache_clear()
    assert ready == [2, 4, 6, 6]


def test_wrong_notes_by_the_hundred_do_not_hide_a_due_task(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn corrects as many as it looks at."""
    monkeypatch.setattr(sweep, "_MANY", 4)
    monkeypatch.setattr(sweep, "PART", 1)
    monkeypatch.setattr(sweep, "_NEWEST", 1)
    for number in range(1, 11):
        shop.paid(f"DH{number}")
    shop.execute("UPDATE orders SET payment_status = 'refunded' WHERE id < 10")
    shop.paid("DH11")
    looks = Sweep(settings)
    assert [_ids(shop, looks) for _ in range(3)] == [[], [], [10, 11]]
    assert [row.ready for row in shop.task_rows()] == [0] * 9 + [1, 1]


@pytest.mark.databases("sqlite")
def test_failing_tasks_are_looked_for_besides_the_others(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_MANY", 2)
    shop.paid("DH1", 5)
    shop.execute("UPDATE download_tasks SET failing_since = '2026-01-01', ready = 2")
    shop.paid("DH2", 5)
    assert _ids(shop, Sweep(settings)) == [1, 2, 6, 7]


@pytest.mark.databases("sqlite")
def test_after_redis_has_lost_all_every_due_task_gets_its_job_again(
    shop: Shop, settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part at a time: the next one when workers have taken that."""
    monkeypatch.setattr(sweep, "_FEW", 2)
    monkeypatch.setattr(sweep, "_MANY", 4)
    for number in range(1, 11):
        shop.paid(f"DH{number}")
    looks, rung = Sweep(settings), []
    for _ in range(6):
        found = reconcile.ring(shop.engine, client, settings, looks)
        rung.append([one.task_id for one in found])
        for job in client.lpop(QUEUE, 3) or []:
            shop.claimed(int(job.split(b"-")[1]))
    assert [task for turn in rung for task in turn] == [*range(1, 11)]
    assert rung[0] == [1, 2, 3, 4]


@pytest.mark.databases("sqlite")
def test_a_long_queue_is_neither_read_nor_added_to_but_once_in_a_while(
    shop: Shop, settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of another program count: workers take them out of the way."""
    now = [1000.0]
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: now[0])
    shop.paid()
    client.rpush(QUEUE, *(f"job-{number}" for number in range(sweep.LONG_QUEUE)))
    looks = Sweep(settings)

    def rung() -> list[int | None]:
        client.lrem(QUEUE, 0, "task-1-0")
        client.delete("orderctl:rung:task-1-0")
        return [one.task_id for one in reconcile.ring(shop.engine, client, settings, looks)]

    assert (rung(), rung()) == ([1], [])
    client.lpop(QUEUE)
    assert rung() == []
    now[0] += 5
    assert (rung(), rung()) == ([1], [])
    client.rpush(QUEUE, "job-x")
    now[0] += 59
    assert rung() == []
    now[0] += 1
    assert rung() == [1]
    client.ltrim(QUEUE, 0, 50)
    assert (rung(), rung()) == ([1], [1])


@pytest.mark.databases("sqlite")
def test_open_orders_are_gone_through_while_the_queue_is_long(
    shop: Shop, settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the oldest ones are not the last to be found when the queue is shorter."""
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: 1000.0)
    monkeypatch.setattr(sweep, "PART", 2)
    monkeypatch.setattr(sweep, "_NEWEST", 1)
    _paid_by_the_shop(shop, 6)
    client.rpush(QUEUE, *(f"job-{number}" for number in range(sweep.LONG_QUEUE)))
    looks = Sweep(settings)
    for _ in range(6):
        reconcile.ring(shop.engine, client, settings, looks)
    assert {row.ready for row in shop.task_rows()} == {readiness.READY}


@pytest.mark.databases("sqlite")
def test_one_run_for_all_notes_everything(
    shop: Shop, settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the migration of a database in which nothing is noted."""
    monkeypatch.setattr(readiness, "_BATCH", 2)
    shop.paid("DH1", 5)
    shop.execute("UPDATE download_tasks SET ready = 0")
    assert {one.task_id for one in reconcile.check(shop.engine, client, settings)} == {1, 2, 3, 4, 5}
    assert {row.ready for row in shop.task_rows()} == {0}
    assert len(reconcile.ring(shop.engine, client, settings)) == 5
    assert {row.ready for row in shop.task_rows()} == {readiness.READY}
