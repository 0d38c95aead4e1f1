"""Accounts without some of the rights."""

import pytest
from sqlalchemy import Engine

from orderctl import migrate
from orderctl.errors import ExitStatus, Misconfigured
from orderctl.migrate import rights
from tests.migrate.conftest import ALL, Account
from tests.migrate.gallery import REVISIONS, STYLES, definitions
from tests.servers.mysql import MysqlServer

pytestmark = pytest.mark.databases("mariadb", "mysql")


def test_rights_that_are_enough(engine: Engine, account: Account) -> None:
    STYLES["sequelize_audit"].load(engine)
    limited = account(f"{ALL} ON {{db}}.*")

    report = migrate.up(limited)

    assert not any("lacks" in warning for warning in report.warnings)
    migrate.check(limited)


def test_indexes_need_no_right_of_their_own(engine: Engine, account: Account) -> None:
    """The right INDEX is needed for CREATE INDEX only; with the right ALTER an index can be added, too."""
    limited = account(f"{ALL} ON {{db}}.*")
    STYLES["sequelize"].load(engine)

    assert "INDEX" not in ALL
    assert "index ix_orderctl_orders_created_at_id of orders" in migrate.up(limited).added


@pytest.mark.parametrize(
    ("missing", "left_out"),
    [
        ("CREATE VIEW", ["view v_order_latest_events"]),
        ("CREATE ROUTINE", ["procedure sp_order_timeline", "procedure sp_audit_summary"]),
    ],
)
def test_what_is_not_essential_is_left_out_and_reported(
    engine: Engine, account: Account, missing: str, left_out: list[str]
) -> None:
    STYLES["sequelize"].load(engine)
    limited = account(f"{ALL.replace(f', {missing}', '')} ON {{db}}.*")

    report = migrate.up(limited)

    assert report.applied == REVISIONS
    assert len(report.warnings) == len(left_out)
    for warning, what in zip(report.warnings, left_out, strict=True):
        grant = f"GRANT {missing} ON `{engine.url.database}`.* TO 'limited'@'%'"
        assert warning.startswith(what)
        assert grant in warning
    migrate.check(limited)
    assert [step.what for step in migrate.status(limited).wanting] == left_out
    assert migrate.up(limited).up_to_date

    assert migrate.up(engine).added == tuple(left_out)
    assert migrate.status(engine).wanting == ()


@pytest.mark.parametrize("missing", ["ALTER", "CREATE", "REFERENCES", "INSERT"])
def test_what_is_essential_is_refused_before_anything_is_changed(
    engine: Engine, account: Account, missing: str, database_kind: str
) -> None:
    STYLES["sequelize"].load(engine)
    limited = account(f"{ALL.replace(f', {missing},', ',')} ON {{db}}.*")
    before = definitions(engine)
    if (missing, database_kind) == ("REFERENCES", "mariadb"):
        assert migrate.up(limited).applied == REVISIONS  # MariaDB does not need it
        return

    with pytest.raises(Misconfigured) as caught:
        migrate.up(limited)

    assert caught.value.exit_status == ExitStatus.CONFIGURATION
    assert f"the account limited@% lacks {missing} on " in str(caught.value)
    assert caught.value.hint == f"GRANT {missing} ON `{engine.url.database}`.* TO 'limited'@'%'"
    assert definitions(engine) == before
    assert any(missing in obstacle for obstacle in migrate.status(limited).obstacles)


def test_rights_on_single_tables_are_enough_for_what_is_there(engine: Engine, account: Account) -> None:
    STYLES["sequelize_audit"].load(engine)
    tables = ("orders", "download_tasks", "order_audit_logs")
    limited = account("SELECT, INSERT, CREATE ON {db}.*", *(f"ALTER ON {{db}}.{table}" for table in tables))
    migrate.up(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_orderctl_orders_created_at_id ON orders")

    assert migrate.up(limited).added == ("index ix_orderctl_orders_created_at_id of orders",)


def test_rights_by_a_role_count(engine: Engine, account: Account, database_server: MysqlServer) -> None:
    STYLES["sequelize"].load(engine)
    database_server.execute("DROP ROLE IF EXISTS migrator")
    database_server.execute("CREATE ROLE migrator")
    database_server.execute(f"GRANT {ALL} ON `{engine.url.database}`.* TO migrator")
    limited = account("SELECT ON {db}.*", "migrator")
    word = "FOR" if database_server.program.is_mariadb else "TO"
    database_server.execute(f"SET DEFAULT ROLE migrator {word} limited@'%'")

    try:
        assert migrate.up(limited).applied == REVISIONS
    finally:
        database_server.execute("DROP ROLE migrator")


def test_account_that_may_only_read_can_ask_for_the_status(engine: Engine, account: Account) -> None:
    migrate.up(engine)
    limited = account("SELECT ON {db}.*")

    migrate.check(limited)

    assert migrate.status(limited).pending == ()


@pytest.mark.parametrize(
    ("line", "privilege", "table", "expected"),
    [
        ("GRANT ALL PRIVILEGES ON *.* TO `u`@`%`", "ALTER", "orders", True),
        ("GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*AB'", "ALTER", "orders", False),
        ("GRANT SELECT, ALTER ON `shop_1`.* TO `u`@`%`", "ALTER", "orders", True),
        ("GRANT SELECT, ALTER ON `shop\\_1`.* TO `u`@`%`", "ALTER", "orders", True),
        ("GRANT SELECT, ALTER ON `shop%`.* TO `u`@`%`", "ALTER", "orders", True),
        ("GRANT SELECT, ALTER ON `shop`.* TO `u`@`%`", "ALTER", "orders", False),
        ("GRANT SELECT, ALTER ON `shop_1`.`orders` TO `u`@`%`", "ALTER", "orders", True),
        ("GRANT SELECT, ALTER ON `shop_1`.`orders` TO `u`@`%`", "ALTER", "outbox", False),
        ("GRANT SELECT (`a`, `b`), INSERT (`a`) ON `shop_1`.`orders` TO `u`@`%`", "INSERT", "orders", True),
        ("GRANT CREATE VIEW ON `shop_1`.* TO `u`@`%`", "CREATE", "orders", False),
        ("GRANT `migrator`@`%` TO `u`@`%`", "ALTER", "orders", False),
        ("GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION", "ALTER", "orders", False),
        ("SET DEFAULT ROLE `r1` FOR `u1`@`%`", "ALTER", "orders", False),
        ("GRANT ALTER ROUTINE ON PROCEDURE `shop_1`.`p` TO `u`@`%`", "ALTER ROUTINE", "orders", False),
    ],
)
def test_grants_are_understood(line: str, privilege: str, table: str, expected: bool) -> None:
    grant = rights.parse(line)

    assert bool(grant and grant.covers(privilege, "shop_1", table)) == expected
