"""What it takes for a table of somebody else's to serve as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Column, Table

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl
from orderctl.schema import SEQUELIZE_TIMESTAMPS

#: Marks a foreign key of ours; an index of the same name came with it and goes with the next better one.
FOREIGN_KEY_PREFIX: Final = "fk_orderctl_"

#: MariaDB's JSON as it writes it down; it can change it without a copy only under its own name.
_JSON_OF_MARIADB: Final = re.compile(
    r"^longtext(?: CHARACTER SET \w+)?(?: COLLATE \w+)?(.*) CHECK \(json_valid\(.*\)\)$"
)
_QUOTED: Final = r"'((?:[^']|'')*)'"


def obstacles(table: Table, there: found.Table, *, on_sqlite: bool) -> Iterator[str]:
    """Why a table that is there cannot be ours as well."""
    if not on_sqlite and there.engine != "InnoDB":
        yield f"{table.name} is a table of {there.engine}, orderctl needs InnoDB"
    if there.primary_key != (key := tuple(table.primary_key.columns.keys())):
        yield f"the primary key of {table.name} is not {', '.join(key)}"
    for column in table.columns:
        old = there.columns.get(column.name)
        if old is not None:
            yield from _column_obstacles(table.name, column, old, there, on_sqlite=on_sqlite)
        elif column.info.get("required"):
            yield f"{table.name} has no column {column.name}"


def _column_obstacles(
    table: str, column: Column[Any], old: found.ReflectedColumn, there: found.Table, *, on_sqlite: bool
) -> Iterator[str]:
    family = found.ReflectedColumn("", ddl.type_of(column, ddl.dialect_of("mysql"))).family
    if not on_sqlite and old.family != family:
        yield f"{table}.{column.name} is {old.type}, orderctl needs a {family}"
    for check in there.checks:
        allowed = check.allows(column.name)
        missing = [value for value in values_of(column) if allowed is not None and value not in allowed]
        if missing:
            yield f"the check {check.name} of {table} does not allow {column.name} {', '.join(missing)}"


def cautions(table: Table, there: found.Table) -> Iterator[str]:
    """What somebody ought to know about a table of the shop's."""
    required = [name for name, old in there.columns.items() if old.required and name not in table.columns]
    unknown = [name for name in required if name not in SEQUELIZE_TIMESTAMPS]
    if unknown and not table.info.get("shared"):
        yield (
            f"{table.name}.{', '.join(unknown)} is NOT NULL without a default:"
            " orders are added by the shop's system only, orders add refuses"
        )
    for key in there.foreign_keys:
        if table.info.get("shared") and key.on_delete == "CASCADE":
            yield f"{table.name}.{key.column} is ON DELETE CASCADE: who deletes from {key.target} deletes events"


def values_of(column: Column[Any]) -> tuple[str, ...]:
    """All that we write into a column, where that is a closed list."""
    values: tuple[str, ...] = column.info.get("values", ())
    return values


def widened(wanted: Column[Any], old: found.ReflectedColumn) -> tuple[str, list[str]]:
    """The definition by which a column takes what we write as well, and what that adds; [] for nothing.

    Further values of an ENUM go to its end; nullability only ever becomes looser; the default stays.
    """
    definition, reasons = old.definition, []
    if missing := _missing_values(old, values_of(wanted)):
        definition = _with_values(definition, missing)
        reasons.append(f"values {', '.join(missing)}")
    length = re.match(r"(?:var)?char\((\d+)\)", old.type)
    longest = max(map(len, values_of(wanted)), default=0)
    if length and int(length.group(1)) < longest:
        definition = re.sub(r"\(\d+\)", f"({max(longest, wanted.info['length'])})", definition, count=1)
        reasons.append(f"words of {longest} characters")
    if wanted.info.get("null") and not old.nullable:
        definition = _JSON_OF_MARIADB.sub(r"json\1", definition).replace(" NOT NULL", " NULL", 1)
        reasons.append("NULL")
    return definition, reasons


def _missing_values(old: found.ReflectedColumn, values: tuple[str, ...]) -> list[str]:
    if not old.type.startswith("enum("):
        return []
    known = [value.replace("''", "'") for value in re.findall(_QUOTED, old.type)]
    if (old.collation or "").endswith("_ci"):
        known = [value.casefold() for value in known]
    return [value for value in values if value not in known]


def _with_values(definition: str, values: list[str]) -> str:
    more = "".join(f",'{value}'" for value in values)
    return re.sub(rf"^(enum\((?:{_QUOTED},?)+)\)", lambda match: f"{match.group(1)}{more})", definition)


def neutral_default(column: found.ReflectedColumn) -> str | None:
    """The default that says least, or None where there is none."""
    if column.type.startswith("enum("):
        return f"'{re.findall(_QUOTED, column.type)[0]}'"
    # MySQL takes a literal for a default of these only inside a function.
    if column.type.startswith("json") or _JSON_OF_MARIADB.match(column.definition):
        return "(JSON_OBJECT())"
    if re.match(r"tinytext|text|mediumtext|longtext", column.type):
        return "(CONCAT(''))"
    return {"number": "0", "text": "''", "time": "(UTC_TIMESTAMP())"}.get(column.family)


def serves(old: found.Index, wanted: tuple[str, ...], *, unique: bool) -> bool:
    """Whether an index gives the order that the wanted one is for.

    The primary key ends every index, so ``(created_at)`` is as good as ``(created_at, id)``; but
    ``(order_id, created_at)`` is no ``(order_id)``, whose rows come in the order of their ids.
    """
    if not old.usable or old.name.startswith(FOREIGN_KEY_PREFIX):
        return False
    if unique:
        return old.unique and set(old.columns) == set(wanted)
    return _without_id(old.columns) == _without_id(wanted)


def _without_id(columns: tuple[str, ...]) -> tuple[str, ...]:
    return columns[: columns.index("id")] if "id" in columns else columns
