"""Orders that the shop has ended itself: no second event, no second mail; and one end in each round."""

from collections.abc import Iterator

import pytest
import redis

from orderctl import broker, reconcile, tasks
from tests.shop import Shop


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = broker.brisk(redis_url)
    yield client
    client.close()


def fix(shop: Shop, client: redis.Redis) -> list[bool]:
    """End what has ended, as ``reconcile --fix`` does; return for each finding whether it is repaired."""
    return [finding.repaired for finding in reconcile.end_orders(shop.engine, client)]


def shop_ends(shop: Shop, event: str = "order_completed", status: str | None = None) -> None:
    """Let the shop record the end of its order, as its own system does, with its own mail."""
    shop.record(shop.order().id, event, source="webhook_handler")
    if status is not None:
        shop.execute("UPDATE orders SET order_status = :status", status=status)


def shop_carries_out(shop: Shop) -> None:
    """Let the shop's own workers complete all tasks of its orders."""
    shop.execute("UPDATE download_tasks SET managed = 0, status = 'completed'")
    shop.execute("UPDATE orders SET order_status = 'processing'")


def ends(shop: Shop) -> list[str | None]:
    """Return the sources of the events that tell an order's end."""
    names = ("order_completed", "order_failed", "order_cancelled")
    return [event.source for event in shop.events("DH1") if event.event_type in names]


@pytest.mark.parametrize("word", ["order_completed", "ORDER_COMPLETED"])
def test_fix_writes_no_second_end_where_the_shop_has_recorded_it(shop: Shop, client: redis.Redis, word: str):
    shop.paid()
    shop_carries_out(shop)
    shop_ends(shop, word)

    assert fix(shop, client) == [True]

    assert (shop.order().order_status, ends(shop), shop.outbox()) == ("completed", ["webhook_handler"], [])
    assert fix(shop, client) == []


@pytest.mark.databases("sqlite")
def test_fix_gives_an_order_the_status_with_which_the_shop_has_ended_it(shop: Shop, client: redis.Redis):
    shop.paid()
    shop_carries_out(shop)
    shop_ends(shop, "order_failed")

    assert fix(shop, client) == [True]

    assert shop.order().order_status == "failed"
    assert shop.order().completed_at is not None


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("word", ["completed", "COMPLETED", "shipped"])
def test_an_order_whose_status_tells_its_end_is_not_ended_again(
    shop: Shop, client: redis.Redis, word: str
) -> None:
    [task] = shop.paid()
    claim = shop.claimed(task)
    shop.start(claim)
    shop.execute("UPDATE orders SET order_status = :word", word=word)

    shop.complete(claim)

    assert fix(shop, client) == []
    assert shop.order().order_status == word.lower()
    assert (ends(shop), shop.outbox()) == ([], [])


@pytest.mark.databases("sqlite")
def test_a_worker_that_ends_the_last_task_leaves_the_end_to_the_shop_which_has_recorded_it(shop: Shop):
    [task] = shop.paid()
    claim = shop.claimed(task)
    shop.start(claim)
    shop_ends(shop)

    shop.complete(claim)

    # The shop writes its status next, and may send its mail only if that changes.
    assert (shop.order().order_status, ends(shop), shop.outbox()) == ("processing", ["webhook_handler"], [])


@pytest.mark.databases("sqlite")
def test_a_shop_that_notes_orderctl_s_end_and_sets_the_order_back_gets_its_status_again(
    shop: Shop, client: redis.Redis
):
    [task] = shop.paid()
    shop.carry_out(task)
    shop_ends(shop, "order_failed", "processing")
    shop.execute("UPDATE download_tasks SET status = 'pending'")

    shop.carry_out(task)

    assert shop.order().order_status == "completed"
    assert ends(shop) == ["orderctl_worker", "webhook_handler"]
    assert len(shop.outbox()) == 3


@pytest.mark.databases("sqlite")
def test_a_task_that_was_open_when_the_shop_ended_the_order_runs_without_a_second_end(shop: Shop):
    [task] = shop.paid()
    shop_ends(shop, status="completed")

    shop.carry_out(task)

    assert shop.task(task).status == "completed"
    order = shop.order()
    assert (order.order_status, order.round) == ("completed", 0)
    assert (ends(shop), shop.outbox()) == (["webhook_handler"], [])


@pytest.mark.databases("sqlite")
def test_a_task_that_is_added_after_orderctl_s_own_end_opens_the_order_again(shop: Shop):
    first, second = shop.paid(courses=2)
    shop.execute(f"UPDATE download_tasks SET status = 'cancelled' WHERE id = {second}")
    shop.carry_out(first)
    shop.execute(f"UPDATE download_tasks SET status = 'pending' WHERE id = {second}")

    shop.carry_out(second)

    assert (shop.order().order_status, shop.order().round, len(ends(shop))) == ("completed", 1, 2)


@pytest.mark.parametrize("status", ["failed", None])
def test_a_retry_after_the_shop_s_end_begins_a_round_with_an_end_of_its_own(
    shop: Shop, client: redis.Redis, status: str | None
):
    [task] = shop.paid()
    shop.claimed(task)
    shop.execute("UPDATE download_tasks SET status = 'failed', lease_token = NULL, lease_until = NULL")
    shop_ends(shop, "order_failed", status)

    shop.transact(lambda c: tasks.retry(c, task, max_attempts=3, actor="admin"))
    assert (shop.order().order_status, shop.order().round) == ("processing", 1)
    shop.carry_out(task)

    assert shop.order().order_status == "completed"
    assert ends(shop) == ["webhook_handler", "orderctl_worker"]
    assert [entry.kind for entry in shop.outbox()] == ["completion", "summary", "webhook"]
    assert fix(shop, client) == []


def test_an_order_that_is_set_back_ends_once_in_each_round_even_without_its_log(
    shop: Shop, client: redis.Redis
):
    [task] = shop.paid()
    shop.carry_out(task)
    shop.execute("UPDATE orders SET order_status = 'processing'")
    shop.execute("DELETE FROM order_audit_logs")
    sent = shop.outbox()

    assert fix(shop, client) == [True]

    assert (shop.order().order_status, ends(shop), shop.outbox()) == ("completed", [], sent)


@pytest.mark.databases("sqlite")
def test_an_order_that_was_refunded_since_it_was_found_is_not_ended(
    shop: Shop, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    shop.paid()
    shop_carries_out(shop)
    found = reconcile.findings.unended

    def refund(connection):
        rows = found(connection)
        shop.execute("UPDATE orders SET payment_status = 'refunded'")
        return rows

    monkeypatch.setattr("orderctl.findings.unended", refund)

    assert fix(shop, client) == []
    assert (shop.order().order_status, ends(shop)) == ("processing", [])
