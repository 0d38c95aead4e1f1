"""Errors of MySQL and MariaDB that a person has to end: the account, its rights, the server, one of its settings.

None of them is transient: what waits for a database must not wait for these.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from orderctl.errors import DatabaseUnavailable, Misconfigured, OrderctlError

#: Client errors of ours, raised at the login with the numbers that MySQL's own programs use.
NO_SERVER: Final = 2012
NO_TLS: Final = 2026

_SHOW: Final = "orderctl config show"


class Advice(NamedTuple):
    """An explanation of an error.

    Attributes:
        what: What is wrong.
        hint: What to do.
        kind: The class of the error, which has the exit code.
    """

    what: str
    hint: str = _SHOW
    kind: type[OrderctlError] = Misconfigured


_DENIED: Final = Advice("the database denies access; check user and password in setting database.url")
_EXPIRED: Final = Advice(
    "the password of the account has expired",
    "ALTER USER USER() IDENTIFIED BY 'NEW PASSWORD', then set database.url",
)
_LOCKED: Final = Advice("the account is locked", "ALTER USER 'USER'@'HOST' ACCOUNT UNLOCK")
_METHOD: Final = Advice(
    "the account logs in by a method that orderctl does not have",
    "ALTER USER 'USER'@'HOST' IDENTIFIED WITH caching_sha2_password BY 'PASSWORD', or on MariaDB"
    " mysql_native_password",
)
_RIGHTS: Final = Advice(
    "the account lacks a right", "GRANT the right that the message names; docs/adopting.md"
)
_ON_TABLE: Final = re.compile(
    r"(?P<right>[A-Z ,]+?) command denied to user '(?P<user>[^']*)'@'(?P<host>[^']*)' for (?:table|column '.*' in table)"
    r" (?P<table>.+)\Z"
)
_TLS: Final = Advice(
    "the database cannot be reached with TLS as set; check ssl-mode and ssl-ca in setting database.url"
)
_ENGINE: Final = Advice(
    "the server does not allow InnoDB tables",
    "allow InnoDB: enforce_storage_engine, disabled_storage_engines",
)

_NO_DATABASE: Final = 1049
_DATABASE: Final = re.compile(r"Unknown database '(.+)'")

ADVICE: Final = {
    1045: _DENIED,
    1698: _DENIED,
    1044: Advice(
        "the account has no rights on this database",
        "GRANT ALL ON DATABASE.* TO 'USER'@'HOST'; docs/adopting.md",
    ),
    1046: Advice("setting database.url does not name a database"),
    _NO_DATABASE: Advice(
        "the database of setting database.url does not exist", "CREATE DATABASE NAME CHARACTER SET utf8mb4"
    ),
    1820: _EXPIRED,
    1862: _EXPIRED,
    3118: _LOCKED,
    4151: _LOCKED,
    3955: Advice(
        "the account is locked after too many wrong passwords", "ALTER USER 'USER'@'HOST' ACCOUNT UNLOCK"
    ),
    # The method of authentication: not known to the client, to the server, or too old.
    1251: _METHOD,
    1275: _METHOD,
    1524: _METHOD,
    2054: _METHOD,
    2059: _METHOD,
    2061: _METHOD,
    1130: Advice(
        "the server does not accept connections from this machine",
        "CREATE USER 'USER'@'HOST OF ORDERCTL' with the same rights",
    ),
    # Ended by an administrator, while nothing of orderctl's has to change.
    1129: Advice(
        "the server blocks this machine after too many connection errors",
        "TRUNCATE performance_schema.host_cache, or on MariaDB FLUSH HOSTS",
        DatabaseUnavailable,
    ),
    1043: Advice("the server did not accept the login's first message", kind=DatabaseUnavailable),
    NO_SERVER: Advice("not a MySQL or MariaDB server; check host and port in setting database.url"),
    NO_TLS: _TLS,
    3159: Advice(
        "the server requires TLS for this account",
        "add ?ssl-mode=REQUIRED to the URL of setting database.url",
    ),
    # A command, a table, a column, anything that needs SUPER and its like, a routine.
    1142: _RIGHTS,
    1143: _RIGHTS,
    1227: _RIGHTS,
    1370: _RIGHTS,
    1419: _RIGHTS,
    # Settings of the server that no session can change.
    1153: Advice("the server's max_allowed_packet is too small", "SET GLOBAL max_allowed_packet = 16777216"),
    1665: Advice(
        "the server's binlog_format STATEMENT does not allow transactions with READ COMMITTED",
        "SET GLOBAL binlog_format = ROW",
    ),
    1286: _ENGINE,
    3161: _ENGINE,
}


class Refused(NamedTuple):
    """A right to a table that an account lacks, as the error names it.

    Attributes:
        right: The right, such as ``SELECT``.
        table: The table, quoted for SQL; MySQL leaves the database out.
        user: The account's name.
        address: Where the client is; the account's host may be another one, such as ``%``.
    """

    right: str
    table: str
    user: str
    address: str


def refused(reason: str) -> Refused | None:
    """Return the right to a table whose lack an error is about; None: it is about something else.

    Args:
        reason: The server's text.
    """
    if (found := _ON_TABLE.search(reason)) is None:
        return None
    parts = found["table"].replace("`", "").replace("'", "").split(".")
    table = ".".join(f"`{part}`" for part in parts)
    return Refused(found["right"].strip(), table, found["user"], found["host"])


def explain(code: int | None, reason: str) -> OrderctlError | None:
    """Return the error to raise for an error of the server, or None if it is of another kind.

    Args:
        code: The server's number.
        reason: The server's text.
    """
    advice = ADVICE.get(code or 0)
    if advice is None:
        return None
    hint = advice.hint
    if code == _NO_DATABASE and hint is not None and (named := _DATABASE.search(reason)):
        name = f"`{named[1].replace('`', '``')}`"
        hint = f"{hint.replace('NAME', name)}; or correct the name in database.url"
    if advice is _RIGHTS and (right := refused(reason)) is not None:
        hint = f"GRANT {right.right} ON {right.table} TO '{right.user}'@'HOST'; docs/adopting.md"
    return advice.kind(f"{advice.what}: {reason}", hint=hint)
