"""What lets the account do what a store has refused: the statement, or the command, that grants the right."""

from __future__ import annotations

import re
from typing import Final

import redis
from sqlalchemy.exc import DBAPIError

from orderctl import broker, database_errors
from orderctl.errors import Misconfigured, OrderctlError

#: Errors of MySQL and MariaDB about rights: to a database, a table, a column, a routine; SUPER and its like.
_DENIED: Final = {1044, 1142, 1143, 1227, 1370}
_ON_TABLE: Final = re.compile(
    r"(?P<right>[A-Z ,]+?) command denied to user '(?P<user>[^']*)'@'(?P<host>[^']*)' for (?:table|column '.*' in table)"
    r" (?P<table>.+)\Z"
)
_ON_DATABASE: Final = re.compile(
    r"denied for user '(?P<user>[^']*)'@'(?P<host>[^']*)' to database '(?P<database>.+)'\Z"
)
#: What suffices for everything but migrations; docs/adopting.md.
NEEDED: Final = "SELECT, INSERT, UPDATE, DELETE"
_PRIVILEGE: Final = re.compile(r"at least one of\) the (?P<right>[A-Z_ ,]+?) privilege")
_REDIS_USER: Final = re.compile(r"User (?P<user>\S+) has no permissions")
_REDIS_COMMAND: Final = re.compile(r"no permissions to run the '(?P<command>[\w|]+)' command")


def grant(error: OrderctlError, database: str | None = None, client: redis.Redis | None = None) -> str | None:
    """Return what grants the right whose lack an error is about; None if it is about something else.

    Args:
        error: An error of the database or of Redis.
        database: The database of the connection: MySQL names only the table.
        client: The client of Redis, whose server the command names.
    """
    if isinstance(error.__cause__, DBAPIError):
        return _of_database(error.__cause__, database or "DATABASE")
    return _of_redis(error, client) if isinstance(error, Misconfigured) else None


def _of_database(error: DBAPIError, database: str) -> str | None:
    if database_errors.code_of(error) not in _DENIED:
        return None
    text = str(getattr(error.orig, "args", ("", ""))[-1])
    if on_table := _ON_TABLE.search(text):
        return f"GRANT {on_table['right'].strip()} ON {_table(on_table['table'], database)} TO '{on_table['user']}'@'{on_table['host']}'"
    if on_all := _ON_DATABASE.search(text):
        return f"GRANT {NEEDED} ON `{on_all['database']}`.* TO '{on_all['user']}'@'{on_all['host']}'"
    needed = _PRIVILEGE.search(text)
    return (
        f"GRANT {needed['right']} ON *.* TO 'USER'@'HOST'"
        if needed
        else f"GRANT {NEEDED} ON `{database}`.* TO 'USER'@'HOST'"
    )


def _table(name: str, database: str) -> str:
    """Return the name of a table as SQL: MySQL quotes it in its message and leaves the database out."""
    parts = name.replace("`", "").replace("'", "").split(".")
    return ".".join(f"`{part}`" for part in (parts if len(parts) > 1 else [database, *parts]))


def _of_redis(error: Misconfigured, client: redis.Redis | None) -> str | None:
    hint = error.hint or ""
    if hint.startswith("redis-cli ") and " ACL SETUSER " in hint:
        return hint
    command, user = _REDIS_COMMAND.search(str(error)), _REDIS_USER.search(str(error))
    if command is None:
        return None
    name = user["user"] if user else "USER"
    return broker.shell_line(client, "ACL", "SETUSER", name, f"+{command['command'].lower()}")
