"""Logins that fail: each has its exit code and one line that says what to do."""

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy
from sqlalchemy import make_url

from orderctl import database, logins
from orderctl.errors import ExitStatus, OrderctlError
from tests.servers.mysql import MysqlServer

servers = pytest.mark.databases("mariadb", "mysql")
NO_ADVICE = "the database reports"

Speak = Callable[[bytes], str]


@pytest.fixture
def speak() -> Iterator[Speak]:
    """``speak(greeting)`` listens on a port, greets each client, and closes; returns the URL."""
    listeners = []

    def serve(listener: socket.socket, greeting: bytes) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.sendall(greeting)
                client.settimeout(5)
                client.recv(1)

    def start(greeting: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, args=(listener, greeting), daemon=True)
        thread.start()
        listeners.append((listener, thread))
        return f"mysql://shop:geheim@127.0.0.1:{listener.getsockname()[1]}/shop"

    yield start
    for listener, thread in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def refusal(url: str, statement: str = "SELECT 1") -> OrderctlError:
    """Return the error of a statement."""
    engine = database.connect(url)
    try:
        with pytest.raises(OrderctlError) as caught, database.reading(engine) as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()
    assert "geheim" not in str(caught.value)
    assert NO_ADVICE not in str(caught.value)
    assert caught.value.hint
    return caught.value


def greeting(version: str) -> bytes:
    """A server's first packet, which asks for mysql_native_password."""
    flags = 0xFFFF & ~0x0800  # without TLS
    body = (
        b"\x0a"
        + version.encode()
        + b"\0"
        + struct.pack("<I", 1)
        + b"12345678\0"
        + struct.pack("<HBHH", flags, 45, 2, 8)
    )
    body += b"\x15" + bytes(10) + b"123456789012\0" + b"mysql_native_password\0"
    return len(body).to_bytes(3, "little") + b"\0" + body


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"+OK POP3 ready\r\n",
        b"\x01\x00\x00\x00\x0a",
        b"\x03\x00\x00\x00abc",
        b"\x10\x00\x00\x00\x0a" + b"9.9\0" + bytes(11),
        b"\x05\x00\x00\x05hello",
        b"\xff" * 40,
    ],
    ids=ascii,
)
def test_another_server_on_the_port_is_78_or_69(said, speak):
    error = refusal(speak(said))

    assert error.exit_status in {ExitStatus.CONFIGURATION, ExitStatus.UNAVAILABLE}


def test_bytes_of_another_protocol_are_named_as_such(speak):
    error = refusal(speak(b"\x05\x00\x00\x05hello"))

    assert error.exit_status is ExitStatus.CONFIGURATION
    assert str(error).startswith("not a MySQL or MariaDB server; check host and port in setting database.url")


def test_tls_is_not_dropped_if_the_server_does_not_offer_it(speak):
    error = refusal(f"{speak(greeting('9.1.0'))}?ssl-mode=REQUIRED")

    assert error.exit_status is ExitStatus.CONFIGURATION
    assert "check ssl-mode and ssl-ca" in str(error)


@pytest.mark.parametrize(
    ("shown", "is_old"),
    [
        ("5.7.44-log", True),
        ("8.0.11", False),
        ("9.7.4-2", False),
        ("5.5.5-10.5.29-MariaDB", True),
        ("5.5.5-10.11.18-MariaDB-0+deb12u1", False),
        ("11.4.2-MariaDB", False),
        ("10.1.48-MariaDB", True),
        ("a proxy", False),
    ],
)
def test_versions_are_compared(shown, is_old):
    assert logins._is_old(shown) is is_old


@servers
def test_an_old_server_is_78(database_url: str, monkeypatch):
    monkeypatch.setattr(logins, "OLDEST", {"MariaDB": (99, 0), "MySQL": (99, 0)})

    error = refusal(database_url)

    assert error.exit_status is ExitStatus.CONFIGURATION
    assert "orderctl needs MySQL 8.0, MariaDB 10.6, or newer" in str(error)


@pytest.fixture
def account(database_server: MysqlServer, database_url: str) -> Iterator[Callable[..., str]]:
    """``account(*statements)`` makes the account ``limited`` and runs the statements; returns its URL."""
    names = "'limited'@'%', 'limited'@'127.0.0.1'"
    url = make_url(database_url)

    def make(*statements: str) -> str:
        database_server.execute("CREATE USER 'limited'@'127.0.0.1' IDENTIFIED BY 'geheim'")
        for statement in statements:
            database_server.execute(statement.format(name=url.database))
        return url.set(username="limited", password="geheim").render_as_string(hide_password=False)

    yield make
    database_server.execute(f"DROP USER IF EXISTS {names}")


GRANT = "GRANT ALL ON `{name}`.* TO 'limited'@'127.0.0.1'"
ALTER = "ALTER USER 'limited'@'127.0.0.1'"


@servers
@pytest.mark.parametrize(
    ("statements", "complaint"),
    [
        ([GRANT, f"{ALTER} IDENTIFIED BY 'another'"], "denies access"),
        ([], "no rights on this database"),
        ([GRANT, f"{ALTER} ACCOUNT LOCK"], "the account is locked"),
        ([GRANT, f"{ALTER} PASSWORD EXPIRE"], "password of the account has expired"),
        ([GRANT, f"{ALTER} REQUIRE ISSUER '/CN=none'"], "(denies access|requires TLS)"),
    ],
    ids=["password", "rights", "locked", "expired", "certificate"],
)
def test_an_account_that_cannot_log_in_is_78(statements, complaint, account):
    error = refusal(account(*statements))

    assert error.exit_status is ExitStatus.CONFIGURATION
    assert re.search(complaint, str(error))


@servers
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE a (id INT PRIMARY KEY)",
        "DELETE FROM a",
        "SET GLOBAL max_connections = 300",
    ],
)
def test_a_missing_right_is_78(statement, account, database_server: MysqlServer, database_url):
    database_server.execute("CREATE TABLE a (id INT PRIMARY KEY)", database=make_url(database_url).database)

    error = refusal(account("GRANT SELECT ON `{name}`.* TO 'limited'@'127.0.0.1'"), statement)

    assert error.exit_status is ExitStatus.CONFIGURATION
    assert "lacks a right" in str(error)


@servers
def test_a_database_that_does_not_exist_is_78(database_url: str):
    error = refusal(str(make_url(database_url).set(database="none_of_this_name")))

    assert error.exit_status is ExitStatus.CONFIGURATION
    assert "does not exist" in str(error)


@servers
def test_passwords_have_any_characters(account, database_server: MysqlServer):
    for password in ("mật khẩu", "a@/#?:%", "\U0001f511"):
        url = make_url(account(GRANT, f"{ALTER} IDENTIFIED BY '{password}'"))
        engine = database.connect(url.set(password=password).render_as_string(hide_password=False))
        try:
            with database.reading(engine) as connection:
                assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
        finally:
            engine.dispose()
        database_server.execute("DROP USER 'limited'@'127.0.0.1'")
