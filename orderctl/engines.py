"""Engines: the driver's options for the URL of a database, and how each new connection is prepared.

:mod:`orderctl.database` runs transactions on them.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event

from orderctl import database_urls, driver_options, foreign, moments, primary, sqlite_files
from orderctl.database_urls import DEFAULT, Address

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

#: What of SQLAlchemy's arguments for the driver stays; the URL's options are read here.
_KEPT: Final = {"host", "port", "user", "database", "client_flag"}
#: Key in the pool's notes about a connection: it has committed, and run nothing since then.
CLEAN: Final = "orderctl_clean"
#: The same: it is closed after its use.
_ONCE: Final = "orderctl_once"
#: Ends the name of the loggers of these engines' pools; a shop's worker may have engines of its own in this process.
_POOL: Final = "orderctl"


def connect(
    url: str,
    *,
    pool_size: int = 5,
    lock_wait_seconds: int = 10,
    file_wait_seconds: int = 10,
    answer_timeout: int | None = 60,
) -> Engine:
    """Return an engine for MySQL, MariaDB or SQLite. It does not connect yet.

    Args:
        url: As ``settings.database.url``: ``mysql+pymysql://``, ``mariadb+pymysql://`` or ``sqlite:///``.
        pool_size: The number of connections that are kept open.
        lock_wait_seconds: Seconds for which a statement waits for a row that another transaction holds.
        file_wait_seconds: Seconds for which a transaction waits for an SQLite file that another one writes.
        answer_timeout: Seconds without a reply after which the connection is treated as lost; None: never.

    Raises:
        Misconfigured: The URL is not valid.
    """
    try:
        address = database_urls.parse(url)
    except ValueError as error:
        raise driver_options.wrong(error) from None
    if address.is_file:
        engine = _connect_sqlite(address, getattr(url, "origin", "given"), file_wait_seconds)
    else:
        engine = _connect_server(address, pool_size, lock_wait_seconds, answer_timeout)
    # A connection that is lost after the commit, or cannot be closed, is a traceback in SQLAlchemy's log. The work is done
    # then; an outage is reported by what needs the database next.
    if isinstance(engine.pool.logger, logging.Logger):
        engine.pool.logger.setLevel(logging.CRITICAL)
    moments.set_zone(engine.dialect, moments.zone(getattr(url, "time_zone", "UTC")))
    return engine


def _connect_server(
    address: Address, pool_size: int, lock_wait_seconds: int, answer_timeout: int | None
) -> Engine:
    from orderctl import logins, sessions  # noqa: PLC0415 - the embedded default starts without them

    arguments = driver_options.of(address, answer_timeout)
    engine = create_engine(
        URL.create(
            address.driver,
            address.user,
            address.password,
            address.host,
            address.port,
            address.name,
            {name: str(value) for name, value in address.options.items()},
        ),
        pool_size=pool_size,
        pool_timeout=10,
        pool_logging_name=_POOL,
        pool_reset_on_return=None,  # see _end_transaction
        hide_parameters=True,  # a row of a task has the URL of its course
        query_cache_size=0,  # see ``compiled``
    )
    # The server ends a long wait before the connection is given up as lost.
    table_wait = max(1, answer_timeout * 5 // 6) if answer_timeout else None

    @event.listens_for(engine, "do_connect")
    def _log_in(dialect: Any, _record: object, _args: object, given: dict[str, Any]) -> Any:
        kept = {name: value for name, value in given.items() if name in _KEPT}
        return logins.log_in(dialect.connect, kept | arguments)

    def prepare(connection: Any, _record: object) -> None:
        sessions.prepare(connection, lock_wait=lock_wait_seconds, table_wait=table_wait)

    # Before SQLAlchemy's own listeners, which look at the sql_mode.
    event.listen(engine, "connect", prepare, insert=True)
    primary.watch(engine)
    event.listen(engine, "reset", _end_transaction)
    return engine


def _end_transaction(driver: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
    """Roll back what a connection that comes back to the pool may have left open; a commit has left nothing."""
    if not record.info.pop(CLEAN, False) and not state.transaction_was_reset and not state.terminate_only:
        driver.rollback()


#: Where the URL of an engine comes from.
_origins: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()


def create(engine: Engine) -> None:
    """Create the SQLite file of an engine if there is none; a server's database exists already.

    Raises:
        Misconfigured: The operating system refuses.
        DatabaseUnavailable: The disk is full.
    """
    path = engine.url.database
    if engine.dialect.name == "sqlite" and path:
        sqlite_files.create(path, folder=_origins.get(engine) == DEFAULT)


def _connect_sqlite(address: Address, origin: str, file_wait: int) -> Engine:
    arguments = {"timeout": file_wait, "check_same_thread": False}
    engine = create_engine(
        URL.create("sqlite", database=address.name or None),
        connect_args=arguments,
        pool_logging_name=_POOL,
        hide_parameters=True,  # a row of a task has the URL of its course
        query_cache_size=0,  # see ``compiled``
    )

    _origins[engine] = origin

    @event.listens_for(engine, "do_connect")
    def _open(_dialect: object, record: ConnectionPoolEntry, args: list[Any], given: dict[str, Any]) -> None:
        if address.name:
            sqlite_files.check(address.name, origin)
            args[0] = sqlite_files.uri(address.name, writable=sqlite_files.is_writable(address.name))
            given["uri"] = True
            record.info[_ONCE] = args[0].endswith("?immutable=1")

    @event.listens_for(engine, "checkin")
    def _close_immutable(_connection: object, record: ConnectionPoolEntry) -> None:
        if record.info.get(_ONCE):  # the next reading shows what others have written meanwhile
            record.invalidate()

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # no automatic BEGIN: see _begin
        connection.text_factory = foreign.decode  # by default text that is not UTF-8 is an error
        connection.execute(f"PRAGMA busy_timeout={file_wait * 1000}")
        connection.execute("PRAGMA foreign_keys=ON")
        # journal_mode=WAL is stored in the file. Reading it needs no lock, setting it does.
        may_write = not address.name or sqlite_files.is_writable(address.name)
        if may_write and connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads and then writes fails at once if another transaction wrote in
        # between.
        options = connection.get_execution_options()
        connection.exec_driver_sql("BEGIN" if options.get("orderctl_readonly") else "BEGIN IMMEDIATE")

    return engine
