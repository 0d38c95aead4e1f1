"""Require the indexes of a table: add those that are missing, and replace those of ours that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy import Index

from orderctl.migrate import catalogue as found
from orderctl.migrate import fitting, limits
from orderctl.migrate.ddl import ONLINE, Step

if TYPE_CHECKING:
    from orderctl.migrate.plan import Plan

#: How the names of orderctl's indexes begin.
_NAMES: Final = ("ix_orderctl_", "uq_orderctl_")


def require(plan: Plan, index: Index, there: found.Table, *, made: bool) -> None:
    """Require an index of a table.

    Args:
        plan: The plan.
        index: The index, as a revision describes it.
        there: The table as it is.
        made: Whether orderctl made the table.
    """
    columns = tuple(column.name for column in index.columns)
    # A table that is partitioned by its id can have no other unique index.
    may_be_unique = not there.partitioned and (made or index.info.get("unique") != "made")
    unique = bool(index.unique) and may_be_unique
    whole = not any(limits.prefix(there.columns[column], there) for column in columns)
    name = str(index.name) if unique == bool(index.unique) else str(index.name).replace("uq_", "ix_", 1)
    ours = [old for old in there.indexes if old.name in {name, index.name}]
    is_right = any(
        (old.name, old.columns, old.unique) == (name, columns, unique)
        and (old.usable or not (whole or old.is_hidden))
        for old in ours
    )
    # One of orderctl's that was cut down to these columns will not stay so.
    others = [old for old in there.indexes if not old.name.startswith(_NAMES)]
    if not is_right and any(fitting.serves(old, columns, unique=unique, whole=whole) for old in others):
        # An index of ours that is unique although it must not be hinders the shop.
        _drop_indexes(plan, there, [old for old in ours if old.unique and not unique])
        return
    keys = [key for key in there.foreign_keys if key.column == columns[0]]
    if keys and any(there.columns[column].nullable for column in columns[1:]):
        _keep_key_indexed(plan, there, keys[0], [] if is_right else ours)
    _drop_indexes(plan, there, [old for old in ours if old.name != name])
    if not is_right:
        _add_index(plan, there, name, columns, unique=unique)


def retire(plan: Plan, there: found.Table, indexes: Mapping[str, tuple[str, ...]]) -> None:
    """Drop indexes that earlier versions of orderctl added, behind those that came in their place.

    An index of such a name that differs from what orderctl added was made by the shop, which may need it.

    Args:
        plan: The plan.
        there: The table as it is.
        indexes: The columns of the indexes, by their names.
    """
    olds = [old for old in there.indexes if not old.unique and indexes.get(old.name) == old.columns]
    _drop_indexes(plan, there, olds)


def _drop_indexes(plan: Plan, there: found.Table, olds: list[found.Index]) -> None:
    """Drop indexes of orderctl's; on a server in the same statement that adds others."""
    for old in olds:
        what = f"removal of index {old.name} ({', '.join(old.columns)}) of {there.name}"
        if plan.on_sqlite:
            plan.emit(Step((what,), (f"DROP INDEX {old.name}",)))
        else:
            plan.collect(there.name, what, f"DROP INDEX {old.name}", ONLINE)
        there.indexes.remove(old)


def _keep_key_indexed(
    plan: Plan, there: found.Table, key: found.ForeignKey, leaving: list[found.Index]
) -> None:
    """Give a foreign key an index of its own before another that begins with its column.

    MySQL drops the index that came with the key as soon as another begins with the column; when a
    further column of that one is NULL in a row, it no longer sees that the row is an orphan (9.7).
    """
    name, came_with_it = f"ix_orderctl_{there.name}_{key.column}", {key.name, key.column}
    for old in [old for old in there.indexes if old not in leaving]:
        is_right = old.name != name or (old.usable and not old.unique)
        if old.columns == (key.column,) and old.name not in came_with_it and is_right:
            return
    _add_index(plan, there, name, (key.column,), unique=False)


def _add_index(plan: Plan, there: found.Table, name: str, columns: tuple[str, ...], *, unique: bool) -> None:
    """Add an index, in place of one of this name that is different."""
    names = ", ".join(_part(plan, there, column) for column in columns)
    kind, what = ("UNIQUE INDEX" if unique else "INDEX"), f"index {name} of {there.name}"
    olds = [old for old in there.indexes if old.name == name]
    if plan.on_sqlite:
        _drop_indexes(plan, there, olds)
        plan.emit(Step((what,), (f"CREATE {kind} {name} ON {there.name} ({names})",)))
    elif olds and olds[0].is_hidden and (olds[0].columns, olds[0].unique) == (columns, unique):
        # Dropped and added at once, it would stay hidden.
        word = "NOT IGNORED" if plan.catalogue.server == "mariadb" else "VISIBLE"
        plan.collect(there.name, what, f"ALTER INDEX {name} {word}", ONLINE)
    else:
        drop = f"DROP INDEX {name}, " if olds else ""
        plan.collect(there.name, what, f"{drop}ADD {kind} {name} ({names})", ONLINE)
    there.indexes = [old for old in there.indexes if old.name != name]
    there.indexes.append(found.Index(name, columns, unique))


def _part(plan: Plan, there: found.Table, name: str) -> str:
    length = limits.prefix(there.columns[name], there)
    return f"{plan.quoted(name)}({length})" if length else plan.quoted(name)
