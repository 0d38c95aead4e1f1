"""A statement is compared with the ledger: what is planted is found, and nothing else."""

from typing import Any

import pytest
from sqlalchemy import event

from orderctl.payments import reconciliation, strangers
from orderctl.payments.reconciliation import Difference, Report, Scope
from orderctl.payments.statements.line import Statement
from orderctl.schema import TABLES
from tests.payments.months import BEGIN, Month, Planted
from tests.payments.test_stated import line
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


@pytest.mark.databases("sqlite")
def test_what_is_not_asked_for_makes_no_difference(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    month = Month(360)
    month.write(shop.engine)
    report = compare(shop, month)

    monkeypatch.setattr(strangers, "find", lambda *_: frozenset())

    assert compare(shop, month) == report


@pytest.mark.databases("sqlite")
def test_unknown_lines_need_few_queries_and_are_noticed_early(shop: Shop) -> None:
    shop.add("DH1")
    noticed: list[tuple[int, int]] = []
    queries: list[str] = []
    event.listen(shop.engine, "before_cursor_execute", lambda *given: queries.append(given[2]))

    def number(size: int) -> int:
        lines = tuple(line(f"FT26334{n:03}", number=n, content=f"nop tien {n}") for n in range(2, 2 + size))
        statement = Statement(lines, (), (), ())
        queries.clear()
        report = shop.read(
            lambda c: reconciliation.compare(
                c, statement, RULES, Scope(), lambda *_: None, lambda *seen: noticed.append(seen)
            )
        )
        assert len(report.differences) == size
        return len(queries)

    assert number(150) - number(50) <= 100
    assert noticed == [(150, 150), (50, 50)]
