"""What a server may do besides dying.

A database may accept no writes, or no connections, or be locked; Redis may be full, or refuse commands to an account.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from redis import Redis
from sqlalchemy import make_url

from tests.servers.mysql import MysqlServer
from tests.servers.redis import RedisServer

#: What may be taken from the account that orderctl uses, as ACL rules.
RIGHTS = ("-@scripting", "-publish -psubscribe -subscribe", "resetchannels")


@contextmanager
def read_only(server: MysqlServer, *, strictly: bool = False) -> Iterator[None]:
    """Make a server read-only, as an administrator or a tool for failovers does.

    Args:
        server: The server.
        strictly: Also for accounts like root, if the server can do that (MySQL). Otherwise only orderctl itself keeps
            its root from writing.
    """
    with server.connect() as cursor:
        cursor.execute("SET GLOBAL read_only = 1")
        try:
            if strictly and not server.program.is_mariadb:
                cursor.execute("SET GLOBAL super_read_only = 1")
            yield
        finally:
            cursor.execute("SET GLOBAL read_only = 0")  # and super_read_only with it


@contextmanager
def crowded(server: MysqlServer) -> Iterator[None]:
    """Let a server refuse new connections while it has ten or more."""
    with server.connect() as cursor:
        cursor.execute("SELECT @@global.max_connections")
        [(before,)] = cursor.fetchall()
        cursor.execute("SET GLOBAL max_connections = 10")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL max_connections = {before}")


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the write lock of a SQLite file."""
    with closing(sqlite3.connect(make_url(url).database, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    """Let a server refuse every command that needs memory."""
    with Redis(unix_socket_path=str(server.socket_path)) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def without_rights(server: RedisServer, rights: str) -> Iterator[None]:
    """Take rights from the account without a name, and give them back.

    Args:
        server: The server.
        rights: One of :data:`RIGHTS`.
    """
    with Redis(unix_socket_path=str(server.socket_path)) as client:
        client.execute_command("ACL", "SETUSER", "default", *rights.split())
        try:
            yield
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+@all", "allchannels")
