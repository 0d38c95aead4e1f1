"""Engines for the URLs that a user can write: sockets, TLS, timeouts."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from orderctl import database, migrate
from orderctl.errors import ExitStatus, Misconfigured
from tests.servers.mysql import MysqlServer

servers = pytest.mark.databases("mariadb", "mysql")


def ask(url: str, statement: str) -> tuple:
    engine = database.connect(url)
    try:
        with database.reading(engine) as connection:
            return tuple(connection.exec_driver_sql(statement).one())
    finally:
        engine.dispose()


CIPHER = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"


@servers
def test_a_socket_needs_no_host(database_server: MysqlServer, database_url: str):
    name = make_url(database_url).database
    url = f"mysql://root@/{name}?unix_socket={database_server.socket_path}"

    assert ask(url, "SELECT DATABASE()") == (name,)
    engine = database.connect(url)
    try:
        assert migrate.up(engine).applied  # on a connection of its own
    finally:
        engine.dispose()


@pytest.fixture
def tls(mysql_server: MysqlServer) -> tuple[str, Path]:
    """The URL of MySQL without options, and the folder of its certificates; it makes them itself."""
    return f"mysql://root@127.0.0.1:{mysql_server.port}/", mysql_server.data


def test_tls_as_the_url_asks_for_it(tls: tuple[str, Path]):
    url, data = tls
    ca = f"ssl-ca={data / 'ca.pem'}"

    for options in ("ssl=true", "ssl-mode=required", ca, f"{ca}&ssl_mode=VERIFY_CA"):
        assert ask(f"{url}?{options}", CIPHER)[1], options
    client = f"ssl-cert={data / 'client-cert.pem'}&ssl-key={data / 'client-key.pem'}"
    assert ask(f"{url}?{ca}&{client}", CIPHER)[1]
    for options in ("ssl=false", "ssl-mode=DISABLED"):
        assert not ask(f"{url}?{options}", CIPHER)[1], options


def test_certificates_are_checked(tls: tuple[str, Path], tmp_path: Path):
    url, data = tls
    (tmp_path / "text.pem").write_text("no certificate")
    for options, complaint in (
        ("ssl-mode=VERIFY_CA", "check ssl-mode and ssl-ca.*CERTIFICATE_VERIFY_FAILED"),
        (f"ssl-mode=VERIFY_IDENTITY&ssl-ca={data / 'ca.pem'}", "check ssl-mode and ssl-ca.*mismatch"),
        (f"ssl-ca={tmp_path / 'none.pem'}", "option ssl-ca: cannot read .*none.pem: No such file"),
        (f"ssl-ca={tmp_path}", "option ssl-ca: cannot read"),
        (f"ssl-ca={tmp_path / 'text.pem'}", "option ssl-ca: cannot read .*PEM format"),
        (
            f"ssl-cert={data / 'client-cert.pem'}&ssl-key={data / 'ca-key.pem'}",
            "option ssl-cert: cannot read",
        ),
    ):
        with pytest.raises(Misconfigured, match=complaint) as caught:
            ask(f"{url}?{options}", "SELECT 1")
        assert caught.value.exit_status is ExitStatus.CONFIGURATION


def test_an_account_that_requires_tls_says_how(mysql_server: MysqlServer):
    mysql_server.execute("CREATE USER 'secured'@'127.0.0.1' REQUIRE SSL")
    url = f"mysql://secured@127.0.0.1:{mysql_server.port}/"
    try:
        assert ask(f"{url}?ssl=true", CIPHER)[1]
        with pytest.raises(Misconfigured) as caught:
            ask(f"{url}?ssl-mode=DISABLED", "SELECT 1")
    finally:
        mysql_server.execute("DROP USER 'secured'@'127.0.0.1'")

    assert "ssl-mode=REQUIRED" in str(caught.value.hint) or "denies access" in str(caught.value)


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(mariadb_server: MysqlServer):
    [(offered,)] = mariadb_server.execute("SELECT @@have_ssl")
    if offered != "YES":
        with pytest.raises(Misconfigured, match="check ssl-mode and ssl-ca"):
            ask(f"mysql://root@127.0.0.1:{mariadb_server.port}/?ssl-mode=REQUIRED", "SELECT 1")


@servers
def test_a_url_cannot_shorten_a_migration(database_url: str):
    url = f"{database_url.partition('?')[0]}?read_timeout=7"
    engine = database.connect(url)
    long = database.connect(url, answer_timeout=None)
    try:
        with engine.connect() as short, long.connect() as patient:
            assert short.connection.driver_connection._read_timeout == 7
            assert patient.connection.driver_connection._read_timeout is None
    finally:
        engine.dispose()
        long.dispose()


def test_a_connection_that_is_lost_after_its_commit_leaves_no_traceback_in_the_log(
    engine: Engine, caplog: pytest.LogCaptureFixture
):
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        connection.commit()
        connection.connection.driver_connection.close()  # before SQLAlchemy sends a ROLLBACK and puts it into the pool

    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.databases("sqlite")
def test_the_log_of_the_shop_s_own_engines_stays_as_it_is(engine: Engine):
    other = create_engine("sqlite://")

    assert engine.pool.logger.getEffectiveLevel() == logging.CRITICAL
    assert other.pool.logger.getEffectiveLevel() < logging.CRITICAL
    other.dispose()


def test_an_error_of_the_database_shows_no_values_of_the_statement(engine: Engine):
    with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT :url FROM nowhere"), {"url": "https://u:secret@h"})

    assert "secret" not in str(caught.value)
