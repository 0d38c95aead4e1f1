"""What only a real MySQL or MariaDB shows: rights of accounts, settings of the server, and a dropped index."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from urllib.parse import urlsplit

import pytest

from orderctl.doctor import server
from tests.doctor.conftest import Examined
from tests.servers.mysql import MysqlServer
from tests.shop import Shop

pytestmark = pytest.mark.databases("mariadb", "mysql")

Doctor = Callable[..., Examined]
#: Not where the client is, as errors have it.
USER = "'doctor'@'127.0.0.0/255.255.255.0'"


@pytest.fixture
def database(migrated_url: str) -> str:
    return urlsplit(migrated_url).path.strip("/")


@pytest.fixture
def account(
    shop: Shop, database_server: MysqlServer, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An account without a right; the program logs in with it."""
    database_server.execute(f"CREATE USER {USER} IDENTIFIED BY 'geheim'")
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", migrated_url.replace("root@", "doctor:geheim@"))
    yield USER
    database_server.execute(f"DROP USER {USER}")


def test_rights_that_are_missing_and_too_many_and_the_grants_that_repair_it(
    account: str, database: str, database_server: MysqlServer, doctor: Doctor
) -> None:
    only = ("--only", "database,audit")
    denied = doctor(*only)
    assert (denied.status, denied.unwell()) == (78, {"reachable"})
    [login] = denied.of("reachable")
    assert login["repair"] == f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.* TO {account}"

    for table in ("orders", "download_tasks", "order_audit_logs", "orderctl_version"):
        database_server.execute(f"GRANT SELECT, INSERT ON `{database}`.`{table}` TO {account}")
    partial = doctor(*only)
    # No table that it does not see is called missing.
    assert partial.unwell() == {"grants", "durability"}
    tables = [check for name in ("complete", "optional-parts", "obstacles") for check in partial.of(name)]
    assert [check["verdict"] for check in tables] == ["skipped"] * 3
    assert tables[0]["repair"] == f"GRANT SELECT ON `{database}`.* TO {account}"
    unread = [check for check in partial.checks if check["area"] == "audit"]
    assert [(check["verdict"], check["repair"]) for check in unread] == [
        ("skipped", f"GRANT SELECT ON `{database}`.`orderctl_outbox` TO {account}")
    ]

    database_server.execute(f"GRANT SELECT ON `{database}`.* TO {account}")
    database_server.execute(f"GRANT FILE ON *.* TO {account}")
    found = doctor(*only)
    [few], [many] = found.of("grants"), found.of("excess-grants")
    assert (few["verdict"], many["verdict"], many["value"]) == ("fault", "warning", "FILE")
    for statement in (few["repair"], *many["repair"].split("; ")):
        database_server.execute(statement)
    left = doctor(*only)
    assert {check["verdict"] for name in ("grants", "excess-grants") for check in left.of(name)} == {"well"}
    assert [check["verdict"] for check in left.of("grants-for-migrations")] == ["note"]


def test_settings_of_the_server_and_a_dropped_index(
    shop: Shop, database_server: MysqlServer, doctor: Doctor, carry_out: Callable[[str], int]
) -> None:
    [(mode, flush)] = database_server.execute(
        "SELECT @@GLOBAL.sql_mode, @@GLOBAL.innodb_flush_log_at_trx_commit"
    )
    try:
        database_server.execute("SET GLOBAL sql_mode = ''")
        shop.execute("ALTER TABLE orders DROP INDEX ix_orderctl_orders_created_at_id")

        found = doctor("--only", "database,audit")

        [index], [strict], [durable] = found.of("complete"), found.of("sql-mode"), found.of("durability")
        assert (found.status, index["verdict"], index["repair"]) == (1, "fault", "orderctl migrate up")
        assert "ix_orderctl_orders_created_at_id" in index["text"]
        assert (strict["verdict"], durable["verdict"]) == ("warning", "warning")
        database_server.execute(strict["repair"])
        database_server.execute(durable["repair"])
        carry_out(index["repair"])
        left = doctor("--only", "database,audit")
    finally:
        database_server.execute("SET GLOBAL sql_mode = %s", [mode])
        database_server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = %s", [flush])
    assert (left.status, left.unwell()) == (0, {"excess-grants"})
    [size] = left.of("size")
    assert "KiB" in size["text"] or "MiB" in size["text"]


class Behind(datetime):
    """The clock of a machine that is 90 seconds behind."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) - timedelta(seconds=90)


def test_a_server_that_is_read_only_is_down_for_writes_and_its_clock_is_compared(
    shop: Shop, database_server: MysqlServer, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "datetime", Behind)
    shop.engine.dispose()
    database_server.execute("SET GLOBAL read_only = ON")
    try:
        found = doctor("--only", "database")
    finally:
        database_server.execute("SET GLOBAL read_only = OFF")

    [check] = found.of("writable")
    assert (found.status, check["verdict"], check["repair"]) == (69, "fault", "SET GLOBAL read_only = OFF")
    [skew] = found.of("clock-skew")
    assert (skew["verdict"], skew["value"]) == ("fault", pytest.approx(90, abs=5))
