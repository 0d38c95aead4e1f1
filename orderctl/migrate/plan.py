"""What a revision wants, turned into the statements that this very database lacks.

A revision describes whole tables. A table that is absent is created; of one that is there, whoever made
it, only what is missing is added, so that a revision can run again after it died anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Dialect, ForeignKeyConstraint, Index, MetaData, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import UserDefinedType

from orderctl.migrate import catalogue as found

#: Marks a foreign key of ours; an index of the same name came with it and goes with the next better one.
FOREIGN_KEY_PREFIX: Final = "fk_orderctl_"
_INSTANT: Final = "ALGORITHM=INSTANT"
_ONLINE: Final = "ALGORITHM=INPLACE, LOCK=NONE"


class Clock(ColumnElement[Any]):
    """The default of a column that tells when its row was written, in UTC."""

    inherit_cache = False


@compiles(Clock)
def _sqlite_clock(_element: Clock, _compiler: Any, **_: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"


@compiles(Clock, "mysql", "mariadb")
def _mysql_clock(_element: Clock, _compiler: Any, **_: Any) -> str:
    return "(UTC_TIMESTAMP(6))"


class Verbatim(UserDefinedType[Any]):
    """A type as a server wrote it."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        """The text itself."""
        return self.text


@dataclass(frozen=True)
class Step:
    """One statement that is to run.

    Attributes:
        what: What it adds, for people: ``index ix_orderctl_orders_created_at_id of orders``.
        statements: The statement, then others to the same end for servers that refuse it as not possible
            without blocking.
        needs: Rights on MySQL and MariaDB, each with the table it is needed on; empty for the database.
        optional: Whether orderctl does its work without it.
    """

    what: str
    statements: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    optional: bool = False


class Plan:
    """Compares what revisions describe with what is there.

    Args:
        catalogue: What is there; brought up to date by each step, as if it had run.
        emit: Called with each step that is missing, in order.
        is_unique: Whether no two rows of a table are alike in a column.

    Attributes:
        obstacles: Why orderctl cannot work with these tables. Nothing may run if there are any.
        warnings: What will not be as it should.
    """

    def __init__(
        self,
        catalogue: found.Catalogue,
        emit: Callable[[Step], None],
        is_unique: Callable[[str, str], bool],
    ) -> None:
        self.catalogue = catalogue
        self.emit = emit
        self.is_unique = is_unique
        self.obstacles: list[str] = []
        self.warnings: list[str] = []
        self.on_sqlite = catalogue.server == "sqlite"
        self.dialect: Dialect = sqlite.dialect() if self.on_sqlite else mysql.dialect()
        self._metadata = MetaData()
        self._new: set[tuple[str, str]] = set()

    def tables(self, metadata: MetaData) -> None:
        """Want all tables of ``metadata`` with their indexes.

        A column's ``info`` may say: ``required``: it has to be there in a table of somebody else's;
        ``values``: what is written into it, so that an ENUM has to know them; ``null``: NULL is written.
        A table's ``info`` may say ``shared``: others add columns, and our INSERTs name only ours.
        """
        for table in metadata.sorted_tables:
            self._table(table)

    def view(self, name: str, select: str) -> None:
        """Want a view; one of this name that is there is left alone, whatever it shows."""
        if name not in self.catalogue.views:
            security = "" if self.on_sqlite else "SQL SECURITY INVOKER "
            needs = (("CREATE VIEW", ""),)
            self._emit(
                f"view {name}", f"CREATE {security}VIEW {name} AS {select}", needs=needs, optional=True
            )
            self.catalogue.views.add(name)

    def procedure(self, name: str, parameters: str, statement: str) -> None:
        """Want a procedure of one statement (on MySQL and MariaDB); one of this name is left alone."""
        if not self.on_sqlite and name not in self.catalogue.procedures:
            head = f"CREATE PROCEDURE {name}({parameters}) READS SQL DATA SQL SECURITY INVOKER"
            self._emit(
                f"procedure {name}", f"{head} {statement}", needs=(("CREATE ROUTINE", ""),), optional=True
            )
            self.catalogue.procedures.add(name)

    def collation(self, table: str, column: str) -> str:
        """The clause that gives a procedure's parameter the collation of the column that it meets."""
        name = self.catalogue.tables[table].columns[column].collation
        return f"CHARACTER SET {name.partition('_')[0]} COLLATE {name}" if name else ""

    def _emit(self, what: str, *statements: str, needs: Any = (), optional: bool = False) -> None:
        self.emit(Step(what, statements, needs, optional))

    def _table(self, wanted: Table) -> None:
        table = self._fitted(wanted)
        if table.name in self.catalogue.views:
            self.obstacles.append(f"{table.name} is a view, orderctl needs a table")
            return
        there = self.catalogue.tables.get(table.name)
        if there is None:
            there = self._create(table)
        else:
            self._adopt(table, there)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            self._index(index, there)

    def _fitted(self, wanted: Table) -> Table:
        """A copy whose foreign keys have the type of the column that they refer to, as it really is."""
        table = wanted.to_metadata(self._metadata)
        for key in table.foreign_keys:
            target, _, column = key.target_fullname.partition(".")
            there = self.catalogue.tables.get(target)
            if there is not None and column in there.columns:
                key.parent.type = Verbatim(there.columns[column].type)
        return table

    def _create(self, table: Table) -> found.Table:
        targets = sorted({key.target_fullname.partition(".")[0] for key in table.foreign_keys})
        needs = (("CREATE", table.name), *(("REFERENCES", target) for target in targets))
        statement = re.sub(r"\s+", " ", str(CreateTable(table).compile(dialect=self.dialect))).strip()
        self._emit(f"table {table.name}", statement, needs=needs)
        there = found.Table(table.name, engine="InnoDB")
        there.columns = {column.name: self._as_found(column) for column in table.columns}
        there.indexes = [found.Index("PRIMARY", tuple(table.primary_key.columns.keys()), unique=True)]
        for constraint in table.foreign_key_constraints:
            there.foreign_keys.append(self._key_as_found(constraint))
        self.catalogue.tables[table.name] = there
        return there

    def _as_found(self, column: Column[Any]) -> found.Column:
        type_ = column.type.compile(dialect=self.dialect).lower()
        collation = "utf8mb4_bin" if re.match("varchar|text", type_) else None
        self._new.add((column.table.name, column.name))
        return found.Column(column.name, type_, bool(column.nullable), collation=collation)

    @staticmethod
    def _key_as_found(constraint: ForeignKeyConstraint) -> found.ForeignKey:
        return found.ForeignKey(
            str(constraint.name), next(iter(constraint.column_keys)), constraint.referred_table.name
        )

    def _adopt(self, table: Table, there: found.Table) -> None:
        if reasons := list(_unfit(table, there, on_sqlite=self.on_sqlite)):
            self.obstacles += reasons
            return
        missing = [column for column in table.columns if column.name not in there.columns]
        self._add_columns(table, missing)
        for column in table.columns:
            if column not in missing and not self.on_sqlite:
                self._widen(table, column, there.columns[column.name])
        if table.info.get("shared") and not self.on_sqlite:
            self._give_defaults(table, there)
        there.columns |= {column.name: self._as_found(column) for column in missing}

    def _add_columns(self, table: Table, columns: list[Column[Any]]) -> None:
        for column in columns:
            if _is_computed(column):
                # It would rewrite every row, and give old ones the present time.
                column.server_default, column.nullable = None, True
        clauses = [f"ADD COLUMN {CreateColumn(column).compile(dialect=self.dialect)}" for column in columns]
        if self.on_sqlite:
            for column, clause in zip(columns, clauses, strict=True):
                self._emit(f"column {table.name}.{column.name}", f"ALTER TABLE {table.name} {clause}")
        elif columns:
            names = ", ".join(column.name for column in columns)
            self._alter(table.name, f"columns {names} of {table.name}", ", ".join(clauses), _INSTANT, _ONLINE)

    def _alter(self, table: str, what: str, clauses: str, *algorithms: str) -> None:
        statements = [f"ALTER TABLE {table} {clauses}, {algorithm}" for algorithm in algorithms]
        self._emit(what, *statements, needs=(("ALTER", table), ("INSERT", table), ("CREATE", table)))

    def _widen(self, table: Table, wanted: Column[Any], there: found.Column) -> None:
        """Let a column of somebody else's take what we write: further ENUM values, longer words, NULL."""
        definition, reasons = there.definition, []
        values: tuple[str, ...] = wanted.info.get("values", ())
        if missing := _missing_values(there, values):
            definition = _with_values(definition, missing)
            reasons.append(f"values {', '.join(missing)}")
        length = re.match(r"(?:var)?char\((\d+)\)", there.type)
        if length and int(length.group(1)) < max(map(len, values), default=0):
            definition = re.sub(r"\(\d+\)", f"({wanted.type.length})", definition, count=1)  # type: ignore[attr-defined]
            reasons.append("longer words")
        if wanted.info.get("null") and not there.nullable:
            definition = definition.replace(" NOT NULL", " NULL", 1)
            reasons.append("NULL")
        if reasons:
            what = f"{' and '.join(reasons)} in {table.name}.{wanted.name}"
            clause = f"MODIFY COLUMN {self._quoted(wanted.name)} {definition}"
            self._alter(table.name, what, clause, _INSTANT, _ONLINE)

    def _give_defaults(self, table: Table, there: found.Table) -> None:
        """Give defaults to a stranger's columns without which our INSERTs would fail."""
        for column in there.columns.values():
            if column.required and column.name not in table.columns:
                default = _neutral(column)
                if default is None:
                    self.obstacles.append(
                        f"{table.name}.{column.name} is NOT NULL without a default,"
                        " orderctl would not be able to write events"
                    )
                    continue
                clause = f"ALTER COLUMN {self._quoted(column.name)} SET DEFAULT {default}"
                self._alter(table.name, f"default of {table.name}.{column.name}", clause, _INSTANT, _ONLINE)

    def _index(self, index: Index, there: found.Table) -> None:
        columns = tuple(column.name for column in index.columns)
        if any(_serves(old, columns, unique=bool(index.unique)) for old in there.indexes):
            return
        if index.unique and not self._may_be_unique(there, columns):
            return
        keys = [key for key in there.foreign_keys if key.column == columns[0]]
        if keys and any(there.columns[column].nullable for column in columns[1:]):
            self._keep_key_indexed(there, keys[0])
        self._add_index(there, str(index.name), columns, unique=bool(index.unique))

    def _may_be_unique(self, there: found.Table, columns: tuple[str, ...]) -> bool:
        if (there.name, columns[0]) in self._new or self.is_unique(there.name, columns[0]):
            return True
        self.warnings.append(f"{there.name}.{columns[0]} is not unique: some values stand in several rows")
        if not any(_serves(old, columns, unique=False) for old in there.indexes):
            self._add_index(there, f"ix_orderctl_{there.name}_{'_'.join(columns)}", columns, unique=False)
        return False

    def _keep_key_indexed(self, there: found.Table, key: found.ForeignKey) -> None:
        """Give a foreign key an index of its own before another that begins with its column.

        MySQL drops the index that came with the key as soon as another begins with the column; when a
        further column of that one is nullable, it no longer finds orphans (seen on 9.7).
        """
        came_with_it = {key.name, key.column}
        if not any(old.columns == (key.column,) and old.name not in came_with_it for old in there.indexes):
            self._add_index(there, f"ix_orderctl_{there.name}_{key.column}", (key.column,), unique=False)

    def _add_index(self, there: found.Table, name: str, columns: tuple[str, ...], *, unique: bool) -> None:
        names = ", ".join(self._quoted(column) for column in columns)
        kind, what = ("UNIQUE INDEX" if unique else "INDEX"), f"index {name} of {there.name}"
        if self.on_sqlite:
            self._emit(what, f"CREATE {kind} {name} ON {there.name} ({names})")
        else:
            self._alter(there.name, what, f"ADD {kind} {name} ({names})", _ONLINE)
        there.indexes.append(found.Index(name, columns, unique))

    def _quoted(self, name: str) -> str:
        return self.dialect.identifier_preparer.quote(name)


def _unfit(table: Table, there: found.Table, *, on_sqlite: bool) -> list[str]:
    """Why a table that is there cannot be ours as well."""
    reasons = []
    if not on_sqlite and there.engine != "InnoDB":
        reasons.append(f"{table.name} is a table of {there.engine}, orderctl needs InnoDB")
    if there.primary_key != (key := tuple(table.primary_key.columns.keys())):
        reasons.append(f"the primary key of {table.name} is not {', '.join(key)}")
    for column in table.columns:
        old = there.columns.get(column.name)
        family = found.Column("", column.type.compile(dialect=mysql.dialect())).family
        if old is None and column.info.get("required"):
            reasons.append(f"{table.name} has no column {column.name}")
        elif old is not None and not on_sqlite and old.family != family:
            reasons.append(f"{table.name}.{column.name} is {old.type}, orderctl needs a {family}")
    return reasons


def _is_computed(column: Column[Any]) -> bool:
    default = getattr(column.server_default, "arg", "")
    return isinstance(default, Clock) or str(default).startswith("(")


def _missing_values(there: found.Column, values: tuple[str, ...]) -> list[str]:
    if not there.type.startswith("enum("):
        return []
    known = [value.replace("''", "'") for value in re.findall(r"'((?:[^']|'')*)'", there.type)]
    if (there.collation or "").endswith("_ci"):
        known = [value.casefold() for value in known]
    return [value for value in values if value not in known]


def _with_values(definition: str, values: list[str]) -> str:
    more = "".join(f",'{value}'" for value in values)
    return re.sub(r"^(enum\((?:'(?:[^']|'')*',?)+)\)", lambda match: f"{match.group(1)}{more})", definition)


def _neutral(column: found.Column) -> str | None:
    """The default that says least, or None where there is none."""
    if column.type.startswith("enum("):
        return str(re.findall(r"'(?:[^']|'')*'", column.type)[0])
    if column.type.startswith("json"):
        return "('null')"
    if re.match(r"tinytext|text|mediumtext|longtext", column.type):
        return "('')"
    by_family = {"number": "0", "text": "''", "time": "(UTC_TIMESTAMP())"}
    return by_family.get(column.family)


def _serves(old: found.Index, wanted: tuple[str, ...], *, unique: bool) -> bool:
    """Whether an index does what the wanted one is for; the primary key ends every index anyway."""
    if not old.usable or old.name.startswith(FOREIGN_KEY_PREFIX):
        return False
    if unique:
        return old.unique and set(old.columns) == set(wanted)
    return old.columns[: len(wanted)] == wanted or (wanted[-1] == "id" and old.columns == wanted[:-1])
