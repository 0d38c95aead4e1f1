"""What the tables of a revision are made of, and how SQLite, MySQL and MariaDB spell it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Dialect, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import UserDefinedType


class InsertTime(ColumnElement[Any]):
    """The default of a column that tells when its row was written, in UTC."""

    inherit_cache = False


@compiles(InsertTime)
def _sqlite_time(_element: InsertTime, _compiler: Any, **_: Any) -> str:
    # The text that SQLAlchemy writes and compares with has microseconds.
    return "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"


@compiles(InsertTime, "mysql", "mariadb")
def _mysql_time(_element: InsertTime, _compiler: Any, **_: Any) -> str:
    return "(UTC_TIMESTAMP(6))"


class Verbatim(UserDefinedType[Any]):
    """A type as a server wrote it."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        """The text itself."""
        return self.text


@dataclass(frozen=True)
class Step:
    """One statement that is to run.

    Attributes:
        adds: What it adds, for people: ``index ix_orderctl_orders_created_at_id of orders``, ...
        statements: The statement, then others to the same end for servers that refuse it as not possible
            without blocking.
        needs: Rights on MySQL and MariaDB, each with the table it is needed on; empty for the database.
        optional: Whether orderctl does its work without it.
    """

    adds: tuple[str, ...]
    statements: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    optional: bool = False

    @property
    def what(self) -> str:
        """All that it adds."""
        return "; ".join(self.adds)


def dialect_of(server: str) -> Dialect:
    """How a server spells DDL; MariaDB and MySQL agree on what we use."""
    return sqlite.dialect() if server == "sqlite" else mysql.dialect()


def create_table(table: Table, dialect: Dialect) -> str:
    """The statement that creates a table, without its indexes."""
    return re.sub(r"\s+", " ", str(CreateTable(table).compile(dialect=dialect))).strip()


def column_clause(column: Column[Any], dialect: Dialect) -> str:
    """A column as it stands in ``ADD COLUMN``."""
    return str(CreateColumn(column).compile(dialect=dialect))


def type_of(column: Column[Any], dialect: Dialect) -> str:
    """A column's type as text."""
    return column.type.compile(dialect=dialect)


def is_computed(column: Column[Any]) -> bool:
    """Whether the default is an expression and no literal."""
    default = getattr(column.server_default, "arg", "")
    return isinstance(default, InsertTime) or str(default).startswith("(")
