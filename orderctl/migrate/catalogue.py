"""Read what a database contains: tables, columns, indexes, foreign keys, views and procedures.

This reads the server's own catalogue. SQLAlchemy's inspector would warn about every column type in the shop's
tables that it does not know.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

#: Families of column types that can replace each other, by the first word of the type.
_FAMILIES: Final = {
    "number": "tinyint smallint mediumint int integer bigint decimal numeric float double real boolean bool",
    "text": "char varchar tinytext text mediumtext longtext enum set json",
    "time": "datetime timestamp",
}


@dataclass(frozen=True)
class ReflectedColumn:
    """A column of an existing table.

    Attributes:
        name: The column's name.
        type: The type as the server writes it: ``int(10) unsigned``, ``enum('a','b')``.
        nullable: Whether NULL is allowed.
        required: Whether an INSERT has to name the column: NOT NULL without a default, and neither
            AUTO_INCREMENT nor generated.
        collation: The collation of a text column; None for other types.
        definition: The full column definition without the name (MySQL and MariaDB).
    """

    name: str
    type: str
    nullable: bool = True
    required: bool = False
    collation: str | None = None
    definition: str = ""

    @property
    def family(self) -> str:
        """``number``, ``text`` or ``time``; for other types the first word of the type."""
        word = re.match(r"\w*", self.type.lower())
        first = word.group() if word else ""
        return next((family for family, words in _FAMILIES.items() if first in words.split()), first)


@dataclass(frozen=True)
class Index:
    """An index of an existing table.

    Attributes:
        name: The index's name.
        columns: The columns in order.
        unique: Whether the index is unique.
        usable: Whether queries can walk it in order: whole columns, ascending, visible, not FULLTEXT.
        is_fulltext: Whether it is a FULLTEXT index.
    """

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    usable: bool = True
    is_fulltext: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of one column; ``on_delete`` is the rule, such as ``CASCADE``."""

    name: str
    column: str
    target: str
    on_delete: str = "RESTRICT"


@dataclass(frozen=True)
class Check:
    """A check constraint; ``clause`` is the condition without the outermost brackets."""

    name: str
    clause: str

    def allows(self, column: str) -> set[str] | None:
        """Return the values that ``column IN (...)`` allows; None for every other kind of constraint."""
        clause = self.clause.replace("\\'", "'").strip("( )")
        restriction = re.match(
            rf"[`\"\[]?{re.escape(column)}[`\"\]]?\s+in\s*\(([^()]*)$", clause, re.IGNORECASE
        )
        return set(re.findall(r"'((?:[^']|'')*)'", restriction.group(1))) if restriction else None


@dataclass
class Table:
    """An existing table; ``engine``, ``row_format`` and ``comment`` exist on MySQL and MariaDB only."""

    name: str
    engine: str = ""
    row_format: str = ""
    comment: str = ""
    columns: dict[str, ReflectedColumn] = field(default_factory=dict)
    indexes: list[Index] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return next((index.columns for index in self.indexes if index.name == "PRIMARY"), ())

    @property
    def takes_instant_columns(self) -> bool:
        """Whether MySQL and MariaDB can add columns without rewriting rows (ALGORITHM=INSTANT)."""
        return self.row_format != "Compressed" and not any(index.is_fulltext for index in self.indexes)


@dataclass
class Catalogue:
    """The contents of a database.

    Attributes:
        server: ``sqlite``, ``mysql`` or ``mariadb``.
        database: The name of the database; empty on SQLite.
        tables: Base tables by name.
        views: Names of views.
        procedures: Names of stored procedures.
    """

    server: str
    database: str = ""
    tables: dict[str, Table] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)
    procedures: set[str] = field(default_factory=set)


def read(connection: Connection, names: Iterable[str]) -> Catalogue:
    """Read the catalogue of a database.

    Args:
        connection: A connection to the database.
        names: The tables to read with their columns and indexes, if they exist.
    """
    if connection.dialect.name == "sqlite":
        return _read_sqlite(connection, names)
    return _read_mysql(connection, tuple(names))


def _read_sqlite(connection: Connection, names: Iterable[str]) -> Catalogue:
    catalogue = Catalogue("sqlite")
    for kind, name in connection.exec_driver_sql("SELECT type, name FROM sqlite_master").all():
        if kind == "view":
            catalogue.views.add(name)
        elif kind == "table" and name in names:
            catalogue.tables[name] = _read_sqlite_table(connection, name)
    return catalogue


def _read_sqlite_table(connection: Connection, name: str) -> Table:
    table, key = Table(name), []
    rows = connection.exec_driver_sql(f'PRAGMA table_xinfo("{name}")').all()
    for _, column, type_, not_null, default, in_key, hidden in rows:
        required = bool(not_null) and default is None and not in_key and not hidden
        table.columns[column] = ReflectedColumn(column, type_.lower(), not not_null, required)
        key += [(in_key, column)] if in_key else []
    table.indexes.append(Index("PRIMARY", tuple(column for _, column in sorted(key)), unique=True))
    for _, index, unique, _, partial in connection.exec_driver_sql(f'PRAGMA index_list("{name}")').all():
        parts = connection.exec_driver_sql(f'PRAGMA index_xinfo("{index}")').all()
        own = [part for part in parts if part[5]]
        usable = not partial and all(part[2] is not None and not part[3] for part in own)
        table.indexes.append(Index(index, tuple(part[2] or "" for part in own), bool(unique), usable))
    for row in connection.exec_driver_sql(f'PRAGMA foreign_key_list("{name}")').all():
        table.foreign_keys.append(ForeignKey("", row[3], row[2], row[6]))
    text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).scalar() or ""
    clauses = re.findall(r"CHECK\s*\(([^()]*\([^()]*\))\s*\)", text, re.IGNORECASE)
    table.checks += [Check(f"({clause.strip()})", clause) for clause in clauses]
    return table


def _read_mysql(connection: Connection, names: Sequence[str]) -> Catalogue:
    is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    database = connection.exec_driver_sql("SELECT DATABASE()").scalar() or ""
    catalogue = Catalogue("mariadb" if is_mariadb else "mysql", database)
    statement = (
        "SELECT table_name, table_type, engine, row_format, table_comment FROM information_schema.tables"
        " WHERE table_schema = DATABASE()"
    )
    for name, kind, engine, row_format, comment in _rows(connection, statement):
        if kind == "VIEW":
            catalogue.views.add(name)
        elif name in names:
            catalogue.tables[name] = Table(name, engine or "", row_format or "", comment or "")
    statement = (
        "SELECT routine_name FROM information_schema.routines"
        " WHERE routine_schema = DATABASE() AND routine_type = 'PROCEDURE'"
    )
    catalogue.procedures |= {name for (name,) in _rows(connection, statement)}
    _read_columns(connection, catalogue)
    _read_indexes(connection, catalogue, "ignored = 'YES'" if is_mariadb else "is_visible = 'NO'")
    _read_foreign_keys(connection, catalogue)
    _read_checks(connection, catalogue)
    return catalogue


def _rows(connection: Connection, statement: str) -> Sequence[Any]:
    return connection.exec_driver_sql(statement).all()


def _read_columns(connection: Connection, catalogue: Catalogue) -> None:
    definitions = {name: _read_definitions(connection, name) for name in catalogue.tables}
    statement = (
        "SELECT table_name, column_name, column_type, is_nullable = 'YES',"
        " is_nullable = 'NO' AND column_default IS NULL AND extra NOT REGEXP 'auto_increment|GENERATED',"
        " collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
    )
    for table, name, type_, nullable, required, collation in _rows(connection, statement):
        if table in catalogue.tables:
            definition = definitions[table].get(name, "")
            column = ReflectedColumn(name, type_, bool(nullable), bool(required), collation, definition)
            catalogue.tables[table].columns[name] = column


def _read_definitions(connection: Connection, table: str) -> dict[str, str]:
    text = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
    found = re.findall(r"^\s+`((?:[^`]|``)+)` (.*?),?$", text, re.MULTILINE)
    return {name.replace("``", "`"): definition for name, definition in found}


def _read_indexes(connection: Connection, catalogue: Catalogue, hidden: str) -> None:
    statement = (
        "SELECT table_name, index_name, column_name, NOT non_unique, sub_part IS NULL AND"  # noqa: S608
        f" column_name IS NOT NULL AND index_type = 'BTREE' AND collation = 'A' AND NOT ({hidden}),"
        " index_type = 'FULLTEXT'"
        " FROM information_schema.statistics WHERE table_schema = DATABASE()"
        " ORDER BY table_name, index_name, seq_in_index"
    )
    parts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for table, index, *part in _rows(connection, statement):
        parts[table, index].append(part)
    for (table, index), found in parts.items():
        if table in catalogue.tables:
            columns = tuple(part[0] or "" for part in found)
            usable, is_fulltext = all(part[2] for part in found), bool(found[0][3])
            catalogue.tables[table].indexes.append(
                Index(index, columns, bool(found[0][1]), usable, is_fulltext)
            )


def _read_foreign_keys(connection: Connection, catalogue: Catalogue) -> None:
    statement = (
        "SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, r.delete_rule"
        " FROM information_schema.key_column_usage k"
        " JOIN information_schema.referential_constraints r ON r.constraint_schema = k.table_schema"
        " AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name"
        " WHERE k.table_schema = DATABASE() AND k.ordinal_position = 1"
    )
    for table, *key in _rows(connection, statement):
        if table in catalogue.tables:
            catalogue.tables[table].foreign_keys.append(ForeignKey(*key))


def _read_checks(connection: Connection, catalogue: Catalogue) -> None:
    own = "AND t.table_name = c.table_name" if catalogue.server == "mariadb" else "AND t.enforced = 'YES'"
    statement = (
        "SELECT t.table_name, c.constraint_name, c.check_clause FROM information_schema.check_constraints c"  # noqa: S608
        " JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema"
        f" AND t.constraint_name = c.constraint_name {own}"
        " WHERE c.constraint_schema = DATABASE() AND t.constraint_type = 'CHECK'"
    )
    for table, name, clause in _rows(connection, statement):
        if table in catalogue.tables:
            catalogue.tables[table].checks.append(Check(name, clause))
