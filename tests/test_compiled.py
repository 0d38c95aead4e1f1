"""Compiled statements are used again, as long as the database looks the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select
from sqlalchemy.sql.compiler import SQLCompiler

from orderctl import compiled, database, deletion, leases, moments, shape
from orderctl.schema import orders as orders_table
from tests.shop import Shop


@contextmanager
def compiling(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the list of the statements that are compiled in the block."""
    found: list[Any] = []
    before = SQLCompiler.__init__

    def noting(self: SQLCompiler, dialect: Any, statement: Any, *args: Any, **options: Any) -> None:
        found.append(statement)
        before(self, dialect, statement, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SQLCompiler, "__init__", noting)
        yield found


def _life(shop: Shop, task_id: int) -> None:
    claim = shop.transact(lambda c: leases.claim(c, task_id, worker="w", lease_seconds=60))
    assert claim is not None
    shop.transact(lambda c: leases.beat(c, claim, 60))
    shop.transact(lambda c: leases.enrolled(c, claim, title=None, details={}))
    shop.transact(lambda c: leases.started(c, claim))
    shop.transact(lambda c: leases.complete(c, claim, folder_name="x", drive_link=None, details={}))


def test_nothing_is_compiled_for_the_second_task(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        shop.add(f"DH{number}")
        shop.pay(f"DH{number}")
    ids = [task.id for task in shop.task_rows()]
    _life(shop, ids[0])
    _life(shop, ids[1])

    with compiling(monkeypatch) as found:
        _life(shop, ids[2])

    assert found == []


def _codes(connection: Connection) -> list[str]:
    kept = deletion.not_deleted(orders_table)
    wanted = orders_table.c.payment_status == "pending"
    query = select(orders_table.c.order_code).where(kept, wanted).order_by(orders_table.c.id)
    return list(connection.execute(query).scalars())


def test_statements_follow_the_shops_tables(shop: Shop) -> None:
    for number in range(3):
        shop.add(f"DH{number}")
    assert shop.read(_codes) == ["DH0", "DH1", "DH2"]

    shop.execute("ALTER TABLE orders ADD COLUMN deleted_at DATETIME NULL")
    shop.execute("UPDATE orders SET deleted_at = '2026-01-01 00:00:00' WHERE order_code = 'DH1'")
    shape.forget(shop.engine.dialect)  # as after half a minute

    assert shop.read(_codes) == ["DH0", "DH2"]


def test_statements_follow_the_spelling_of_words(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add("DH0")
    shop.read(_codes)
    shop.execute("UPDATE orders SET payment_status = 'PENDING'")
    shape.forget(shop.engine.dialect)
    assert shop.read(_codes) == ["DH0"]
    shape.forget(shop.engine.dialect)

    with compiling(monkeypatch) as found:
        assert shop.read(_codes) == ["DH0"]

    assert found == []  # nothing has changed


def test_statements_follow_the_zone(shop: Shop) -> None:
    shop.add("DH0")
    shop.add("DH1")
    moments.set_zone(shop.engine.dialect, moments.zone("+07:00"))
    shape.forget(shop.engine.dialect)
    shop.add("DH2")

    query = "SELECT created_at FROM orders ORDER BY id"
    times = [_moment(one) for one in shop.read(lambda c: c.exec_driver_sql(query).scalars().all())]

    assert [round((times[2] - one).total_seconds() / 3600) for one in times] == [7, 7, 0]


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def test_a_transaction_keeps_its_statements(engine: Engine) -> None:
    """Another thread may read the shape anew at any time."""
    with database.reading(engine) as first:
        kept = first.get_execution_options()["compiled_cache"]
        shape.forget(engine.dialect)
        with database.reading(engine) as second:
            assert second.get_execution_options()["compiled_cache"] is kept  # the same tables
        assert first.get_execution_options()["compiled_cache"] is kept
    assert isinstance(kept, compiled.Statements)


def test_nothing_is_kept_for_a_connection_whose_shape_was_not_read(engine: Engine) -> None:
    with engine.connect() as connection:
        assert not connection.get_execution_options().get("compiled_cache")
