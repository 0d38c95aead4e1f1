"""Sessions work the same on a server whose own settings are hostile."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
import sqlalchemy
from sqlalchemy import Connection

from orderctl import database, migrate, sessions
from orderctl.errors import OrderctlError
from tests.servers.mysql import MysqlServer
from tests.shop import Shop

servers = pytest.mark.databases("mariadb", "mysql")

#: What a shop may have set for its whole server; the second column says on which server.
HOSTILE = [
    ("sql_mode", "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'", "mysql"),
    ("sql_mode", "'ORACLE,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL'", "mariadb"),
    ("sql_quote_show_create", "0", ""),
    ("time_zone", "'+07:00'", ""),
    ("sql_safe_updates", "1", ""),
    ("sql_select_limit", "1", ""),
    ("max_join_size", "1", ""),
    ("sql_big_selects", "0", ""),
    ("sql_auto_is_null", "1", ""),
    ("foreign_key_checks", "0", ""),
    ("unique_checks", "0", ""),
    ("check_constraint_checks", "0", "mariadb"),
    ("default_storage_engine", "MyISAM", ""),
    ("old_alter_table", "1", "mysql"),
    ("alter_algorithm", "'COPY'", "mariadb"),
    ("sql_if_exists", "1", "mariadb"),
    ("completion_type", "2", ""),
    ("max_execution_time", "1", "mysql"),
    ("max_statement_time", "0.0001", "mariadb"),
    ("wait_timeout", "2", ""),
    ("lock_wait_timeout", "1", ""),
    ("innodb_lock_wait_timeout", "1", ""),
    ("div_precision_increment", "0", ""),
    ("default_regex_flags", "'EXTENDED'", "mariadb"),
    ("system_versioning_asof", "'2001-01-01 00:00:00'", "mariadb"),
    ("show_gipk_in_create_table_and_information_schema", "0", "mysql"),
    ("transaction_isolation", "'SERIALIZABLE'", "mysql"),
    ("tx_isolation", "'SERIALIZABLE'", "mariadb"),
    ("transaction_read_only", "1", "mysql"),
    ("tx_read_only", "1", "mariadb"),
    ("autocommit", "0", ""),
    ("character_set_server", "latin1", ""),
    ("character_set_client", "latin1", ""),
    ("character_set_connection", "latin1", ""),
    ("character_set_results", "latin1", ""),
    ("group_concat_max_len", "4", ""),
    ("explicit_defaults_for_timestamp", "0", ""),
    ("innodb_strict_mode", "0", ""),
    ("sql_require_primary_key", "1", "mysql"),
    ("sql_generate_invisible_primary_key", "1", "mysql"),
]

#: A shop's own tables, with shorter columns than orderctl's.
ORDERS = (
    "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, order_code VARCHAR(8) NOT NULL UNIQUE,"
    " user_email VARCHAR(100) NOT NULL, order_status ENUM('pending','completed') NOT NULL DEFAULT 'pending',"
    " payment_status VARCHAR(16) NOT NULL, total_amount DECIMAL(8,2) NOT NULL,"
    " created_at DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00') ENGINE=InnoDB CHARSET=utf8mb4"
)
TASKS = (
    "CREATE TABLE download_tasks (id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL,"
    " course_url VARCHAR(500) NOT NULL, title VARCHAR(200), status VARCHAR(20) NOT NULL, drive_link VARCHAR(500),"
    " error_log TEXT, FOREIGN KEY (order_id) REFERENCES orders (id)) ENGINE=InnoDB CHARSET=utf8mb4"
)


@contextmanager
def set_globally(server: MysqlServer, settings: list[tuple[str, str]]) -> Iterator[None]:
    """Change variables of the whole server, and take the changes back."""
    before = []
    try:
        for name, value in settings:
            [(old,)] = server.execute(f"SELECT @@GLOBAL.{name}")
            before.append((name, old))
            server.execute(f"SET GLOBAL {name} = {value}")
        yield
    finally:
        with server.connect() as cursor:
            for statement in sessions.statements("mariadb" if server.program.is_mariadb else "mysql"):
                cursor.execute(statement)
            for name, old in reversed(before):
                if name == "system_versioning_asof":
                    cursor.execute("SET GLOBAL system_versioning_asof = DEFAULT")
                else:
                    cursor.execute(f"SET GLOBAL {name} = %s", [old])


@pytest.fixture
def hostile(database_server: MysqlServer, database_kind: str, database_url: str) -> Iterator[str]:
    """The URL of a shop's database on a server with hostile settings."""
    name = str(sqlalchemy.make_url(database_url).database)
    with database_server.connect(name) as cursor:
        cursor.execute("SET sql_mode = ''")
        for statement in (ORDERS, TASKS):
            cursor.execute(statement)
        cursor.execute(
            "INSERT INTO orders (order_code, user_email, payment_status, total_amount) VALUES ('OLD', 'a@b.vn', '', 1)"
        )
    with set_globally(database_server, [row[:2] for row in HOSTILE if row[2] in {"", database_kind}]):
        yield database_url


def engines_of(connection: Connection) -> set[str]:
    """The storage engines of all tables; Alembic makes one of them."""
    query = (
        "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND engine IS NOT NULL"
    )
    return set(connection.exec_driver_sql(query).scalars())


@servers
def test_every_command_works_and_refuses_as_on_a_default_server(hostile: str):
    engine = database.connect(hostile)
    try:
        migrate.up(engine)
        migrate.check(engine)
        shop = Shop(engine)

        first, second = shop.paid("DH1", 2, amount="999999.99")
        shop.carry_out(first)
        shop.fail(second)
        assert shop.order("DH1").order_status == "failed"
        for code, amount in (("DH2", "1500000"), ("DH2026000123", "1")):
            with pytest.raises(OrderctlError):
                shop.add(code, amount=amount)

        assert {row.order_code: row.total_amount for row in shop.order_rows()} == {
            "OLD": Decimal(1),
            "DH1": Decimal("999999.99"),
        }
        assert shop.read(engines_of) == {"InnoDB"}
        assert shop.event_types("DH1")[:3] == ["task_created", "task_created", "payment_received"]
    finally:
        engine.dispose()


@servers
def test_a_session_has_the_settings_of_the_table(hostile: str, database_kind: str):
    names = [setting.name for setting in sessions.SETTINGS if setting.only in {"", database_kind}]
    hostile_names = {row[0] for row in HOSTILE}
    assert [name for name in names if name not in hostile_names] == ["lc_messages"]

    engine = database.connect(hostile, lock_wait_seconds=7, answer_timeout=60)
    try:
        with database.reading(engine) as connection:
            row = connection.exec_driver_sql(f"SELECT {', '.join(f'@@{name}' for name in names)}").one()
            waits = connection.exec_driver_sql("SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout").one()
            text = connection.exec_driver_sql("SELECT 'ồ\\n', @@autocommit").one()
            assert connection.get_isolation_level() == "READ COMMITTED"
    finally:
        engine.dispose()

    found = dict(zip(names, row, strict=True))
    assert "STRICT_ALL_TABLES" in found.pop("sql_mode")
    assert found["sql_select_limit"] == 2**64 - 1
    assert found["foreign_key_checks"] == found["unique_checks"] == found["sql_big_selects"] == 1
    assert found["sql_safe_updates"] == found["sql_auto_is_null"] == 0
    assert tuple(waits) == (7, 50)
    assert tuple(text) == ("ồ\n", 0)


@servers
def test_variables_that_a_server_does_not_have_are_left_out(database_url: str, monkeypatch):
    unknown = sessions.Setting("none_of_this_name", "1")
    monkeypatch.setattr(sessions, "SETTINGS", (unknown, *sessions.SETTINGS))
    engine = database.connect(database_url)
    try:
        with database.reading(engine) as connection:
            assert "STRICT_ALL_TABLES" in connection.exec_driver_sql("SELECT @@sql_mode").scalar_one()
    finally:
        engine.dispose()


@servers
def test_a_small_packet_and_a_log_of_statements_are_reported(database_url: str, database_server: MysqlServer):
    engine = database.connect(database_url)
    try:
        with set_globally(database_server, [("max_allowed_packet", "65536")]):
            assert "max_allowed_packet is 65536" in migrate.up(engine).warnings[0]
            assert "max_allowed_packet is 65536" in migrate.status(engine).warnings[0]
        engine.dispose()
        assert migrate.status(engine).warnings == ()
    finally:
        engine.dispose()
