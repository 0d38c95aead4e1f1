"""Databases for tests: empty ones, and migrated ones that are emptied instead of migrated again."""

import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.servers.mysql import MysqlServer

#: What a test runs on by default.
KINDS = ("sqlite", "mariadb", "mysql")

#: Tables whose rows are part of the schema.
KEPT = frozenset({"orderctl_version", "orderctl_migrations"})

Migration = Callable[[str], None]
_numbers = itertools.count(1)


def migrate_up(url: str) -> None:
    """Migrate a database to the newest schema with orderctl's own code."""
    from orderctl import database, migrate

    engine = database.connect(url)
    try:
        migrate.up(engine)
    finally:
        engine.dispose()


def choose(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the databases that a test names in ``@pytest.mark.databases(...)``; all if it names none.

    Raises:
        ValueError: A name is unknown.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"databases({', '.join(unknown)}): known are {', '.join(KINDS)}")
    return tuple(kinds) or KINDS


def fresh_name() -> str:
    """Return a database name that no other test of this run uses."""
    return f"test_{os.getpid()}_{next(_numbers)}"


class MigratedServer:
    """A database on a server, migrated once and emptied for each test.

    Args:
        server: The server.
        migrate: Migrates an empty database.
    """

    def __init__(self, server: MysqlServer, migrate: Migration = migrate_up) -> None:
        self.server = server
        self.migrate = migrate
        self.name = fresh_name()
        self._schema: list[tuple[str, str]] | None = None

    def renew(self) -> str:
        """Return the URL of the database: migrated, and without a row."""
        self.server.disconnect(self.name)
        if self._schema is None or self._schema != self._read_schema():
            self._create()
        else:
            self._empty()
        return self.server.url(self.name)

    def _create(self) -> None:
        self._schema = None
        self.server.drop_database(self.name)
        self.migrate(self.server.create_database(self.name))
        self._schema = self._read_schema()

    def _empty(self) -> None:
        """Truncate each table that has or had rows, so that ids begin at 1 again."""
        statement = (
            "SELECT table_name, auto_increment FROM information_schema.tables"
            " WHERE table_schema = %s AND table_type = 'BASE TABLE'"
        )
        with self.server.connect(self.name) as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute(statement, [self.name])
            for table, last in cursor.fetchall():
                cursor.execute(f"SELECT 1 FROM `{table}` LIMIT 1")
                if table not in KEPT and (cursor.fetchone() or (last or 1) > 1):
                    cursor.execute(f"TRUNCATE `{table}`")

    def _read_schema(self) -> list[tuple[str, str]]:
        """List columns and indexes: after a test that changed them a new database is needed."""
        statement = (
            "SELECT table_name, column_name, CONCAT_WS(' ', column_type, collation_name)"
            " FROM information_schema.columns WHERE table_schema = %s"
            " UNION ALL SELECT table_name, index_name, CONCAT_WS(' ', non_unique, seq_in_index, column_name)"
            " FROM information_schema.statistics WHERE table_schema = %s ORDER BY 1, 2, 3"
        )
        return [tuple(row) for row in self.server.execute(statement, [self.name, self.name])]


class MigratedFile:
    """A SQLite file, migrated once and copied for each test.

    Args:
        template: Where to keep it.
        migrate: Migrates an empty database.
    """

    def __init__(self, template: Path, migrate: Migration = migrate_up) -> None:
        self.template = template
        self.migrate = migrate

    def copy(self, path: Path) -> str:
        """Copy the file to ``path`` and return its URL."""
        if not self.template.exists():
            work = self.template.with_suffix(".work")
            self.migrate(sqlite_url(work))
            _fold_wal(work)
            work.rename(self.template)
        shutil.copyfile(self.template, path)
        return sqlite_url(path)


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


def _fold_wal(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
