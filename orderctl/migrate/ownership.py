"""Tell the tables, columns and indexes that orderctl made from those of the shop."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Column, Dialect, Table

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl

#: Other words for a type. MariaDB stores JSON as LONGTEXT.
_SYNONYMS: Final = {"integer": "int", "numeric": "decimal", "json": "longtext"}


def is_made(table: Table, there: found.Table, dialect: Dialect) -> bool:
    """Whether orderctl made a table that a shop may have, too.

    Such a table has no column that orderctl does not know, and those that every shop's table has are in
    orderctl's order, with orderctl's types.
    """
    return there.columns.keys() <= set(table.columns.keys()) and is_extended(table, there, dialect)


def is_extended(table: Table, there: found.Table, dialect: Dialect) -> bool:
    """Whether orderctl made a table, to which the shop may have added columns since."""
    required = [column for column in table.columns if column.info.get("required")]
    names = [column.name for column in required]
    if [name for name in there.columns if name in names] != names:
        return False
    present = list(there.columns)
    before = present[: present.index(names[-1])] if names else []  # what the shop adds stands behind it
    return set(before) <= set(table.columns.keys()) and all(
        has_type(column, there.columns[column.name], dialect) for column in required
    )


def consists_of(table: Table, there: found.Table, dialect: Dialect) -> bool:
    """Whether a table has exactly the columns of ``table``, with their types; later ones may be missing."""
    names = there.columns.keys()
    return first_names(table) <= names <= set(table.columns.keys()) and all(
        has_type(table.columns[name], old, dialect) for name, old in there.columns.items()
    )


def first_names(table: Table) -> set[str]:
    """Return the names of the columns that a table had from the beginning, before a later revision added some."""
    return {column.name for column in table.columns if not column.info.get("later")}


def has_type(column: Column[Any], old: found.ReflectedColumn, dialect: Dialect) -> bool:
    """Whether an existing column has the type and the collation of ``column``."""
    collation = getattr(column.type.dialect_impl(dialect), "collation", None)
    return normal_type(ddl.type_of(column, dialect)) == normal_type(old.type) and (
        collation is None or old.collation in {None, collation}
    )


def normal_type(text: str) -> str:
    """Return a type in one spelling: without collation, without the width with which numbers are shown."""
    bare = re.sub(r"\s*(?:character set|collate) \w+", "", text.lower())
    bare = re.sub(r"^((?:tiny|small|medium|big)?int(?:eger)?)\(\d+\)", r"\1", bare)
    return re.sub(r"^\w+", lambda word: _SYNONYMS.get(word.group(), word.group()), bare).replace(" ", "")


def foreign(name: str) -> str:
    """Return the obstacle that a table with a name of orderctl's is not orderctl's."""
    return (
        f"the table {name} exists and orderctl did not make it, but orderctl needs this name:"
        f" ALTER TABLE {name} RENAME TO another_name"
    )
