"""Soft deletes of the shop: rows with a time in their column ``deleted_at`` or ``deletedAt`` count as deleted.

orderctl has no such column, and deletes nothing. Where the shop's table has one, the conditions here look at it;
elsewhere no row is deleted. A time of zeros (``0000-00-00``), 0 and an empty text are no deletion.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Boolean, Dialect, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal

from orderctl import shape

#: The names of the column, as Sequelize and others spell it, in lower case.
_NAMES: Final = ("deleted_at", "deletedat")
#: The types on MySQL and MariaDB whose empty value is equal to 0.
_ZERO: Final = frozenset(
    {"date", "datetime", "timestamp", "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "bit"}
)


class _Condition(ColumnElement[bool]):
    """Whether a row of a table is deleted, or is not."""

    type = Boolean()
    inherit_cache = True  # whether the table has the column depends on the database: see ``compiled``
    _traverse_internals = [  # noqa: RUF012 - SQLAlchemy's way to say what a compiled statement depends on
        ("name", InternalTraversal.dp_string),
        ("deleted", InternalTraversal.dp_boolean),
    ]

    def __init__(self, table: Table, *, deleted: bool) -> None:
        self.table = table
        self.name = table.name
        self.deleted = deleted

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the condition itself: it needs neither brackets nor a comparison with 1."""
        return self


def is_deleted(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row of this table is deleted."""
    return _Condition(table, deleted=True)


def not_deleted(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row of this table is not deleted; true for the missing row of an outer join."""
    return _Condition(table, deleted=False)


def is_recorded(dialect: Dialect, table: Table) -> bool:
    """Return whether the shop's table has a column for it; otherwise none of its rows is deleted.

    Args:
        dialect: The dialect of the database's engine.
        table: The table.
    """
    return not shape.of(dialect).columns(table.name).keys().isdisjoint(_NAMES)


@compiles(_Condition)
def _compile(element: _Condition, compiler: Any, **_: Any) -> str:
    there = shape.of(compiler.dialect).columns(element.table.name)
    quoted = compiler.preparer
    kept = []
    for column in (there[name] for name in _NAMES if name in there):
        name = f"{quoted.format_table(element.table)}.{quoted.quote(column.name)}"
        empty = _empty(name, "sqlite" if compiler.dialect.name == "sqlite" else column.type)
        kept.append(f"({name} IS NULL OR {empty})")
    if not kept:
        return f"1 = {0 if element.deleted else 1}"
    together = " AND ".join(kept)
    return f"NOT ({together})" if element.deleted else f"({together})"


def _empty(name: str, kind: str) -> str:
    if kind == "sqlite":  # a column of any type holds any value
        return f"{name} IN ('', '0', 0) OR substr({name}, 1, 5) = '0000-'"
    return f"{name} = 0" if kind in _ZERO else f"{name} IN ('', '0')"
