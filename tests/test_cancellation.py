"""Cancelling orders as a whole."""

from dataclasses import replace

import pytest

from orderctl import cancellation, orders, tasks
from orderctl.errors import Conflict, LeaseLost, OrderDeleted, OrderNotFound
from orderctl.lifecycle import Moved
from orderctl.states import EventType
from tests.shop import TESTER, Shop


def _cancel(shop: Shop, order_id: int = 1, reason: str | None = None) -> Moved:
    return shop.transact(lambda c: cancellation.cancel(c, order_id, TESTER, reason))


def test_an_order_ends_with_its_unfinished_tasks(shop: Shop) -> None:
    done, failed, running, waiting = shop.paid(courses=4)
    shop.carry_out(done)
    shop.fail(failed)
    claim = shop.claimed(running)
    shop.start(claim)

    moved = _cancel(shop, reason="withdrawn")

    assert [shop.task(one).status for one in (done, failed, running, waiting)] == [
        "completed", "failed", "cancelled", "cancelled",
    ]  # fmt: skip
    order = shop.order()
    assert (order.order_status, order.payment_status) == ("cancelled", "paid")
    assert order.completed_at is not None
    assert [task.id for task in moved.tasks] == [running, waiting]
    assert [(message.scope, message.id) for message in moved.messages] == [
        ("task", running), ("task", waiting), ("order", order.id),
    ]  # fmt: skip
    assert moved.completion is not None
    with pytest.raises(LeaseLost):  # the worker stops
        shop.complete(claim)
    told = [
        event for event in shop.events("DH1") if event.event_type in {"task_cancelled", "order_cancelled"}
    ]
    assert [event.message.endswith("(withdrawn)") for event in told] == [True] * 3
    assert {event.actor for event in told} == {"tester"}


@pytest.mark.databases("sqlite")
def test_an_order_that_is_not_paid_is_cancelled_even_without_tasks(shop: Shop) -> None:
    shop.add()
    shop.execute("DELETE FROM order_audit_logs")
    shop.execute("DELETE FROM download_tasks")

    assert _cancel(shop).tasks == ()
    assert shop.order().order_status == "cancelled"
    assert [event.event_type for event in shop.events("DH1")] == [EventType.ORDER_CANCELLED]


@pytest.mark.databases("sqlite")
def test_an_ended_order_is_a_conflict(shop: Shop) -> None:
    shop.carry_out(*shop.paid("DH1"))
    shop.add("DH2")
    shop.execute("UPDATE orders SET order_status = 'on_hold' WHERE order_code = 'DH2'")

    with pytest.raises(Conflict, match="order DH1 is already completed"):
        _cancel(shop, 1)
    with pytest.raises(Conflict, match="which orderctl does not know"):
        _cancel(shop, 2)
    with pytest.raises(OrderNotFound):
        _cancel(shop, 3)


@pytest.mark.databases("sqlite")
def test_a_deleted_order_is_left_alone(shop: Shop) -> None:
    shop.add()
    order = replace(shop.transact(lambda c: orders.lock(c, 1)), deleted=True)

    with pytest.raises(OrderDeleted):
        shop.read(lambda c: cancellation.refuse(c, order))


@pytest.mark.databases("sqlite")
def test_a_cancelled_order_is_reopened_by_a_retry_and_cancelled_again(shop: Shop) -> None:
    [task_id] = shop.paid()
    _cancel(shop)

    shop.transact(lambda c: tasks.retry(c, task_id, max_attempts=3, actor="tester"))
    assert shop.order().order_status == "processing"
    assert _cancel(shop).completion is not None
    assert shop.order().order_status == "cancelled"
