"""Locks of a migration: only one runs at a time, and the shop's queries do not have to wait for it.

A statement that changes a table waits until all transactions that have used the table have ended, and every
later query waits behind it. So it waits at most one second, lets the others pass, and is tried again.

Waiting has a second cost: a transaction that holds the table and needs a further lock on it is then in a
deadlock with the waiting statement, and the server ends the transaction (error 1213). So where the server can
be asked not to wait (MariaDB), the statement is first tried without waiting.
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

from orderctl.database_errors import code_of
from orderctl.errors import Conflict, LockHeld

#: Lock wait timeout, and deadlock: another transaction holds the table.
_TABLE_LOCKED: Final = {1205, 1213}
#: Not supported with this ALGORITHM or LOCK; too many instant changes since the last rebuild of the table.
_NOT_SUPPORTED: Final = {1845, 1846, 4092, 1235}
_LONGEST_NAME: Final = 64
_PAUSE_SECONDS: Final = 0.5
_QUICK_PAUSE_SECONDS: Final = 0.01
_TRIES: Final = 3
#: A transaction that has been open for this many seconds may have been forgotten by its client.
_OLD_SECONDS: Final = 1


@contextmanager
def sqlite(connection: Connection, timeout: float) -> Iterator[None]:
    """Hold SQLite's write lock (there is only one) in one transaction.

    Args:
        connection: A connection to SQLite, not in a transaction.
        timeout: Seconds to wait for another process.

    Raises:
        LockHeld: Another process holds the lock for longer.
    """
    driver: Any = connection.connection.driver_connection
    [(before,)] = driver.execute("PRAGMA busy_timeout").fetchall()
    driver.execute(f"PRAGMA busy_timeout = {round(timeout * 1000)}")
    try:
        connection.begin()
        if not driver.in_transaction:  # the engine is not from orderctl.database
            driver.execute("BEGIN IMMEDIATE")
        yield
    except (DBAPIError, OperationalError) as error:
        if "locked" in str(error):
            raise LockHeld(
                f"another process has been writing to the database for more than {timeout:g} s",
                hint="wait until it has finished, or give a longer --lock-timeout",
            ) from error
        raise
    finally:
        if not connection.invalidated:
            driver.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def mysql(connection: Connection, timeout: float) -> Iterator[None]:
    """Hold the lock that lets only one migration of this database run at a time.

    Args:
        connection: A connection to MySQL or MariaDB, which holds the lock.
        timeout: Seconds to wait for another migration.

    Raises:
        LockHeld: Another migration holds the lock for longer. The message names its connection.
    """
    name = lock_name(connection.exec_driver_sql("SELECT DATABASE()").scalar() or "")
    # When MariaDB holds a parent table, it asks InnoDB for the child tables: a deadlock that neither detects.
    innodb = 0 if _is_mariadb(connection) else 1
    connection.exec_driver_sql(f"SET SESSION innodb_lock_wait_timeout = {innodb}")
    if not connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, timeout)).scalar():
        holder = connection.exec_driver_sql("SELECT IS_USED_LOCK(%s)", (name,)).scalar()
        raise LockHeld(
            f"another migration of this database is running: {_describe(connection, holder)}",
            hint="wait until it has finished, or give a longer --lock-timeout",
        )
    yield  # the server releases the lock when the connection ends, for whatever reason


def lock_name(database: str) -> str:
    """Return the name of the lock: unique on the whole server, at most 64 characters."""
    name = f"orderctl migrate {database}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"orderctl migrate {hashlib.sha256(database.encode()).hexdigest()[:32]}"


def execute(connection: Connection, statements: tuple[str, ...], timeout: float) -> None:
    """Run the first of the statements that the server supports, in tries that each wait for a second at most.

    Args:
        connection: A connection to MySQL or MariaDB, inside :func:`mysql`.
        statements: Statements with the same result, the best first.
        timeout: Seconds to wait for other clients' transactions.

    Raises:
        LockHeld: Other transactions lock the table for longer.
        Conflict: The server can run none of the statements without blocking writers.
        DBAPIError: The server refuses for another reason.
    """
    for statement in statements:
        try:
            return _run_in_short_waits(connection, statement, timeout)
        except DBAPIError as error:
            if code_of(error) not in _NOT_SUPPORTED:
                raise
            reason = str(error.orig.args[-1]) if error.orig else ""
    by_hand = re.sub(", (ALGORITHM|LOCK)=.*", "", statements[-1])
    raise Conflict(
        f"the server cannot run this statement without blocking writers ({reason}): {by_hand}",
        hint="run that statement by hand when the shop is quiet, then run: orderctl migrate up",
    )


def probe(connection: Connection, comments: Mapping[str, str], timeout: float) -> None:
    """Check that no forgotten transaction locks one of the tables, before anything is changed.

    Args:
        connection: A connection to MySQL or MariaDB, inside :func:`mysql`.
        comments: The comment of each table that is going to be changed. It is set again to the same text:
            this needs the same lock as any change, and changes nothing.
        timeout: Seconds to wait for each table.

    Raises:
        LockHeld: Other transactions lock a table for longer.
    """
    ages = _ages(connection)
    if ages is not None and not any(age >= _OLD_SECONDS for age in ages):
        return
    for table, comment in sorted(comments.items()):
        quoted = comment.replace("\\", "\\\\").replace("'", "''")
        execute(
            connection, (f"ALTER TABLE {table} COMMENT = '{quoted}', ALGORITHM=INPLACE, LOCK=NONE",), timeout
        )


def _run_in_short_waits(connection: Connection, statement: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    if _is_mariadb(connection) and _run_without_waiting(connection, statement, timeout / 2):
        return
    connection.exec_driver_sql("SET SESSION lock_wait_timeout = 1")
    while not _attempt(connection, statement):
        if time.monotonic() + _PAUSE_SECONDS > deadline:
            raise LockHeld(
                f"other transactions have locked the table for more than {timeout:g} s: {statement}"
                f"{_oldest_transactions(connection)}",
                hint="end those transactions, then continue with: orderctl migrate up",
            )
        time.sleep(_PAUSE_SECONDS)


def _run_without_waiting(connection: Connection, statement: str, timeout: float) -> bool:
    """Try to run a statement when no transaction locks the table. Only MariaDB can try without waiting."""
    deadline = time.monotonic() + timeout
    connection.exec_driver_sql("SET SESSION lock_wait_timeout = 0")
    # A statement that builds an index needs a second such moment at its end; without it the work is lost.
    for number in itertools.count(1):
        if _attempt(connection, statement):
            return True
        if time.monotonic() > deadline and number >= _TRIES:
            break
        time.sleep(random.uniform(0, _QUICK_PAUSE_SECONDS))
    return False


def _attempt(connection: Connection, statement: str) -> bool:
    """Run a statement; False when other transactions lock the table."""
    try:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    except DBAPIError as error:
        if code_of(error) not in _TABLE_LOCKED:
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
    """Return for how many seconds each other transaction has been open; None without the right PROCESS."""
    try:
        return [row[3] for row in connection.exec_driver_sql(_TRANSACTIONS)]
    except DBAPIError:
        return None


def _oldest_transactions(connection: Connection) -> str:
    """Describe the oldest open transactions; empty without the right PROCESS."""
    try:
        rows = connection.exec_driver_sql(f"{_TRANSACTIONS} LIMIT 3").all()
    except DBAPIError:
        return ""
    shown = [f"connection {row[0]} of {row[1]} from {row[2]}, open for {row[3]} s" for row in rows]
    return f" (oldest transactions: {'; '.join(shown)})" if shown else ""
