"""Connections to a server that does not accept writes, and to the one that takes its place."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, text

from orderctl import clock, database, migrate
from orderctl.errors import DatabaseExhausted, DatabaseReadOnly
from tests.servers.mysql import MysqlServer

pytestmark = pytest.mark.databases("mariadb", "mysql")


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """The account is root, whose writes a read-only server accepts."""
    engine = database.connect(migrated_url, pool_size=2)
    yield engine
    engine.dispose()


@pytest.fixture
def clerk(engine: Engine, database_server: MysqlServer) -> Iterator[Engine]:
    """The account may do everything in its database, and nothing with the server."""
    with database_server.connect() as cursor:
        cursor.execute("CREATE USER 'clerk'@'127.0.0.1'")
        cursor.execute(f"GRANT ALL ON `{engine.url.database}`.* TO 'clerk'@'127.0.0.1'")
    clerk = database.connect(engine.url.set(username="clerk").render_as_string(), pool_size=1)
    yield clerk
    clerk.dispose()
    database_server.execute("DROP USER 'clerk'@'127.0.0.1'")


@contextmanager
def read_only(server: MysqlServer) -> Iterator[None]:
    server.execute("SET GLOBAL read_only = 1")
    try:
        yield
    finally:
        server.execute("SET GLOBAL read_only = 0")


def identity(engine: Engine) -> int:
    with database.reading(engine) as connection:
        return connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()


def test_nothing_is_written_to_a_read_only_server_by_any_account(
    engine: Engine, database_server: MysqlServer
):
    writes = []
    with read_only(database_server), pytest.raises(DatabaseReadOnly, match="read-only"):
        database.transact(engine, writes.append)
    assert writes == []
    database.transact(engine, writes.append)
    assert len(writes) == 1


def test_a_server_that_is_made_read_only_in_a_transaction_is_an_outage(
    clerk: Engine, database_server: MysqlServer
):
    def work(connection: Connection) -> None:
        before.append(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())
        database_server.execute("SET GLOBAL read_only = 1")
        connection.execute(text("UPDATE orders SET order_code = 'DH1'"))

    before: list[int] = []
    try:
        with pytest.raises(DatabaseReadOnly, match="--read-only option"):
            database.transact(clerk, work)
    finally:
        database_server.execute("SET GLOBAL read_only = 0")
    assert identity(clerk) not in before


def test_a_limit_that_is_lifted_is_lifted_for_connections_that_were_open(
    clerk: Engine, database_server: MysqlServer
):
    def work(connection: Connection) -> None:
        connection.execute(text("UPDATE orders SET order_code = 'DH1'"))

    database_server.execute("ALTER USER 'clerk'@'127.0.0.1' WITH MAX_UPDATES_PER_HOUR 1")
    database.transact(clerk, work)
    with pytest.raises(DatabaseExhausted):
        database.transact(clerk, work)
    database_server.execute("ALTER USER 'clerk'@'127.0.0.1' WITH MAX_UPDATES_PER_HOUR 0")
    database.transact(clerk, work)


def test_queries_work_on_a_read_only_server(engine: Engine, database_server: MysqlServer):
    with read_only(database_server):
        first = identity(engine)
        assert identity(engine) == first, "a connection that was made to a replica is kept for some seconds"


def test_a_connection_to_a_server_that_was_demoted_is_made_anew(
    engine: Engine, database_server: MysqlServer, monkeypatch: pytest.MonkeyPatch
):
    """The name may lead to the new primary by now."""
    first = identity(engine)
    now = clock.elapsed() + 3600
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: now)
    with read_only(database_server):
        assert identity(engine) != first


def test_a_connection_that_was_lost_is_made_anew(engine: Engine, database_server: MysqlServer):
    first = identity(engine)
    database_server.execute(f"KILL {first}")
    assert identity(engine) != first


def test_a_read_only_server_is_not_migrated(engine: Engine, database_server: MysqlServer):
    with read_only(database_server), pytest.raises(DatabaseReadOnly):
        migrate.up(engine)


def test_a_migration_ends_when_its_server_becomes_read_only(database_url: str, database_server: MysqlServer):
    engine = database.connect(database_url)
    steps = []

    def demote(step: object) -> None:
        steps.append(step)
        if len(steps) == 2:
            database_server.execute("SET GLOBAL read_only = 1")

    try:
        with pytest.raises(DatabaseReadOnly, match="read-only"):
            migrate.up(engine, on_step=demote)
        assert len(steps) == 2
    finally:
        database_server.execute("SET GLOBAL read_only = 0")
    migrate.up(engine)
    migrate.check(engine)
    engine.dispose()
