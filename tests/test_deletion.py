"""Rows that the shop has deleted softly are left out wherever orderctl reads, and do not hold anything up."""

from typing import Any

import pytest
import redis
from sqlalchemy import select

from orderctl import (
    deletion,
    findings,
    leases,
    listing,
    order_stats,
    orders,
    reconcile,
    settings,
    shape,
    tasks,
)
from orderctl.errors import LeaseLost, OrderDeleted, OrderNotFound, TaskNotFound
from orderctl.listing import OrderFilter
from orderctl.relay.api import queries
from orderctl.schema import orders as orders_table
from orderctl.tasks import TaskFilter
from tests.shop import Shop

NOW = "2026-11-29 10:00:00"
#: Types of the column, with values of rows that are deleted, and of rows that are not.
COLUMNS: dict[str, tuple[str, list[Any], list[Any]]] = {
    "time": ("deleted_at DATETIME NULL", [NOW], [None, "0000-00-00 00:00:00"]),
    "stamp": ("deletedAt TIMESTAMP NULL DEFAULT NULL", [NOW], [None, "0000-00-00 00:00:00"]),
    "required": (
        "deleted_at DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00'",
        [NOW],
        ["0000-00-00 00:00:00"],
    ),
    "epoch": ("DELETED_AT BIGINT NULL", [1_764_410_400], [None, 0]),
    "text": ("deleted_at VARCHAR(40) NULL", [NOW, "yes"], [None, "", "0"]),
}


def restore(shop: Shop, table: str) -> None:
    shop.execute(f"UPDATE {table} SET deleted_at = NULL")


def _find(shop: Shop, redis_url: str) -> list[findings.Finding]:
    load = settings.load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"})
    with redis.Redis.from_url(redis_url) as client:
        return reconcile.check(shop.engine, client, load)


def test_columns_of_any_type(shop: Shop) -> None:
    ids = [shop.add(f"DH{number}") for number in range(3)]
    found: dict[str, tuple[list[int], list[int]]] = {}
    expected: dict[str, tuple[list[int], list[int]]] = {}
    for kind, (definition, dead, alive) in COLUMNS.items():
        name = definition.partition(" ")[0]
        for value, deleted in [*((one, True) for one in dead), *((one, False) for one in alive)]:
            with shop.engine.begin() as connection:
                if connection.dialect.name != "sqlite":
                    connection.exec_driver_sql("SET SESSION sql_mode = ''")
                connection.exec_driver_sql(f"ALTER TABLE orders ADD COLUMN {definition}")
                mark = "?" if connection.dialect.name == "sqlite" else "%s"
                connection.exec_driver_sql(f"UPDATE orders SET {name} = {mark} WHERE id = 2", (value,))
            shape.forget(shop.engine.dialect)
            chosen = [
                shop.read(
                    lambda c, one=one: sorted(c.execute(select(orders_table.c.id).where(one)).scalars())
                )
                for one in (deletion.not_deleted(orders_table), deletion.is_deleted(orders_table))
            ]
            found[f"{kind} {value!r}"] = chosen[0], chosen[1]
            expected[f"{kind} {value!r}"] = ([1, 3], [2]) if deleted else (ids, [])
            shop.engine.dispose()
            shop.execute(f"ALTER TABLE orders DROP COLUMN {name}")
    assert found == expected


def test_a_time_in_either_of_two_columns_is_a_deletion(shop: Shop) -> None:
    for number in range(4):
        shop.add(f"DH{number}")
    for name, deleted in (("deleted_at", "(2, 4)"), ("deletedAt", "(3, 4)")):
        shop.execute(f"ALTER TABLE orders ADD COLUMN {name} DATETIME NULL")
        shop.execute(f"UPDATE orders SET {name} = '{NOW}' WHERE id IN {deleted}")
    shape.forget(shop.engine.dialect)

    for condition, ids in (
        (deletion.not_deleted(orders_table), [1]),
        (deletion.is_deleted(orders_table), [2, 3, 4]),
    ):
        query = select(orders_table.c.id).where(condition).order_by(orders_table.c.id)
        assert shop.read(lambda c, query=query: list(c.execute(query).scalars())) == ids


def test_a_deleted_order_is_found_only_among_the_deleted(shop: Shop, redis_url: str) -> None:
    [task] = shop.paid("DH1")
    shop.paid("DH2")
    shop.record(1, severity="error")
    assert shop.order("DH1").deleted is False
    shop.soft_delete("orders", 1)

    def codes(**wanted: Any) -> list[str]:
        return [
            order.order_code for order in shop.read(lambda c: listing.page(c, OrderFilter(**wanted))).orders
        ]

    assert (codes(), codes(paid=True), codes(deleted=True)) == (["DH2"], ["DH2"], ["DH1"])
    assert shop.read(lambda c: listing.count(c, OrderFilter())) == 1
    for reference in ("DH1", "1"):
        with pytest.raises(OrderDeleted, match=f"the shop has deleted order '{reference}'"):
            shop.order(reference)
        assert shop.read(lambda c, one=reference: orders.find(c, one, deleted=True)).order_code == "DH1"
    with pytest.raises(OrderDeleted):
        shop.read(lambda c: orders.get(c, 1))
    with pytest.raises(OrderNotFound, match="deleted order 'DH2' not found"):
        shop.read(lambda c: orders.find(c, "DH2", deleted=True))
    for exact in (True, False):
        stats = shop.read(lambda c, exact=exact: order_stats.count(c, exact=exact))
        assert (sum(stats.orders.values()), sum(stats.tasks.values())) == (1, 1)
    assert [one.order_code for one in shop.read(lambda c: tasks.select_tasks(c, TaskFilter()))] == ["DH2"]
    with pytest.raises(TaskNotFound):
        shop.task(task)
    assert shop.claim(task) is None
    for change in (
        lambda c: tasks.retry(c, task, max_attempts=1, actor="a"),
        lambda c: tasks.cancel(c, task, actor="a"),
    ):
        with pytest.raises(TaskNotFound):
            shop.transact(change)
    assert [finding.order_id for finding in _find(shop, redis_url)] == [2]
    page = shop.read(lambda c: queries.paid_orders(c, queries.Wanted(limit=20)))
    assert [order.order_code for order in page.orders] == ["DH2"]
    assert shop.read(lambda c: queries.order_of_task(c, task)) is None


def test_a_deleted_order_cannot_be_paid_but_a_known_payment_is_known(shop: Shop) -> None:
    shop.add("DH1")
    shop.paid("DH2")
    shop.soft_delete("orders", 1)
    shop.soft_delete("orders", 2)

    kept = shop.pay("DH1", "300000").payment
    assert (kept.outcome, kept.reason) == ("surplus", "the order is deleted by the shop")
    assert shop.pay("DH2", "300000").repeated


def test_a_deleted_order_does_not_end_until_it_is_restored(shop: Shop, redis_url: str) -> None:
    [task] = shop.paid("DH1")
    claim = shop.claimed(task)
    shop.start(claim)
    shop.soft_delete("orders", 1)

    with pytest.raises(LeaseLost):
        shop.complete(claim)
    shop.expire(task)
    assert _find(shop, redis_url) == []

    restore(shop, "orders")
    assert [finding.kind for finding in _find(shop, redis_url)] == ["expired-lease"]


def test_a_deleted_task_does_not_keep_its_order_open(shop: Shop, redis_url: str) -> None:
    done, gone, running = shop.paid("DH1", 3)
    claim = shop.claimed(running)
    shop.soft_delete("download_tasks", gone)
    shop.soft_delete("download_tasks", running)

    assert shop.claim(gone) is None
    with pytest.raises(LeaseLost):
        shop.transact(lambda c: leases.beat(c, claim, 30))
    shop.expire(running)
    assert [finding.task_id for finding in _find(shop, redis_url)] == [done]
    assert shop.carry_out(done).completion is not None
    order = shop.order("DH1")
    assert (order.order_status, order.total_tasks) == ("completed", 1)
    assert [task.id for task in shop.tasks(1)] == [done]
    assert [one.id for one in shop.read(lambda c: tasks.select_tasks(c, TaskFilter()))] == [done]
    with pytest.raises(TaskNotFound):
        shop.transact(lambda c: tasks.retry(c, gone, max_attempts=1, actor="a"))
