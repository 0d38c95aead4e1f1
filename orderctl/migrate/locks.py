"""One migration at a time, and none that makes the shop wait.

A statement that changes a table waits until every transaction that has touched the table ends, and
whoever comes after it waits behind it. So it waits a second at most, lets the others pass, and tries
again. And while it waits, a transaction that holds the table and needs more of it is in a deadlock with
it, which the server ends to the transaction's cost (error 1213); so it rather does not wait at all where
the server can be asked not to.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from sqlite3 import OperationalError
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orderctl.database import code_of
from orderctl.errors import Conflict, LockHeld

#: Waited for too long, and (with a transaction that holds the table and needs more) for ever.
_TABLE_KEPT: Final = {1205, 1213}
#: Not possible by this algorithm (or not without blocking); too many instant changes since the last rebuild.
_NOT_SO: Final = {1845, 1846, 4092, 1235}
_LONGEST_NAME: Final = 64
_PAUSE_SECONDS: Final = 0.5
_QUICK_PAUSE_SECONDS: Final = 0.01
_TRIES: Final = 3
#: A transaction that has been open for so long may have been forgotten.
_OLD_SECONDS: Final = 1


@contextmanager
def sqlite(connection: Connection, timeout: float) -> Iterator[None]:
    """Have SQLite's only write lock, in one transaction.

    Args:
        connection: Of SQLite, no transaction begun.
        timeout: How many seconds to wait for somebody else.

    Raises:
        LockHeld: When somebody else has it for longer.
    """
    driver: Any = connection.connection.driver_connection
    [(before,)] = driver.execute("PRAGMA busy_timeout").fetchall()
    driver.execute(f"PRAGMA busy_timeout = {round(timeout * 1000)}")
    try:
        connection.begin()
        if not driver.in_transaction:  # an engine that does not come from orderctl.database
            driver.execute("BEGIN IMMEDIATE")
        yield
    except (DBAPIError, OperationalError) as error:
        if "locked" in str(error):
            raise LockHeld(
                f"somebody else has been writing into the database for more than {timeout:g} s",
                hint="wait until they have ended, or give a longer --lock-timeout",
            ) from error
        raise
    finally:
        if not connection.invalidated:
            driver.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def mysql(connection: Connection, timeout: float) -> Iterator[None]:
    """Hold the lock of migrations on this database; statements wait for tables in turns of a second.

    Args:
        connection: Of MySQL or MariaDB; the lock is its own.
        timeout: How many seconds to wait for somebody else.

    Raises:
        LockHeld: When somebody else holds it for longer. The message names who.
    """
    name = lock_name(connection.exec_driver_sql("SELECT DATABASE()").scalar() or "")
    # MariaDB asks InnoDB for the child tables when it has their parent already: a deadlock that nobody sees.
    innodb = 0 if _is_mariadb(connection) else 1
    connection.exec_driver_sql(f"SET SESSION innodb_lock_wait_timeout = {innodb}")
    if not connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, timeout)).scalar():
        holder = connection.exec_driver_sql("SELECT IS_USED_LOCK(%s)", (name,)).scalar()
        raise LockHeld(
            f"another migration of this database is running: {_describe(connection, holder)}",
            hint="wait until it has ended, or give a longer --lock-timeout",
        )
    yield  # the end of the connection gives it back, however that comes


def lock_name(database: str) -> str:
    """The name of the lock: such names are the whole server's, and 64 characters at most."""
    name = f"orderctl migrate {database}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"orderctl migrate {hashlib.sha256(database.encode()).hexdigest()[:32]}"


def execute(connection: Connection, statements: tuple[str, ...], timeout: float) -> None:
    """Run the first of the statements that the server can do, waiting for the table in short turns.

    Args:
        connection: Of MySQL or MariaDB, inside :func:`mysql`.
        statements: To the same end, the best first.
        timeout: How many seconds to wait for others' transactions.

    Raises:
        LockHeld: When others' transactions keep the table for longer.
        Conflict: When the server can do none of them without blocking those who write.
        DBAPIError: When the server refuses for another reason.
    """
    for statement in statements:
        try:
            return _in_turns(connection, statement, timeout)
        except DBAPIError as error:
            if code_of(error) not in _NOT_SO:
                raise
            reason = str(error.orig.args[-1]) if error.orig else ""
    by_hand = re.sub(", (ALGORITHM|LOCK)=.*", "", statements[-1])
    raise Conflict(
        f"this cannot be done while others write ({reason}): {by_hand}",
        hint="run that statement by hand in a quiet hour, then orderctl migrate up again",
    )


def probe(connection: Connection, comments: Mapping[str, str], timeout: float) -> None:
    """Make sure that no forgotten transaction keeps one of the tables, before anything is changed.

    Args:
        connection: Of MySQL or MariaDB, inside :func:`mysql`.
        comments: Of each table that is going to be changed; writing it down once more needs the table as
            any change does, and changes nothing.
        timeout: How many seconds to wait for each.

    Raises:
        LockHeld: When others' transactions keep a table for longer.
    """
    ages = _ages(connection)
    if ages is not None and not any(age >= _OLD_SECONDS for age in ages):
        return
    for table, comment in sorted(comments.items()):
        quoted = comment.replace("\\", "\\\\").replace("'", "''")
        execute(
            connection, (f"ALTER TABLE {table} COMMENT = '{quoted}', ALGORITHM=INPLACE, LOCK=NONE",), timeout
        )


def _in_turns(connection: Connection, statement: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    if _is_mariadb(connection) and _at_once(connection, statement, timeout / 2):
        return
    connection.exec_driver_sql("SET SESSION lock_wait_timeout = 1")
    while not _attempt(connection, statement):
        if time.monotonic() + _PAUSE_SECONDS > deadline:
            raise LockHeld(
                f"others' transactions keep the table for more than {timeout:g} s: {statement}"
                f"{_oldest_transactions(connection)}",
                hint="have them end, then run orderctl migrate up again: it goes on where it stopped",
            )
        time.sleep(_PAUSE_SECONDS)


def _at_once(connection: Connection, statement: str, timeout: float) -> bool:
    """Try to find a moment in which nobody has the table; only MariaDB can be asked without waiting."""
    deadline = time.monotonic() + timeout
    connection.exec_driver_sql("SET SESSION lock_wait_timeout = 0")
    # What builds an index needs a second such moment at its end, or has built it in vain.
    for number in itertools.count(1):
        if _attempt(connection, statement):
            return True
        if time.monotonic() > deadline and number >= _TRIES:
            break
        time.sleep(random.uniform(0, _QUICK_PAUSE_SECONDS))
    return False


def _attempt(connection: Connection, statement: str) -> bool:
    """Run a statement; False when others keep the table."""
    try:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    except DBAPIError as error:
        if code_of(error) not in _TABLE_KEPT:
            raise
        return False
    return True


def _is_mariadb(connection: Connection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


def _describe(connection: Connection, number: int | None) -> str:
    statement = "SELECT user, host, time FROM information_schema.processlist WHERE id = %s"
    row: Any = connection.exec_driver_sql(statement, (number,)).first() if number else None
    return f"connection {number}" + (f" of {row[0]} from {row[1]}" if row else "")


_TRANSACTIONS: Final = (
    "SELECT p.id, p.user, p.host, TIMESTAMPDIFF(SECOND, t.trx_started, NOW())"
    " FROM information_schema.innodb_trx t"
    " JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id"
    " WHERE p.id <> CONNECTION_ID() ORDER BY t.trx_started"
)


def _ages(connection: Connection) -> list[int] | None:
    """For how many seconds others' transactions have been open; None without the right to see (PROCESS)."""
    try:
        return [row[3] for row in connection.exec_driver_sql(_TRANSACTIONS)]
    except DBAPIError:
        return None


def _oldest_transactions(connection: Connection) -> str:
    """The longest open transactions, where we may see them."""
    try:
        rows = connection.exec_driver_sql(f"{_TRANSACTIONS} LIMIT 3").all()
    except DBAPIError:
        return ""
    shown = [f"connection {row[0]} of {row[1]} from {row[2]}, open for {row[3]} s" for row in rows]
    return f" (oldest transactions: {'; '.join(shown)})" if shown else ""
