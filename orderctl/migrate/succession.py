"""Carry over a table that an earlier version made, or took over from the shop, under a name that is not ours.

What the earlier version added to a table of the shop's stays, and is named: nothing is removed unasked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Dialect, Table

from orderctl.migrate import catalogue as found
from orderctl.migrate import fitting, obstacles, ownership, repairs
from orderctl.migrate.ddl import ONLINE, Step
from orderctl.migrate.plan import Plan

#: The table that an earlier version made before any other: without it no table was taken over.
_EVIDENCE: Final = "orderctl_migrations"


@dataclass(frozen=True)
class Left:
    """What is left of an earlier version in a table.

    Attributes:
        table: The table.
        is_whole: Whether orderctl made all of it.
        columns: The columns that it added.
        indexes: The indexes that it added.
    """

    table: found.Table
    is_whole: bool
    columns: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()


def carry_over(plan: Plan, earlier: str, table: Table, written: str) -> None:
    """Require a table, with the rows that orderctl wrote into the table of its earlier name.

    Args:
        plan: The plan.
        earlier: The earlier name.
        table: The table as it is wanted.
        written: The SQL condition for rows that orderctl wrote.
    """
    left = find(plan.catalogue, earlier, table, plan.dialect)
    if left is None:
        plan.table(table)
        return
    if left.is_whole and plan.is_pending and _rename(plan, left, table):
        plan.table(table)
        return
    if plan.is_pending and plan.on_sqlite:  # the names of indexes are those of the whole database
        _drop_indexes(plan, left)
    plan.table(table)
    has_all = left.table.columns.keys() >= ownership.first_names(table)
    if plan.is_pending and has_all:
        plan.emit(_copy(left, table, written, plan.dialect))
    if plan.is_pending and not left.is_whole and not plan.on_sqlite:
        _relax(plan, left)
    plan.warnings.append(_farewell(left, table, written if has_all else None, on_sqlite=plan.on_sqlite))


def find(there: found.Catalogue, earlier: str, table: Table, dialect: Dialect) -> Left | None:
    """Return what an earlier version left in the table of this name; None if it never touched it."""
    old = there.tables.get(earlier)
    if old is None:
        return None
    names = {str(index.name) for index in table.indexes}
    indexes = tuple(index.name for index in old.indexes if index.name in names)
    types_are_ours = all(
        name in table.columns and ownership.has_type(table.columns[name], column, dialect)
        for name, column in old.columns.items()
    )
    if types_are_ours and (indexes or old.columns.keys() == ownership.first_names(table)):
        return Left(old, is_whole=True)
    added = tuple(_added(table, old, dialect))
    was_there = _EVIDENCE in there.tables and old.columns.keys() >= ownership.first_names(table)
    return Left(old, False, added, indexes) if indexes or (added and was_there) else None


def _added(table: Table, old: found.Table, dialect: Dialect) -> Iterator[str]:
    """Yield the columns that were added: they stand together behind the shop's, in the order of ``table``."""
    order, last, begun = list(table.columns.keys()), len(table.columns), False
    for name in reversed(old.columns):
        ours = name in order and ownership.has_type(table.columns[name], old.columns[name], dialect)
        if ours and 0 < order.index(name) < last:
            last, begun = order.index(name), True
            yield name
        elif begun:
            return


def _rename(plan: Plan, left: Left, table: Table) -> bool:
    """Rename the table, if there is none of the new name yet and the account may."""
    old, new = left.table.name, table.name
    needs = (("ALTER", old), ("DROP", old), ("CREATE", new), ("INSERT", new))
    if new in plan.catalogue.tables or any(obstacles.of_name(new, plan.catalogue)) or not plan.may(needs):
        return False
    what = f"table {new}, which was called {old}"
    plan.emit(Step((what,), (f"ALTER TABLE {old} RENAME TO {new}",), needs))
    left.table.name = new
    plan.catalogue.tables[new] = plan.catalogue.tables.pop(old)
    return True


def _drop_indexes(plan: Plan, left: Left) -> None:
    names = {index.name for index in left.table.indexes if "orderctl" in index.name}
    for name in sorted(names):
        plan.emit(Step((f"removal of index {name} of {left.table.name}",), (f"DROP INDEX {name}",)))
        plan.catalogue.others.pop(name, None)


def _copy(left: Left, table: Table, written: str, dialect: Dialect) -> Step:
    """Return the step that copies orderctl's rows. Rows that were copied before are left out."""
    names_then = ownership.first_names(table)
    columns = [column for column in table.columns if column.name in names_then and not column.primary_key]
    names = ", ".join(column.name for column in columns)
    values = ", ".join(_value(column, dialect) for column in columns)
    old, new = left.table.name, table.name
    statement = (
        f"INSERT INTO {new} ({names}) SELECT {values} FROM {old} WHERE {written}"  # noqa: S608 - from a revision
        f" AND dedup_key NOT IN (SELECT there.dedup_key FROM {new} there) ORDER BY id"
    )
    needs = (("SELECT", old), ("SELECT", new), ("INSERT", new))
    return Step((f"rows of {new}, copied from {old}",), (statement,), needs)


def _value(column: Column[Any], dialect: Dialect) -> str:
    """Return a column's value as it is copied: a column of the shop's may have been NULL in orderctl's rows."""
    if column.nullable or column.server_default is None:
        return column.name
    return f"COALESCE({column.name}, {repairs.default(column, dialect)})"


def _relax(plan: Plan, left: Left) -> None:
    """Let the shop's INSERT work, which does not name the columns that were added."""
    old = left.table
    required = [name for name in left.columns if old.columns[name].required]
    clauses = [
        f"MODIFY COLUMN {plan.quoted(name)} {fitting.nullable(old.columns[name].definition)}"
        for name in required
    ]
    if clauses:
        statement = f"ALTER TABLE {old.name} {', '.join(clauses)}, {ONLINE}"
        whats = tuple(f"NULL in {old.name}.{name}" for name in required)
        plan.emit(Step(whats, (statement,), (("ALTER", old.name),)))
    for name in left.columns:
        if plan.catalogue.server == "mariadb" and "json_valid" in old.columns[name].definition:
            # An empty text, which the rows got that were there: the column's CHECK refuses their next UPDATE.
            statement = f"UPDATE {old.name} SET {name} = NULL WHERE {name} = ''"  # noqa: S608
            plan.emit(
                Step((f"rows of {old.name} that can be changed",), (statement,), (("UPDATE", old.name),))
            )


def _farewell(left: Left, table: Table, written: str | None, *, on_sqlite: bool) -> str:
    """Return the warning that names what is left, and the statements that remove it."""
    old, new = left.table.name, table.name
    if left.is_whole:
        return f"table {old} is not used any more, its rows are in {new}: DROP TABLE {old}"
    statements = [f"DELETE FROM {old} WHERE {written}"] if written else []  # noqa: S608 - from a revision
    drops = [f"DROP COLUMN {name}" for name in reversed(left.columns)]
    if on_sqlite:
        statements += [f"ALTER TABLE {old} {drop}" for drop in drops]
    else:
        parts = ", ".join([*(f"DROP INDEX {name}" for name in left.indexes), *drops])
        statements.append(f"ALTER TABLE {old} {parts}")
    return (
        f"table {old} is the shop's; an earlier version of orderctl added to it what is not used any more."
        f" To remove that, once no earlier version runs: {'; '.join(statements)}"
    )
