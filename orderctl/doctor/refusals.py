"""What lets the account do what a store has refused: the statement, or the command, that grants the right."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import redis
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orderctl import account_errors, broker, database_errors
from orderctl.errors import Misconfigured, OrderctlError
from orderctl.migrate import rights

#: Errors of MySQL and MariaDB about rights: to a database, a table, a column, a routine; SUPER and its like.
_DENIED: Final = {1044, 1142, 1143, 1227, 1370}
_ON_DATABASE: Final = re.compile(
    r"denied for user '(?P<user>[^']*)'@'(?P<host>[^']*)' to database '(?P<database>.+)'\Z"
)
#: What suffices for everything but migrations; docs/adopting.md.
NEEDED: Final = "SELECT, INSERT, UPDATE, DELETE"
_PRIVILEGE: Final = re.compile(r"at least one of\) the (?P<right>[A-Z_ ,]+?) privilege")
_REDIS_USER: Final = re.compile(r"User (?P<user>\S+) has no permissions")
_REDIS_COMMAND: Final = re.compile(r"no permissions to run the '(?P<command>[\w|]+)' command")


class Login(NamedTuple):
    """Who is logged in to the database, and where.

    Attributes:
        account: The account, quoted for SQL. Errors name the client's address in place of its host.
        database: The database, which MySQL's errors do not name.
    """

    account: str
    database: str


def login(connection: Connection) -> Login | None:
    """Return who is logged in; None on SQLite, which has no accounts.

    Args:
        connection: A connection to the database.
    """
    if connection.dialect.name == "sqlite":
        return None
    account, database = connection.exec_driver_sql("SELECT CURRENT_USER(), DATABASE()").one()
    return Login(rights.quoted(str(account)), str(database))


def grant(error: OrderctlError, login: Login | None = None, client: redis.Redis | None = None) -> str | None:
    """Return what grants the right whose lack an error is about; None if it is about something else.

    Args:
        error: An error of the database or of Redis.
        login: Who is logged in to the database; None: the login was refused, so that only the error names the account.
        client: The client of Redis, whose server the command names.
    """
    if isinstance(error.__cause__, DBAPIError):
        return _of_database(error.__cause__, login)
    return _of_redis(error, client) if isinstance(error, Misconfigured) else None


def _of_database(error: DBAPIError, login: Login | None) -> str | None:
    if database_errors.code_of(error) not in _DENIED:
        return None
    text = str(getattr(error.orig, "args", ("", ""))[-1])
    account, database = login or Login("'USER'@'HOST'", "DATABASE")
    if on_table := account_errors.refused(text):
        table = on_table.table if "`.`" in on_table.table else f"`{database}`.{on_table.table}"
        known = account if login else f"'{on_table.user}'@'{on_table.address}'"
        return f"GRANT {on_table.right} ON {table} TO {known}"
    if on_all := _ON_DATABASE.search(text):
        return f"GRANT {NEEDED} ON `{on_all['database']}`.* TO '{on_all['user']}'@'{on_all['host']}'"
    if needed := _PRIVILEGE.search(text):
        return f"GRANT {needed['right']} ON *.* TO {account}"
    return f"GRANT {NEEDED} ON `{database}`.* TO {account}"


def _of_redis(error: Misconfigured, client: redis.Redis | None) -> str | None:
    hint = error.hint or ""
    if hint.startswith("redis-cli ") and " ACL SETUSER " in hint:
        return hint
    command, user = _REDIS_COMMAND.search(str(error)), _REDIS_USER.search(str(error))
    if command is None:
        return None
    name = user["user"] if user else "USER"
    return broker.shell_line(client, "ACL", "SETUSER", name, f"+{command['command'].lower()}")
