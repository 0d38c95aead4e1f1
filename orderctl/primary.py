"""Whether the server behind a connection accepts writes: a demoted primary answers, and is not the database any more.

Its name may lead to the new primary by now (DNS, a proxy), so connections to a read-only server are not kept. No account
may write to it, not even one that the server lets (``READ ONLY ADMIN``, ``CONNECTION_ADMIN``): such writes are lost with
the old primary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from orderctl import clock, database_errors
from orderctl.errors import DatabaseReadOnly

#: FOR UPDATE, which locks nothing here, makes proxies that split reads from writes ask the server that gets the writes.
#: ``innodb_read_only`` is what replicas of some cloud services have in place of ``read_only``.
_QUESTION: Final = "SELECT @@global.read_only, @@global.innodb_read_only FOR UPDATE"
#: Answers of a server that accepts writes; the variable is a number, or a word since MariaDB 12.
_WRITABLE: Final = {"0", "OFF"}
_UNKNOWN_VARIABLE: Final = 1193
#: How long a connection to a read-only server may serve queries before it is made anew, in seconds.
_PATIENCE: Final = 5.0
#: Keys in the pool's notes about a connection: whether the server is read-only, and when the connection was made.
_READ_ONLY: Final = "orderctl_read_only"
_MADE: Final = "orderctl_made"


def watch(engine: Engine) -> None:
    """Ask the server with each connection taken from the pool whether it accepts writes.

    This takes the place of the pool's ping and costs no more. Connections to a read-only server are dropped, at the
    latest after some seconds.

    Args:
        engine: An engine for MySQL or MariaDB.
    """
    event.listen(engine, "checkout", _look)
    event.listen(engine, "handle_error", _drop)


def is_read_only(connection: Connection) -> bool:
    """Whether the server did not accept writes when the connection was taken from the pool; False for SQLite."""
    return bool(connection.info.get(_READ_ONLY))


def require(connection: Connection) -> None:
    """Refuse to write to a server that is read-only.

    Raises:
        DatabaseReadOnly: It is.
    """
    if is_read_only(connection):
        connection.invalidate()
        raise DatabaseReadOnly(
            "the database is read-only: it was demoted, or an administrator works on it",
            hint="orderctl config show",
        )


def require_still(connection: Connection) -> None:
    """Refuse to go on writing to a server that may have been demoted since the connection was taken from the pool.

    Args:
        connection: A connection to a server or to SQLite.

    Raises:
        DatabaseReadOnly: It was.
    """
    if connection.dialect.name == "sqlite":
        return
    try:
        answer = connection.exec_driver_sql(_QUESTION).one()
    except DBAPIError as error:
        if database_errors.code_of(error) != _UNKNOWN_VARIABLE:
            raise
        return
    connection.info[_READ_ONLY] = _refuses_writes(answer)
    require(connection)


def _look(driver: Any, record: Any, _proxy: Any) -> None:
    """Note whether the server is read-only; drop a connection that is lost, or leads to such a server for long."""
    notes: dict[str, Any] = record.info
    fresh = _MADE not in notes
    notes.setdefault(_MADE, clock.elapsed())
    try:
        notes[_READ_ONLY] = _is_read_only(driver)
    except Exception as error:
        if fresh:
            raise
        raise InvalidatePoolError from error
    if notes[_READ_ONLY] and clock.elapsed() - notes[_MADE] > _PATIENCE:
        raise InvalidatePoolError


def _is_read_only(driver: Any) -> bool:
    with driver.cursor() as cursor:
        try:
            cursor.execute(_QUESTION)
        except Exception as error:
            if error.args[:1] == (_UNKNOWN_VARIABLE,):  # a server of another kind with the same protocol
                return False
            raise
        return _refuses_writes(cursor.fetchone())


def _refuses_writes(answer: Iterable[object]) -> bool:
    return any(str(value).upper() not in _WRITABLE for value in answer)


def _drop(context: ExceptionContext) -> None:
    """Make SQLAlchemy drop the pool's connections after an error that says that they are of no use now.

    A connection also keeps the limits that its account had when it was made.
    """
    error = context.sqlalchemy_exception
    if isinstance(error, DBAPIError) and any(means(error) for means in _USELESS):
        context.is_disconnect = True


_USELESS: Final = (database_errors.is_read_only, database_errors.is_exhausted, database_errors.is_gone)
