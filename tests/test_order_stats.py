"""The numbers of paid orders and of their tasks."""

import pytest

from orderctl import order_stats, shape, statuses
from orderctl.states import OrderStatus, TaskStatus
from tests.shop import Shop


def test_stats_count_paid_orders_and_their_tasks(shop: Shop) -> None:
    done, _ = shop.paid("DH1", courses=2)
    shop.carry_out(done)
    shop.paid("DH2")
    shop.add("DH3", courses=5)

    for exact in (False, True):
        stats = shop.read(lambda c, exact=exact: order_stats.count(c, exact=exact))
        assert stats.orders == dict.fromkeys(OrderStatus, 0) | {"processing": 1, "pending": 1}
        assert stats.tasks == dict.fromkeys(TaskStatus, 0) | {"completed": 1, "pending": 2}
        assert not stats.capped


def test_exact_stats_count_statuses_of_others_too(shop: Shop) -> None:
    shop.paid("DH1")
    shop.execute("UPDATE orders SET order_status = 'on_hold'")

    assert shop.read(lambda c: order_stats.count(c, exact=True)).orders["on_hold"] == 1


def test_counts_stop_at_their_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "COUNT_LIMIT", 2)
    for number in range(4):
        shop.paid(f"DH{number}")

    stats = shop.read(order_stats.count)

    assert stats.orders[OrderStatus.PENDING] == 3
    assert stats.capped
    assert shop.read(lambda c: order_stats.count(c, exact=True)).orders[OrderStatus.PENDING] == 4


def test_old_orphans_are_looked_for_where_no_foreign_key_holds_tasks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = shop.paid("DH1", 2)
    shop.orphan(first)
    monkeypatch.setattr(statuses, "COUNT_LIMIT", 1)

    assert shop.read(lambda c: order_stats.count(c, exact=True)).tasks["pending"] == 1
    monkeypatch.setattr(shape, "has_foreign_key", lambda *_: False)
    assert shop.read(lambda c: order_stats.count(c, exact=True)).tasks["pending"] == 2
