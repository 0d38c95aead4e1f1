"""Compare what orderctl added with what is there now, and find what restores it.

Others may have changed it: Sequelize's ``sync({alter: true})``, a person. Names prove nothing: an index whose
column is dropped keeps its name and covers the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Dialect
from sqlalchemy.sql.elements import TextClause

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl
from orderctl.migrate.obstacles import EXACT
from orderctl.migrate.ownership import normal_type

_NUMBERS: Final = ("tinyint", "smallint", "mediumint", "int", "bigint")
#: What suffices for the values that occur: a SMALLINT; whole seconds.
_ENOUGH: Final = {"number": 1, "time": 0}
#: Bytes, or characters, that a text type holds.
_TEXTS: Final = {"tinytext": 2**8 - 1, "text": 2**16 - 1, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1}
#: A column's definition as the servers write it.
_PARTS: Final = re.compile(
    r"(?P<type>\w+(?:\((?:[^()']|'(?:[^']|'')*')*\))?(?: unsigned)?(?: zerofill)?)"
    r"(?P<words>(?: CHARACTER SET \w+)?(?: COLLATE \w+)?)"
    r"(?:(?P<required> NOT NULL)| NULL)?(?: DEFAULT NULL)?(?P<rest>.*)",
    re.DOTALL,
)
_JSON: Final = re.compile(r" CHECK \(json_valid\(.*\)\)")
_DIGITS: Final = re.compile(r"\((\d+)")


@dataclass(frozen=True)
class Restoration:
    """What restores a column.

    Attributes:
        reasons: What it lacks: ``type``, ``default``, ``NULL``, ``NOT NULL``.
        clause: The change of the table.
        default: The value for rows in which the column is NULL and may not be.
        is_optional: Whether orderctl can work without it.
    """

    reasons: tuple[str, ...]
    clause: str
    default: str | None = None
    is_optional: bool = False

    @property
    def is_default_only(self) -> bool:
        """Whether only the default is lost, which every server adds without touching a row."""
        return self.reasons == ("default",)


def restorations(
    column: Column[Any], old: found.ReflectedColumn, dialect: Dialect, *, made: bool
) -> Iterator[Restoration]:
    """Yield what gives a column back what orderctl needs of it; nothing if it has all that.

    A longer type, or another default, is left as it is.

    Args:
        column: The column as orderctl adds it.
        old: The column as it is.
        dialect: The server's dialect.
        made: Whether orderctl made the table. In a table of the shop's, the column may have been there before.
    """
    reasons = _reasons(column, old)
    is_short = _is_shorter(old.type, ddl.type_of(column, dialect), made=made)
    needed = is_short and (made or column.name in EXACT)
    if needed:
        reasons.insert(0, "type")
    if reasons:
        yield _restoration(column, old, reasons, dialect)
    if is_short and not needed:
        # Some types become longer only in a copy of the table, and most values fit.
        whole = _restoration(column, old, ["type", *reasons], dialect)
        yield Restoration(("type",), whole.clause, is_optional=True)


def _restoration(
    column: Column[Any], old: found.ReflectedColumn, reasons: list[str], dialect: Dialect
) -> Restoration:
    if reasons == ["default"]:
        return Restoration(("default",), default_clause(column, dialect))
    name = dialect.identifier_preparer.quote(
        old.name
    )  # the shop's spelling: another one would rename the column
    fills = "NOT NULL" in reasons and column.server_default is not None
    return Restoration(
        tuple(reasons),
        f"MODIFY COLUMN {name} {_definition(column, old, reasons, dialect)}",
        default(column, dialect) if fills else None,
    )


def default_clause(column: Column[Any], dialect: Dialect) -> str:
    """Return the change of a table that gives a column its default."""
    name = dialect.identifier_preparer.quote(column.name)
    return f"ALTER COLUMN {name} SET DEFAULT {default(column, dialect)}"


def _reasons(column: Column[Any], old: found.ReflectedColumn) -> list[str]:
    reasons = []
    if column.nullable and not old.nullable:
        reasons.append("NULL")
    if not column.nullable and old.nullable:
        reasons.append("NOT NULL")
    if column.server_default is not None and not _has_default(old):
        reasons.append("default")
    return reasons


def _is_shorter(old: str, wanted: str, *, made: bool) -> bool:
    """Whether a type cannot hold all values of the wanted one; in a table of the shop's: of those that occur."""
    old, wanted = normal_type(old), normal_type(wanted)
    there, needed = _size(old), _size(wanted)
    if there is None or needed is None:
        return old != wanted and (made or there is None)
    if there[0] != needed[0]:
        return True
    enough = needed[1] if made or needed[0] == "text" else min(needed[1], _ENOUGH[needed[0]])
    return there[1] < enough


def _size(text: str) -> tuple[str, int] | None:
    """Return a type's family and how much it holds; None for a type that cannot be compared."""
    word = re.match(r"[a-z]*", text)[0].removesuffix("unsigned")  # type: ignore[index]
    digits = _DIGITS.search(text)
    number = int(digits[1]) if digits else 0
    if word in _NUMBERS:
        return "number", _NUMBERS.index(word)
    if word in _TEXTS:
        return "text", _TEXTS[word]
    if word in {"char", "varchar"}:
        return "text", number
    return ("time", number) if word in {"datetime", "timestamp"} else None


def _has_default(old: found.ReflectedColumn) -> bool:
    definition = re.sub(r" COMMENT '(?:[^'\\]|''|\\.)*'", "", old.definition)
    return bool(re.search(r" DEFAULT (?!NULL\b)", definition))


def default(column: Column[Any], dialect: Dialect) -> str:
    """Return a column's default as SQL.

    Args:
        column: The column, which has a default of the server's.
        dialect: The server's dialect.
    """
    argument = getattr(column.server_default, "arg", None)
    if isinstance(argument, (ddl.InsertTime, TextClause)):
        return str(argument.compile(dialect=dialect))
    return "'" + str(argument).replace("'", "''") + "'"


def _definition(column: Column[Any], old: found.ReflectedColumn, reasons: list[str], dialect: Dialect) -> str:
    """Return the column's definition with what it lacks; its collation, comment and so on stay."""
    parts = _PARTS.fullmatch(old.definition)
    if parts is None:  # not as the servers write it
        return ddl.column_clause(column, dialect).partition(" ")[2]
    type_, words, rest = parts["type"], parts["words"], parts["rest"]
    if _JSON.search(rest):  # MariaDB changes it without a copy of the table only under this name
        type_, words, rest = "json", "", _JSON.sub("", rest)
    if "type" in reasons:
        type_ = ddl.type_of(column, dialect)
        both_texts = old.collation and getattr(column.type.dialect_impl(dialect), "collation", None)
        type_, words = (type_.partition(" ")[0], words) if both_texts else (type_, "")
    required = "NOT NULL" in reasons or (bool(parts["required"]) and "NULL" not in reasons)
    given = f" DEFAULT {default(column, dialect)}" if "default" in reasons else ""
    return f"{type_}{words}{' NOT NULL' if required else ' NULL'}{given}{rest}"
