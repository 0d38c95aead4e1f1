"""The databases that are measured: of a private MySQL or MariaDB server, or files of SQLite, in a folder that may stay."""

import json
import shutil
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from bench.queries import writing
from bench.queries.shop import MYSQL, SQLITE, Words
from orderctl import database, migrate
from tests.servers.mysql import MysqlServer, Program, find_mariadb, find_mysql

_OPTIONS = (
    "--innodb-buffer-pool-size=4G",
    "--innodb-log-buffer-size=64M",
    "--innodb-doublewrite=OFF",
    "--innodb-io-capacity=4000",
    "--innodb-flush-neighbors=0",
    "--max-allowed-packet=64M",
)
_OF_MYSQL = ("--innodb-redo-log-capacity=2G", "--innodb-ddl-threads=2", "--innodb-ddl-buffer-size=512M")
_OF_MARIADB = ("--innodb-log-file-size=1G", "--innodb-sort-buffer-size=64M")
_TOO_LATE = {pymysql.constants.ER.QUERY_TIMEOUT, 1969}  # of MySQL, of MariaDB


class TookTooLongError(Exception):
    """A statement was ended because it had reached its limit."""


class Store(ABC):
    """The databases of several sizes.

    Attributes:
        kind: ``mysql``, ``mariadb`` or ``sqlite``.
        words: The words of SQL in which it differs from the others.

    Args:
        folder: Where they are; a database that was written whole is used again.
    """

    kind: str
    words: Words

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._notes = folder / "written.json"
        #: Seconds that it took to write each database, by the number of orders.
        self.written: dict[str, float] = json.loads(self._notes.read_text()) if self._notes.exists() else {}

    def engine(self, count: int) -> Engine:
        """Return an engine for the shop of ``count`` orders, which is written unless it is there."""
        is_there = str(count) in self.written
        began = time.monotonic()
        engine = self._connect(f"shop{count}", anew=not is_there)
        migrate.up(engine)
        if not is_there:
            self._write(engine, count)
            writing.note_payments(engine)
            migrate.up(engine)  # which counts the events of the audit log
            self.written[str(count)] = time.monotonic() - began
            self._note()
        return engine

    def forget(self, count: int) -> None:
        """Do not use this database again: it is going to be changed."""
        del self.written[str(count)]
        self._note()

    def _note(self) -> None:
        self._notes.write_text(json.dumps(self.written))

    def grown(self, count: int) -> dict[tuple[str, str], int]:
        """Write a shop as in use, with all indexes in place, and return the bytes of each index."""
        engine = self._connect("growth", anew=True)
        migrate.up(engine)
        self._write(engine, count, in_use=True)
        sizes = self._sizes(engine)
        engine.dispose()
        return sizes

    @property
    @abstractmethod
    def version(self) -> str:
        """The name and version of the server."""

    @abstractmethod
    def _connect(self, name: str, *, anew: bool) -> Engine:
        """Return an engine for a database; with ``anew``, for an empty one."""

    @abstractmethod
    def _write(self, engine: Engine, count: int, *, in_use: bool = False) -> None:
        """Write the shop into migrated, empty tables; with ``in_use`` into those with all indexes."""

    @abstractmethod
    def run(self, engine: Engine, statement: str, *, seconds: float) -> float:
        """Run a statement, read its rows, and return how long that took, in seconds.

        Raises:
            TookTooLongError: It took longer than ``seconds``.
        """

    @abstractmethod
    def _sizes(self, engine: Engine) -> dict[tuple[str, str], int]:
        """Return the bytes of each index, by table and index; PRIMARY is the table's rows."""

    @abstractmethod
    def close(self) -> None:
        """Stop the server; the data stays."""


class _Server(MysqlServer):
    def __init__(self, place: Path, program: Program, *options: str) -> None:
        self.place = place
        super().__init__(program, *options)

    @property
    def data(self) -> Path:
        return self.place


class ServerStore(Store):
    """A private MySQL or MariaDB server."""

    words = MYSQL

    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__(folder)
        self.kind = kind
        self.is_mariadb = kind == "mariadb"
        program = find_mariadb() if self.is_mariadb else find_mysql()
        options = (*_OPTIONS, *(_OF_MARIADB if self.is_mariadb else _OF_MYSQL))
        self.server = _Server(folder.absolute() / "data", program, *options)
        self.server.start()

    @property
    def version(self) -> str:
        number = self.server.execute("SELECT VERSION()")[0][0]
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {number.partition('-')[0]}"

    def _connect(self, name: str, *, anew: bool) -> Engine:
        if anew:
            self.server.drop_database(name)
            self.server.create_database(name)
        return database.connect(self.server.url(name), answer_timeout=3600)

    def _write(self, engine: Engine, count: int, *, in_use: bool = False) -> None:
        writing.into_server(engine, count, in_use=in_use)

    def run(self, engine: Engine, statement: str, *, seconds: float) -> float:
        limit = (
            f"max_statement_time = {seconds}"
            if self.is_mariadb
            else f"max_execution_time = {seconds * 1000:.0f}"
        )
        with _cursor(engine) as cursor:
            cursor.execute(f"SET SESSION {limit}")
            began = time.perf_counter()
            try:
                cursor.execute(statement)
                cursor.fetchall()
            except pymysql.err.MySQLError as error:
                if error.args[0] in _TOO_LATE:
                    raise TookTooLongError from None
                raise
            return time.perf_counter() - began

    def _sizes(self, engine: Engine) -> dict[tuple[str, str], int]:
        with _cursor(engine) as cursor:
            cursor.execute(f"ANALYZE TABLE {', '.join(writing.TABLES)}")
            cursor.execute(
                "SELECT table_name, index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats"
                " WHERE database_name = DATABASE() AND stat_name = 'size'"
            )
            return {(table, index): int(size) for table, index, size in cursor.fetchall()}

    def close(self) -> None:
        self.server.stop(grace=600)
        self.server.close()


class SqliteStore(Store):
    """Files of SQLite."""

    kind = "sqlite"
    words = SQLITE

    @property
    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def close(self) -> None:
        pass

    def _connect(self, name: str, *, anew: bool) -> Engine:
        folder = self.folder.absolute() / name
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        return database.connect(f"sqlite:///{folder}/orderctl.db")

    def _write(self, engine: Engine, count: int, *, in_use: bool = False) -> None:
        path = engine.url.database
        engine.dispose()
        assert path is not None
        writing.into_file(path, count, in_use=in_use)

    def run(self, engine: Engine, statement: str, *, seconds: float) -> float:
        connection = engine.raw_connection()
        driver: Any = connection.driver_connection
        began = time.perf_counter()
        driver.set_progress_handler(lambda: time.perf_counter() - began > seconds, 10_000)
        try:
            driver.execute(statement).fetchall()
            return time.perf_counter() - began
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise TookTooLongError from None
            raise
        finally:
            driver.set_progress_handler(None, 0)
            connection.close()

    def _sizes(self, engine: Engine) -> dict[tuple[str, str], int]:
        with engine.connect() as connection:
            try:
                found = connection.exec_driver_sql(
                    "SELECT m.tbl_name, CASE m.type WHEN 'table' THEN 'PRIMARY' ELSE m.name END, SUM(s.pgsize)"
                    " FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY m.name"
                ).all()
            except DBAPIError as error:
                print(f"growth: this SQLite cannot tell ({error.orig})")
                return {}
        return {(table, index): size for table, index, size in found}


@contextmanager
def _cursor(engine: Engine) -> Iterator[Any]:
    connection = engine.raw_connection()
    try:
        yield connection.cursor()
    finally:
        connection.invalidate()  # with the limits that were set
