"""The newest rows of several parts of a table, each read in the order of an index and only as far as needed.

One query over several statuses would read all their rows and sort them. So there is one ordered LIMIT query for each
part, joined by UNION, and only what these return is sorted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    String,
    Table,
    false,
    literal,
    or_,
    select,
    type_coerce,
    union,
    union_all,
)

#: Columns of one part of a table with their values as they stand in the rows; None is NULL. An index begins with them.
Part: TypeAlias = Sequence[tuple[Column[Any], Any]]
#: With more parts, reading the rows in their order and leaving out the others is not slower as a rule.
MOST: Final = 60


def parts(*choices: tuple[Column[Any], Iterable[Any]]) -> list[Part]:
    """Return a part for each combination of values.

    Args:
        choices: Columns, each with the values that it may have.
    """
    columns = [column for column, _ in choices]
    return [
        tuple(zip(columns, values, strict=True))
        for values in product(*(dict.fromkeys(values) for _, values in choices))
    ]


def newest(
    dialect: Dialect,
    query: Select[Any],
    found_in: Sequence[Part],
    by: Sequence[Column[Any]],
    *,
    limit: int,
    skip: int = 0,
    ranges: Sequence[ColumnElement[bool]] = (),
) -> Select[Any]:
    """Return the query of the rows with the highest values, these first.

    Args:
        dialect: The dialect of the database's engine.
        query: A SELECT of the table's rows with all conditions but those of the parts. Its columns include ``by``, and
            they tell the rows apart: what two parts have in common is returned once. If the index has all its columns,
            then MariaDB begins at a condition on ``by``; else it may read from the newest row on.
        found_in: The parts in which the rows are.
        by: The columns by which rows are sorted; an index goes on with them after the columns of a part.
        limit: The maximum number of rows.
        skip: The number of rows to leave out before these.
        ranges: Conditions on ``by``, each of which holds for rows that follow each other in the index; a row has to
            meet one of them. Without any, all rows are meant.
    """
    # As one condition these would let SQLite read from the newest row on. The others find the ranges in it.
    choices = ranges if dialect.name == "sqlite" else [or_(*ranges)] if ranges else []
    queries = [query.where(one) for one in choices] or [query]
    walked = [_walk(dialect, one, part, by) for part in found_in for one in queries]
    if not walked:
        return query.where(false())
    if len(walked) == 1:
        return walked[0].limit(limit).offset(skip or None)
    some = [walk.limit(limit + skip).subquery() for walk in walked]
    # Not UNION ALL: two spellings of a word may be equal for the database.
    chosen = union(*(select(one) for one in some)).subquery()
    newest_first = [chosen.c[column.key].desc() for column in by]
    return select(chosen).order_by(*newest_first).limit(limit).offset(skip or None)


def occupied(connection: Connection, found_in: Sequence[Part]) -> Sequence[Part]:
    """Return the parts that have rows.

    One of them can be read without sorting. So with many rows to skip it is worth to look: a word has several spellings,
    of which most tables have one.
    """
    if len(found_in) < 2:  # noqa: PLR2004
        return found_in
    looks = []
    for number, part in enumerate(found_in):
        first = select(literal(number)).select_from(part[0][0].table).where(*_conditions(part)).limit(1)
        looks.append(first.subquery())
    there = set(connection.execute(union_all(*(select(look) for look in looks))).scalars())
    return [part for number, part in enumerate(found_in) if number in there]


def hinted(query: Select[Any], table: Table, *choices: Sequence[str]) -> Select[Any]:
    """Return a query that takes one of orderctl's indexes of a table on MySQL, whatever the numbers of rows are.

    With a LIMIT, MySQL often takes an index that begins alike, and sorts, or reads the table by its ids. For MariaDB
    this is a comment, and so it is for MySQL where the shop's own index stands in for this one.

    Args:
        query: A SELECT from the table.
        table: The table.
        choices: The columns of each index that is as good.
    """
    names = ", ".join(f"ix_orderctl_{table.name}_{'_'.join(columns)}" for columns in choices)
    return query.prefix_with(f"/*+ INDEX({table.name} {names}) */", dialect="mysql")


def _walk(dialect: Dialect, query: Select[Any], part: Part, by: Sequence[Column[Any]]) -> Select[Any]:
    # Also by the columns of the part, although they are constant: so MySQL takes the index that has this order.
    # MariaDB would sort.
    constant = [type_coerce(column, String) for column, _ in part] if is_mysql(dialect) else []
    if part:
        begin = [column.key for column, _ in part]
        # Each index ends with the primary key, named or not.
        query = hinted(query, by[-1].table, [*begin, *(column.key for column in by)], begin)
    return query.where(*_conditions(part)).order_by(*(column.desc() for column in [*constant, *by]))


def _conditions(part: Part) -> list[ColumnElement[bool]]:
    bare = [(type_coerce(column, String), value) for column, value in part]
    return [column.is_(None) if value is None else column == value for column, value in bare]


def is_mysql(dialect: Dialect) -> bool:
    return dialect.name == "mysql" and not getattr(dialect, "is_mariadb", False)
