"""The numbers of paid orders and of their tasks."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from orderctl import order_stats, shape, statuses
from orderctl.states import OrderStatus, TaskStatus
from tests.shop import Shop

WORDS = st.sampled_from(["pending", "processing", "completed", "failed", "on hold", "", "Pending"])
PAYMENTS = st.sampled_from(["paid", "paid", "pending", "refunded", "Paid"])
#: Orders with their payment status, status and whether they are deleted; and the same of each of their tasks.
ROWS = st.lists(
    st.tuples(
        PAYMENTS,
        WORDS,
        st.booleans(),
        st.lists(st.tuples(WORDS | st.just("enrolled"), st.booleans()), max_size=4),
    ),
    max_size=14,
)


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


def test_tasks_of_open_orders_are_seen_among_many_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "COUNT_LIMIT", 4)
    shop.paid("DH1", 2)
    for number in range(2, 8):
        shop.paid(f"DH{number}", 2)
    shop.execute("UPDATE orders SET order_status = 'completed' WHERE id > 1")
    shop.execute("UPDATE download_tasks SET status = 'completed' WHERE order_id > 1")
    shop.execute("UPDATE download_tasks SET status = 'enrolled' WHERE id = 2")
    for number in range(8, 14):
        shop.add(f"DH{number}", courses=3)

    stats = shop.read(order_stats.count)

    assert (stats.tasks["pending"], stats.tasks["enrolled"], stats.tasks["failed"]) == (1, 1, 0)
    assert stats.tasks["completed"] == 3  # the half of the walks, and one more
    assert stats.at_least == {"orders.completed", "tasks.completed", "tasks.pending"}


def test_old_orphans_are_looked_for_where_no_foreign_key_holds_tasks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        first, *_ = shop.paid(f"DH{number}", 2)
    shop.orphan(first, 0)  # the lowest id: older than the tasks that are looked at
    monkeypatch.setattr(statuses, "COUNT_LIMIT", 7)

    held = shop.read(order_stats.count)
    monkeypatch.setattr(shape, "has_foreign_key", lambda *_: False)
    free = shop.read(order_stats.count)

    assert (held.tasks["pending"], held.at_least) == (7, frozenset())
    assert "tasks.pending" in free.at_least
    assert shop.read(lambda c: order_stats.count(c, exact=True)).tasks["pending"] == 8


@pytest.fixture
def loose(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop that deletes rows softly and has no foreign keys."""
    for table in ("orders", "download_tasks"):
        shop.execute(f"ALTER TABLE {table} ADD COLUMN deleted_at VARCHAR(30)")
    shape.forget(shop.engine.dialect)
    monkeypatch.setattr(shape, "has_foreign_key", lambda *_: False)
    return shop


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(drawn=ROWS, orphans=st.lists(WORDS, max_size=3), limit=st.integers(1, 30))
def test_a_number_is_exact_or_a_lower_bound(
    loose: Shop, drawn: list, orphans: Sequence[str], limit: int
) -> None:
    _write(loose, drawn, orphans)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statuses, "COUNT_LIMIT", limit)
        found = loose.read(order_stats.count)
    exact = loose.read(lambda c: order_stats.count(c, exact=True))

    assert exact.at_least == frozenset()
    assert exact.numbers == {"orders": _expected_orders(drawn), "tasks": _expected_tasks(drawn, orphans)}
    for scope, group in exact.numbers.items():
        bounds = found.numbers[scope]
        for status in {*group, *bounds}:
            number, true = bounds.get(status, 0), group.get(status, 0)
            bound = f"{scope}.{status}" in found.at_least
            assert number <= true if bound else number == true, (scope, status)
            assert not bound or number <= limit + 1


def _write(shop: Shop, drawn: list, orphans: Sequence[str]) -> None:
    orders, tasks = [], []
    for number, (payment, status, deleted, of_order) in enumerate(drawn, 1):
        orders.append(
            {
                "id": number,
                "code": f"DH{number}",
                "payment": payment,
                "status": status,
                "gone": _gone(deleted),
            }
        )
        tasks += [{"order": number, "status": word, "gone": _gone(deleted)} for word, deleted in of_order]
    tasks += [{"order": 900, "status": word, "gone": None} for word in orphans]
    without_keys = create_engine(shop.engine.url)  # by default SQLite checks no foreign keys
    with without_keys.begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("SET foreign_key_checks = 0")
        for statement, values in (
            ("DELETE FROM download_tasks", [{}]),
            ("DELETE FROM orders", [{}]),
            (ORDER, orders),
            (TASK, tasks),
        ):
            if values:
                connection.execute(text(statement), values)
    without_keys.dispose()
    shape.forget(shop.engine.dialect)


ORDER = (
    "INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, round,"
    " deleted_at) VALUES (:id, :code, 'a@example.com', :status, :payment, 1, '2026-03-01 00:00:00', 0, :gone)"
)
TASK = (
    "INSERT INTO download_tasks (order_id, course_url, title, status, managed, attempt, max_attempts, deleted_at)"
    " VALUES (:order, 'https://example.com', 'T', :status, 1, 0, 3, :gone)"
)


def _gone(deleted: bool) -> str | None:
    return "2026-03-02 00:00:00" if deleted else None


def _expected_orders(drawn: list) -> dict[str, int]:
    return _counted(
        OrderStatus, [status for payment, status, deleted, _ in drawn if _is_paid(payment) and not deleted]
    )


def _expected_tasks(drawn: list, orphans: Sequence[str]) -> dict[str, int]:
    of_paid = [
        word
        for payment, _, deleted, of_order in drawn
        for word, gone in of_order
        if _is_paid(payment) and not deleted and not gone
    ]
    return _counted(TaskStatus, [*of_paid, *orphans])


def _is_paid(payment: str) -> bool:
    return payment.lower() == "paid"


def _counted(known: Iterable[str], words: Iterable[str]) -> dict[str, int]:
    return {**dict.fromkeys(known, 0), **Counter(word.lower() for word in words)}
