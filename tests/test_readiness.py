"""The note in a task's row that it may be claimed: kept by every move, a hint that is corrected, never the truth."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from orderctl import failures, leases, readiness, tasks
from orderctl.failures import Failure
from orderctl.patience import Patience
from orderctl.readiness import FAILING, NOT_READY, READY
from orderctl.schema import download_tasks
from orderctl.states import ErrorType
from tests.shop import Shop

TRANSIENT = Failure(ErrorType.NETWORK, "reset", "f1")


def _note(shop: Shop, task: int) -> int:
    return shop.task_row(task).ready


def test_every_move_of_a_task_keeps_the_note(shop: Shop) -> None:
    shop.add("DH1", 2)
    [task, other] = [task.id for task in shop.tasks(1)]
    assert (_note(shop, task), _note(shop, other)) == (NOT_READY, NOT_READY)
    shop.pay("DH1")
    assert (_note(shop, task), _note(shop, other)) == (READY, READY)
    claim = shop.claimed(task)
    assert (_note(shop, task), _note(shop, other)) == (NOT_READY, READY)
    shop.start(claim)
    assert _note(shop, task) == NOT_READY
    shop.transact(lambda c: leases.release(c, claim, reason="stops"))
    assert _note(shop, task) == READY

    failing = shop.claimed(task)
    shop.transact(lambda c: failures.fail(c, failing, TRANSIENT, retry_transient=True, limits=Patience()))
    assert _note(shop, task) == FAILING
    assert shop.task_row(task).available_at > shop.task_row(task).updated_at
    shop.transact(lambda c: tasks.retry(c, task, max_attempts=3, actor="admin"))
    assert _note(shop, task) == READY
    shop.fail(task)
    assert _note(shop, task) == NOT_READY
    shop.transact(lambda c: tasks.cancel(c, other, actor="admin"))
    assert _note(shop, other) == NOT_READY
    assert shop.order().order_status == "failed"
    shop.transact(lambda c: tasks.retry(c, task, max_attempts=3, actor="admin"))  # the order is reopened
    assert _note(shop, task) == READY
    shop.carry_out(task)
    assert (_note(shop, task), _note(shop, other)) == (NOT_READY, NOT_READY)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET payment_status = 'refunded'",
        "UPDATE orders SET order_status = 'cancelled'",
        "UPDATE orders SET order_status = 'on_hold'",
    ],
)
@pytest.mark.databases("sqlite")
def test_released_task_of_an_order_that_is_not_paid_and_open_is_not_noted(shop: Shop, change: str) -> None:
    [task] = shop.paid()
    claim = shop.claimed(task)
    shop.execute(change)
    shop.transact(lambda c: leases.release(c, claim, reason="stops"))
    assert _note(shop, task) == NOT_READY


def test_payment_notes_waiting_tasks_of_ours_only(shop: Shop) -> None:
    shop.add("DH1", 4)
    shop.add("DH2")
    own, foreign, done, later = [task.id for task in shop.tasks(1)]
    shop.execute(f"UPDATE download_tasks SET managed = 0 WHERE id = {foreign}")
    shop.execute(f"UPDATE download_tasks SET status = 'completed' WHERE id = {done}")
    shop.execute(f"UPDATE download_tasks SET available_at = NULL WHERE id = {own}")
    shop.execute(f"UPDATE download_tasks SET available_at = '2099-01-01' WHERE id = {later}")
    before = [row.updated_at for row in shop.task_rows()]
    shop.pay("DH1")
    assert [row.ready for row in shop.task_rows()] == [READY, NOT_READY, NOT_READY, READY, NOT_READY]
    assert shop.task_row(own).available_at is not None
    assert shop.task_row(later).available_at.year == 2099
    assert [row.updated_at for row in shop.task_rows()] == before


def test_a_task_is_due_since_the_payment_and_not_since_it_was_added(shop: Shop) -> None:
    """Else an order that is paid after an hour has waited for a worker for an hour, and goes before all others."""
    shop.add("DH1", 3)
    old, later, none = (task.id for task in shop.tasks(1))
    for task, moment in ((old, "'2026-01-01 00:00:00'"), (later, "'2126-01-01 00:00:00'"), (none, "NULL")):
        shop.execute(f"UPDATE download_tasks SET available_at = {moment} WHERE id = {task}")

    shop.pay("DH1")

    due = {task: shop.task_row(task).available_at for task in (old, later, none)}
    assert min(due[old], due[none]) >= shop.order().paid_at
    assert due[later].year == 2126
    shop.execute("UPDATE download_tasks SET available_at = '2026-01-01 00:00:00'")
    shop.transact(lambda c: readiness.correct(c, [old], take_all=False))
    assert shop.task_row(old).available_at.year == 2026


def test_a_wrong_note_is_corrected_and_nothing_else_is_changed(shop: Shop) -> None:
    """Also a column that the database sets with each update stays: ``orders list --stale`` goes by it."""
    if shop.engine.dialect.name != "sqlite":
        shop.execute(
            "ALTER TABLE download_tasks MODIFY updated_at DATETIME(6) NULL ON UPDATE CURRENT_TIMESTAMP(6)"
        )
    ids = [shop.paid(f"DH{number}")[0] for number in range(1, 9)]
    refunded, cancelled, deleted, ended, leased, foreign, failing, undated = ids
    shop.execute(f"UPDATE orders SET payment_status = 'refunded' WHERE id = {refunded}")
    shop.execute(f"UPDATE orders SET order_status = 'cancelled' WHERE id = {cancelled}")
    shop.soft_delete("orders", deleted)
    shop.execute(f"UPDATE download_tasks SET status = 'completed' WHERE id = {ended}")
    shop.execute(f"UPDATE download_tasks SET lease_token = 'x' WHERE id = {leased}")
    shop.execute(f"UPDATE download_tasks SET managed = 0 WHERE id = {foreign}")
    shop.execute(f"UPDATE download_tasks SET failing_since = '2026-01-01' WHERE id = {failing}")
    shop.execute(f"UPDATE download_tasks SET available_at = NULL, ready = 0 WHERE id = {undated}")
    before = [row._mapping for row in shop.task_rows()]

    found = shop.read(lambda c: readiness.noted(c, READY, take_all=False, limit=99))
    assert {one.id: (one.is_claimable, one.is_right) for one in found} == {
        **dict.fromkeys((refunded, cancelled, deleted, ended, leased, foreign), (False, False)),
        failing: (True, False),
    }
    shop.transact(lambda c: readiness.correct(c, ids, take_all=False))

    assert [row.ready for row in shop.task_rows()] == [NOT_READY] * 6 + [FAILING, READY]
    dated = shop.task_row(undated)
    assert dated.updated_at - dated.available_at < timedelta(minutes=5)
    for row, old in zip(shop.task_rows(), before, strict=True):
        changed = {key for key, value in row._mapping.items() if value != old[key]}
        assert changed <= ({"ready", "available_at"} if row.id == undated else {"ready"})
    shop.transact(lambda c: readiness.correct(c, [foreign], take_all=True))
    assert _note(shop, foreign) == READY


@pytest.mark.databases("sqlite")
def test_a_note_lets_nobody_claim(shop: Shop) -> None:
    shop.add("DH1")
    shop.transact(lambda c: c.execute(update(download_tasks).values(ready=READY)))
    assert shop.claim(1) is None
