"""Engines: the URL of a database, its driver's options, and what each new session is set to.

:mod:`orderctl.database` runs transactions on them.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from orderctl import foreign, sessions
from orderctl.errors import Misconfigured

_BUSY_SECONDS: Final = 10


def connect(
    url: str, *, pool_size: int = 5, lock_wait_seconds: int = 10, answer_timeout: int | None = 60
) -> Engine:
    """Return an engine for MySQL, MariaDB or SQLite. It does not connect yet.

    Args:
        url: As ``settings.database.url``: ``mysql+pymysql://``, ``mariadb+pymysql://`` or ``sqlite:///``.
        pool_size: The number of connections that are kept open.
        lock_wait_seconds: Seconds for which a statement waits for a row that another transaction holds.
        answer_timeout: Seconds without a reply after which the connection is treated as lost; None: never.

    Raises:
        Misconfigured: The URL is not valid.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _connect_sqlite(url)
        engine = create_engine(
            parsed,
            pool_size=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={
                "connect_timeout": 5,
                "read_timeout": answer_timeout,
                "write_timeout": answer_timeout,
            },
        )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise Misconfigured(f"setting database.url: {error}", hint="orderctl config show") from None
    # The server ends a long wait before the connection is given up as lost.
    table_wait = max(1, answer_timeout * 5 // 6) if answer_timeout else None

    def prepare(connection: Any, _record: object) -> None:
        sessions.prepare(connection, lock_wait=lock_wait_seconds, table_wait=table_wait)

    # Before SQLAlchemy's own listeners, which look at the sql_mode.
    event.listen(engine, "connect", prepare, insert=True)
    return engine


def _connect_sqlite(url: str) -> Engine:
    arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # no automatic BEGIN: see _begin
        connection.text_factory = foreign.decode  # by default text that is not UTF-8 is an error
        connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA foreign_keys=ON")
        # journal_mode=WAL is stored in the file. Reading it needs no lock, setting it does.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads and then writes fails at once if another transaction wrote in
        # between.
        options = connection.get_execution_options()
        connection.exec_driver_sql("BEGIN" if options.get("orderctl_readonly") else "BEGIN IMMEDIATE")

    return engine
