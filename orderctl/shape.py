"""What the shop's tables look like: types, lengths and words of their columns, and how their rows are spelled.

The shop may have made the tables, and changes them as it likes. So this is read from the database, once for each
engine and again after a while, by ``database.transact`` and ``database.reading``. SQLAlchemy's types and custom
elements find it through the dialect, of which each engine has its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect

#: The tables that the shop's system may have made.
ADOPTED: Final = ("orders", "download_tasks", "order_audit_logs")
#: A column by which a table is seen to have orderctl's columns and indexes. Without those, looking for a word would
#: read the whole table.
_ADDED: Final = {"orders": "round", "download_tasks": "managed", "order_audit_logs": "dedup_key"}
#: After this time the shape is read again: the shop may have changed a table, or begun to write other words.
_VALID_SECONDS: Final = 30.0
#: How many of a table's newest rows show how the shop spells its words.
_SAMPLE: Final = 50

_QUOTED: Final = r"'((?:[^']|'')*)'"
_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an existing table.

    Attributes:
        name: The name, as the table spells it.
        type: The data type without its length, in lower case: ``varchar``, ``enum``, ``timestamp``.
        required: Whether an INSERT has to name the column: NOT NULL without a default, and not generated.
        charset: The character set of a text; None for other types, and on SQLite.
        collation: The collation of a text; None for other types, and on SQLite.
        characters: The number of characters that a text can have; None for other types, and on SQLite.
        octets: The number of bytes that a text can have; None for other types, and on SQLite.
        precision: The number of digits of a number; None for other types, and on SQLite.
        scale: How many of the digits are decimals; None for other types, and on SQLite.
        words: The values of an ENUM.
        generated: Whether the database computes the column, so that no statement can write it.
        numbered: Whether an INSERT without the column gives it the next number.
        unsigned: Whether a number cannot be negative.
    """

    name: str
    type: str
    required: bool = False
    charset: str | None = None
    collation: str | None = None
    characters: int | None = None
    octets: int | None = None
    precision: int | None = None
    scale: int | None = None
    words: tuple[str, ...] = ()
    generated: bool = False
    numbered: bool = False
    unsigned: bool = False

    @property
    def ignores_case(self) -> bool:
        """Whether the database takes ``PAID`` and ``paid`` in this column for equal."""
        return bool(self.collation) and not re.search(r"(?:_bin|_cs|^binary)$", str(self.collation))

    @property
    def ignores_spaces(self) -> bool:
        """Whether the database takes ``paid`` and ``paid`` with spaces behind it in this column for equal."""
        return bool(self.collation) and not re.search(r"_0900_|nopad|^binary$", str(self.collation))


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of each adopted table, and the words in its rows.

    Attributes:
        tables: The columns by their names in lower case, by table.
        seen: Words that stand in rows, by table and column, as they are spelled there: those of the newest rows,
            each as often as it occurs in them, and those that were sought.
        worked_out: What follows from these, once it was asked for; ``words`` keeps it here.
    """

    tables: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    seen: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    worked_out: dict[object, object] = field(default_factory=dict, compare=False, repr=False)

    def columns(self, table: str) -> Mapping[str, Column]:
        """Return the columns of a table by their names in lower case; none if the table does not exist."""
        return self.tables.get(table, _NONE)

    def column(self, table: str, name: str) -> Column | None:
        """Return a column, or None if it does not exist."""
        return self.columns(table).get(name.lower())


def has_foreign_key(connection: Connection, table: str, column: str) -> bool:
    """Return whether a foreign key begins with a column, so that as a rule every row has the row it refers to."""
    if connection.dialect.name == "sqlite":
        query = 'SELECT 1 FROM pragma_foreign_key_list(?) WHERE lower("from") = ? LIMIT 1'
    else:
        query = (
            "SELECT 1 FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND table_name = %s"
            " AND column_name = %s AND ordinal_position = 1 AND referenced_table_name IS NOT NULL LIMIT 1"
        )
    return connection.exec_driver_sql(query, (table, column)).first() is not None


#: What is known of a database before its shape was read, and of one without tables.
UNKNOWN: Final = Shape()

_read: WeakKeyDictionary[Dialect, tuple[Shape, float]] = WeakKeyDictionary()


def of(dialect: Dialect) -> Shape:
    """Return the shape of the database of this dialect's engine, as far as it was read."""
    found = _read.get(dialect)
    return UNKNOWN if found is None else found[0]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find out about the words in the rows.

    Attributes:
        sampled: The columns of which the newest rows are looked at, by table.
        sought: Words to look for in all rows, by table and column, unless the column ignores case. An index has to
            begin with the column.
    """

    sampled: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sought: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


def refresh(connection: Connection, wanted: Wanted) -> Shape:
    """Read the shape of the database if that has not been done for a while, and return it.

    Args:
        connection: A connection to the database.
        wanted: What to find out about the words.
    """
    found = _read.get(connection.dialect)
    if found is None or time.monotonic() - found[1] > _VALID_SECONDS:
        found = read(connection, wanted), time.monotonic()
        _read[connection.dialect] = found
    return found[0]


def forget(dialect: Dialect) -> None:
    """Let the next :func:`refresh` read the shape again, as after a migration."""
    _read.pop(dialect, None)


def read(connection: Connection, wanted: Wanted) -> Shape:
    """Read the shape of the database; see :func:`refresh`."""
    tables = _sqlite_tables(connection) if connection.dialect.name == "sqlite" else _mysql_tables(connection)
    seen: dict[tuple[str, str], tuple[str, ...]] = {}
    for table, names in wanted.sampled.items():
        there = [name for name in names if {name, "id"} <= tables.get(table, _NONE).keys()]
        seen |= _sample(connection, table, there) if there else {}
    for (table, name), words in wanted.sought.items():
        column = tables.get(table, _NONE).get(name)
        if column is not None and not column.ignores_case and _ADDED[table] in tables[table]:
            seen[table, name] = (*seen.get((table, name), ()), *_seek(connection, table, name, words))
    return Shape(tables, seen)


def _sample(
    connection: Connection, table: str, names: Sequence[str]
) -> dict[tuple[str, str], tuple[str, ...]]:
    query = f"SELECT {', '.join(names)} FROM {table} ORDER BY id DESC LIMIT {_SAMPLE}"  # noqa: S608 - our names
    rows = connection.exec_driver_sql(query).all()
    return {
        (table, name): tuple(row[at] for row in rows if isinstance(row[at], str))
        for at, name in enumerate(names)
    }


def _seek(connection: Connection, table: str, name: str, words: Sequence[str]) -> Sequence[str]:
    parts = (
        f"SELECT '{word}' WHERE EXISTS (SELECT 1 FROM {table} WHERE {name} = '{word}')"  # noqa: S608 - our words
        for word in words
    )
    return connection.exec_driver_sql(" UNION ALL ".join(parts)).scalars().all()


_SQLITE: Final = (
    'SELECT name, lower(type), "notnull" AND dflt_value IS NULL AND NOT pk AND NOT hidden, hidden > 1,'
    " pk AND lower(type) = 'integer' FROM pragma_table_xinfo(?)"
)
_MYSQL: Final = f"""
SELECT IF(@@lower_case_table_names = 0, table_name, LOWER(table_name)), column_name, LOWER(data_type),
 is_nullable = 'NO' AND column_default IS NULL AND extra NOT REGEXP 'auto_increment|GENERATED', character_set_name, collation_name, character_maximum_length,
 character_octet_length, numeric_precision, numeric_scale, column_type,
 extra REGEXP '(VIRTUAL|STORED|PERSISTENT) GENERATED', extra REGEXP 'auto_increment'
 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN {ADOPTED}
 ORDER BY table_name, ordinal_position
"""  # noqa: S608 - our names


def _sqlite_tables(connection: Connection) -> dict[str, Mapping[str, Column]]:
    tables: dict[str, Mapping[str, Column]] = {}
    for table in ADOPTED:
        rows = connection.exec_driver_sql(_SQLITE, (table,)).all()
        found = [
            Column(
                name,
                type_.partition("(")[0].strip(),
                bool(needed),
                generated=bool(made),
                numbered=bool(number),
            )
            for name, type_, needed, made, number in rows
        ]
        if found:
            tables[table] = {column.name.lower(): column for column in found}
    return tables


def _mysql_tables(connection: Connection) -> dict[str, Mapping[str, Column]]:
    tables: dict[str, dict[str, Column]] = {}
    for (
        table,
        name,
        type_,
        needed,
        charset,
        collation,
        characters,
        octets,
        precision,
        scale,
        full,
        generated,
        numbered,
    ) in connection.exec_driver_sql(_MYSQL):
        if table not in ADOPTED:  # the catalogue ignores case, also where it distinguishes tables
            continue
        words = (
            tuple(word.replace("''", "'") for word in re.findall(_QUOTED, full)) if type_ == "enum" else ()
        )
        tables.setdefault(table, {})[name.lower()] = Column(
            name, type_, bool(needed), charset, collation, characters, octets, precision, scale, words,
            bool(generated), bool(numbered), precision is not None and "unsigned" in full,
        )  # fmt: skip
    return dict(tables)
