"""Compare a table of the shop's with the one that orderctl needs, and find the changes to make it fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Column, Table

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl
from orderctl.schema import SEQUELIZE_TIMESTAMPS

#: Prefix of orderctl's foreign keys. The server creates an index of the same name with each, and drops it as
#: soon as a better index exists.
FOREIGN_KEY_PREFIX: Final = "fk_orderctl_"

#: How MariaDB writes a JSON column in its definition. It can change such a column without a copy of the table
#: only if the new definition says "json".
_JSON_OF_MARIADB: Final = re.compile(
    r"^longtext(?: CHARACTER SET \w+)?(?: COLLATE \w+)?(.*) CHECK \(json_valid\(.*\)\)$"
)
#: What a column of a family may be, for messages.
_TYPES: Final = {"number": "a number", "text": "a text", "time": "DATETIME or TIMESTAMP"}
_QUOTED: Final = r"'((?:[^']|'')*)'"


def obstacles(table: Table, there: found.Table, *, on_sqlite: bool) -> Iterator[str]:
    """Yield the reasons why orderctl cannot use an existing table."""
    if not on_sqlite and there.engine != "InnoDB":
        yield (
            f"table {table.name} has the storage engine {there.engine}, but orderctl needs InnoDB:"
            f" ALTER TABLE {table.name} ENGINE=InnoDB"
        )
    if there.primary_key != (key := tuple(table.primary_key.columns.keys())):
        yield (
            f"table {table.name} has the primary key ({', '.join(there.primary_key) or 'none'}),"
            f" but orderctl needs ({', '.join(key)})"
        )
    for column in table.columns:
        old = there.columns.get(column.name)
        if old is not None:
            yield from _column_obstacles(table.name, column, old, there, on_sqlite=on_sqlite)
        elif column.info.get("required"):
            yield f"table {table.name} has no column {column.name}, which orderctl needs"


def _column_obstacles(
    table: str, column: Column[Any], old: found.ReflectedColumn, there: found.Table, *, on_sqlite: bool
) -> Iterator[str]:
    family = found.ReflectedColumn("", ddl.type_of(column, ddl.dialect_of("mysql"))).family
    if not on_sqlite and old.family != family:
        needed = _TYPES.get(family, family)
        yield f"column {table}.{column.name} has the type {old.type}, but orderctl needs {needed}"
    for check in there.checks:
        allowed = check.allows(column.name)
        missing = [value for value in values_of(column) if allowed is not None and value not in allowed]
        if missing:
            yield (
                f"check constraint {check.name} of table {table} must allow the values that orderctl writes into"
                f" {column.name}: {', '.join(missing)}"
            )


def cautions(table: Table, there: found.Table) -> Iterator[str]:
    """Yield warnings about a table of the shop's that orderctl can use."""
    required = [name for name, old in there.columns.items() if old.required and name not in table.columns]
    unknown = [name for name in required if name not in SEQUELIZE_TIMESTAMPS]
    if unknown and not table.info.get("shared"):
        yield (
            f"table {table.name} has columns that are NOT NULL without a default ({', '.join(unknown)}):"
            " 'orderctl orders add' cannot add orders, only the shop's own system can"
        )
    for key in there.foreign_keys:
        if table.info.get("shared") and key.on_delete == "CASCADE":
            yield (
                f"the foreign key of {table.name}.{key.column} has ON DELETE CASCADE:"
                f" deleting a row of {key.target} also deletes its audit events"
            )


def values_of(column: Column[Any]) -> tuple[str, ...]:
    """Return all values that orderctl writes into a column; empty if the list is not closed."""
    values: tuple[str, ...] = column.info.get("values", ())
    return values


def widened(wanted: Column[Any], old: found.ReflectedColumn) -> tuple[str, list[str]]:
    """Return a definition with which a column also accepts what orderctl writes, and what is new in it.

    The list is empty if the column need not change. New values of an ENUM are appended at its end, NOT NULL
    may become NULL but never the other way round, and the default stays.
    """
    definition, reasons = old.definition, []
    if missing := _missing_values(old, values_of(wanted)):
        definition = _with_values(definition, missing)
        reasons.append(f"values {', '.join(missing)}")
    length = re.match(r"(?:var)?char\((\d+)\)", old.type)
    longest = max(map(len, values_of(wanted)), default=0)
    if length and int(length.group(1)) < longest:
        definition = re.sub(r"\(\d+\)", f"({max(longest, wanted.info['length'])})", definition, count=1)
        reasons.append(f"room for {longest} characters")
    if wanted.info.get("null") and not old.nullable:
        definition = _JSON_OF_MARIADB.sub(r"json\1", definition).replace(" NOT NULL", " NULL", 1)
        reasons.append("NULL")
    return definition, reasons


def _missing_values(old: found.ReflectedColumn, values: tuple[str, ...]) -> list[str]:
    if not old.type.startswith("enum("):
        return []
    # A value in another case is the same word: it is written in the shop's spelling.
    known = [value.replace("''", "'").casefold() for value in re.findall(_QUOTED, old.type)]
    return [value for value in values if value not in known]


def _with_values(definition: str, values: list[str]) -> str:
    more = "".join(f",'{value}'" for value in values)
    return re.sub(rf"^(enum\((?:{_QUOTED},?)+)\)", lambda match: f"{match.group(1)}{more})", definition)


def neutral_default(column: found.ReflectedColumn) -> str | None:
    """Return a neutral default for a column, or None if its type has none."""
    if column.type.startswith("enum("):
        return f"'{re.findall(_QUOTED, column.type)[0]}'"
    # As a default of these types MySQL accepts a literal only inside a function call.
    if column.type.startswith("json") or _JSON_OF_MARIADB.match(column.definition):
        return "(JSON_OBJECT())"
    if re.match(r"tinytext|text|mediumtext|longtext", column.type):
        return "(CONCAT(''))"
    return {"number": "0", "text": "''", "time": "(UTC_TIMESTAMP())"}.get(column.family)


def serves(old: found.Index, wanted: tuple[str, ...], *, unique: bool) -> bool:
    """Whether an existing index returns rows in the same order as the wanted one.

    InnoDB appends the primary key to every index, so ``(created_at)`` is as good as ``(created_at, id)``. But
    ``(order_id, created_at)`` cannot replace ``(order_id)``, which returns the rows of an order sorted by id.
    """
    if not old.usable or old.name.startswith(FOREIGN_KEY_PREFIX):
        return False
    if unique:
        return old.unique and set(old.columns) == set(wanted)
    return _without_id(old.columns) == _without_id(wanted)


def _without_id(columns: tuple[str, ...]) -> tuple[str, ...]:
    return columns[: columns.index("id")] if "id" in columns else columns
