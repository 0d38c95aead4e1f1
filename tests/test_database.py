"""Transactions that run again, and for how long."""

import pymysql
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from orderctl import database
from orderctl.errors import DatabaseBusy
from tests.shop import Shop


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("seconds", "runs"), [(30.0, 3), (0.0, 1)])
def test_transaction_runs_again_but_not_for_long(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int
) -> None:
    monkeypatch.setattr(database, "_RERUN_SECONDS", seconds)
    ran: list[int] = []

    def locked(_: Connection) -> None:
        ran.append(1)
        raise OperationalError("UPDATE", {}, pymysql.err.OperationalError(1205, "Lock wait timeout exceeded"))

    with pytest.raises(DatabaseBusy):
        database.transact(shop.engine, locked, reruns=3)

    assert len(ran) == runs


@pytest.mark.databases("mariadb", "mysql")
def test_only_a_connection_that_may_have_an_open_transaction_is_rolled_back(shop: Shop) -> None:
    def rolled_back() -> int:
        query = "SHOW SESSION STATUS LIKE 'Com_rollback'"
        return int(shop.read(lambda c: c.exec_driver_sql(query).one())[1])

    before = rolled_back()
    shop.add("DH1")
    assert rolled_back() == before + 1  # after the query before

    with pytest.raises(ZeroDivisionError):
        shop.transact(lambda c: [c.exec_driver_sql("DELETE FROM orderctl_outbox"), 1 // 0])
    assert rolled_back() >= before + 3
