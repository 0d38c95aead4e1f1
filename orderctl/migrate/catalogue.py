"""What a database contains: tables, columns, indexes, foreign keys, triggers, views and procedures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

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
        name: The column's name, in the shop's spelling.
        type: The type as the server writes it: ``int(10) unsigned``, ``enum('a','b')``.
        nullable: Whether NULL is allowed.
        required: Whether an INSERT has to name the column: NOT NULL without a default, and neither
            AUTO_INCREMENT nor generated.
        collation: The collation of a text column; None for other types.
        definition: The full column definition without the name (MySQL and MariaDB).
        charset: The character set of a text column; None for other types, and on SQLite.
        octets: The length of a text column in bytes; None for other types, and on SQLite.
        digits: Digits before and after the decimal point of an exact number; None for other types.
        default: The default as an SQL expression; None without one.
        virtual: Whether it is computed when it is read, and not stored.
        generated: Whether the database computes the column, so that no statement can write it.
        numbered: Whether an INSERT without the column gives it the next number.
    """

    name: str
    type: str
    nullable: bool = True
    required: bool = False
    collation: str | None = None
    definition: str = ""
    charset: str | None = None
    octets: int | None = None
    digits: tuple[int, int] | None = None
    default: str | None = None
    virtual: bool = False
    generated: bool = False
    numbered: bool = False

    @property
    def word(self) -> str:
        """The first word of the type: ``varchar``, ``enum``."""
        word = re.match(r"\w*", self.type.lower())
        return word.group() if word else ""

    @property
    def family(self) -> str:
        """``number``, ``text`` or ``time``; for other types the first word of the type."""
        return next((family for family, words in _FAMILIES.items() if self.word in words.split()), self.word)


@dataclass(frozen=True)
class Index:
    """An index of an existing table.

    Attributes:
        name: The index's name.
        columns: The columns in order.
        unique: Whether the index is unique.
        usable: Whether queries can walk it in order: whole columns, ascending, visible, not FULLTEXT.
        kind: ``BTREE``, ``FULLTEXT``, ``SPATIAL``, ``HASH``; empty on SQLite.
        is_hidden: Whether it was made invisible (MySQL) or ignored (MariaDB).
    """

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    usable: bool = True
    kind: str = ""
    is_hidden: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key.

    Attributes:
        name: Its name; empty on SQLite.
        column: Its first column.
        target: The table that it refers to, and the column there.
        on_delete: The rule, such as ``CASCADE``.
        lacks: The words of orderctl's that the other table does not have; see ``migrate.checks``.
    """

    name: str
    column: str
    target: str
    on_delete: str = "RESTRICT"
    target_column: str = ""
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A check constraint; ``clause`` is its condition.

    Attributes:
        name: The constraint's name.
        clause: Its condition.
        rejected: What orderctl writes and the constraint rejects; see ``migrate.checks``.
        doubt: Why it is not known whether the constraint rejects something.
    """

    name: str
    clause: str
    rejected: tuple[str, ...] = ()
    doubt: str = ""

    def mentions(self, column: str) -> bool:
        """Whether the condition is about a column."""
        return bool(re.search(rf"(?<!\w){re.escape(column)}(?!\w)", self.clause, re.IGNORECASE))


@dataclass
class Table:
    """An existing table.

    Attributes:
        name: Its name, as orderctl spells it.
        server: The server, as in :class:`Catalogue`.
        engine: Its storage engine; like the next four, on MySQL and MariaDB only.
        row_format: How rows are stored: ``Dynamic``, ``Compact``, ...
        comment: Its comment.
        partitioned: Whether it has partitions.
        versioned: Whether the server keeps the history of its rows (MariaDB).
        columns: The columns in order. All databases compare the names of columns without case, so the keys
            are in lower case; each column has its name as the shop spells it.
        indexes: The indexes.
        foreign_keys: The foreign keys.
        checks: The check constraints that are enforced.
        triggers: The names of the triggers that run at an INSERT or UPDATE.
    """

    name: str
    server: str = ""
    engine: str = ""
    row_format: str = ""
    comment: str = ""
    partitioned: bool = False
    versioned: bool = False
    columns: dict[str, ReflectedColumn] = field(default_factory=dict)
    indexes: list[Index] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return next((index.columns for index in self.indexes if index.name == "PRIMARY"), ())

    @property
    def adds_behind_lock(self) -> bool:
        """Whether the server can add columns only while nobody writes: with FULLTEXT, for example."""
        virtual = {name for name, column in self.columns.items() if column.virtual}
        indexed = self.server == "mariadb" and any(virtual & set(index.columns) for index in self.indexes)
        return indexed or any(index.kind == "FULLTEXT" for index in self.indexes)

    @property
    def rebuilds_behind_lock(self) -> bool:
        """Whether the server can rebuild the table only while nobody writes."""
        return self.adds_behind_lock or any(index.kind == "SPATIAL" for index in self.indexes)


@dataclass
class Catalogue:
    """The contents of a database.

    Attributes:
        server: ``sqlite``, ``mysql`` or ``mariadb``.
        database: The name of the database; empty on SQLite.
        tables: Base tables by name.
        views: Names of views.
        procedures: Stored procedures by name, with their statement; None where the account may not see it.
        others: What else has a name in the same namespace: the other tables, sequences, SQLite's indexes; kinds
            by name.
    """

    server: str
    database: str = ""
    tables: dict[str, Table] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)
    procedures: dict[str, str | None] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
