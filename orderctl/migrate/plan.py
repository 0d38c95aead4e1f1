"""Turn the tables that the revisions describe into the statements that this database needs.

A revision describes whole tables. A table that does not exist is created. To an existing table, of the shop
or of orderctl, only what is missing is added, and what orderctl had added is restored. So a revision can run
again after it was killed at any point.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.util import set_creation_order

from orderctl.migrate import catalogue as found
from orderctl.migrate import ddl, fitting, indexing, limits, obstacles, ownership, repairs, rights
from orderctl.migrate.ddl import COPY, INSTANT, ONLINE, Step
from orderctl.migrate.rights import Need

Emit: TypeAlias = Callable[[Step], None]
May: TypeAlias = Callable[[Collection[Need]], bool]


class Plan:
    """Compares the tables that revisions describe with those that exist.

    Args:
        catalogue: The existing tables. Each step updates it as if the step had run.
        emit: Called with each missing step, in order.
        may: Called with rights; whether the account has them.

    Attributes:
        is_pending: Whether the revision that describes the tables is not applied yet. Then a table with a name
            of orderctl's may be another's.
        obstacles: The reasons why orderctl cannot work with these tables. If there are any, no step may run.
        warnings: Problems with these tables that orderctl can work with.
        found: The names of the tables that there were before the first step.
        again: Work of applied revisions, which each migration does again.
    """

    def __init__(
        self,
        catalogue: found.Catalogue,
        emit: Emit,
        may: May,
    ) -> None:
        self.catalogue = catalogue
        self.emit = emit
        self.may = may
        self.is_pending = True
        self.obstacles: list[str] = []
        self.warnings: list[str] = []
        self.found = frozenset(catalogue.tables)
        self.again: list[Step] = []
        self.on_sqlite = catalogue.server == "sqlite"
        self.dialect = ddl.dialect_of(catalogue.server)
        self._changes: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._metadata = MetaData()

    def tables(self, metadata: MetaData) -> None:
        """Require all tables of ``metadata`` with their indexes.

        Keys of a column's ``info``: ``required``: an existing table without this column is refused;
        ``values``: all values that orderctl writes into the column, and ``length``: the length to which a
        column that is too short is extended; ``null``: orderctl writes NULL into it; ``ours``: only orderctl
        adds and writes it, so its definition is restored; ``made``: only a table that orderctl made gets it;
        ``later``: a table that exists gets it by a later revision, which describes it again.
        Keys of a table's ``info``: ``shared``: orderctl's INSERTs name only its own columns, so every other
        column needs a default; ``ours``: another's table of this name is refused; ``retired``: the indexes that
        earlier versions added and no query uses any more: their columns by their names.
        Key of an index's ``info``: ``unique`` is ``made``: it is unique only in a table that orderctl made.
        """
        for table in metadata.sorted_tables:
            self.table(table)

    def view(self, name: str, select: str) -> None:
        """Require a view. An existing view of this name is not changed, whatever it selects."""
        if name not in self.catalogue.views:
            security = "" if self.on_sqlite else "SQL SECURITY INVOKER "
            statement = f"CREATE {security}VIEW {name} AS {select}"
            self.emit(Step((f"view {name}",), (statement,), (("CREATE VIEW", name),), optional=True))
            self.catalogue.views.add(name)

    def procedure(self, name: str, parameters: str, statement: str, *, earlier: Collection[str] = ()) -> None:
        """Require a procedure of one statement (MySQL, MariaDB).

        One of this name is replaced if it is an ``earlier`` one of orderctl's, and otherwise not changed.
        """
        if self.on_sqlite or (name in self.catalogue.procedures and not self._is_one_of(name, earlier)):
            if earlier and self.catalogue.procedures.get(name, "") is None:
                self.warnings.append(
                    f"procedure {name} is not compared with the present one, because the account may not see it"
                )
            return
        head = f"PROCEDURE {name}({parameters}) READS SQL DATA SQL SECURITY INVOKER {statement}"
        what, needs, words = f"procedure {name}", [rights.CREATE_ROUTINE], "CREATE"
        if name in self.catalogue.procedures:
            what, needs = f"{what} as it is now", [*needs, ("ALTER ROUTINE", name)]
            if self.catalogue.server == "mariadb":
                words = "CREATE OR REPLACE"
            else:
                drop = f"removal of the earlier procedure {name}"
                self.emit(Step((drop,), (f"DROP PROCEDURE {name}",), tuple(needs), optional=True))
        self.emit(Step((what,), (f"{words} {head}",), tuple(needs), optional=True))
        self.catalogue.procedures[name] = statement

    def _is_one_of(self, name: str, statements: Collection[str]) -> bool:
        there = " ".join((self.catalogue.procedures[name] or "").lower().split())
        return there in {" ".join(statement.lower().split()) for statement in statements}

    def collation(self, table: str, column: str) -> str:
        """Return the clause that gives a parameter of a procedure the collation of a column.

        Without it the server refuses to compare the two (error 1267, illegal mix of collations).
        """
        there = self.catalogue.tables.get(table)
        name = there.columns[column].collation if there and column in there.columns else None
        return f"CHARACTER SET {name.partition('_')[0]} COLLATE {name}" if name else ""

    def table(self, wanted: Table) -> None:
        """Require one table with its indexes, as :meth:`tables` does."""
        table = self._fitted(wanted)
        there = self.catalogue.tables.get(table.name)
        if there is None:
            reasons, made = list(obstacles.of_name(table.name, self.catalogue)), True
        else:
            made = self._is_made(table, there)
            reasons = self._obstacles(table, there, made=made)
        if reasons:
            self.obstacles += reasons
            return
        if there is None:
            self._create(table)
            return
        self._adopt(table, there, made=made)
        self._index(table, there, made=made)
        self._flush(table.name)

    def _index(self, table: Table, there: found.Table, *, made: bool) -> None:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            indexing.require(self, index, there, made=made)
        indexing.retire(self, there, table.info.get("retired", {}))
        if self._changes:
            self.obstacles += limits.exceeded(there)

    def _is_made(self, table: Table, there: found.Table) -> bool:
        """Whether orderctl made a table; if not, forget the columns that only such a table gets."""
        made = bool(table.info.get("ours")) or ownership.is_made(table, there, self.dialect)
        if not made:
            self._keep_unique(table, there)
            for column in [column for column in table.columns if column.info.get("made")]:
                table._columns.remove(column)  # noqa: SLF001 - a copy; SQLAlchemy has no other way
        return made

    def _keep_unique(self, table: Table, there: found.Table) -> None:
        """Let an index stay unique in a table that orderctl made and the shop has extended."""
        names = {old.name for old in there.indexes if old.unique}
        if ownership.is_extended(table, there, self.dialect):
            for index in table.indexes:
                if index.name in names:
                    index.info.pop("unique", None)

    def _obstacles(self, table: Table, there: found.Table, *, made: bool) -> list[str]:
        is_ours = not self.is_pending or ownership.consists_of(table, there, self.dialect)
        if table.info.get("ours") and not is_ours:
            return [ownership.foreign(table.name)]
        # What is restored anyway is not in the way.
        restored = [] if self.is_pending else [c for c in table.columns if _is_ours(c, made=made)]
        as_wanted = {
            column.name: self._as_found(column) for column in restored if column.name in there.columns
        }
        indexes = [index for index in there.indexes if not index.name.startswith("ix_orderctl_")]
        seen = replace(there, columns=there.columns | as_wanted, indexes=indexes)
        return list(obstacles.of_table(table, seen, on_sqlite=self.on_sqlite))

    def _fitted(self, wanted: Table) -> Table:
        """Return a copy whose foreign keys have the actual type of the column that they refer to."""
        if wanted.name in self._metadata.tables:  # an earlier revision described it, too
            self._metadata.remove(self._metadata.tables[wanted.name])
        table = wanted.to_metadata(self._metadata)
        infos = {index.name: index.info for index in wanted.indexes}
        for index in table.indexes:  # the copy of an index has no info
            index.info.update(infos[index.name])
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

    def _create(self, table: Table) -> None:
        """Create a table; on a server with its indexes, which takes one statement instead of two."""
        there = self._as_created(table)
        if self.on_sqlite:
            self._emit_table(table)
            self._index(table, there, made=True)
        else:
            self._index(table, there, made=True)
            self._emit_table(table)

    def _emit_table(self, table: Table) -> None:
        """Emit the step that creates a table with the indexes that are collected."""
        targets = sorted({key.target_fullname.partition(".")[0] for key in table.foreign_keys})
        needs = (("CREATE", table.name), *(("REFERENCES", target) for target in targets))
        added = [change for changes in self._changes.values() for change in changes]
        self._changes.clear()
        indexes = [clause.removeprefix("ADD ") for _, clause in added]
        names = (f"table {table.name}", *(what for what, _ in added))
        self.emit(Step(names, (ddl.create_table(table, self.dialect, indexes),), needs))

    def _as_created(self, table: Table) -> found.Table:
        there = found.Table(table.name, self.catalogue.server, engine="InnoDB")
        there.columns = {column.name: self._as_found(column) for column in table.columns}
        there.indexes = [found.Index("PRIMARY", tuple(table.primary_key.columns.keys()), unique=True)]
        there.foreign_keys = [_key_as_found(key) for key in table.foreign_key_constraints]
        self.catalogue.tables[table.name] = there
        return there

    def _as_found(self, column: Column[Any]) -> found.ReflectedColumn:
        collation = getattr(column.type.dialect_impl(self.dialect), "collation", None)
        type_ = ddl.type_of(column, self.dialect).lower()
        definition = ddl.column_clause(column, self.dialect).partition(" ")[2]
        return found.ReflectedColumn(
            column.name, type_, bool(column.nullable), collation=collation, definition=definition
        )

    def _adopt(self, table: Table, there: found.Table, *, made: bool) -> None:
        self.warnings += obstacles.cautions(table, there, self.catalogue)
        missing = [
            column
            for column in table.columns
            if column.name not in there.columns and not column.info.get("later")
        ]
        # The columns first: the indexes need them, and an index may be added in an earlier statement.
        self._add_columns(table, missing, fitting.ways_to_add(there))
        self._complete(table, missing, made=made)
        if not self.on_sqlite:
            self._restore(table, there, made=made)
            if made:
                self._restore_keys(table, there)
            self._widen(table, there, made=made)
            self._give_defaults(table, there)
        there.columns |= {
            column.name: self._as_found(ddl.without_default(column) if ddl.is_computed(column) else column)
            for column in missing
        }

    def _add_columns(self, table: Table, columns: list[Column[Any]], algorithms: tuple[str, ...]) -> None:
        for column in columns:
            # A computed default would rewrite every row and give existing rows the present time.
            # SQLite adds no NOT NULL column without a default to a table with rows.
            is_bare = ddl.is_computed(column) or (self.on_sqlite and column.server_default is None)
            added = ddl.without_default(column) if is_bare else column
            clause = f"ADD COLUMN {ddl.column_clause(added, self.dialect)}"
            self.collect(table.name, f"column {column.name} of {table.name}", clause, *algorithms)

    def _restore(self, table: Table, there: found.Table, *, made: bool) -> None:
        """Restore the columns that only orderctl adds, and all of a table that it made."""
        for column in table.columns:
            if column.name in there.columns and _is_ours(column, made=made):
                self._restore_column(column, there.columns[column.name], made=made)

    def _restore_keys(self, table: Table, there: found.Table) -> None:
        """Ask for the foreign keys of a table that orderctl made. A server adds one only behind a lock."""
        known = {key.column for key in there.foreign_keys}
        for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
            column, target = next(iter(key.column_keys)), key.referred_table.name
            if column in known or column not in there.columns:
                continue
            clause = f"FOREIGN KEY ({column}) REFERENCES {target} (id) ON DELETE {key.ondelete}"
            statement = f"ALTER TABLE {table.name} ADD CONSTRAINT {key.name} {clause}, {ONLINE}"
            needs = (("ALTER", table.name), ("REFERENCES", target))
            what = f"foreign key {key.name} of {table.name}"
            self.emit(Step((what,), (statement,), needs, optional=True))

    def _complete(self, table: Table, columns: list[Column[Any]], *, made: bool) -> None:
        """Give columns that were added without their computed default this default."""
        for column in columns:
            if ddl.is_computed(column) and _is_ours(column, made=made):
                self._flush(table.name)
                name, type_ = column.name, ddl.type_of(column, self.dialect)
                bare = found.ReflectedColumn(name, type_.lower(), definition=f"{type_} DEFAULT NULL")
                self._restore_column(column, bare, made=made)

    def _restore_column(self, column: Column[Any], old: found.ReflectedColumn, *, made: bool) -> None:
        table = column.table.name
        for lost in repairs.restorations(column, old, self.dialect, made=made):
            what = f"{' and '.join(lost.reasons)} of {table}.{column.name}"
            if lost.default is not None:
                self._fill(table, column, lost.default)
            if lost.is_optional:
                self._flush(table)  # what is needed comes first: its definition still has the short type
                statement = f"ALTER TABLE {table} {lost.clause}, {ONLINE}"
                self.emit(Step((what,), (statement,), (("ALTER", table),), optional=True))
            elif not self.on_sqlite:
                algorithms = (INSTANT, ONLINE) if lost.is_default_only else (ONLINE,)
                if column.table.info.get("ours"):  # the shop does not wait for it
                    algorithms = (*algorithms, COPY)
                self.collect(table, what, lost.clause, *algorithms)

    def _fill(self, table: str, column: Column[Any], value: str) -> None:
        """Replace the NULLs of a column of orderctl's, and let no new ones come."""
        name = self.quoted(column.name)
        if not self.on_sqlite:
            clause = repairs.default_clause(column, self.dialect)
            what = f"default of {table}.{column.name}"
            self.emit(Step((what,), (f"ALTER TABLE {table} {clause}, {INSTANT}",), (("ALTER", table),)))
        fill = f"UPDATE {table} SET {name} = {value} WHERE {name} IS NULL"  # noqa: S608 - from a revision
        self.emit(Step((f"values of {table}.{column.name}",), (fill,), (("UPDATE", table),)))

    def _widen(self, table: Table, there: found.Table, *, made: bool) -> None:
        for column in table.columns:
            if column.name in there.columns and not _is_ours(column, made=made):
                definition, reasons = fitting.widened(column, there.columns[column.name])
                if reasons:
                    what = f"{' and '.join(reasons)} in {table.name}.{column.name}"
                    # The shop's spelling: another one would rename the column.
                    old = there.columns[column.name]
                    clause = f"MODIFY COLUMN {self.quoted(old.name)} {definition}"
                    self.collect(table.name, what, clause, *fitting.ways_to_widen(old, reasons, there))

    def _give_defaults(self, table: Table, there: found.Table) -> None:
        """Give defaults to the shop's own columns where orderctl's INSERTs would fail without one."""
        unknown = [column for name, column in there.columns.items() if name not in table.columns]
        for column in unknown if table.info.get("shared") else ():
            if not column.required:
                continue
            default = fitting.neutral_default(column)
            clause = f"ALTER COLUMN {self.quoted(column.name)} SET DEFAULT {default}"
            self.collect(table.name, f"default of {table.name}.{column.name}", clause, INSTANT, ONLINE)

    def collect(self, table: str, what: str, clause: str, *algorithms: str) -> None:
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

    def quoted(self, name: str) -> str:
        """Return a name as it stands in a statement."""
        return self.dialect.identifier_preparer.quote(name)


def _key_as_found(key: ForeignKeyConstraint) -> found.ForeignKey:
    return found.ForeignKey(str(key.name), next(iter(key.column_keys)), key.referred_table.name)


def _is_ours(column: Column[Any], *, made: bool) -> bool:
    """Whether only orderctl adds and changes a column."""
    return not column.primary_key and (made or bool(column.info.get("ours")))
