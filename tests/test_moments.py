"""A shop that writes its DATETIMEs in another zone than UTC, on each database."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.dialects import mysql, sqlite

from orderctl import audit, audit_search, database, findings, leases, listing, migrate, moments, shape, tasks
from orderctl.errors import Misconfigured
from orderctl.listing import OrderFilter
from orderctl.moments import SharedDateTime, UtcDateTime, utc_now
from orderctl.schema import order_audit_logs
from orderctl.settings import load as load_settings
from tests.migrate.gallery import run
from tests.shop import Shop

HANOI = moments.zone("+07:00")
SHARED = {
    "orders": ("created_at",),
    "download_tasks": ("created_at", "updated_at"),
    "order_audit_logs": ("created_at",),
}


@pytest.fixture
def hanoi(engine: Engine) -> Shop:
    """A shop of +07:00 with its own tables and columns, and one order that was created now."""
    key = "INTEGER PRIMARY KEY" if engine.dialect.name == "sqlite" else "INT PRIMARY KEY AUTO_INCREMENT"
    stamps = "createdAt DATETIME NOT NULL DEFAULT '2025-01-01', updated_at DATETIME NOT NULL"
    orders = (
        f"CREATE TABLE orders (id {key}, order_code VARCHAR(20) NOT NULL, user_email VARCHAR(99) NOT NULL,"
        " order_status VARCHAR(20) NOT NULL DEFAULT 'pending', payment_status VARCHAR(20) NOT NULL DEFAULT 'pending',"
        f" total_amount DECIMAL(12,2) NOT NULL, created_at DATETIME NOT NULL, {stamps})"
    )
    tasks = (
        f"CREATE TABLE download_tasks (id {key}, order_id INT NOT NULL, course_url VARCHAR(200) NOT NULL,"
        f" status VARCHAR(20) NOT NULL DEFAULT 'pending', created_at DATETIME NOT NULL, {stamps})"
    )
    run(engine, [orders, tasks])
    moments.set_zone(engine.dialect, HANOI)
    migrate.up(engine)
    shop = Shop(engine)
    now = datetime.now(HANOI).replace(tzinfo=None, microsecond=0)
    shop.execute(
        "INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at)"
        " VALUES ('DH1', 'a@example.com', 300000, :now, :now)", now=now,
    )  # fmt: skip
    shop.execute(
        "INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) VALUES (1, 'http://x', :now, :now)",
        now=now,
    )
    return shop


def _is_now(found: datetime | None) -> bool:
    return found is not None and abs(found - datetime.now(UTC)) < timedelta(minutes=3)


def _raw(shop: Shop, column: str, table: str) -> datetime:
    with shop.engine.connect() as connection:
        value: Any = connection.exec_driver_sql(
            f"SELECT {column} FROM {table} ORDER BY id DESC LIMIT 1"
        ).scalar()
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def test_times_of_the_shop_are_read_in_its_zone(hanoi: Shop) -> None:
    assert _is_now(hanoi.order().created_at)
    assert _is_now(hanoi.read(lambda c: tasks.find(c, 1)).updated_at)


def test_times_are_written_in_the_shops_zone_and_our_own_in_utc(hanoi: Shop) -> None:
    hanoi.pay()
    hanoi.transact(lambda c: leases.claim(c, 1, worker="w", lease_seconds=60, take_all=True))
    hanoi.add("DH2")

    for table, names in SHARED.items():
        for name in (*names, "updated_at") if table == "orders" else names:
            assert _is_now(_raw(hanoi, name, table).replace(tzinfo=HANOI)), f"{table}.{name}"
    assert _is_now(hanoi.order().paid_at)
    [claimed] = [task for task in hanoi.tasks(1) if task.lease_until]
    assert _is_now(claimed.lease_until)
    assert all(_is_now(event.created_at) for event in hanoi.read(lambda c: audit.search(c, 1)))


def test_comparisons_in_sql_use_the_shops_zone(hanoi: Shop) -> None:
    hanoi.pay()
    minute = datetime.now(UTC) - timedelta(minutes=1)

    def listed(**wanted: Any) -> list[str]:
        page = hanoi.read(lambda c: listing.page(c, OrderFilter(**wanted), limit=1))
        return [order.order_code for order in page.orders]

    assert listed(since=minute) == ["DH1"]
    assert listed(until=minute) == []
    assert listed(stale_seconds=600) == []
    hanoi.execute("UPDATE orders SET paid_at = NULL, created_at = :then", then=_ago(hours=1))
    hanoi.execute("UPDATE download_tasks SET updated_at = :then", then=_ago(hours=1))
    assert listed(stale_seconds=600) == ["DH1"]
    assert listed(stale_seconds=7200) == []
    assert hanoi.read(lambda c: audit_search.errors(c, severities=["info"], since=minute)) != []


def _ago(**distance: float) -> datetime:
    return datetime.now(HANOI).replace(tzinfo=None) - timedelta(**distance)


def test_pages_follow_each_other(hanoi: Shop) -> None:
    for number in (2, 3):
        hanoi.add(f"DH{number}")
    first = hanoi.read(lambda c: listing.page(c, OrderFilter(), limit=2))

    second = hanoi.read(lambda c: listing.page(c, OrderFilter(), limit=2, after=first.cursor))

    assert [order.order_code for order in (*first.orders, *second.orders)] == ["DH3", "DH2", "DH1"]


def test_pages_follow_each_other_in_the_hour_that_summer_time_skips(hanoi: Shop) -> None:
    moments.set_zone(hanoi.engine.dialect, moments.zone("Europe/Berlin"))
    for number, time in enumerate(("01:59", "02:15", "02:30", "02:30", "03:15"), 2):
        hanoi.add(f"DH{number}")
        created = f"2026-03-29 {time}:00"
        hanoi.execute("UPDATE orders SET created_at = :time WHERE id = :id", time=created, id=number)
    found: list[str] = []
    cursor = None
    for _ in range(6):
        page = hanoi.read(lambda c, after=cursor: listing.page(c, OrderFilter(), limit=1, after=after))
        found += [order.order_code for order in page.orders]
        cursor = page.cursor

    assert found == ["DH1", "DH6", "DH5", "DH4", "DH3", "DH2"]
    assert cursor is None


class _Summer(tzinfo):
    """A zone in which summer time has begun half an hour ago."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        begun = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1, minutes=-30)
        return timedelta(hours=2 if moment.replace(tzinfo=None) >= begun else 1)

    def dst(self, moment: datetime | None) -> timedelta:
        return self.utcoffset(moment) - timedelta(hours=1)


def test_clock_has_the_zones_offset_at_the_time_that_it_shows() -> None:
    assert [moments.seconds(offset, _Summer()) - offset for offset in (0, -7200)] == [7200, 3600]


@pytest.mark.databases("mysql", "mariadb")
def test_timestamp_is_never_shifted(hanoi: Shop) -> None:
    hanoi.execute("ALTER TABLE orders MODIFY created_at TIMESTAMP NULL")
    shape.forget(hanoi.engine.dialect)
    hanoi.execute("UPDATE orders SET created_at = UTC_TIMESTAMP()")

    assert _is_now(hanoi.order().created_at)
    hanoi.add("DH2")
    assert _is_now(_raw(hanoi, "created_at", "orders").replace(tzinfo=UTC))


def test_times_in_the_future_are_a_warning(hanoi: Shop) -> None:
    with database.reading(hanoi.engine) as connection:
        assert moments.ahead(connection) == {}
    assert "future" not in str(migrate.up(hanoi.engine).warnings)
    moments.set_zone(hanoi.engine.dialect, UTC)
    with database.reading(hanoi.engine) as connection:
        ahead = moments.ahead(connection)

    assert set(ahead) == {"orders.created_at", "download_tasks.created_at", "download_tasks.updated_at"}
    assert "7.0 hours in the future" in ahead["orders.created_at"]
    assert [one.kind for one in hanoi.read(findings.future_times)] == [findings.FindingKind.FUTURE_TIME] * 3
    assert any("7.0 hours" in warning for warning in migrate.up(hanoi.engine).warnings)
    assert any("7.0 hours" in warning for warning in migrate.status(hanoi.engine).warnings)


def test_setting_reaches_every_engine(tmp_path: Path) -> None:
    environ = {"ORDERCTL_STATE_DIR": str(tmp_path), "ORDERCTL_DATABASE_TIME_ZONE": "Asia/Kolkata"}
    for url in (
        {},
        {"ORDERCTL_DATABASE_URL": "mysql://u@localhost/shop"},
        {"ORDERCTL_DATABASE_URL": "sqlite:///x.db"},
    ):
        engine = database.connect(database.url(load_settings(environ={**environ, **url})))
        assert str(moments.zone_of(engine.dialect, "orders", "created_at")) == "Asia/Kolkata"


@pytest.mark.parametrize("value", ["local", "+7", "+15:00", "7", "Asia/Atlantis"])
def test_zone_that_does_not_exist_is_refused(value: str) -> None:
    with pytest.raises(Misconfigured, match=r"database\.time_zone"):
        load_settings(environ={"ORDERCTL_DATABASE_TIME_ZONE": value})


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("UTC", 0), ("+07:00", 7), ("-03:30", -3.5), ("Asia/Ho_Chi_Minh", 7), ("Asia/Kolkata", 5.5)],
)
@pytest.mark.parametrize("dialect", [mysql.dialect(), sqlite.dialect()], ids=["mysql", "sqlite"])
def test_clock_in_sql(zone: str, offset: float, dialect: Any) -> None:
    moments.set_zone(dialect, moments.zone(zone))
    shared, own = SharedDateTime("orders", "created_at"), UtcDateTime()

    def sql(kind: UtcDateTime) -> str:
        shown = select(moments.localised(utc_now(-60), kind))
        return str(shown.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))

    seconds = offset * 3600 - 60
    assert ("-60000000" if dialect.name == "mysql" else "-60.000 seconds") in sql(own)
    wanted = f"{round(seconds * 1e6)}" if dialect.name == "mysql" else f"{seconds:+.3f} seconds"
    assert wanted in sql(shared)


def test_every_time_that_the_shop_writes_is_declared_as_shared() -> None:
    from orderctl import schema

    for table, names in SHARED.items():
        columns = schema.metadata.tables[table].c
        assert {column.name for column in columns if isinstance(column.type, SharedDateTime)} == set(names)
    assert order_audit_logs.c.created_at.type.table == "order_audit_logs"
