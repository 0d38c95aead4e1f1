"""The ledger of payments is filled from an audit log that told of them before there was a ledger."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import pymysql
import pytest
from sqlalchemy import Engine, Row, select
from sqlalchemy.exc import OperationalError

from orderctl import migrate, moments
from orderctl.errors import SubjectFailed
from orderctl.migrate import ledger
from orderctl.schema import payments
from tests.migrate.conftest import Account
from tests.migrate.gallery import REVISIONS, run
from tests.migrate.test_interrupted import up_by_deaths
from tests.shop import Shop

BEFORE_THE_LEDGER = (
    "DROP TABLE orderctl_payments",
    "DELETE FROM orderctl_migrations WHERE revision >= '0004'",
    "UPDATE orderctl_version SET version_num = '0003'",
)
NOON = "2026-01-02 12:00:00"
RECEIVED, MISMATCH = "payment_received", "payment_mismatch"


def tell(
    shop: Shop, order: int, event: str, details: object = None, *, source: str = "webhook_handler"
) -> None:
    """Write an event as the shop's own program does."""
    shop.execute(
        "INSERT INTO order_audit_logs (order_id, event_type, details, source, created_at)"
        " VALUES (:order, :event, :details, :source, :noon)",
        order=order, event=event, details=None if details is None else json.dumps(details), source=source, noon=NOON,
    )  # fmt: skip


def filled(engine: Engine) -> list[Row]:
    with engine.connect() as connection:
        return list(connection.execute(select(payments).order_by(payments.c.provider_id)))


def facts(engine: Engine) -> list[tuple[object, ...]]:
    """Return what the ledger has, without the times of the migration."""
    return [(*tuple(row)[1:18], row.decided_by) for row in filled(engine)]


@pytest.fixture
def earlier(shop: Shop) -> Shop:
    """A shop before there was a ledger: order 1 is paid, order 2 is not."""
    run(shop.engine, BEFORE_THE_LEDGER)
    for code, status in (("DH1", "paid"), ("DH2", "pending")):
        shop.execute(
            "INSERT INTO orders (order_code, user_email, payment_status, total_amount)"
            " VALUES (:code, 'a@example.com', :status, 300000)", code=code, status=status,
        )  # fmt: skip
    return shop


def test_payments_that_the_log_tells_of_are_in_the_ledger(earlier: Shop) -> None:
    tell(earlier, 1, MISMATCH, {"amount": 200000, "transactionId": "T1"})
    tell(
        earlier, 1, RECEIVED, {"amount": 300000.0, "bank": "ACB", "transactionId": 777}, source="orderctl_cli"
    )
    tell(earlier, 1, RECEIVED, {"amount": 300000.0, "bank": "ACB", "transactionId": 777})
    tell(earlier, 2, "order_failed", {"amount": 1})
    tell(earlier, 2, MISMATCH, {"amount": "1e5", "transactionId": "T1"})

    report = migrate.up(earlier.engine)

    assert report.applied == REVISIONS[3:]
    assert "3 payments of the audit log" in report.added
    refused, paid, mismatch = filled(earlier.engine)
    assert paid.provider == "audit_log"
    assert paid.provider_id.startswith(f" audit {2:020d} {NOON}")
    assert (paid.order_id, paid.amount, paid.bank, paid.reference) == (1, Decimal(300000), "ACB", "777")
    assert (paid.outcome, paid.reason) == ("paid", "from the audit log, written by orderctl_cli")
    assert paid.told_at == datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert (paid.direction, paid.raw, paid.decided_by, paid.decided_at) == ("in", None, None, None)
    assert (refused.outcome, refused.reference, refused.decided_by) == ("refused", "T1", "migration")
    assert refused.decision == "the order was paid before there was a ledger"
    assert refused.decided_at is not None
    assert (mismatch.outcome, mismatch.order_id, mismatch.amount) == ("mismatch", 2, Decimal(100000))

    assert migrate.up(earlier.engine).up_to_date
    tell(earlier, 2, RECEIVED, {"amount": 300000, "transactionId": "T1"})
    migrate.check(earlier.engine)
    assert migrate.sql(earlier.engine) == ""
    assert migrate.up(earlier.engine).added == ("1 payment of the audit log",)
    assert [row.outcome for row in filled(earlier.engine)] == ["refused", "paid", "mismatch", "paid"]
    assert migrate.up(earlier.engine).up_to_date


@pytest.mark.databases("mysql", "sqlite")
def test_filling_that_is_killed_anywhere_goes_on_to_the_same_end(
    earlier: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BATCH", 2)
    for number in range(5):
        tell(
            earlier,
            1 + number % 2,
            (RECEIVED, MISMATCH)[number % 3 % 2],
            {"amount": number, "transactionId": number},
        )
    migrate.up(earlier.engine)
    whole = facts(earlier.engine)
    assert len(whole) == 5
    run(earlier.engine, BEFORE_THE_LEDGER)

    if earlier.engine.dialect.name == "sqlite":
        migrate.up(earlier.engine)
    else:
        assert up_by_deaths(earlier.engine) > len(whole) / 2

    assert facts(earlier.engine) == whole
    assert migrate.up(earlier.engine).up_to_date


@pytest.mark.databases("mariadb", "sqlite")
def test_nothing_is_lost_with_a_log_that_begins_anew(earlier: Shop) -> None:
    for reference in ("T1", "T2"):
        tell(earlier, 1, RECEIVED, {"amount": 300000, "transactionId": reference})
    migrate.up(earlier.engine)
    on_sqlite = earlier.engine.dialect.name == "sqlite"
    run(earlier.engine, ["DELETE FROM order_audit_logs" if on_sqlite else "TRUNCATE order_audit_logs"])
    assert migrate.up(earlier.engine).up_to_date

    tell(earlier, 1, RECEIVED, {"amount": 300000, "transactionId": "T2"})
    tell(earlier, 2, RECEIVED, {"amount": 300000, "transactionId": "T3"})
    run(earlier.engine, ["UPDATE order_audit_logs SET created_at = '2026-03-04 05:06:07'"])

    assert migrate.up(earlier.engine).added == ("1 payment of the audit log",)
    assert sorted(row.reference for row in filled(earlier.engine)) == ["T1", "T2", "T3"]
    assert migrate.up(earlier.engine).up_to_date


@pytest.mark.databases("sqlite")
def test_payment_that_orderctl_wrote_into_the_ledger_is_not_filled_in(shop: Shop) -> None:
    order = shop.add("DH1")
    shop.execute(
        "INSERT INTO orderctl_payments (provider, provider_id, order_id, amount, direction, reference, outcome)"
        f" VALUES ('sepay', '41', {order}, '300000', 'in', 'FT1', 'paid'),"
        f" ('manual', ' order abc', {order}, '5000', 'in', NULL, 'paid')"
    )
    for details in ({"transactionId": "41"}, {"transactionId": "FT1"}, {"amount": 5000.0}):
        tell(shop, order, RECEIVED, details)

    assert migrate.up(shop.engine).up_to_date


@pytest.mark.databases("sqlite")
def test_event_whose_transaction_ended_late_is_filled_in(earlier: Shop) -> None:
    tell(earlier, 1, "task_created")
    tell(earlier, 1, RECEIVED, {"transactionId": "T2"})
    migrate.up(earlier.engine)
    tell(earlier, 1, RECEIVED, {"transactionId": "T1"})
    late = ["DELETE FROM order_audit_logs WHERE id = 1", "UPDATE order_audit_logs SET id = 1 WHERE id = 3"]
    run(earlier.engine, late)

    assert migrate.up(earlier.engine).added == ("1 payment of the audit log",)


@pytest.mark.databases("sqlite")
def test_time_of_an_event_is_in_the_zone_of_the_shop(earlier: Shop) -> None:
    tell(earlier, 1, RECEIVED, {"transactionId": "T1"})
    moments.set_zone(earlier.engine.dialect, timezone(timedelta(hours=7)))
    migrate.up(earlier.engine)
    assert [row.told_at for row in filled(earlier.engine)] == [datetime(2026, 1, 2, 5, tzinfo=UTC)]

    moments.set_zone(earlier.engine.dialect, UTC)

    assert migrate.up(earlier.engine).up_to_date


@pytest.mark.databases("mysql")
def test_statements_leave_the_filling_to_orderctl(earlier: Shop) -> None:
    tell(earlier, 1, RECEIVED, {"transactionId": "T1"})

    script = migrate.sql(earlier.engine)

    assert script.endswith(
        "-- payments of the audit log: no statement does this. Now run: orderctl migrate up\n"
    )
    run(
        earlier.engine,
        [text.strip() for text in re.sub(r"(?m)^--.*", "", script).split(";\n") if text.strip()],
    )
    assert migrate.status(earlier.engine).pending == ("0004", "0005", "0006", "0007", "0008")
    with pytest.raises(SubjectFailed, match="0004 is pending"):
        migrate.check(earlier.engine)
    assert migrate.up(earlier.engine).added[0] == "1 payment of the audit log"


@pytest.mark.databases("mariadb")
def test_account_that_only_reads_and_inserts_fills_in_what_is_new(engine: Engine, account: Account) -> None:
    migrate.up(engine)
    shop = Shop(engine)
    order = shop.add("DH1")
    reading = account("SELECT ON {db}.*")
    tell(shop, order, RECEIVED, {"transactionId": "T1"})

    report = migrate.up(reading)
    assert report.up_to_date
    assert any("payments of the audit log could not be added: " in warning for warning in report.warnings)

    assert migrate.up(account("INSERT ON {db}.*")).added == ("1 payment of the audit log",)


@pytest.mark.databases("mariadb", "mysql")
def test_new_events_are_added_to_an_enum_of_the_shop_at_its_end(earlier: Shop) -> None:
    words = "'payment_received','webhook_received','payment_mismatch','task_created','enrollment_success'"
    column = f"ALTER TABLE order_audit_logs MODIFY COLUMN event_type ENUM({words}) NOT NULL"
    run(earlier.engine, [column])
    tell(earlier, 1, RECEIVED, {"transactionId": "T1"})

    report = migrate.up(earlier.engine)

    assert "1 payment of the audit log" in report.added
    with earlier.engine.connect() as connection:
        query = (
            "SELECT column_type FROM information_schema.columns WHERE table_schema = DATABASE()"
            " AND table_name = 'order_audit_logs' AND column_name = 'event_type'"
        )
        [type_] = connection.exec_driver_sql(query).scalars()
    assert type_.startswith(f"enum({words},")
    assert ",'payment_partial','payment_surplus','payment_matched','payment_refused'," in type_
    assert type_.endswith(",'email_resent','webhook_resent','completion_resent')")


@pytest.mark.databases("mariadb")
def test_range_runs_again_after_a_deadlock(earlier: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(earlier, 1, RECEIVED, {"transactionId": "T1"})
    deadlock = OperationalError("INSERT", {}, pymysql.err.OperationalError(1213, "Deadlock found"))
    fill, errors = ledger.Filling._fill_once, [deadlock]

    def fill_late(*arguments):
        if errors:
            raise errors.pop()
        return fill(*arguments)

    monkeypatch.setattr(ledger.Filling, "_fill_once", fill_late)

    assert "1 payment of the audit log" in migrate.up(earlier.engine).added


@pytest.mark.databases("sqlite")
def test_long_filling_tells_how_far_it_is(earlier: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "BATCH", 2)
    monkeypatch.setattr(ledger, "_TELL_SECONDS", 0)
    for number in range(3):
        tell(earlier, 1, RECEIVED, {"transactionId": number})
    steps: list[str] = []

    migrate.up(earlier.engine, on_step=lambda step: steps.append(step.what))

    what = "payments of the audit log"
    begin = steps.index(what)
    assert steps[begin : begin + 4] == [
        what, f"{what}, to event 2 of 3", f"{what}, to event 3 of 3", "3 payments of the audit log",
    ]  # fmt: skip


def event(details: object = None, **more: object) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "order_id": 1,
            "event_type": RECEIVED,
            "details": details,
            "source": None,
            "created_at": datetime(2026, 1, 2, tzinfo=UTC),
            "payment_status": "pending",
        }
        | more
    )


@pytest.mark.parametrize(
    ("details", "amount", "bank", "reference"),
    [
        ({"amount": 300000.5, "bank": " A\nCB ", "transactionId": " 777 "}, "300000.5", "A CB", "777"),
        ({"amount": "3e5", "bank": 7, "transactionId": 777}, "300000", "7", "777"),
        ({"amount": "300000.00", "bank": "", "transactionId": ""}, "300000", None, None),
        ({"amount": -1, "bank": None, "transactionId": None}, None, None, None),
        ({"amount": "NaN", "bank": [], "transactionId": {}}, None, None, None),
        ({"amount": 10**30, "bank": True, "transactionId": False}, None, None, None),
        ({"amount": "1.23456", "transactionId": 777.0}, None, None, "777"),
        ({"amount": True, "transactionId": 1.5}, None, None, None),
        ({"amount": {"value": 1}, "bank": "\x00\ud800"}, None, None, None),
        ([1, 2], None, None, None),
        ("no JSON at all", None, None, None),
        (5, None, None, None),
        (None, None, None, None),
    ],
)
def test_details_of_any_shape_are_read(
    details: object, amount: str | None, bank: str | None, reference: str | None
) -> None:
    told = ledger.Told.of(event(details))

    assert told.amount == (None if amount is None else Decimal(amount))
    assert (told.bank, told.reference) == (bank, reference)


def test_reference_that_is_too_long_is_not_cut() -> None:
    [one, other] = [ledger.Told.of(event({"transactionId": "x" * 200 + last})).reference for last in "ab"]

    assert one != other
    assert str(one).startswith("sha256:")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"source": "webhook_handler"}, "from the audit log, written by webhook_handler"),
        ({}, "from the audit log"),
        ({"created_at": None}, "from the audit log at an unknown time"),
    ],
)
def test_reason_says_where_a_payment_comes_from(more: dict[str, object], reason: str) -> None:
    told = ledger.Told.of(event(**more))

    assert told.reason == reason
    assert told.values(datetime(2026, 5, 6, tzinfo=UTC))["told_at"] is not None


def test_order_with_an_id_that_no_column_holds_is_left_out() -> None:
    assert ledger.Told.of(event(order_id=2**64 - 1)).order_id is None
