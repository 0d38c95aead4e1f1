from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from tests.servers.databases import MigratedFile, MigratedServer, choose
from tests.servers.mysql import MysqlServer
from tests.servers.test_servers import ask


def fake_migration(url: str) -> None:
    auto = "" if url.startswith("sqlite") else " AUTO_INCREMENT"
    ask(url, "CREATE TABLE orderctl_version (version_num VARCHAR(32))")
    ask(url, "INSERT INTO orderctl_version VALUES ('0001')")
    ask(url, f"CREATE TABLE orders (id INTEGER PRIMARY KEY{auto}, code VARCHAR(10))")
    ask(url, f"CREATE TABLE tasks (id INTEGER PRIMARY KEY{auto}, order_id INTEGER REFERENCES orders (id))")
    ask(url, "CREATE VIEW codes AS SELECT code FROM orders")


def fill(url: str) -> None:
    ask(url, "INSERT INTO orders (code) VALUES ('a'), ('b')")
    ask(url, "INSERT INTO tasks (order_id) VALUES (2)")


@pytest.fixture
def migrated(database_server: MysqlServer) -> Iterator[MigratedServer]:
    yield (database := MigratedServer(database_server, fake_migration))
    database_server.drop_database(database.name)


def test_choosing_nothing_means_all() -> None:
    assert choose(()) == ("sqlite", "mariadb", "mysql")


def test_choosing_an_unknown_database_is_refused() -> None:
    with pytest.raises(ValueError, match="oracle"):
        choose(("sqlite", "oracle"))


def test_database_is_empty(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_database_of_a_test_is_empty_although_another_filled_its_own(database_url: str) -> None:
    fake_migration(database_url)
    fill(database_url)

    assert ask(database_url, "SELECT code FROM codes ORDER BY code") == ["a", "b"]


@pytest.mark.databases("sqlite")
def test_test_runs_only_where_its_marker_says(database_kind: str, database_url: str) -> None:
    assert database_kind == "sqlite"
    assert database_url.startswith("sqlite:///")


@pytest.mark.databases("mariadb", "mysql")
def test_migrated_database_is_emptied_rather_than_migrated_again(migrated: MigratedServer) -> None:
    url = migrated.renew()
    fill(url)
    migrated.migrate = lambda _: pytest.fail("migrated again")

    assert migrated.renew() == url
    assert ask(url, "SELECT count(*) FROM orders UNION ALL SELECT count(*) FROM tasks") == [0, 0]
    assert ask(url, "SELECT version_num FROM orderctl_version") == ["0001"]
    fill(url)
    assert ask(url, "SELECT max(id) FROM orders") == [2]


@pytest.mark.databases("mariadb", "mysql")
def test_ids_begin_at_one_after_a_rollback(migrated: MigratedServer) -> None:
    url = migrated.renew()
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO orders (code) VALUES ('a')"))
        connection.rollback()
    engine.dispose()

    fill(migrated.renew())

    assert ask(url, "SELECT max(id) FROM orders") == [2]


@pytest.mark.databases("mariadb", "mysql")
def test_migrated_database_is_migrated_again_after_its_tables_changed(migrated: MigratedServer) -> None:
    ask(migrated.renew(), "DROP TABLE tasks")

    assert ask(migrated.renew(), "SELECT count(*) FROM tasks") == [0]


@pytest.mark.databases("mariadb", "mysql")
def test_migrated_database_is_migrated_again_after_its_indexes_changed(migrated: MigratedServer) -> None:
    ask(migrated.renew(), "CREATE INDEX ix_code ON orders (code)")
    indexes = "SELECT count(*) FROM information_schema.statistics WHERE index_name = 'ix_code'"

    assert ask(migrated.renew(), indexes) == [0]


@pytest.mark.databases("mariadb", "mysql")
def test_open_transaction_of_an_earlier_test_does_not_hold_up_the_next(migrated: MigratedServer) -> None:
    engine = sqlalchemy.create_engine(migrated.renew(), poolclass=sqlalchemy.NullPool)
    connection = engine.connect()
    connection.execute(sqlalchemy.text("INSERT INTO orders (code) VALUES ('a')"))

    url = migrated.renew()

    assert ask(url, "SELECT count(*) FROM orders") == [0]
    connection.invalidate()
    connection.close()


def test_migrated_file_is_copied(tmp_path: Path) -> None:
    file = MigratedFile(tmp_path / "template.db", fake_migration)
    fill(file.copy(tmp_path / "first.db"))

    url = file.copy(tmp_path / "second.db")

    assert ask(url, "SELECT count(*) FROM orders") == [0]
    assert ask(url, "SELECT version_num FROM orderctl_version") == ["0001"]
