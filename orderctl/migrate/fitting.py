"""Compare a table of the shop's with the one that orderctl needs, and find the changes to make it fit."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Column

from orderctl.migrate import catalogue as found
from orderctl.migrate.ddl import INSTANT, ONLINE

#: Prefix of orderctl's foreign keys. The server creates an index of the same name with each, and drops it as
#: soon as a better index exists.
FOREIGN_KEY_PREFIX: Final = "fk_orderctl_"

#: How MariaDB writes a JSON column in its definition. It can change such a column without a copy of the table
#: only if the new definition says "json".
_JSON_OF_MARIADB: Final = re.compile(
    r"^longtext(?: CHARACTER SET \w+)?(?: COLLATE \w+)?(.*) CHECK \(json_valid\(.*\)\)$"
)
_QUOTED: Final = r"'((?:[^']|'')*)'"


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
    if takes_null(wanted) and not old.nullable:
        definition = nullable(definition)
        reasons.append("NULL")
    return definition, reasons


def nullable(definition: str) -> str:
    """Return the definition of a NOT NULL column with NULL allowed."""
    return _JSON_OF_MARIADB.sub(r"json\1", definition).replace(" NOT NULL", " NULL", 1)


def ways_to_add(there: found.Table) -> tuple[str, ...]:
    """Return the ways to add columns to a table while others write into it, the best first."""
    if there.adds_behind_lock:
        return ()
    if there.row_format != "Compressed":
        return INSTANT, ONLINE
    return () if there.rebuilds_behind_lock else (ONLINE,)


def ways_to_widen(old: found.ReflectedColumn, reasons: list[str], there: found.Table) -> tuple[str, ...]:
    """Return the ways to widen a column while others write into its table, the best first.

    Args:
        old: The column.
        reasons: From :func:`widened`.
        there: The table.
    """
    kinds = {reason.partition(" ")[0] for reason in reasons}
    copied = "room" in kinds and old.word == "char"
    if there.server == "mysql":
        # It changes a column of a CHECK constraint only in a copy of the table, and takes a TINYTEXT in such a
        # constraint for changed by every MODIFY (9.7).
        tiny = [column.name for column in there.columns.values() if column.word == "tinytext"]
        copied = copied or any(check.mentions(name) for check in there.checks for name in (old.name, *tiny))
    if copied or ("NULL" in kinds and there.rebuilds_behind_lock):
        return ()
    if kinds == {"values"}:
        return INSTANT, ONLINE
    return (ONLINE,)


def takes_null(wanted: Column[Any]) -> bool:
    """Whether orderctl writes NULL into a column: where it says so, and into the columns that only it knows."""
    own = bool(wanted.nullable) and wanted.server_default is None and not values_of(wanted)
    return bool(wanted.info.get("null")) or own


def _missing_values(old: found.ReflectedColumn, values: tuple[str, ...]) -> list[str]:
    # A value in another case is the same word: it is written in the shop's spelling.
    known = [value.casefold() for value in enum_words(old)]
    return [value for value in values if value not in known] if known else []


def _with_values(definition: str, values: list[str]) -> str:
    more = "".join(f",'{value}'" for value in values)
    return re.sub(rf"^(enum\((?:{_QUOTED},?)+)\)", lambda match: f"{match.group(1)}{more})", definition)


def enum_words(column: found.ReflectedColumn) -> list[str]:
    """Return the values of an ENUM in order; empty for other types."""
    if not column.type.startswith("enum("):
        return []
    return [value.replace("''", "'") for value in re.findall(_QUOTED, column.type)]


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


def serves(old: found.Index, wanted: tuple[str, ...], *, unique: bool, whole: bool = True) -> bool:
    """Whether an existing index returns rows in the same order as the wanted one.

    InnoDB appends the primary key to every index, so ``(created_at)`` is as good as ``(created_at, id)``. But
    ``(order_id, created_at)`` cannot replace ``(order_id)``, which returns the rows of an order sorted by id.
    Where a column is too long, an index of its first characters has to do: ``whole`` is False then.
    """
    if (whole and not old.usable) or old.name.startswith(FOREIGN_KEY_PREFIX):
        return False
    if unique:
        return old.unique and set(old.columns) == set(wanted)
    return _without_id(old.columns) == _without_id(wanted)


def _without_id(columns: tuple[str, ...]) -> tuple[str, ...]:
    return columns[: columns.index("id")] if "id" in columns else columns
