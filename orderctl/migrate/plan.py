"""Turn the tables that the revisions describe into the statements that this database needs.

A revision describes whole tables. A table that does not exist is created. To an existing table, of the shop
or of orderctl, only what is missing is added. So a revision can run again after it was killed at any point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import Column, ForeignKeyConstraint, Index, MetaData, Table
from sqlalchemy.util import set_creation_order

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl, fitting, limits, obstacles
from orderctl.migrate.ddl import INSTANT, ONLINE, Step

Emit: TypeAlias = Callable[[Step], None]


class Plan:
    """Compares the tables that revisions describe with those that exist.

    Args:
        catalogue: The existing tables. Each step updates it as if the step had run.
        emit: Called with each missing step, in order.
        is_unique: Called with a table and a column; whether no value occurs in two rows.

    Attributes:
        obstacles: The reasons why orderctl cannot work with these tables. If there are any, no step may run.
        warnings: Problems with these tables that orderctl can work with.
    """

    def __init__(
        self,
        catalogue: found.Catalogue,
        emit: Emit,
        is_unique: Callable[[str, str], bool],
    ) -> None:
        self.catalogue = catalogue
        self.emit = emit
        self.is_unique = is_unique
        self.obstacles: list[str] = []
        self.warnings: list[str] = []
        self.on_sqlite = catalogue.server == "sqlite"
        self.dialect = ddl.dialect_of(catalogue.server)
        self._changes: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._metadata = MetaData()
        self._new: set[tuple[str, str]] = set()

    def tables(self, metadata: MetaData) -> None:
        """Require all tables of ``metadata`` with their indexes.

        Keys of a column's ``info``: ``required``: an existing table without this column is refused;
        ``values``: all values that orderctl writes into the column, and ``length``: the length to which a
        column that is too short is extended; ``null``: orderctl writes NULL into it. Key of a table's
        ``info``: ``shared``: orderctl's INSERTs name only its own columns, so every other column needs a
        default.
        """
        for table in metadata.sorted_tables:
            self._table(table)

    def view(self, name: str, select: str) -> None:
        """Require a view. An existing view of this name is not changed, whatever it selects."""
        if name not in self.catalogue.views:
            security = "" if self.on_sqlite else "SQL SECURITY INVOKER "
            statement = f"CREATE {security}VIEW {name} AS {select}"
            self.emit(Step((f"view {name}",), (statement,), (("CREATE VIEW", name),), optional=True))
            self.catalogue.views.add(name)

    def procedure(self, name: str, parameters: str, statement: str) -> None:
        """Require a procedure of one statement (MySQL, MariaDB). One of this name is not changed."""
        if not self.on_sqlite and name not in self.catalogue.procedures:
            head = f"CREATE PROCEDURE {name}({parameters}) READS SQL DATA SQL SECURITY INVOKER"
            needs = (("CREATE ROUTINE", ""),)
            self.emit(Step((f"procedure {name}",), (f"{head} {statement}",), needs, optional=True))
            self.catalogue.procedures.add(name)

    def collation(self, table: str, column: str) -> str:
        """Return the clause that gives a parameter of a procedure the collation of a column.

        Without it the server refuses to compare the two (error 1267, illegal mix of collations).
        """
        there = self.catalogue.tables.get(table)
        name = there.columns[column].collation if there and column in there.columns else None
        return f"CHARACTER SET {name.partition('_')[0]} COLLATE {name}" if name else ""

    def _table(self, wanted: Table) -> None:
        table = self._fitted(wanted)
        there = self.catalogue.tables.get(table.name)
        if there is None:
            reasons = list(obstacles.of_name(table.name, self.catalogue))
        else:
            reasons = list(obstacles.of_table(table, there, on_sqlite=self.on_sqlite))
        if reasons:
            self.obstacles += reasons
            return
        if there is None:
            there = self._create(table)
        else:
            self._adopt(table, there)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            self._index(index, there)
        if self._changes:
            self.obstacles += limits.exceeded(there)
        self._flush(table.name)

    def _fitted(self, wanted: Table) -> Table:
        """Return a copy whose foreign keys have the actual type of the column that they refer to."""
        if wanted.name in self._metadata.tables:  # an earlier revision described it, too
            self._metadata.remove(self._metadata.tables[wanted.name])
        table = wanted.to_metadata(self._metadata)
        for key in table.foreign_keys:
            target, _, column = key.target_fullname.partition(".")
            there = self.catalogue.tables.get(target)
            if there is not None and there.partitioned:
                table.constraints.discard(key.constraint)  # the server allows no key that refers to it
            if there is not None and column in there.columns:
                key.parent.type = ddl.Verbatim(there.columns[column].type)
        for constraint in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
            set_creation_order(constraint)  # a copy has them in an order that differs between runs
        return table

    def _create(self, table: Table) -> found.Table:
        targets = sorted({key.target_fullname.partition(".")[0] for key in table.foreign_keys})
        needs = (("CREATE", table.name), *(("REFERENCES", target) for target in targets))
        self.emit(Step((f"table {table.name}",), (ddl.create_table(table, self.dialect),), needs))
        there = found.Table(table.name, self.catalogue.server, engine="InnoDB")
        there.columns = {column.name: self._as_found(column) for column in table.columns}
        there.indexes = [found.Index("PRIMARY", tuple(table.primary_key.columns.keys()), unique=True)]
        there.foreign_keys = [_key_as_found(key) for key in table.foreign_key_constraints]
        self.catalogue.tables[table.name] = there
        return there

    def _as_found(self, column: Column[Any]) -> found.ReflectedColumn:
        self._new.add((column.table.name, column.name))
        collation = getattr(column.type.dialect_impl(self.dialect), "collation", None)
        type_ = ddl.type_of(column, self.dialect).lower()
        return found.ReflectedColumn(column.name, type_, bool(column.nullable), collation=collation)

    def _adopt(self, table: Table, there: found.Table) -> None:
        self.warnings += obstacles.cautions(table, there, self.catalogue)
        missing = [column for column in table.columns if column.name not in there.columns]
        # The columns first: the indexes need them, and an index may be added in an earlier statement.
        self._add_columns(table, missing, fitting.ways_to_add(there))
        if not self.on_sqlite:
            self._widen(table, there)
            self._give_defaults(table, there)
        there.columns |= {column.name: self._as_found(column) for column in missing}

    def _add_columns(self, table: Table, columns: list[Column[Any]], algorithms: tuple[str, ...]) -> None:
        for column in columns:
            if ddl.is_computed(column):
                # A computed default would rewrite every row and give existing rows the present time.
                column.server_default, column.nullable = None, True
            clause = f"ADD COLUMN {ddl.column_clause(column, self.dialect)}"
            self._collect(table.name, f"column {column.name} of {table.name}", clause, *algorithms)

    def _widen(self, table: Table, there: found.Table) -> None:
        for column in table.columns:
            if column.name in there.columns:
                definition, reasons = fitting.widened(column, there.columns[column.name])
                if reasons:
                    what = f"{' and '.join(reasons)} in {table.name}.{column.name}"
                    # The shop's spelling: another one would rename the column.
                    old = there.columns[column.name]
                    clause = f"MODIFY COLUMN {self._quoted(old.name)} {definition}"
                    self._collect(table.name, what, clause, *fitting.ways_to_widen(old, reasons, there))

    def _give_defaults(self, table: Table, there: found.Table) -> None:
        """Give defaults to the shop's own columns where orderctl's INSERTs would fail without one."""
        unknown = [column for name, column in there.columns.items() if name not in table.columns]
        for column in unknown if table.info.get("shared") else ():
            if not column.required:
                continue
            default = fitting.neutral_default(column)
            clause = f"ALTER COLUMN {self._quoted(column.name)} SET DEFAULT {default}"
            self._collect(table.name, f"default of {table.name}.{column.name}", clause, INSTANT, ONLINE)

    def _collect(self, table: str, what: str, clause: str, *algorithms: str) -> None:
        """Collect a change of a table. Changes with the same algorithms go into one statement.

        Each statement needs an exclusive lock on the table for a moment, so few statements
        disturb writers less than many. A change without an algorithm would block writers: it is an obstacle.
        """
        if self.on_sqlite:
            self.emit(Step((what,), (f"ALTER TABLE {table} {clause}",)))
        else:
            self._changes.setdefault(algorithms, []).append((what, clause))

    def _flush(self, table: str) -> None:
        for algorithms, changes in self._changes.items():
            clauses = ", ".join(clause for _, clause in changes)
            if not algorithms:
                self.obstacles.append(
                    f"table {table} cannot be changed without blocking writers; run this when the shop is quiet:"
                    f" ALTER TABLE {table} {clauses}"
                )
                continue
            statements = [f"ALTER TABLE {table} {clauses}, {algorithm}" for algorithm in algorithms]
            self.emit(Step(tuple(what for what, _ in changes), tuple(statements), (("ALTER", table),)))
        self._changes.clear()

    def _index(self, index: Index, there: found.Table) -> None:
        columns = tuple(column.name for column in index.columns)
        whole = not any(limits.prefix(there.columns[name], there) for name in columns)
        if any(fitting.serves(old, columns, unique=bool(index.unique), whole=whole) for old in there.indexes):
            return
        if index.unique and not self._may_be_unique(there, columns):
            return
        keys = [key for key in there.foreign_keys if key.column == columns[0]]
        if keys and any(there.columns[column].nullable for column in columns[1:]):
            self._keep_key_indexed(there, keys[0])
        self._add_index(there, str(index.name), columns, unique=bool(index.unique))

    def _may_be_unique(self, there: found.Table, columns: tuple[str, ...]) -> bool:
        # A table that is partitioned by its id can have no other unique index.
        if not there.partitioned:
            if (there.name, columns[0]) in self._new or self.is_unique(there.name, columns[0]):
                return True
            self.warnings.append(
                f"column {there.name}.{columns[0]} is not unique: some values occur in several rows;"
                " its index is not unique either"
            )
        if not any(fitting.serves(old, columns, unique=False) for old in there.indexes):
            name = f"ix_orderctl_{there.name}_{'_'.join(columns)}"
            self._add_index(there, name, columns, unique=False)
        return False

    def _keep_key_indexed(self, there: found.Table, key: found.ForeignKey) -> None:
        """Give a foreign key an index of its own before another that begins with its column.

        MySQL drops the index that came with the key as soon as another begins with the column; when a
        further column of that one is NULL in a row, it no longer sees that the row is an orphan (9.7).
        """
        came_with_it = {key.name, key.column}
        if not any(old.columns == (key.column,) and old.name not in came_with_it for old in there.indexes):
            self._add_index(there, f"ix_orderctl_{there.name}_{key.column}", (key.column,), unique=False)

    def _add_index(self, there: found.Table, name: str, columns: tuple[str, ...], *, unique: bool) -> None:
        names = ", ".join(self._part(there, column) for column in columns)
        kind, what = ("UNIQUE INDEX" if unique else "INDEX"), f"index {name} of {there.name}"
        if self.on_sqlite:
            self.emit(Step((what,), (f"CREATE {kind} {name} ON {there.name} ({names})",)))
        else:
            self._collect(there.name, what, f"ADD {kind} {name} ({names})", ONLINE)
        there.indexes.append(found.Index(name, columns, unique))

    def _part(self, there: found.Table, name: str) -> str:
        length = limits.prefix(there.columns[name], there)
        return f"{self._quoted(name)}({length})" if length else self._quoted(name)

    def _quoted(self, name: str) -> str:
        return self.dialect.identifier_preparer.quote(name)


def _key_as_found(key: ForeignKeyConstraint) -> found.ForeignKey:
    return found.ForeignKey(str(key.name), next(iter(key.column_keys)), key.referred_table.name)
