"""Read what a database contains from the server's own catalogue.

SQLAlchemy's inspector would warn about every column type in the shop's tables that it does not know.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection

from orderctl.migrate.catalogue import Catalogue, Check, ForeignKey, Index, ReflectedColumn, Table

#: How SQLite marks generated columns.
_VIRTUAL: Final = 2
_STORED: Final = 3
#: What MySQL escapes in a condition that it shows in its catalogue, beside quotes and backslashes.
_ESCAPED: Final = {"n": "\n", "r": "\r", "0": "\0", "Z": "\x1a"}


def read(connection: Connection, names: Iterable[str]) -> Catalogue:
    """Read the catalogue of a database.

    Args:
        connection: A connection to the database.
        names: The tables to read with their columns and indexes, if they exist.
    """
    if connection.dialect.name == "sqlite":
        return _read_sqlite(connection, set(names))
    return _read_mysql(connection, set(names))


def _read_sqlite(connection: Connection, names: set[str]) -> Catalogue:
    catalogue = Catalogue("sqlite")
    objects = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master").all()
    for kind, name, _, text in objects:
        if kind == "view":
            catalogue.views.add(name.lower())
        elif kind == "table" and name.lower() in names:
            catalogue.tables[name.lower()] = _read_sqlite_table(connection, name.lower(), text)
        elif kind == "table":
            catalogue.others[name.lower()] = "table"
        elif kind == "index":
            catalogue.others[name.lower()] = "index"
    for kind, name, table, _ in objects:
        if kind == "trigger" and table.lower() in catalogue.tables:
            catalogue.tables[table.lower()].triggers.append(name)
    return catalogue


def _read_sqlite_table(connection: Connection, name: str, text: str) -> Table:
    table, key = Table(name, "sqlite"), []
    rows = connection.exec_driver_sql(f'PRAGMA table_xinfo("{name}")').all()
    for _, column, type_, not_null, default, in_key, hidden in rows:
        required = bool(not_null) and default is None and not in_key and not hidden
        table.columns[column.lower()] = ReflectedColumn(
            column,
            type_.lower(),
            not not_null,
            required,
            default=default,
            virtual=hidden == _VIRTUAL,
            generated=hidden in {_VIRTUAL, _STORED},
        )
        key += [(in_key, column.lower())] if in_key else []
    table.indexes.append(Index("PRIMARY", tuple(column for _, column in sorted(key)), unique=True))
    # Only a key of exactly this type numbers the rows.
    if len(key) == 1 and table.columns[key[0][1]].type == "integer" and not _has_no_row_ids(text):
        table.columns[key[0][1]] = replace(table.columns[key[0][1]], numbered=True)
    for _, index, unique, _, partial in connection.exec_driver_sql(f'PRAGMA index_list("{name}")').all():
        parts = connection.exec_driver_sql(f'PRAGMA index_xinfo("{index}")').all()
        own = [part for part in parts if part[5]]
        usable = not partial and all(part[2] is not None and not part[3] for part in own)
        columns = tuple((part[2] or "").lower() for part in own)
        table.indexes.append(Index(index, columns, bool(unique), usable))
    for row in connection.exec_driver_sql(f'PRAGMA foreign_key_list("{name}")').all():
        table.foreign_keys.append(ForeignKey("", row[3].lower(), row[2].lower(), row[6], row[4] or ""))
    table.checks += [Check(f"({clause})", clause) for clause in _checks_in(text)]
    return table


def _has_no_row_ids(text: str) -> bool:
    return bool(re.search(r"\)[^)]*\bWITHOUT\s+ROWID\b[^)]*$", text, re.IGNORECASE))


_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\w+|\S""", re.DOTALL
)


def _checks_in(text: str) -> Iterator[str]:
    """Yield the conditions of all check constraints in a CREATE TABLE statement."""
    depth = begin = 0
    word = ""
    for token in _TOKEN.finditer(text):
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if token.group() == "(" and word == "CHECK" and not begin:
            begin, outside = token.end(), depth - 1
        elif begin and depth == outside:
            yield text[begin : token.start()].strip()
            begin = 0
        word = token.group().upper()


def _read_mysql(connection: Connection, names: set[str]) -> Catalogue:
    is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    database, case = connection.exec_driver_sql("SELECT DATABASE(), @@lower_case_table_names").one()
    catalogue = Catalogue("mariadb" if is_mariadb else "mysql", database or "")
    fold: Callable[[str], str] = str.lower if int(case) else str
    statement = (
        "SELECT table_name, table_type, engine, row_format, table_comment, create_options"
        " FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    for spelled, kind, engine, row_format, comment, options in _rows(connection, statement):
        name = fold(spelled)
        if kind == "VIEW":
            catalogue.views.add(name)
        elif name not in names or kind not in {"BASE TABLE", "SYSTEM VERSIONED"}:
            catalogue.others[name] = "table" if kind == "BASE TABLE" else kind.lower()
        else:
            table = Table(name, catalogue.server, engine or "", row_format or "", comment or "")
            table.partitioned = "partitioned" in (options or "")
            table.versioned = kind == "SYSTEM VERSIONED"
            catalogue.tables[name] = table
    statement = (
        "SELECT routine_name, routine_definition FROM information_schema.routines"
        " WHERE routine_schema = DATABASE() AND routine_type = 'PROCEDURE'"
    )
    catalogue.procedures |= {name.lower(): text for name, text in _rows(connection, statement)}

    def find(name: str) -> Table | None:
        return catalogue.tables.get(fold(name))

    _read_columns(connection, catalogue, find)
    _read_indexes(connection, find, "ignored = 'YES'" if is_mariadb else "is_visible = 'NO'")
    _read_foreign_keys(connection, find)
    _read_checks(connection, find, is_mariadb=is_mariadb)
    _read_triggers(connection, find)
    return catalogue


def _rows(connection: Connection, statement: str) -> Sequence[Any]:
    return connection.exec_driver_sql(statement).all()


#: Returns the table of this name, if it is one of those that are read.
_Find: TypeAlias = Callable[[str], Table | None]


def _read_columns(connection: Connection, catalogue: Catalogue, find: _Find) -> None:
    definitions = {name: _read_definitions(connection, name) for name in catalogue.tables}
    statement = (
        "SELECT table_name, column_name, column_type, is_nullable = 'YES', collation_name, character_set_name,"
        " character_octet_length, numeric_precision, numeric_scale, column_default, extra"
        " FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
    )
    for table, name, type_, nullable, collation, charset, octets, *digits, default, extra in _rows(
        connection, statement
    ):
        there, words = find(table), extra.lower()
        if there is None:
            continue
        # MySQL says DEFAULT_GENERATED when the default is an expression; MariaDB quotes texts.
        verbatim = catalogue.server == "mariadb" or "default_generated" in words
        column = ReflectedColumn(
            name,
            type_,
            bool(nullable),
            collation=collation,
            definition=definitions[there.name].get(name, ""),
            charset=charset,
            octets=octets,
            digits=None if None in digits else (digits[0] - digits[1], digits[1]),
            default=default if default is None or verbatim else _quoted(default),
            virtual="virtual generated" in words,
            generated=bool(re.search(r"(virtual|stored|persistent) generated", words)),
            numbered="auto_increment" in words,
        )
        required = not (nullable or column.numbered or column.generated or default is not None)
        there.columns[name.lower()] = replace(column, required=required)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _read_definitions(connection: Connection, table: str) -> dict[str, str]:
    text = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
    found = re.findall(r"^\s+`((?:[^`]|``)+)` (.*?),?$", text, re.MULTILINE)
    return {name.replace("``", "`"): definition for name, definition in found}


def _read_indexes(connection: Connection, find: _Find, hidden: str) -> None:
    statement = (
        "SELECT table_name, index_name, column_name, NOT non_unique, sub_part IS NULL AND"  # noqa: S608
        f" column_name IS NOT NULL AND index_type = 'BTREE' AND collation = 'A' AND NOT ({hidden}),"
        f" index_type, {hidden}"
        " FROM information_schema.statistics WHERE table_schema = DATABASE()"
        " ORDER BY table_name, index_name, seq_in_index"
    )
    parts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for table, index, *part in _rows(connection, statement):
        parts[table, index].append(part)
    for (table, index), found in parts.items():
        if there := find(table):
            columns = tuple((part[0] or "").lower() for part in found)
            usable = all(part[2] for part in found)
            unique, kind, is_hidden = bool(found[0][1]), found[0][3], bool(found[0][4])
            there.indexes.append(Index(index, columns, unique, usable, kind, is_hidden))


def _read_foreign_keys(connection: Connection, find: _Find) -> None:
    statement = (
        "SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, r.delete_rule,"
        " k.referenced_column_name"
        " FROM information_schema.key_column_usage k"
        " JOIN information_schema.referential_constraints r ON r.constraint_schema = k.table_schema"
        " AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name"
        " WHERE k.table_schema = DATABASE() AND k.ordinal_position = 1"
    )
    for table, name, column, *target in _rows(connection, statement):
        if there := find(table):
            there.foreign_keys.append(ForeignKey(name, column.lower(), *target))


def _read_checks(connection: Connection, find: _Find, *, is_mariadb: bool) -> None:
    own = "AND t.table_name = c.table_name" if is_mariadb else "AND t.enforced = 'YES'"
    statement = (
        "SELECT t.table_name, c.constraint_name, c.check_clause FROM information_schema.check_constraints c"  # noqa: S608
        " JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema"
        f" AND t.constraint_name = c.constraint_name {own}"
        " WHERE c.constraint_schema = DATABASE() AND t.constraint_type = 'CHECK'"
    )
    for table, name, clause in _rows(connection, statement):
        if there := find(table):
            there.checks.append(Check(name, clause if is_mariadb else _without_escapes(clause)))


def _without_escapes(clause: str) -> str:
    """Return a condition as it has to be written in a statement; MySQL shows it escaped once more."""
    return re.sub(
        r"\\(.)", lambda match: _ESCAPED.get(match.group(1), match.group(1)), clause, flags=re.DOTALL
    )


def _read_triggers(connection: Connection, find: _Find) -> None:
    statement = (
        "SELECT event_object_table, trigger_name FROM information_schema.triggers"
        " WHERE event_object_schema = DATABASE() AND event_manipulation <> 'DELETE' ORDER BY 1, 2"
    )
    for table, name in _rows(connection, statement):
        if there := find(table):
            there.triggers.append(name)
