"""The parts of a revision's tables, and their DDL for SQLite, MySQL and MariaDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, Connection, Dialect, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import UserDefinedType

#: Ways to change a table while others write into it, for the end of an ALTER TABLE.
INSTANT: Final = "ALGORITHM=INSTANT"
ONLINE: Final = "ALGORITHM=INPLACE, LOCK=NONE"
#: A way to change a table for which others have to wait until all its rows are copied.
COPY: Final = "ALGORITHM=COPY"

#: Called with a connection, and with what is called with the progress; returns what was added.
Work: TypeAlias = Callable[[Connection, Callable[[str], None]], tuple[str, ...]]


class InsertTime(ColumnElement[Any]):
    """A column default: the time of the INSERT in UTC."""

    inherit_cache = False


@compiles(InsertTime)
def _sqlite_time(_element: InsertTime, _compiler: Any, **_: Any) -> str:
    # SQLAlchemy writes and compares times as text with microseconds.
    return "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"


@compiles(InsertTime, "mysql", "mariadb")
def _mysql_time(_element: InsertTime, _compiler: Any, **_: Any) -> str:
    return "(UTC_TIMESTAMP(6))"


class Verbatim(UserDefinedType[Any]):
    """A column type that is given as text, exactly as a server wrote it."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        """Return the text."""
        return self.text


@dataclass(frozen=True)
class Step:
    """One statement of a migration, or work that no statement does.

    Attributes:
        adds: Descriptions of what it adds: ``index ix_orderctl_orders_created_at_id of orders``, ...
        statements: The preferred statement, then alternatives with the same result, for servers that cannot
            run the preferred one without blocking writers. None for work.
        needs: The rights needed on MySQL and MariaDB, each with its table; the table is empty for a right on
            the whole database.
        optional: Whether orderctl can work without it.
        work: The work. It can run again after it was killed.
    """

    adds: tuple[str, ...]
    statements: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    optional: bool = False
    work: Work | None = None

    @property
    def what(self) -> str:
        """All descriptions in one text."""
        return "; ".join(self.adds)


def dialect_of(server: str) -> Dialect:
    """Return the dialect for a server's DDL. MariaDB and MySQL agree on everything that is used here."""
    return sqlite.dialect() if server == "sqlite" else mysql.dialect()


def quoted(name: str) -> str:
    """Return a name of the shop's in quotes, as MySQL, MariaDB and SQLite read it."""
    escaped = name.replace("`", "``")
    return f"`{escaped}`"


def create_table(table: Table, dialect: Dialect, indexes: Sequence[str] = ()) -> str:
    """Return the statement that creates a table.

    Args:
        table: The table. Of its indexes only those in ``indexes`` are created.
        dialect: The server's.
        indexes: Definitions of indexes, such as ``INDEX name (column)``; not for SQLite.
    """
    text = re.sub(r"\s+", " ", str(CreateTable(table).compile(dialect=dialect))).strip()
    definitions, _, options = text.rpartition(" )")
    return f"{', '.join((definitions, *indexes))} ){options}"


def column_clause(column: Column[Any], dialect: Dialect) -> str:
    """Return a column's definition for ``ADD COLUMN``."""
    return str(CreateColumn(column).compile(dialect=dialect))


def type_of(column: Column[Any], dialect: Dialect) -> str:
    """Return a column's type as text."""
    return column.type.compile(dialect=dialect)


def is_computed(column: Column[Any]) -> bool:
    """Whether the column's default is an expression and not a literal."""
    default = getattr(column.server_default, "arg", "")
    return isinstance(default, InsertTime) or str(default).startswith("(")


def without_default(column: Column[Any]) -> Column[Any]:
    """Return a column that is NULL where no value is given."""
    return Column(column.name, column.type)
