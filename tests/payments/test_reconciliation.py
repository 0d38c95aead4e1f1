"""A statement is compared with the ledger: what is planted is found, and nothing else."""

from typing import Any

import pytest

from orderctl.payments import reconciliation
from orderctl.payments.reconciliation import Difference, Report, Scope
from orderctl.schema import TABLES
from tests.payments.months import BEGIN, Month, Planted
from tests.shop import RULES, TESTER, Shop


def compare(shop: Shop, month: Month) -> Report:
    scope = Scope(since=BEGIN)
    return shop.read(lambda c: reconciliation.compare(c, month.statement, RULES, scope))


def found(differences: tuple[Difference, ...]) -> set[Planted]:
    return {(one.kind, one.line, one.order_code, one.outcome) for one in differences}


def record(shop: Shop, month: Month, report: Report) -> list[Any]:
    lines = {line.number: line for line in month.lines}
    return [
        shop.transact(
            lambda c, line=lines[one.line]: reconciliation.record(c, line, RULES, TESTER, report.matched)  # type: ignore[misc]
        )
        for one in report.differences
        if one.kind == "missing" and one.line is not None
    ]


def rows(shop: Shop) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    with shop.engine.connect() as connection:
        return {
            table.name: connection.exec_driver_sql(f"SELECT * FROM {table.name}").all() for table in TABLES
        }


def check(shop: Shop, month: Month) -> None:
    before = rows(shop)
    report = compare(shop, month)
    assert rows(shop) == before
    assert found(report.differences) == month.planted
    assert len(report.differences) == len(month.planted)

    receipts = record(shop, month, report)
    outcomes = [one.outcome for one in report.differences if one.kind == "missing"]
    assert [receipt.payment.outcome for receipt in receipts] == outcomes
    assert not any(receipt.repeated for receipt in receipts)

    rest = compare(shop, month)
    assert found(rest.differences) == month.after
    assert len(rest.differences) == len(month.after)

    recorded = rows(shop)
    assert all(receipt.repeated for receipt in record(shop, month, report))
    assert rows(shop) == recorded


@pytest.mark.databases("sqlite")
def test_a_month_of_3000_orders(shop: Shop) -> None:
    month = Month(3000)
    month.write(shop.engine)

    check(shop, month)


@pytest.mark.databases("mysql", "mariadb")
def test_a_month_of_each_database(shop: Shop) -> None:
    month = Month(360)
    month.write(shop.engine)

    check(shop, month)
