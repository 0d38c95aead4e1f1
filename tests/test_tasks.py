from random import Random
from typing import Any

import pytest
from sqlalchemy import update

from orderctl import error_groups, failures, tasks
from orderctl.channels import Scope
from orderctl.errors import Conflict, LeaseLost, NotManaged, TaskNotFound
from orderctl.leases import Claim
from orderctl.lifecycle import Moved
from orderctl.schema import download_tasks
from orderctl.tasks import TaskFilter
from tests.shop import Shop


def _retry(shop: Shop, task_id: int, **more: Any) -> Moved:
    arguments: dict[str, Any] = {"max_attempts": 3, "actor": "admin"} | more
    return shop.transact(lambda c: tasks.retry(c, task_id, **arguments))


def _cancel(shop: Shop, task_id: int, reason: str | None = None) -> Moved:
    return shop.transact(lambda c: tasks.cancel(c, task_id, actor="admin", reason=reason))


def _fail(shop: Shop, claim: Claim, text: str = "broken", **more: Any) -> None:
    failure = failures.describe(RuntimeError(text))
    shop.transact(lambda c: failures.fail(c, claim, failure, retry_transient=False, **more))


def _failed(shop: Shop, code: str = "DH1", courses: int = 1) -> list[int]:
    """Add an order whose tasks have all failed."""
    task_ids = shop.paid(code, courses)
    for task_id in task_ids:
        _fail(shop, shop.claimed(task_id))
    return task_ids


def test_unknown_task(shop: Shop) -> None:
    for act in (_retry, _cancel):
        with pytest.raises(TaskNotFound):
            act(shop, 7)
    with pytest.raises(TaskNotFound):
        shop.task(7)


@pytest.mark.parametrize("managed", [0, 1])
def test_retry_queues_a_failed_task_again(shop: Shop, managed: int) -> None:
    [task_id] = _failed(shop)
    shop.execute(f"UPDATE download_tasks SET managed = {managed}")

    moved = _retry(shop, task_id, max_attempts=2, reason="disk replaced", take=not managed)

    task = shop.task(task_id)
    assert (task.status, task.managed, task.attempt, task.max_attempts) == ("pending", True, 1, 3)
    assert task.available_at is not None
    assert task.available_at <= shop.now()
    [after] = moved.tasks
    assert (after.id, after.status, after.attempt, after.managed) == (task_id, "pending", 1, True)
    event = shop.event(task.order_id, "task_retried")
    assert (event.previous_status, event.new_status, event.actor) == ("failed", "pending", "admin")
    assert event.details == {"attempt": 1, "reason": "disk replaced"}
    assert shop.claimed(task_id).attempt == 2


def test_retry_leaves_a_task_of_the_shop_s_own_workers_to_them(shop: Shop) -> None:
    [task_id] = _failed(shop)
    shop.execute("UPDATE download_tasks SET managed = 0")
    before = shop.task_row(task_id), shop.log_size()

    with pytest.raises(NotManaged, match=f"task {task_id} is run by the shop's own workers") as refused:
        _retry(shop, task_id)

    assert refused.value.hint == f"orderctl tasks retry {task_id} --take"
    assert (shop.task_row(task_id), shop.log_size(), shop.order().round) == (*before, 0)
    _cancel(shop, task_id)
    assert shop.task(task_id).status == "cancelled"


def test_retry_opens_the_order_again_and_it_ends_once_more(shop: Shop) -> None:
    [task_id] = _failed(shop)
    order = shop.order()
    assert (order.order_status, order.round) == ("failed", 0)

    moved = _retry(shop, task_id)

    assert [(change.scope, change.new_status) for change in moved.messages] == [
        (Scope.TASK, "pending"),
        (Scope.ORDER, "processing"),
    ]
    order = shop.order()
    assert (order.order_status, order.round, order.completed_at) == ("processing", 1, None)
    shop.carry_out(task_id)
    assert shop.order().order_status == "completed"
    types = shop.event_types(order.id)
    assert [types.count(name) for name in ("order_failed", "order_reopened", "order_completed")] == [1, 1, 1]
    keys = [row.dedup_key for row in shop.outbox() if row.kind == "completion"]
    assert keys == [f"order:{order.id}:round:{number}:completion" for number in (0, 1)]


def test_retry_keeps_the_error_until_the_task_is_completed(shop: Shop) -> None:
    [task_id] = _failed(shop)
    _retry(shop, task_id)
    assert shop.task(task_id).error_type == "UNKNOWN"

    shop.carry_out(task_id)

    task = shop.task(task_id)
    assert (task.error_type, task.error_log, task.error_fingerprint) == (None, None, None)


def test_retry_of_a_cancelled_task(shop: Shop) -> None:
    [task_id] = shop.paid()
    _cancel(shop, task_id)
    assert shop.order().order_status == "cancelled"

    _retry(shop, task_id)

    assert (shop.task(task_id).status, shop.order().order_status) == ("pending", "processing")
    shop.carry_out(task_id)
    assert shop.order().order_status == "completed"


def test_retry_of_a_waiting_task_makes_it_due(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id)
    failure = failures.describe(TimeoutError("slow"))
    shop.transact(lambda c: failures.fail(c, claim, failure, retry_transient=True))
    shop.transact(
        lambda c: c.execute(update(download_tasks).values(available_at=shop.now().replace(year=2999)))
    )
    assert shop.claim(task_id) is None

    _retry(shop, task_id)

    assert shop.claim(task_id) is not None


def test_retry_of_a_task_that_was_released_by_hand(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.claimed(task_id)
    shop.execute("UPDATE download_tasks SET lease_until = NULL")

    _retry(shop, task_id)

    assert shop.claimed(task_id).attempt == 2


def test_a_task_whose_order_does_not_exist_cannot_be_moved(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.orphan(task_id)

    for act in (_retry, _cancel):
        with pytest.raises(Conflict, match=f"task {task_id} belongs to order 999999, which does not exist"):
            act(shop, task_id)
    assert shop.claim(task_id) is None


def test_retry_refuses_completed_tasks(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.carry_out(task_id)

    with pytest.raises(Conflict, match="completed"):
        _retry(shop, task_id)

    assert (shop.order().order_status, shop.order().round) == ("completed", 0)


def test_retry_refuses_tasks_at_work(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id, worker="host-1")
    with pytest.raises(Conflict, match="running on worker host-1"):
        _retry(shop, task_id)

    shop.start(claim)
    with pytest.raises(Conflict, match="running on worker host-1"):
        _retry(shop, task_id)
    shop.complete(claim)


def test_retry_refuses_what_the_shops_own_worker_is_at(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.execute("UPDATE download_tasks SET managed = 0, status = 'downloading'")

    with pytest.raises(Conflict, match="downloading"):
        _retry(shop, task_id)


def test_retry_refuses_unpaid_orders_and_unknown_statuses(shop: Shop) -> None:
    order_id = shop.add("DH1")
    [task] = shop.tasks(order_id)
    with pytest.raises(Conflict, match="not paid"):
        _retry(shop, task.id)

    shop.pay("DH1")
    shop.execute("UPDATE download_tasks SET status = 'archived'")
    with pytest.raises(Conflict, match="archived"):
        _retry(shop, task.id)


def test_cancel_gives_a_waiting_task_up(shop: Shop) -> None:
    first, second = shop.paid(courses=2)

    moved = _cancel(shop, first, reason="bought twice")

    assert (moved.tasks[0].status, moved.completion) == ("cancelled", None)
    event = shop.event(shop.order().id, "task_cancelled")
    assert (event.task_id, event.actor, event.details["reason"]) == (first, "admin", "bought twice")
    assert shop.claim(first) is None
    assert shop.carry_out(second).completion is not None
    order = shop.order()
    assert (order.order_status, order.total_tasks, order.progress_percentage) == ("completed", 1, 100)


def test_cancel_of_the_last_unfinished_task_ends_the_order(shop: Shop) -> None:
    first, second = shop.paid(courses=2)
    shop.carry_out(first)

    moved = _cancel(shop, second)

    assert moved.completion is not None
    assert [(change.scope, change.new_status) for change in moved.messages] == [
        (Scope.TASK, "cancelled"),
        (Scope.ORDER, "completed"),
    ]
    assert moved.completion.total_tasks == 1


def test_cancel_of_every_task_cancels_the_order(shop: Shop) -> None:
    first, second = shop.paid(courses=2)
    _cancel(shop, first)
    _cancel(shop, second)

    order = shop.order()
    assert (order.order_status, order.progress_percentage) == ("cancelled", 0)
    assert shop.event(order.id, "order_cancelled").details == {
        "completedCount": 0,
        "failedCount": 0,
        "totalCount": 0,
    }


def test_cancel_takes_the_task_from_its_worker(shop: Shop) -> None:
    [task_id] = shop.paid()
    claim = shop.claimed(task_id)
    shop.start(claim)

    _cancel(shop, task_id)

    with pytest.raises(LeaseLost):
        shop.complete(claim)
    assert shop.task(task_id).status == "cancelled"
    assert "download_completed" not in shop.event_types(claim.order_id)


def test_cancel_of_the_failed_task_lets_the_order_complete(shop: Shop) -> None:
    first, second = shop.paid(courses=2)
    shop.carry_out(first)
    _fail(shop, shop.claimed(second))
    assert shop.order().order_status == "failed"

    moved = _cancel(shop, second)

    assert moved.completion is not None
    order = shop.order()
    assert (order.order_status, order.round) == ("completed", 1)
    assert shop.event_types(order.id)[-2:] == ["order_reopened", "order_completed"]


def test_cancel_of_one_failed_task_of_two(shop: Shop) -> None:
    first, second = _failed(shop, courses=2)

    moved = _cancel(shop, first)

    assert moved.completion is not None
    assert (shop.order().order_status, shop.order().failed_tasks) == ("failed", 1)
    assert shop.event_types(shop.order().id).count("order_failed") == 2
    _cancel(shop, second)
    assert shop.order().order_status == "cancelled"


@pytest.mark.parametrize("status", ["completed", "cancelled", "archived"])
def test_cancel_refuses_what_has_ended(shop: Shop, status: str) -> None:
    [task_id] = shop.paid()
    shop.execute(f"UPDATE download_tasks SET status = '{status}'")

    with pytest.raises(Conflict, match=status):
        _cancel(shop, task_id)


def test_cancel_before_the_payment(shop: Shop) -> None:
    order_id = shop.add("DH1")

    _cancel(shop, shop.tasks(order_id)[0].id)

    assert shop.order().order_status == "cancelled"
    assert shop.pay("DH1").payment.reason == "the order is cancelled"


def test_selection_chooses_by_each_of_its_words(shop: Shop) -> None:
    broken, slow = _failed(shop, "DH1", courses=2)
    [waiting] = shop.paid("DH2")
    shop.execute(
        "UPDATE download_tasks SET error_type = 'TIMEOUT', error_fingerprint = 'f2' WHERE id = :id", id=slow
    )

    def found(**wanted: Any) -> list[int]:
        return [task.id for task in shop.read(lambda c: tasks.select_tasks(c, TaskFilter(**wanted)))]

    assert found() == [waiting, slow, broken]
    assert found(statuses=["failed"]) == [slow, broken]
    assert found(ids=[broken, waiting]) == [waiting, broken]
    assert found(order_id=shop.order("DH2").id) == [waiting]
    assert found(error_type="TIMEOUT") == [slow]
    assert found(fingerprint="f2", statuses=["failed"]) == [slow]
    assert found(fingerprint="f2", statuses=["pending"]) == []
    page = shop.read(lambda c: tasks.select_tasks(c, TaskFilter(), limit=1, before_id=waiting))
    assert [task.id for task in page] == [slow]


@pytest.mark.databases("sqlite")
def test_selection_by_error_finds_tasks_of_any_of_very_many_statuses(shop: Shop) -> None:
    shop.add("DH1", 110)
    shop.execute(
        "UPDATE download_tasks SET status = printf('at %03d', id),"
        " error_type = CASE WHEN id IN (1, 109) THEN 'TIMEOUT' END"
    )
    found = shop.read(lambda c: tasks.select_tasks(c, TaskFilter(error_type="TIMEOUT")))

    assert [task.id for task in found] == [109, 1]


def test_selection_of_no_ids_finds_nothing(shop: Shop) -> None:
    shop.paid()

    assert shop.read(lambda c: tasks.select_tasks(c, TaskFilter(ids=[]))) == []


def test_groups_failed_tasks_by_the_way_they_failed(shop: Shop) -> None:
    for number in range(3):
        _failed(shop, f"DH{number}", courses=1)
    [other] = shop.paid("DH8")
    _fail(shop, shop.claimed(other), "disk full")
    shop.paid("DH9")

    many, one = shop.read(lambda c: tasks.group_errors(c, TaskFilter()))

    assert (many.error_type, many.count, many.example) == ("UNKNOWN", 3, "UNKNOWN: broken")
    assert (one.error_type, one.count, one.latest_task_id) == ("DISK_SPACE", 1, other)
    assert one.fingerprint == shop.task(other).error_fingerprint != many.fingerprint
    assert shop.read(lambda c: tasks.group_errors(c, TaskFilter(), limit=1)) == [many]


_ERRORS = [("NETWORK", "a"), ("NETWORK", "b"), ("NETWORK", None), ("TIMEOUT", "a"), (None, None), (None, "c")]


def _fail_as(shop: Shop, errors: list[tuple[str | None, str | None]]) -> None:
    """Write a failed task for each error, with the ids 1, 2, ..."""
    shop.paid("DH1", courses=len(errors))
    for number, (kind, mark) in enumerate(errors, 1):
        values = {"status": "failed", "error_type": kind, "error_fingerprint": mark}
        shop.transact(
            lambda c, n=number, v=values: c.execute(
                update(download_tasks).where(download_tasks.c.id == n).values(v)
            )
        )


def test_groups_found_step_by_step_are_those_of_all_tasks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_groups, "_STEP", 2)
    chosen = Random(7)
    _fail_as(shop, [chosen.choice(_ERRORS) for _ in range(40)])
    filters = [
        TaskFilter(error_type=kind, fingerprint=mark, order_id=order)
        for kind in (None, "NETWORK", "SPACE") for mark in (None, "a") for order in (None, 1)
    ]  # fmt: skip

    for wanted in filters:
        found, every = (
            shop.read(lambda c, wanted=wanted, exact=exact: tasks.group_errors(c, wanted, exact=exact))
            for exact in (False, True)
        )
        assert found == every
        listed = shop.read(lambda c, wanted=wanted: tasks.select_tasks(c, wanted, limit=5, before_id=30))
        expected = [
            task.id
            for task in reversed(shop.tasks(1))
            if task.id < 30
            and wanted.error_type in {None, task.error_type}
            and wanted.fingerprint in {None, task.error_fingerprint}
        ]
        assert [task.id for task in listed] == expected[:5]


def test_numbers_of_large_groups_stop_at_a_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_as(shop, [("NETWORK", "a")] * 4 + [("NETWORK", "b")] * 3 + [("SPACE", None)])
    monkeypatch.setattr(error_groups, "CAP_OF_FEW", 3)

    first, second, third = shop.read(lambda c: tasks.group_errors(c, TaskFilter()))

    assert (first.fingerprint, first.count, first.capped, first.latest_task_id) == ("a", 3, True, 4)
    assert (second.fingerprint, second.count, second.capped, second.latest_task_id) == ("b", 3, False, 7)
    assert (third.error_type, third.count, third.capped) == ("SPACE", 1, False)
    exact = shop.read(lambda c: tasks.group_errors(c, TaskFilter(), exact=True))
    assert [(group.count, group.capped) for group in exact] == [(4, False), (3, False), (1, False)]


def test_of_many_groups_those_of_the_newest_failures_are_shown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_as(shop, [("NETWORK", mark) for mark in "abcdeacc"])
    monkeypatch.setattr(error_groups, "FEW", 3)
    monkeypatch.setattr(error_groups, "_NEWEST", 4)

    found = shop.read(lambda c: tasks.group_errors(c, TaskFilter()))

    groups = [(group.fingerprint, group.count, group.capped) for group in found]
    assert groups == [("c", 2, True), ("a", 1, True), ("e", 1, True), ("d", 1, True)]
    monkeypatch.setattr(error_groups, "_NEWEST", 8)
    exact = shop.read(lambda c: tasks.group_errors(c, TaskFilter()))
    assert [(group.fingerprint, group.count, group.capped) for group in exact][:3] == [
        ("c", 3, False),
        ("a", 2, False),
        ("e", 1, False),
    ]
    listed = shop.read(lambda c: tasks.select_tasks(c, TaskFilter(fingerprint="c"), limit=2))
    assert [task.id for task in listed] == [8, 7]


def test_groups_have_a_place_for_failures_of_others(shop: Shop) -> None:
    shop.paid("DH1", courses=2)
    shop.execute("UPDATE download_tasks SET status = 'failed', error_log = 'old worker: timeout'")

    [group] = shop.read(lambda c: tasks.group_errors(c, TaskFilter()))

    assert (group.error_type, group.fingerprint, group.count) == (None, None, 2)
    assert group.example == "old worker: timeout"


def test_statuses_of_others_are_shown_and_left_alone(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.execute("UPDATE download_tasks SET status = 'archived'")

    assert shop.task(task_id).status == "archived"
    assert shop.claim(task_id, take_all=True) is None
