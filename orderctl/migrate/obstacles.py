"""The reasons why orderctl cannot use the shop's tables, or why it is limited on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import JSON, Column, Numeric, String, Table

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl, fitting
from orderctl.migrate.writes import WRITES, updated
from orderctl.schema import SEQUELIZE_TIMESTAMPS

#: What a column of a family may be, for messages.
_TYPES: Final = {"number": "a number", "text": "a text", "time": "DATETIME or TIMESTAMP"}
_INTEGERS: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "integer", "bigint"})
_INEXACT: Final = frozenset({"float", "double", "real"})
#: Texts that only orderctl writes, and that must not be shortened.
EXACT: Final = frozenset({"lease_token", "error_type", "error_fingerprint", "dedup_key"})
#: Defaults that are another value in each row.
_DIFFERS: Final = re.compile(r"uuid|rand|nextval|next value", re.IGNORECASE)
#: Digits before the decimal point that amounts are likely to need.
_DIGITS: Final = 8
_DECIMALS: Final = 2


def of_name(name: str, there: found.Catalogue) -> Iterator[str]:
    """Yield the reasons why orderctl cannot create a table that does not exist under its name."""
    if name in there.views:
        yield f"{name} is a view, but orderctl needs a table of this name: rename the view"
    if name in there.others:
        kind = there.others[name]
        yield (
            f"{name} is {'an' if kind[0] in 'aeiou' else 'a'} {kind}, but orderctl needs a table of this name:"
            f" rename the {kind}"
        )
    for twin in _twins(name, there):
        yield (
            f"there is a table {twin}, and the server distinguishes it from {name}, which orderctl needs:"
            f" RENAME TABLE {ddl.quoted(twin)} TO {name}, and set the name in the shop's system"
        )


def of_table(wanted: Table, there: found.Table, *, on_sqlite: bool) -> Iterator[str]:
    """Yield the reasons why orderctl cannot use an existing table."""
    name = wanted.name
    if not on_sqlite and there.engine != "InnoDB":
        yield (
            f"table {name} has the storage engine {there.engine}, but orderctl needs InnoDB:"
            f" ALTER TABLE {name} ENGINE=InnoDB"
        )
    if there.versioned:
        yield (
            f"table {name} is system-versioned, so that the server refuses to add columns:"
            f" ALTER TABLE {name} DROP SYSTEM VERSIONING (this deletes the history of its rows)"
        )
    if there.partitioned and wanted.info.get("shared"):
        yield (
            f"table {name} is partitioned, so that it cannot have the unique column dedup_key:"
            f" ALTER TABLE {name} REMOVE PARTITIONING"
        )
    if there.primary_key != (key := tuple(wanted.primary_key.columns.keys())):
        yield (
            f"table {name} has the primary key ({', '.join(there.primary_key) or 'none'}),"
            f" but orderctl needs ({', '.join(key)})"
        )
    for column in wanted.columns:
        old = there.columns.get(column.name)
        if old is None:
            yield from _missing(wanted, column, there)
        else:
            yield from _of_column(wanted, column, old, on_sqlite=on_sqlite)
    yield from _of_keys(wanted, there, on_sqlite=on_sqlite)
    for old in _unfillable(wanted, there, on_sqlite=on_sqlite) if wanted.info.get("shared") else ():
        yield (
            f"column {name}.{old.name} is NOT NULL without a default, so orderctl could not write events:"
            " give it a default"
        )
    for check in there.checks:
        if check.rejected:
            yield (
                f"check constraint {check.name} of table {name} must allow what orderctl writes:"
                f" {'; '.join(check.rejected)}"
            )


def _missing(wanted: Table, column: Column[Any], there: found.Table) -> Iterator[str]:
    if not column.info.get("required"):
        return
    reason = f"table {wanted.name} has no column {column.name}, which orderctl needs"
    if twin := there.columns.get(column.name.replace("_", "")):
        rename = f"ALTER TABLE {wanted.name} RENAME COLUMN {ddl.quoted(twin.name)} TO {column.name}"
        reason += f"; it has {twin.name}: {rename}, and set the name in the shop's system"
    yield reason


def _of_column(
    wanted: Table, column: Column[Any], old: found.ReflectedColumn, *, on_sqlite: bool
) -> Iterator[str]:
    name = f"{wanted.name}.{old.name}"
    if old.generated and (column.name in updated(wanted.name) or wanted.info.get("shared")):
        yield f"column {name} is generated, so orderctl could not write into it"
    written = wanted.info.get("shared") or wanted.info.get("ours")
    if column.name == "id" and written and not old.numbered:
        if on_sqlite:
            yield f"column {name} is not INTEGER PRIMARY KEY, so SQLite does not number it"
        elif old.required:
            yield (
                f"column {name} is not AUTO_INCREMENT, so orderctl could not write rows: ALTER TABLE"
                f" {wanted.name} MODIFY COLUMN {ddl.quoted(old.name)} {old.type} NOT NULL AUTO_INCREMENT"
            )
    if on_sqlite:
        if fitting.takes_null(column) and not old.nullable:
            yield f"column {name} is NOT NULL, but orderctl writes NULL into it, and SQLite cannot change that"
        return
    family = found.ReflectedColumn("", ddl.type_of(column, ddl.dialect_of("mysql"))).family
    if old.family != family:
        needed = _TYPES.get(family, family)
        yield f"column {name} has the type {old.type}, but orderctl needs {needed}"
    elif reason := _needed(column, old):
        yield f"column {name} has the type {old.type}, but orderctl needs {reason}"


def _needed(column: Column[Any], old: found.ReflectedColumn) -> str | None:
    """Return what a column needs instead of its type of the right family; None if it needs nothing."""
    if isinstance(column.type, Numeric) and old.word in _INEXACT:
        clause = f"MODIFY COLUMN {ddl.quoted(old.name)} DECIMAL(15,2)"
        return f"an exact type for amounts: ALTER TABLE {column.table.name} {clause}"
    if _is_id(column) and old.word not in _INTEGERS:
        return "an integer"
    if old.word == "set" or (old.word == "json" and not isinstance(column.type, JSON)):
        return "a text"
    if old.word == "enum" and not fitting.values_of(column):
        return "a text that may be anything"
    return _needed_length(column, old) if column.name in EXACT else None


def _needed_length(column: Column[Any], old: found.ReflectedColumn) -> str | None:
    wanted = column.type.length or 0 if isinstance(column.type, String) else 0
    length = re.match(r"(?:var)?char\((\d+)\)", old.type)
    if length is None:
        return f"VARCHAR({wanted})" if column.name == "dedup_key" else None
    return f"room for {wanted} characters" if int(length.group(1)) < wanted else None


def _unfillable(wanted: Table, there: found.Table, *, on_sqlite: bool) -> Iterator[found.ReflectedColumn]:
    """Yield the shop's own columns that need a value and that get no neutral default."""
    referring = {key.column for key in there.foreign_keys}
    for name, old in there.columns.items():
        has_default = not (on_sqlite or name in referring) and fitting.neutral_default(old)
        if old.required and name not in wanted.columns and not has_default:
            yield old


def _is_id(column: Column[Any]) -> bool:
    """Whether a column holds the id of a row."""
    return column.name == "id" or (column.name.endswith("_id") and not isinstance(column.type, String))


def _of_keys(wanted: Table, there: found.Table, *, on_sqlite: bool) -> Iterator[str]:
    """Yield the unique indexes that forbid rows that orderctl writes."""
    for index in there.indexes:
        if not index.unique or index.name == "PRIMARY" or _is_doubtful(index, there, on_sqlite=on_sqlite):
            continue
        names = ", ".join(index.columns)
        if wanted.info.get("shared") and _forbids_events(index, wanted, there):
            yield f"unique index {index.name} of table {wanted.name} ({names}) forbids events that orderctl writes"
        changed = [column for column in index.columns if column in updated(wanted.name)]
        if changed and not _is_implied(index, wanted, there):
            yield (
                f"unique index {index.name} of table {wanted.name} ({names}) forbids rows with equal"
                f" {', '.join(changed)}, which orderctl writes"
            )
    for key in there.foreign_keys:
        if key.lacks:
            yield (
                f"foreign key {key.name} of {wanted.name}.{key.column}: table {key.target} has no rows for what"
                f" orderctl writes: {', '.join(key.lacks)}"
            )


def _forbids_events(index: found.Index, wanted: Table, there: found.Table) -> bool:
    """Whether two events of orderctl's could be equal in all columns of a unique index."""
    if {"id", "dedup_key"} & set(index.columns):
        return False
    own = [there.columns[name] for name in index.columns if name not in wanted.columns]
    return not any(_differs(column) for column in own)


def _differs(column: found.ReflectedColumn) -> bool:
    """Whether a column of the shop's, which orderctl's INSERTs do not name, is NULL or different in each row."""
    if column.default is None or column.default.upper() == "NULL":
        return column.nullable
    return bool(_DIFFERS.search(column.default))


def _is_implied(index: found.Index, wanted: Table, there: found.Table) -> bool:
    """Whether rows differ in other columns of a unique index anyway."""
    kept = set(index.columns) - updated(wanted.name)
    keys = [set(other.columns) for other in there.indexes if other.unique and other is not index]
    return "lease_token" in index.columns or any(key <= kept for key in keys if "" not in key)


def _is_doubtful(index: found.Index, there: found.Table, *, on_sqlite: bool) -> bool:
    """Whether a unique index is over expressions, or over a part of the rows."""
    parts = [there.columns.get(name) for name in index.columns]
    return any(part is None or part.generated for part in parts) or (on_sqlite and not index.usable)


def cautions(wanted: Table, there: found.Table, catalogue: found.Catalogue) -> Iterator[str]:
    """Yield warnings about a table of the shop's that orderctl can use."""
    name = wanted.name
    for twin in _twins(name, catalogue):
        yield f"there is a table {twin} beside {name}: orderctl uses {name}"
    if name not in WRITES:
        return
    unwritable = list(_unwritable(wanted, there))
    if unwritable and not wanted.info.get("shared"):
        yield (
            f"table {name} has columns that are NOT NULL without a default, or generated"
            f" ({', '.join(unwritable)}):"
            " 'orderctl orders add' cannot add orders, only the shop's own system can"
        )
    if there.triggers:
        yield (
            f"table {name} has triggers ({', '.join(there.triggers)}): they also run when orderctl writes, and"
            " where one rejects that, orderctl cannot work"
        )
    yield from _cautions_of_constraints(wanted, there, on_sqlite=catalogue.server == "sqlite")
    for column in wanted.columns:
        yield from _cautions_of_column(column, there)


def _cautions_of_constraints(wanted: Table, there: found.Table, *, on_sqlite: bool) -> Iterator[str]:
    for key in there.foreign_keys:
        if wanted.info.get("shared") and key.on_delete == "CASCADE":
            yield (
                f"the foreign key of {there.name}.{key.column} has ON DELETE CASCADE:"
                f" deleting a row of {key.target} also deletes its audit events"
            )
    for check in there.checks:
        if check.doubt:
            yield f"check constraint {check.name} of table {there.name} is not understood: {check.doubt}"
    for index in there.indexes:
        if index.unique and _is_doubtful(index, there, on_sqlite=on_sqlite):
            yield (
                f"unique index {index.name} of table {there.name} is not understood: it must not forbid rows"
                " that orderctl writes"
            )


def _unwritable(wanted: Table, there: found.Table) -> Iterator[str]:
    """Yield the columns because of which orderctl cannot insert a row."""
    base = WRITES[wanted.name][0] or {}
    for name, old in there.columns.items():
        unnamed = old.required and name not in base and old.name not in SEQUELIZE_TIMESTAMPS
        if unnamed or (old.generated and name in base) or (name == "id" and not old.numbered):
            yield old.name


def _cautions_of_column(column: Column[Any], there: found.Table) -> Iterator[str]:
    old = there.columns.get(column.name)
    if old is None:
        twin = there.columns.get(column.name.replace("_", ""))
        if twin is not None:
            yield (
                f"table {there.name} has a column {twin.name}: orderctl adds and uses {column.name},"
                f" and leaves {twin.name} alone"
            )
    elif isinstance(column.type, Numeric) and (digits := old.digits):
        if digits[1] < _DECIMALS:
            yield f"column {there.name}.{old.name} ({old.type}) has {digits[1]} decimals: finer amounts are rejected"
        if digits[0] < _DIGITS:
            yield f"column {there.name}.{old.name} ({old.type}) has {digits[0]} digits: higher amounts are rejected"


def _twins(name: str, there: found.Catalogue) -> list[str]:
    """Return the tables and views whose names differ from one of ours only by case."""
    return sorted(other for other in (*there.others, *there.views) if other.lower() == name and other != name)
