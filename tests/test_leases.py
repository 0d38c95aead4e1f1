from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from orderctl import leases
from orderctl.errors import LeaseLost
from orderctl.schema import download_tasks
from tests.shop import Shop


def _set(shop: Shop, **values: Any) -> None:
    shop.transact(lambda c: c.execute(update(download_tasks).values(values)))


def test_claim_takes_a_waiting_task(shop: Shop) -> None:
    [task_id] = shop.paid(max_attempts=5)

    claim = shop.claim(task_id, worker="host-1", lease_seconds=30)

    assert claim is not None
    order = shop.order()
    assert (claim.order_id, claim.order_code, claim.worker) == (order.id, "DH1", "host-1")
    assert (claim.attempt, claim.max_attempts, claim.previous_status) == (1, 5, "pending")
    row = shop.task_row(task_id)
    assert (row.lease_token, row.worker, row.attempt, row.status) == (claim.token, "host-1", 1, "pending")
    left = row.lease_until - shop.now()
    assert timedelta(seconds=20) < left <= timedelta(seconds=30)


def test_one_of_many_workers_gets_the_task(shop: Shop) -> None:
    task_ids = shop.paid(courses=4)

    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(shop.claim, task_ids * 4))

    assert sorted(claim.task_id for claim in claims if claim) == task_ids
    assert [shop.task(task_id).attempt for task_id in task_ids] == [1] * 4


def test_claimed_task_cannot_be_claimed_again(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.claimed(task_id)

    assert shop.claim(task_id) is None
    shop.expire(task_id)
    assert shop.claim(task_id) is None  # first reconcile gives it back: it counts attempts and writes events


def test_unknown_task_is_not_claimed(shop: Shop) -> None:
    assert shop.claim(7) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET payment_status = 'pending'",
        "UPDATE orders SET payment_status = 'refunded'",
        "UPDATE orders SET order_status = 'cancelled'",
        "UPDATE download_tasks SET status = 'downloading'",
        "UPDATE download_tasks SET status = 'completed'",
        "UPDATE download_tasks SET status = 'failed'",
        "UPDATE download_tasks SET status = 'cancelled'",
        "UPDATE download_tasks SET managed = 0",
        "UPDATE download_tasks SET available_at = '2999-01-01 00:00:00'",
    ],
)
def test_task_that_is_not_for_us_now_is_not_claimed(shop: Shop, statement: str) -> None:
    [task_id] = shop.paid()
    shop.execute(statement)

    assert shop.claim(task_id) is None

    row = shop.task_row(task_id)
    assert (row.attempt, row.lease_token, row.worker) == (0, None, None)
    assert shop.order().order_status != "processing"


@pytest.mark.parametrize("due", [None, "2020-01-01 00:00:00"])
def test_due_task_is_claimed(shop: Shop, due: str | None) -> None:
    [task_id] = shop.paid()
    shop.execute("UPDATE download_tasks SET status = 'enrolled', available_at = :due", due=due)

    claim = shop.claimed(task_id)

    assert claim.previous_status == "enrolled"


def test_task_of_the_shop_is_claimed_only_when_all_are_ours(shop: Shop) -> None:
    shop.execute(
        "INSERT INTO orders (order_code, user_email, payment_status) VALUES ('DH1', 'a@b.c', 'paid')"
    )
    shop.execute("INSERT INTO download_tasks (order_id, course_url) VALUES (1, 'http://courses.example/1')")

    assert shop.claim(1) is None
    claim = shop.claim(1, take_all=True)
    assert claim is not None
    shop.start(claim)
    assert shop.complete(claim).completion is not None


def test_beat_holds_the_lease(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id)
    shop.expire(task_id)

    shop.transact(lambda c: leases.beat(c, claim, 60))

    lease_until = shop.task(task_id).lease_until
    assert lease_until is not None
    assert timedelta(seconds=50) < lease_until - shop.now() <= timedelta(seconds=60)


def test_two_beats_at_the_same_moment_are_no_loss(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id)

    def twice(connection):
        leases.beat(connection, claim, 60)
        leases.beat(connection, claim, 60)

    shop.transact(twice)


def test_a_worker_that_lost_the_lease_writes_nothing(shop: Shop) -> None:
    [task_id] = shop.paid()
    late = shop.claimed(task_id)
    _set(shop, lease_token=None, lease_until=None)
    successor = shop.claimed(task_id, worker="successor")
    before, events = shop.task_row(task_id), shop.event_types(late.order_id)

    writes = [
        lambda c: leases.beat(c, late, 60),
        lambda c: leases.enrolled(c, late, title="x", details={}),
        lambda c: leases.started(c, late),
        lambda c: leases.complete(c, late, folder_name="f", drive_link=None, details={}),
        lambda c: leases.release(c, late, reason="stops"),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            shop.transact(write)

    assert shop.task_row(task_id) == before
    assert shop.event_types(late.order_id) == events
    shop.start(successor)
    assert shop.complete(successor).completion is not None


def test_a_task_goes_its_way(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id, worker="host-1")

    enrolled = shop.transact(lambda c: leases.enrolled(c, claim, title="A course", details={"files": 3}))
    assert (enrolled.previous_status, enrolled.new_status, enrolled.attempt) == ("pending", "enrolled", 1)
    task = shop.task(task_id)
    assert (task.status, task.title) == ("enrolled", "A course")
    started = shop.transact(lambda c: leases.started(c, claim))
    assert (started.previous_status, started.new_status) == ("enrolled", "downloading")
    done = shop.transact(
        lambda c: leases.complete(
            c, claim, folder_name="DH1/1", drive_link="https://files.example/DH1/1/", details={"files": 3}
        )
    )
    assert [(change.previous_status, change.new_status) for change in done.messages] == [
        ("downloading", "completed"),
        ("processing", "completed"),
    ]

    task, row = shop.task(task_id), shop.task_row(task_id)
    assert (task.status, task.drive_link) == ("completed", "https://files.example/DH1/1/")
    assert (row.lease_token, row.lease_until, row.worker) == (None, None, "host-1")
    event = shop.event(claim.order_id, "download_completed")
    assert event.details == {
        "folderName": "DH1/1",
        "driveLink": "https://files.example/DH1/1/",
        "files": 3,
    }
    assert shop.event(claim.order_id, "enrollment_success").details == {"files": 3}
    assert shop.event(claim.order_id, "download_started").details == {"attempt": 1, "worker": "host-1"}


@pytest.mark.databases("sqlite")
def test_unreadable_times_of_the_shop_stop_no_task(shop: Shop) -> None:
    [task_id] = shop.paid()
    # The format in which Sequelize writes a time to SQLite.
    shop.execute("UPDATE orders SET created_at = '2023-01-01 12:00:00.000 +00:00'")

    assert shop.carry_out(task_id).completion is not None


def test_title_of_the_shop_is_kept(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.execute("UPDATE download_tasks SET title = 'Of the shop'")
    claim = shop.claimed(task_id)

    shop.transact(lambda c: leases.enrolled(c, claim, title="Of the manifest", details={}))

    assert shop.task(task_id).title == "Of the shop"


def test_end_that_is_written_again_after_a_lost_answer_changes_nothing(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id)
    shop.start(claim)
    shop.complete(claim)
    size, row = shop.log_size(), shop.task_row(task_id)

    again = shop.complete(claim)

    assert (again.messages, again.completion) == ((), None)
    assert (shop.log_size(), shop.task_row(task_id)) == (size, row)


def test_released_task_waits_for_another_at_once_and_the_attempt_does_not_count(shop: Shop) -> None:
    [task_id] = shop.paid(max_attempts=1)
    claim = shop.claimed(task_id)
    shop.start(claim)

    released = shop.transact(lambda c: leases.release(c, claim, reason="the worker stops"))
    again = shop.transact(lambda c: leases.release(c, claim, reason="the worker stops"))

    [change] = released.messages
    assert (change.previous_status, change.new_status) == ("downloading", "pending")
    assert again.messages == ()
    task = shop.task(task_id)
    assert (task.status, task.attempt, task.max_attempts) == ("pending", 1, 2)
    assert shop.event(claim.order_id, "task_released").details["reason"] == "the worker stops"
    assert shop.claimed(task_id).attempt == 2


def test_release_of_a_cancelled_task_is_none(shop: Shop) -> None:
    [task_id] = shop.paid(courses=1)
    claim = shop.claimed(task_id)
    shop.start(claim)
    _set(shop, status="cancelled", lease_token=None, lease_until=None)

    with pytest.raises(LeaseLost):
        shop.transact(lambda c: leases.release(c, claim, reason="the worker stops"))


def test_two_last_tasks_that_end_at_once_complete_the_order_once(shop: Shop) -> None:
    for number in range(5):
        claims = [shop.claimed(task_id) for task_id in shop.paid(f"DH{number}", courses=2)]
        for claim in claims:
            shop.start(claim)

        with ThreadPoolExecutor(2) as pool:
            ended = [finished.completion for finished in pool.map(shop.complete, claims)]

        assert [end is None for end in ended].count(False) == 1
        order = shop.order(f"DH{number}")
        assert order.order_status == "completed"
        assert shop.event_types(order.id).count("order_completed") == 1


def test_lease_times_are_the_databases(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    [task_id] = shop.paid()

    shop.claimed(task_id)

    lease_until = shop.task(task_id).lease_until
    assert lease_until is not None
    assert lease_until > shop.now()
