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
