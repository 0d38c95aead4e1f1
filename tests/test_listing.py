from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import String, delete, insert, literal, update

from orderctl import database, listing, shape
from orderctl.errors import InvalidInput
from orderctl.listing import OrderFilter
from orderctl.orders import Order, select_orders
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from tests.shop import Shop

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

#: Few times for many orders, so that most orders have the same time as others.
rows = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["paid", "pending"]), st.sampled_from(["pending", "failed"])
    ),
    max_size=25,
)


def _write(shop: Shop, drawn: list[tuple[int, str, str]]) -> list[tuple[int, str, str, int]]:
    """Insert orders; return them as (time, payment status, status, id)."""
    shop.transact(lambda c: c.execute(delete(orders_table)))
    values = [
        {
            "id": number,
            "order_code": f"DH{number}",
            "user_email": "a@b.c",
            "order_status": status,
            "payment_status": payment,
            "total_amount": 1,
            "created_at": MOMENT + timedelta(microseconds=moment),
            "round": 0,
        }
        for number, (moment, payment, status) in enumerate(drawn, 1)
    ]
    if values:
        shop.transact(lambda c: c.execute(insert(orders_table), values))
    return [(*row, number) for number, row in enumerate(drawn, 1)]


def _walk(shop: Shop, wanted: OrderFilter, limit: int) -> list[int]:
    """Return the ids of all pages."""
    found: list[int] = []
    cursor = None
    while True:
        page = shop.read(partial(listing.page, wanted=wanted, limit=limit, after=cursor))
        assert len(page.orders) <= limit
        found += [order.id for order in page.orders]
        cursor = page.cursor
        if cursor is None:
            return found


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(drawn=rows, limit=st.integers(1, 7), paid=st.booleans(), failed=st.booleans())
def test_pages_joined_are_the_whole_list(
    shop: Shop, drawn: list[tuple[int, str, str]], limit: int, paid: bool, failed: bool
) -> None:
    written = _write(shop, drawn)
    wanted = OrderFilter(paid=paid, statuses=["failed"] if failed else None)

    expected = [
        number
        for moment, payment, status, number in sorted(written, key=lambda row: (row[0], row[3]), reverse=True)
        if (not paid or payment == "paid") and (not failed or status == "failed")
    ]
    assert _walk(shop, wanted, limit) == expected
    assert shop.read(lambda c: listing.count(c, wanted)) == len(expected)


def _matches(order: Order, wanted: OrderFilter, stored: str) -> bool:
    """Whether an order belongs on a page, in plain Python."""
    return (
        (not wanted.paid or order.payment_status == "paid")
        and (wanted.statuses is None or order.order_status in wanted.statuses)
        and (wanted.email is None or stored in {wanted.email, wanted.email.lower()})
        and (wanted.since is None or (order.created_at is not None and order.created_at >= wanted.since))
        and (wanted.until is None or (order.created_at is not None and order.created_at < wanted.until))
    )


#: Orders of a shop with nullable columns: (time, payment status, status, address).
_foreign_rows = st.lists(
    st.tuples(
        st.none() | st.integers(0, 3),
        st.sampled_from(["paid", "PAID", "pending", "odd", None]),
        st.sampled_from(["pending", "Failed", "failed", "on_hold", None]),
        st.sampled_from(["a@b.c", "A@b.c", "x@y.z"]),
    ),
    max_size=20,
)
_filters = st.builds(
    OrderFilter,
    paid=st.booleans(),
    statuses=st.none() | st.lists(st.sampled_from(["pending", "failed", "on_hold", "completed"]), max_size=3),
    email=st.none() | st.sampled_from(["A@b.c", "a@b.c"]),
    since=st.none() | st.just(MOMENT + timedelta(microseconds=1)),
    until=st.none() | st.just(MOMENT + timedelta(microseconds=3)),
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(drawn=_foreign_rows, wanted=_filters, limit=st.integers(1, 7))
def test_pages_have_what_each_filter_lets_through(
    shop: Shop, drawn: list[tuple[Any, ...]], wanted: OrderFilter, limit: int
) -> None:
    _loosen(shop)
    _write_as_others(shop, drawn)
    every = shop.read(lambda c: select_orders(c, orders_table.c.id > 0))

    stored = {number: row[3] for number, row in enumerate(drawn, 1)}
    expected = [order.id for order in every if _matches(order, wanted, stored[order.id])]
    assert _walk(shop, wanted, limit) == expected
    skipped = shop.read(lambda c: listing.page(c, wanted, limit=limit, skip=3)).orders
    assert [order.id for order in skipped] == expected[3 : 3 + limit]
    assert shop.read(lambda c: listing.count(c, wanted)) == len(expected)


def _loosen(shop: Shop) -> None:
    """Let the columns hold what the shop's may."""
    if shape.of(shop.engine.dialect).column("orders", "loose") is not None:
        return
    if shop.engine.dialect.name == "sqlite":
        shop.execute("PRAGMA foreign_keys = OFF")
        columns = "id INTEGER PRIMARY KEY, order_code TEXT, user_email TEXT, order_status TEXT, payment_status TEXT,"
        shop.execute("DROP VIEW IF EXISTS v_order_latest_events")
        shop.execute("DROP TABLE orders")
        shop.execute(
            f"CREATE TABLE orders ({columns} total_amount, created_at DATETIME, paid_at, completed_at, round, loose)"
        )
    else:
        names = (
            "order_status VARCHAR(16)",
            "payment_status VARCHAR(16)",
            "created_at DATETIME(6)",
            "user_email VARCHAR(99)",
        )
        kinds = [
            f"MODIFY {name}{'' if 'DATE' in name else ' CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'} NULL"
            for name in names
        ]
        shop.execute(f"ALTER TABLE orders {', '.join(kinds)}, ADD loose INT")
    shape.forget(shop.engine.dialect)
    shop.read(lambda _: None)


def _write_as_others(shop: Shop, drawn: list[tuple[Any, ...]]) -> None:
    shop.transact(lambda c: c.execute(delete(orders_table)))
    for number, (moment, payment, status, email) in enumerate(drawn, 1):
        values = {
            "id": number, "order_code": f"DH{number}", "total_amount": 1, "round": 0,
            "created_at": None if moment is None else MOMENT + timedelta(microseconds=moment),
            "order_status": literal(status, String), "payment_status": literal(payment, String), "user_email": email,
        }  # fmt: skip
        shop.transact(lambda c, values=values: c.execute(insert(orders_table).values(values)))
    shape.forget(shop.engine.dialect)


def test_orders_that_come_meanwhile_disturb_no_page(shop: Shop) -> None:
    for number in range(4):
        shop.add(f"DH{number}")
    first = shop.read(lambda c: listing.page(c, OrderFilter(), limit=2))
    shop.add("DH9")

    second = shop.read(lambda c: listing.page(c, OrderFilter(), limit=2, after=first.cursor))

    assert [order.order_code for order in first.orders + second.orders] == ["DH3", "DH2", "DH1", "DH0"]
    assert second.cursor is None


def test_page_has_the_numbers_of_each_order(shop: Shop) -> None:
    done, cancelled, _ = shop.paid("DH1", courses=3)
    shop.carry_out(done)
    shop.execute(f"UPDATE download_tasks SET status = 'cancelled' WHERE id = {cancelled}")
    shop.add("DH2", courses=1)

    second, first = shop.read(lambda c: listing.page(c, OrderFilter())).orders

    assert (first.total_tasks, first.completed_tasks, first.failed_tasks, first.progress_percentage) == (
        2,
        1,
        0,
        50,
    )
    assert (second.order_code, second.total_tasks, second.progress_percentage) == ("DH2", 1, 0)


@pytest.mark.parametrize(
    "cursor", ["", "1", "20260301T120000000000", "20260301-1", "x-1", "20260301T120000-x"]
)
@pytest.mark.databases("sqlite")
def test_refuses_a_cursor_that_is_none(shop: Shop, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="not a valid cursor"):
        shop.read(lambda c: listing.page(c, OrderFilter(), after=cursor))


def test_filters_by_customer_and_time(shop: Shop) -> None:
    shop.add("DH1", email="one@example.com")
    shop.add("DH2", email="two@example.com")
    codes = {"DH1": MOMENT, "DH2": MOMENT + timedelta(days=1)}
    for code, moment in codes.items():
        shop.transact(
            lambda c, code=code, moment=moment: c.execute(
                update(orders_table).where(orders_table.c.order_code == code).values(created_at=moment)
            )
        )

    def found(wanted: OrderFilter) -> list[str]:
        return [order.order_code for order in shop.read(lambda c: listing.page(c, wanted)).orders]

    assert found(OrderFilter(email=" Two@Example.com ")) == ["DH2"]
    shop.execute(
        "UPDATE orders SET user_email = 'Two@Example.com' WHERE order_code = 'DH2'"
    )  # as the customer did
    assert found(OrderFilter(email="Two@Example.com")) == ["DH2"]
    assert found(OrderFilter(since=MOMENT + timedelta(hours=1))) == ["DH2"]
    assert found(OrderFilter(until=MOMENT + timedelta(hours=1))) == ["DH1"]
    assert found(OrderFilter(since=MOMENT, until=MOMENT + timedelta(days=1))) == ["DH1"]


def test_stale_orders_are_paid_and_do_not_move(shop: Shop) -> None:
    for code in ("DH1", "DH2", "DH3", "DH4"):
        shop.paid(code)
    shop.add("DH5")
    long_ago = {"paid_at": database.utc_now(-3600)}
    shop.transact(lambda c: c.execute(update(orders_table).values(long_ago)))
    shop.transact(lambda c: c.execute(update(download_tasks).values(updated_at=database.utc_now(-3600))))
    shop.claimed(shop.tasks(shop.order("DH2").id)[0].id)
    shop.execute("UPDATE orders SET order_status = 'failed' WHERE order_code = 'DH3'")
    shop.transact(
        lambda c: c.execute(
            update(orders_table)
            .where(orders_table.c.order_code == "DH4")
            .values(paid_at=database.utc_now(), created_at=database.utc_now(-9000))
        )
    )

    found = shop.read(lambda c: listing.page(c, OrderFilter(stale_seconds=600))).orders

    assert [order.order_code for order in found] == ["DH1"]


def test_an_order_whose_task_is_tried_again_and_again_is_stale(shop: Shop) -> None:
    for code in ("DH1", "DH2"):
        shop.paid(code)
    shop.transact(lambda c: c.execute(update(orders_table).values(paid_at=database.utc_now(-3600))))
    for task, seconds in ((1, 700), (2, 500)):
        began = {"failing_since": database.utc_now(-seconds), "updated_at": database.utc_now()}
        shop.transact(
            lambda c, task=task, began=began: c.execute(
                update(download_tasks).where(download_tasks.c.id == task).values(began)
            )
        )

    found = shop.read(lambda c: listing.page(c, OrderFilter(stale_seconds=600))).orders

    assert [order.order_code for order in found] == ["DH1"]


def test_order_status_of_others_stands_on_the_page(shop: Shop) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET order_status = 'on_hold', payment_status = 'partially'")

    [order] = shop.read(lambda c: listing.page(c, OrderFilter())).orders

    assert (order.order_status, order.payment_status) == ("on_hold", "partially")
    assert shop.read(lambda c: listing.page(c, OrderFilter(paid=True))).orders == []
