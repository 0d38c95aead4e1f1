"""The numbers from the buckets are those of the query that reads all events, whatever stands in the rows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Select, func, select

from orderctl import audit_counting, audit_counts, audit_hours, audit_summary, database, moments, shape
from orderctl.audit_gaps import Gap
from orderctl.audit_summary import Count
from orderctl.schema import order_audit_logs
from orderctl.states import Severity
from tests import odd_rows
from tests.shop import Shop

TIMES = [
    datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 9, 59, 59, tzinfo=UTC),
    datetime(2026, 1, 1, 10, tzinfo=UTC),
    datetime(2026, 1, 1, 10, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 10, 29, 59, tzinfo=UTC),
    datetime(2026, 1, 1, 23, 30, tzinfo=UTC),
    datetime(2026, 11, 29, 10, tzinfo=UTC),
    datetime(2026, 11, 30, tzinfo=UTC),
    datetime(9999, 12, 31, 22, 59, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 30, tzinfo=UTC),
]


def test_summary_counts_all_events_or_those_of_paid_orders(shop: Shop) -> None:
    shop.paid("DH1", courses=2)
    shop.add("DH2")
    shop.record(1, "note", Severity.ERROR)
    shop.record(1, "note", Severity.ERROR, created_at=shop.now() - timedelta(hours=5))

    assert shop.read(audit_summary.of_paid) == [
        Count("payment", "info", 1),
        Count("system", "error", 2),
        Count("task", "info", 2),
    ]
    assert shop.read(audit_summary.summary) == [
        Count("payment", "info", 1),
        Count("system", "error", 2),
        Count("task", "info", 3),
    ]
    later = shop.event(1, "payment_received").created_at + timedelta(seconds=60)
    for query in (audit_summary.of_paid, audit_summary.summary):
        assert shop.read(lambda c, query=query: query(c, since=later)) == []
        recent = shop.read(lambda c, query=query: query(c, since=later - timedelta(hours=2)))
        assert Count("system", "error", 1) in recent


def numbers(shop: Shop, times: Sequence[datetime] = TIMES) -> list[list[Count]]:
    return [
        shop.read(lambda c, since=since: audit_summary.summary(c, since=since)) for since in (None, *times)
    ]


def rows(shop: Shop, times: Sequence[datetime] = TIMES) -> list[int]:
    """Return how many events the database finds."""
    log = order_audit_logs.c.created_at
    conditions = [[], *([log >= since] for since in times)]
    count = select(func.count()).select_from(order_audit_logs)
    return [shop.read(lambda c, some=some: c.execute(count.where(*some)).scalar_one()) for some in conditions]


def test_buckets_have_the_numbers_of_odd_rows(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_rows.fill(shop.engine)
    shape.forget(shop.engine.dialect)
    live = numbers(shop)
    monkeypatch.setattr(audit_hours, "NEWEST", 0)

    assert audit_counting.catch_up(shop.engine) > 50

    assert not audit_counting.is_far(shop.engine, 0)
    assert numbers(shop) == live
    assert [sum(one.count for one in some) for some in live] == rows(shop)


@pytest.mark.databases("mariadb", "mysql")
def test_columns_of_the_shop_have_other_types(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_hours, "NEWEST", 0)
    moments.set_zone(shop.engine.dialect, moments.zone("Asia/Ho_Chi_Minh"))
    shop.add("DH1")
    shop.execute("DELETE FROM order_audit_logs")
    shop.execute(
        "ALTER TABLE order_audit_logs MODIFY event_category VARCHAR(20) CHARACTER SET latin1 NULL,"
        " MODIFY severity ENUM('INFO', 'ERROR', 'notice') NULL"
    )
    for kind in ("TIMESTAMP", "DATE", "DATETIME", "VARCHAR(40)", "BIGINT"):
        shop.execute("DELETE FROM order_audit_logs")
        shop.execute(f"ALTER TABLE order_audit_logs MODIFY created_at {kind} NULL")
        shape.forget(shop.engine.dialect)
        time = "20260101100000" if kind == "BIGINT" else "2026-01-01 10:00:00"
        for values in (f"'payment', 'INFO', '{time}'", f"'Über', 'notice', '{time}'", "NULL, NULL, NULL"):
            shop.execute(
                "INSERT INTO order_audit_logs (order_id, event_type, message, source, event_category, severity,"
                f" created_at) VALUES (1, 'note', 'm', 's', {values})"
            )
        live = numbers(shop, TIMES[1:-2])

        assert audit_counting.catch_up(shop.engine) == 3

        with database.reading(shop.engine) as connection:
            assert audit_counts.state_of(connection).counted_to is not None
        assert numbers(shop, TIMES[1:-2]) == live, kind
        assert live[0] == [Count("", "", 1), Count("payment", "info", 1), Count("Über", "notice", 1)]
        assert [sum(one.count for one in some) for some in live] == rows(shop, TIMES[1:-2]), kind


@pytest.mark.databases("sqlite")
def test_events_in_no_bucket_are_found_by_their_ids(shop: Shop) -> None:
    state = audit_counts.State(1, 5000, "", (Gap(7, 7, 0), Gap(10, 20, 0), Gap(30, 31, 0)))
    with database.reading(shop.engine) as connection:
        in_none, _, of_hour = (part for _, part in audit_summary._since(connection, state, TIMES[3]))
        rest, in_none_later, _ = (part for _, part in audit_summary._since(connection, state, TIMES[5]))
        every = audit_summary._live(state.uncounted())

        def plan(query: Select[Any]) -> str:
            text = query.compile(connection, compile_kwargs={"literal_binds": False})
            rows = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {text}", tuple(text.construct_params().values())
            )
            return " ".join(row[3] for row in rows)

        for query in (of_hour, rest):
            assert "ix_orderctl_order_audit_logs_created_at_id (created_at>? AND created_at<?)" in plan(query)
        for query in (in_none, in_none_later, every):
            assert "USING INTEGER PRIMARY KEY (rowid>?)" in plan(query)
            assert "SCAN order_audit_logs" not in plan(query)
            assert "created_at_id" not in plan(query)
