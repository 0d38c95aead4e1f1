"""The errors of the databases: which are outages, which are worth another run, which are wrong settings.

MySQL and MariaDB share the numbers below 1900. Above, a number that both use is listed only where both mean what
matters here; the texts decide where one number has several meanings.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from sqlalchemy.exc import DBAPIError

from orderctl.errors import (
    DatabaseBusy,
    DatabaseExhausted,
    DatabaseReadOnly,
    DatabaseUnavailable,
    NotMigrated,
    OrderctlError,
)


class ReadOnly(IntEnum):
    """The server answers and does not accept writes: it was demoted, or an administrator works on it."""

    TABLE_READ_ONLY = 1036  #: ``innodb_read_only`` (MariaDB), ``innodb_force_recovery``.
    READ_ONLY_TRANSACTION = 1792  #: ``transaction_read_only`` was set for the whole server, or by a proxy.
    READ_ONLY_MODE = 1836  #: InnoDB was started read-only.
    INNODB_READ_ONLY = 1874  #: The same, for changes of tables.
    INNODB_RECOVERING = 1881  #: ``innodb_force_recovery``.
    HOOK_FAILED = 3100  #: MySQL: a member of a replication group that may not write now, or has no quorum.
    SCHEMA_READ_ONLY = 3989  #: MySQL: ``ALTER DATABASE ... READ ONLY = 1``, during a move to another server.


class Gone(IntEnum):
    """The connection was refused or lost, or the server ended it. Another one may work soon."""

    CLOSED = 0  #: PyMySQL: the connection was closed by an earlier error.
    OUT_OF_MEMORY = 1037
    TOO_MANY_CONNECTIONS = 1040  #: ``max_connections`` is reached.
    OUT_OF_RESOURCES = 1041  #: The server cannot get memory or a thread.
    NO_HOST_NAME = 1042  #: The server's name service does not answer.
    BAD_HANDSHAKE = 1043  #: The server or a proxy ends while we connect.
    SHUTTING_DOWN = 1053
    SHUT_DOWN = 1077
    SHUTDOWN_COMPLETE = 1079
    HOST_BLOCKED = 1129  #: Too many failed connections, as after trouble in the network; FLUSH HOSTS ends it.
    ABORTING_CONNECTION = 1152
    PACKETS_OUT_OF_ORDER = 1156  #: Bytes got lost.
    NET_READ_ERROR = 1158
    NET_READ_INTERRUPTED = 1159
    NET_WRITE_ERROR = 1160
    NET_WRITE_INTERRUPTED = 1161
    TOO_MANY_CONNECTIONS_OF_USER = 1203  #: ``max_user_connections`` for all users is reached.
    CONNECTION_KILLED = 1927  #: MariaDB: KILL; MaxScale: its server is lost.
    CANNOT_CONNECT_LOCALLY = 2002
    CANNOT_CONNECT = 2003
    SERVER_GONE = 2006
    HANDSHAKE_FAILED = 2012
    LOST_IN_QUERY = 2013
    OUT_OF_SYNC = 2014  #: An answer was cut off.
    MALFORMED_PACKET = 2027  #: The same.
    LOST_DETAILED = 2055
    OFFLINE_MODE = 3032  #: MySQL: ``offline_mode``, during maintenance.
    NOT_AVAILABLE = 3168  #: MySQL: the server ends.
    SESSION_KILLED = 3169  #: MySQL: KILL.
    IDLE_TOO_LONG = 4031  #: MySQL: ``wait_timeout`` has passed.
    PROXY_TIMED_OUT = 9001  #: ProxySQL: none of its servers can be reached.


class Exhausted(IntEnum):
    """The server answers, and accepts writes again once there is space, or the account's hour is over."""

    DISK_FULL = 1021
    TABLE_FULL = 1114  #: InnoDB says this when its disk is full.
    LIMIT_OF_USER_REACHED = 1226  #: Of the account's connections, or of its queries or updates in an hour.


class Busy(IntEnum):
    """The transaction was rolled back, or has to be, and may succeed in another run."""

    #: Only the statement was rolled back: the whole transaction has to run again.
    LOCK_WAIT_TIMEOUT = 1205
    TOO_MANY_LOCKS = 1206
    DEADLOCK = 1213  #: On Galera also a conflict with a write on another node.
    #: MariaDB says this for a deadlock with another client's INSERT ... SELECT into a table that numbers its rows.
    NO_AUTO_INCREMENT = 1467
    QUERY_INTERRUPTED = 1317  #: KILL QUERY, by hand or by a tool that ends slow statements.
    STATEMENT_TIMEOUT = 1969  #: MariaDB: ``max_statement_time``.
    TIMED_OUT = 3024  #: MySQL: ``max_execution_time``.
    ROLLED_BACK_IN_COMMIT = 3101  #: MySQL: a conflict with a write on another member of the group.
    LOCK_NOT_FREE = 3572  #: NOWAIT.


class Missing(IntEnum):
    """The database is not migrated."""

    UNKNOWN_COLUMN = 1054
    UNKNOWN_TABLE = 1146


class OfRow(IntEnum):
    """A trigger or a rule of the shop refuses a change of this row, or a value in it."""

    BAD_NULL = 1048
    DUPLICATE = 1062
    NO_DEFAULT = 1364
    DIVISION_BY_ZERO = 1365  #: In a trigger.
    PARENT_IN_USE = 1451
    NO_PARENT = 1452
    SIGNAL_WARNING = 1642
    SIGNAL_NOT_FOUND = 1643
    SIGNAL = 1644  #: A trigger's SIGNAL.
    CHECK_FAILED = 3819
    CHECK_FAILED_MARIADB = 4025


class Unstorable(IntEnum):
    """A column cannot hold the text."""

    INCORRECT_STRING = 1366
    TOO_LONG = 1406
    NO_CONVERSION = 3854  #: To the column's character set.
    CANNOT_CONVERT = 3988


#: Numbers that mean "read-only" only together with one of these words: 1015 is any failed lock of a file (MySQL says it
#: when it was started with ``innodb_read_only``), 1290 any option that forbids a statement, such as ``--skip-grant-tables``.
_READ_ONLY_WORDS: Final = {1015: ("read only",), 1290: ("read-only", "read_only")}
#: Galera says these when a node is not part of the cluster. 1047 also means an unknown command, 1105 anything.
_WSREP_CODES: Final = {1047, 1105, 1180}
#: A file cannot be created, written or committed; the text says why.
_FILE_CODES: Final = {1, 3, 20, 1026, 1030, 1180}
_NO_SPACE: Final = ("no space left", "errno: 28 ", "errcode: 28 ", "error 28 ")
#: SQLite has no numbers. "unable to open" and "disk I/O error" come with a file system that is gone for a while.
_SQLITE_GONE: Final = ("unable to open", "disk I/O error")
_SQLITE_MISSING: Final = ("no such table", "no such column")
_DUPLICATE: Final = 1062
_SHOW: Final = "orderctl config show"
_AGAIN: Final = "run the command again"

_READ_ONLY: Final = frozenset(ReadOnly)
_GONE: Final = frozenset(Gone)
_EXHAUSTED: Final = frozenset(Exhausted)
_BUSY: Final = frozenset(Busy)
_MISSING: Final = frozenset(Missing)
_UNSTORABLE: Final = frozenset(Unstorable)
_OF_ROW: Final = frozenset(OfRow)
#: A trigger's SIGNAL may set any number; servers tell clients none from here on.
_NUMBERS_OF_TRIGGERS: Final = 15_000


def translate(error: DBAPIError) -> Exception:
    """Return the OrderctlError for an error of the driver."""
    if not is_missing(error) and (explained := _explain(error)) is not None:
        return explained
    for belongs, make in _KINDS:
        if belongs(error):
            return make(_short(error))
    return OrderctlError(f"the database reports: {_short(error)}")


def _explain(error: DBAPIError) -> OrderctlError | None:
    """Return the error for what a person has to end, or for a value that does not fit into its column."""
    from orderctl import account_errors, capacity, sqlite_files  # noqa: PLC0415 - needed after an error only

    if isinstance(error.orig, sqlite3.Error):
        return sqlite_files.explain(str(error.orig))
    code, text = code_of(error), _short(error)
    return account_errors.explain(code, text) or capacity.explain(code, text)


def code_of(error: DBAPIError) -> int | None:
    """Return the server's error number, or None."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_missing(error: DBAPIError) -> bool:
    """Whether a table or column is missing."""
    return code_of(error) in _MISSING or any(words in _sqlite_text(error) for words in _SQLITE_MISSING)


def is_read_only(error: DBAPIError) -> bool:
    """Whether the database answers, and does not accept writes."""
    code, text = code_of(error), str(error.orig).lower()
    worded = any(words in text for words in _READ_ONLY_WORDS.get(code or 0, ()))
    return code in _READ_ONLY or worded


def is_exhausted(error: DBAPIError) -> bool:
    """Whether the database's disk is full, or a limit of the account is reached."""
    code, text = code_of(error), f"{error.orig} ".lower()
    worded = code in _FILE_CODES and any(words in text for words in _NO_SPACE)
    return code in _EXHAUSTED or worded or "database or disk is full" in _sqlite_text(error)


def is_gone(error: DBAPIError) -> bool:
    """Whether the connection is of no more use, or none could be made."""
    code, text = code_of(error), str(error.orig)
    if code in _WSREP_CODES and "wsrep" in text.lower():
        return True
    if error.connection_invalidated or code in _GONE or "Packet sequence number wrong" in text[:40]:
        return True
    return any(words in _sqlite_text(error) for words in _SQLITE_GONE)


def is_worth_rerunning(error: DBAPIError) -> bool:
    """Whether a transaction that failed with this error is worth another run at once."""
    return code_of(error) in _BUSY or "database is locked" in _sqlite_text(error)


def is_duplicate(error: DBAPIError) -> bool:
    """Whether the error is a duplicate in a unique key."""
    return code_of(error) == _DUPLICATE or "UNIQUE constraint failed" in str(error.orig)


def is_row_held(error: DBAPIError) -> bool:
    """Whether another transaction holds a row for long: another run at once would wait for it again."""
    return code_of(error) in {Busy.LOCK_WAIT_TIMEOUT, Busy.LOCK_NOT_FREE}


def is_about_row(error: DBAPIError) -> bool:
    """Whether the database refuses a change of this row, for the shop's rules or a value; it may accept another row's."""
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error.orig, sqlite3.IntegrityError | sqlite3.DataError)
    from orderctl import capacity  # noqa: PLC0415 - needed after an error only

    code = code_of(error) or 0
    return code in _OF_ROW or code in capacity.DOES_NOT_FIT or code >= _NUMBERS_OF_TRIGGERS


def is_unstorable(error: DBAPIError) -> bool:
    """Whether a column cannot hold a text, for its length or for its characters."""
    return code_of(error) in _UNSTORABLE


def _sqlite_text(error: DBAPIError) -> str:
    """Return SQLite's words; empty for another server, whose texts may quote any row."""
    return str(error.orig) if isinstance(error.orig, sqlite3.Error) else ""


def _short(error: DBAPIError) -> str:
    arguments = getattr(error.orig, "args", ())
    text = str(arguments[-1]) if arguments else str(error.orig)
    return text.partition("\n")[0]


#: The first that fits counts: a read-only server's connections are invalidated as well, for example.
_KINDS: Final[tuple[tuple[Callable[[DBAPIError], bool], Callable[[str], OrderctlError]], ...]] = (
    (
        is_missing,
        lambda text: NotMigrated(f"the database is not migrated: {text}", hint="orderctl migrate up"),
    ),
    (is_read_only, lambda text: DatabaseReadOnly(f"the database is read-only: {text}", hint=_SHOW)),
    (is_exhausted, lambda text: DatabaseExhausted(f"the database cannot do more: {text}", hint=_SHOW)),
    (is_gone, lambda text: DatabaseUnavailable(f"the database does not answer: {text}", hint=_SHOW)),
    (is_worth_rerunning, lambda text: DatabaseBusy(f"the database is too busy: {text}", hint=_AGAIN)),
)
