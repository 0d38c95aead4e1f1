"""A status that orderctl does not know is shown, counted and reported, and nothing is done because of it."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from orderctl import (
    audit,
    audit_search,
    audit_summary,
    leases,
    listing,
    order_stats,
    reconcile,
    shape,
    statuses,
    tasks,
)
from orderctl.errors import Conflict, InvalidInput
from orderctl.findings import FindingKind
from orderctl.listing import OrderFilter
from orderctl.payments.transfer import Transfer
from orderctl.settings import Settings
from orderctl.settings import load as load_settings
from orderctl.states import Severity
from tests.shop import RULES, Shop


@pytest.fixture
def odd(shop: Shop) -> Shop:
    """Three paid orders; a status of the third, of its payment or of its task gets an odd word in each test."""
    for code in ("DH1", "DH2", "DH3"):
        shop.paid(code, 2)
    return shop


@pytest.mark.parametrize(
    "word", ["shipped", "Shipped", "a lot", "zz", "0", "PENDING?", " pending", "pEnding"]
)
def test_unknown_statuses_are_counted_under_their_own_names(odd: Shop, word: str) -> None:
    odd.execute("UPDATE orders SET order_status = :word WHERE order_code = 'DH3'", word=word)
    odd.execute("UPDATE download_tasks SET status = :word WHERE order_id = 1", word=word)

    stats = odd.read(order_stats.count)

    assert (stats.orders[word], stats.orders["pending"]) == (1, 2)
    assert (stats.tasks[word], stats.tasks["pending"]) == (2, 4)
    assert stats == odd.read(lambda c: order_stats.count(c, exact=True))


@pytest.mark.parametrize("word", ["cancelled", "expired", "authorised", "", "VOID"])
def test_order_of_an_unknown_payment_status_cannot_be_paid(shop: Shop, word: str) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = :word", word=word)

    assert shop.pay("DH1").payment.outcome == "surplus"

    assert shop.order("DH1").payment_status == word
    assert shop.event_types("DH1") == ["task_created", "payment_surplus"]


def test_a_word_of_the_shops_for_pending_is_a_setting(shop: Shop) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'Unpaid'")
    transfer = Transfer("plain", shop.order("DH1").total_amount, code="DH1")

    shop.receive(transfer, rules=replace(RULES, pending=("pending", "unpaid")))

    assert shop.order("DH1").payment_status == "paid"


@pytest.mark.parametrize("word", ["void", "archived", "Refunded", ""])
def test_order_of_an_unknown_status_is_neither_paid_nor_carried_out_nor_retried(
    shop: Shop, word: str
) -> None:
    [task] = shop.paid("DH1")
    shop.execute("UPDATE orders SET order_status = :word", word=word)

    claim = shop.transact(lambda c: leases.claim(c, task, worker="w", lease_seconds=9))
    with pytest.raises(Conflict, match="does not know"):
        shop.transact(lambda c: tasks.retry(c, task, max_attempts=1, actor="me"))
    shop.execute("UPDATE orders SET payment_status = 'pending'")
    assert shop.pay("DH1", transaction="other").payment.outcome == "surplus"

    assert claim is None
    assert shop.order("DH1").order_status == word


@pytest.mark.parametrize("word", ["waiting", ""])
def test_task_of_an_unknown_status_is_neither_retried_nor_cancelled(shop: Shop, word: str) -> None:
    [task] = shop.paid("DH1")
    shop.execute("UPDATE download_tasks SET status = :word", word=word)

    with pytest.raises(Conflict, match=f"task 1 is in the status '{word}': only failed"):
        shop.transact(lambda c: tasks.retry(c, task, max_attempts=1, actor="me"))
    with pytest.raises(Conflict, match=f"task 1 is in the status '{word}', which orderctl does not know"):
        shop.transact(lambda c: tasks.cancel(c, task, actor="me"))


def _unknown(engine: Engine, redis_url: str, **environ: str) -> list[str]:
    found = reconcile.check(engine, _client(redis_url), _settings(**environ))
    return [finding.text for finding in found if finding.kind is FindingKind.UNKNOWN_STATUS]


def _settings(**environ: str) -> Settings:
    return load_settings(environ={"ORDERCTL_STATE_DIR": "/nonexistent", **environ})


def _client(redis_url: str):
    from orderctl import broker

    return broker.brisk(redis_url)


def test_reconcile_reports_each_unknown_status_once(odd: Shop, redis_url: str) -> None:
    assert _unknown(odd.engine, redis_url) == []
    odd.execute("UPDATE orders SET payment_status = 'chargeback' WHERE order_code = 'DH1'")
    odd.execute("UPDATE orders SET order_status = 'on hold' WHERE order_code IN ('DH1', 'DH2')")
    odd.execute("UPDATE download_tasks SET status = 'queued' WHERE order_id = 3")

    assert _unknown(odd.engine, redis_url) == [
        "'chargeback' in orders.payment_status, which orderctl does not know: 1 row",
        "'on hold' in orders.order_status, which orderctl does not know: 2 rows",
        "'queued' in download_tasks.status, which orderctl does not know: 2 rows",
    ]
    expected = {
        "ORDERCTL_RECONCILE_EXPECTED_STATUSES": "Queued",
        "ORDERCTL_PAYMENTS_PENDING_STATUSES": "Chargeback,on hold",  # says nothing of the orders' own status
        "ORDERCTL_WORKER_TAKE": "all",
    }
    assert _unknown(odd.engine, redis_url, **expected) == [
        "'on hold' in orders.order_status, which orderctl does not know: 2 rows"
    ]


def test_misspelt_status_is_refused_and_one_of_the_shops_is_found(odd: Shop) -> None:
    odd.execute("UPDATE orders SET order_status = 'On hold' WHERE order_code = 'DH2'")

    with pytest.raises(InvalidInput, match="no row of orders has the status 'complete'") as refused:
        odd.read(lambda c: statuses.require_of_orders(c, ["pending", "complete"]))
    odd.read(lambda c: statuses.require_of_orders(c, ["On hold", "failed"]))
    page = odd.read(lambda c: listing.page(c, OrderFilter(statuses=["On hold"])))

    assert "On hold" in str(refused.value.hint)
    assert [order.order_code for order in page.orders] == ["DH2"]


def test_events_of_an_unknown_severity_are_not_hidden(odd: Shop) -> None:
    odd.execute(
        "UPDATE order_audit_logs SET severity = 'fatal' WHERE order_id = 2 AND event_type = 'task_created'"
    )
    odd.execute(
        "UPDATE order_audit_logs SET severity = 'ERROR' WHERE order_id = 3 AND event_type = 'task_created'"
    )
    shape.forget(odd.engine.dialect)  # as after half a minute

    errors = odd.read(audit_search.errors)
    hidden = [severity for severity in Severity if severity is not Severity.CRITICAL]
    of_order = odd.read(lambda c: audit.search(c, 2, audit.Search(hidden_severities=hidden)))

    assert sorted((event.order_id, event.severity) for event in errors) == [
        (2, "fatal"), (2, "fatal"), (3, "error"), (3, "error"),
    ]  # fmt: skip
    assert [event.severity for event in of_order] == ["fatal", "fatal"]
    assert {(count.severity, count.count) for count in odd.read(audit_summary.summary) if count.category == "task"} == {
        ("fatal", 2), ("error", 2), ("info", 2),
    }  # fmt: skip


@pytest.mark.databases("mariadb", "mysql")
def test_spelling_that_the_database_does_not_find_is_unknown(odd: Shop, redis_url: str) -> None:
    collations = {"mysql": "utf8mb4_0900_ai_ci", "mariadb": "utf8mb4_general_nopad_ci"}
    collation = collations["mariadb" if odd.engine.dialect.is_mariadb else "mysql"]
    for table, column in (("orders", "order_status"), ("download_tasks", "status")):
        odd.execute(f"ALTER TABLE {table} MODIFY {column} VARCHAR(20) COLLATE {collation} NOT NULL")
    odd.execute("UPDATE orders SET order_status = 'pending ' WHERE id = 1")
    odd.execute("UPDATE orders SET order_status = 'PenDing' WHERE id = 2")
    shape.forget(odd.engine.dialect)

    stats = odd.read(order_stats.count)

    assert (stats.orders["pending"], stats.orders["pending "]) == (2, 1)
    assert stats == odd.read(lambda c: order_stats.count(c, exact=True))
    assert [odd.order(code).order_status for code in ("DH1", "DH2")] == ["pending ", "pending"]
    assert _unknown(odd.engine, redis_url) == [
        "'pending ' in orders.order_status, which orderctl does not know: 1 row"
    ]


@pytest.mark.databases("mariadb", "mysql")
def test_value_that_an_enum_does_not_have_is_unknown(odd: Shop, redis_url: str) -> None:
    for table, column in (
        ("orders", "order_status"),
        ("orders", "payment_status"),
        ("download_tasks", "status"),
    ):
        odd.execute(f"ALTER TABLE {table} MODIFY {column} ENUM('pending', 'paid')")
    with odd.engine.begin() as connection:  # as a shop whose sessions are not strict
        connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql("UPDATE orders SET order_status = 'shipped' WHERE id = 1")
        connection.exec_driver_sql("UPDATE orders SET payment_status = 'returned' WHERE id = 2")
        connection.exec_driver_sql("UPDATE download_tasks SET status = 'waiting' WHERE id = 1")
        connection.exec_driver_sql("UPDATE download_tasks SET status = NULL WHERE id = 2")
    odd.engine.dispose()
    shape.forget(odd.engine.dialect)

    stats = odd.read(order_stats.count)

    assert (stats.orders["pending"], stats.orders[""], stats.tasks["pending"], stats.tasks[""]) == (
        1,
        1,
        2,
        2,
    )
    assert stats == odd.read(lambda c: order_stats.count(c, exact=True))
    assert sorted(_unknown(odd.engine, redis_url)) == [
        "'' in download_tasks.status, which orderctl does not know: 2 rows",
        "'' in orders.order_status, which orderctl does not know: 1 row",
        "'' in orders.payment_status, which orderctl does not know: 1 row",
    ]
