"""Which statuses stand in the rows: also those that orderctl does not know, which the shop's system wrote.

An unknown status is shown as it is and counted under its own name, and orderctl does nothing because of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    ScalarSelect,
    Select,
    String,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)

from orderctl import deletion, foreign, shape, words
from orderctl.errors import InvalidInput
from orderctl.schema import download_tasks, orders

#: A number of rows that need not be exact stops here.
COUNT_LIMIT: Final = 10_000
#: At most this many different values of one column are looked at: it may hold free text.
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Unknown:
    """A status that orderctl does not know.

    Attributes:
        column: The column, such as ``orders.payment_status``.
        status: The status as it stands in the rows.
        count: The number of rows; ``COUNT_LIMIT + 1`` means more than ``COUNT_LIMIT``.
        example: The id of one of the rows.
    """

    column: str
    status: str
    count: int
    example: int


def present(connection: Connection, column: Column[str], *conditions: ColumnElement[bool]) -> list[str]:
    """Return the values that stand in a column, each once, as they are spelled; without NULL.

    Each is found with one step in an index that begins with the columns of the conditions and this column.

    Args:
        connection: A connection for reading.
        column: A column with the type ``words.Word``.
        conditions: Further conditions on the rows.
    """
    return [foreign.text(value) or "" for value in stored(connection, column, *conditions)]


def stored(connection: Connection, column: Column[str], *conditions: ColumnElement[bool]) -> Iterator[Any]:
    """Yield what :func:`present` returns as the driver reads it: SQLite may have a text that is not UTF-8, or a number.

    Args:
        connection: A connection for reading.
        column: A column of text.
        conditions: Further conditions on the rows.
    """
    bare = type_coerce(column, String)
    there = shape.of(connection.dialect).column(column.table.name, column.name)
    if there is not None and there.words:  # an index on an ENUM has the order of its declaration
        for word in dict.fromkeys((*there.words, "")):  # without a strict mode, others became empty
            if connection.execute(select(1).where(*conditions, bare == word).limit(1)).first() is not None:
                yield word
        return
    known = tuple(
        words.spell(connection.dialect, column.table.name, column.name, word)
        for word in words.KNOWN.get((column.table.name, column.name), ())
    )
    last, *others = connection.execute(_steps(column, conditions, known)).one()
    following = dict(zip(known, others, strict=True))
    for _ in range(_MOST):
        if last is None:
            return
        yield last
        last = (
            following[last]
            if last in following
            else connection.execute(_step(column, conditions), {"last": last}).scalar()
        )


@lru_cache(64)
def _steps(
    column: Column[str], conditions: tuple[ColumnElement[bool], ...], known: tuple[str, ...]
) -> Select[Any]:
    """Return a query for the first value, and for what follows each of the known ones: one round trip as a rule."""
    bare = type_coerce(column, String)
    first = _next(column, conditions, bare.is_not(None))
    return select(first, *(_next(column, conditions, bare > word) for word in known))


@lru_cache(64)
def _step(column: Column[str], conditions: tuple[ColumnElement[bool], ...]) -> Select[Any]:
    return select(_next(column, conditions, type_coerce(column, String) > bindparam("last")))


def _next(
    column: Column[str], conditions: tuple[ColumnElement[bool], ...], beyond: ColumnElement[bool]
) -> ScalarSelect[Any]:
    bare = type_coerce(column, String)
    return select(bare).where(*conditions, beyond).order_by(bare).limit(1).scalar_subquery()


class Spelling(NamedTuple):
    """How a status is spelled in rows.

    Attributes:
        status: The status; "" if there is none.
        word: The spelling; None: NULL.
        folded: Whether a comparison finds every spelling.
    """

    status: str
    word: str | None
    folded: bool = False

    def matches(self, column: Column[str]) -> ColumnElement[bool]:
        """Return the condition that a column has it."""
        if self.word is None:
            return column.is_(None)
        return column == self.word if self.folded else _is(column, self.word)


def spellings(
    connection: Connection, column: Column[str], *conditions: ColumnElement[bool]
) -> Iterator[Spelling]:
    """Return each status that stands in a column.

    A status that is spelled in several ways is returned once for each: an index that begins with the column has the
    rows of one spelling in the order of its further columns. Rows without a status are always among them.

    Args:
        connection: A connection for reading.
        column: The column of the status.
        conditions: The conditions on the rows of the column's table, if an index begins with their columns.
    """
    found = present(connection, column, *conditions)
    known = words.KNOWN[column.table.name, column.name]
    there = shape.of(connection.dialect).column(column.table.name, column.name)
    names = {word: words.fold(word, known, there) for word in found}
    if len(found) >= _MOST:  # there are more: the known ones are counted in any case
        yield from (Spelling(status, status, folded=True) for status in known)
        names = {word: name for word, name in names.items() if name not in known}
    yield from (Spelling(name, word) for word, name in names.items())
    yield Spelling("", None)


def capped(connection: Connection, query: Any, most: int | None = None) -> int:
    """Return the number of rows of a query, counted up to one more than ``most`` (by default ``COUNT_LIMIT``)."""
    some = query.limit((COUNT_LIMIT if most is None else most) + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def capped_number(rows: Select[Any], most: int) -> ColumnElement[int]:
    """Return an expression for the number of rows, counted up to one more than ``most``.

    Unlike a subquery with a limit, it stores no rows. It reads a few rows twice, and many rows once.

    Args:
        rows: A query for rows of one table.
        most: The number of rows.
    """
    beyond = rows.with_only_columns(literal_column(str(most + 1), Integer)).limit(1).offset(most)
    every = rows.with_only_columns(func.count())
    return func.coalesce(beyond.scalar_subquery(), every.scalar_subquery())


def unknown(
    connection: Connection, expected: Collection[str] = (), pending: Collection[str] = ()
) -> list[Unknown]:
    """Return the statuses of orders, payments and tasks that orderctl does not know.

    An order without a status or payment status is a new one; a task without a status is never carried out.

    Args:
        connection: A connection for reading.
        expected: Words in lower case that are not returned: the shop's own, which an admin knows about.
        pending: The shop's words, in lower case, for a payment status that can be paid.
    """
    found = _unknown_in(connection, orders.c.payment_status, (*expected, *pending))
    payments: list[ColumnElement[bool]] = [orders.c.payment_status.is_(None)]
    payments += [_is(orders.c.payment_status, word) for word in present(connection, orders.c.payment_status)]
    for payment in payments:
        found += _unknown_in(connection, orders.c.order_status, expected, payment)
    return [*_merged(found), *_unknown_in(connection, download_tasks.c.status, expected)]


def _unknown_in(
    connection: Connection, column: Column[str], expected: Collection[str], *conditions: ColumnElement[bool]
) -> list[Unknown]:
    # A spelling of a known word that the database does not find is not among the expected ones.
    others = {*expected} - {*words.KNOWN[column.table.name, column.name]}
    unknown = [
        word
        for word in present(connection, column, *conditions)
        if not words.is_known(connection.dialect, column, word) and word.strip().casefold() not in others
    ]
    tests = {word: _is(column, word) for word in unknown}
    if column.table is download_tasks:
        tests[""] = or_(column.is_(None), *(_is(column, word) for word in unknown if not word))
    found = []
    for word, test in tests.items():
        rows = select(column.table.c.id).where(*conditions, test, deletion.not_deleted(column.table))
        if number := capped(connection, rows):
            example = connection.execute(rows.limit(1)).scalar_one()
            found.append(Unknown(f"{column.table.name}.{column.name}", word, number, example))
    return found


def _merged(found: list[Unknown]) -> list[Unknown]:
    """Return one entry for each column and status."""
    merged: dict[tuple[str, str], Unknown] = {}
    for one in found:
        before = merged.get((one.column, one.status))
        number = one.count + (before.count if before else 0)
        merged[one.column, one.status] = Unknown(one.column, one.status, number, (before or one).example)
    return list(merged.values())


def _is(column: Column[str], value: str) -> ColumnElement[bool]:
    return type_coerce(column, String) == value


def require_of_orders(connection: Connection, wanted: Collection[str]) -> None:
    """Refuse a status of orders that orderctl does not know and no row has: it is probably misspelt.

    Args:
        connection: A connection for reading.
        wanted: The statuses that a user gave.

    Raises:
        InvalidInput: There is such a status.
    """
    _require(connection, orders.c.order_status, wanted)


def require_of_tasks(connection: Connection, wanted: Collection[str]) -> None:
    """Refuse a status of tasks that orderctl does not know and no row has: it is probably misspelt.

    Args:
        connection: A connection for reading.
        wanted: The statuses that a user gave.

    Raises:
        InvalidInput: There is such a status.
    """
    _require(connection, download_tasks.c.status, wanted)


def _require(connection: Connection, column: Column[str], wanted: Collection[str]) -> None:
    known = words.KNOWN[column.table.name, column.name]
    for status in wanted:
        if status in known:
            continue
        if connection.execute(select(column).where(column == status).limit(1)).first() is None:
            dialect = connection.dialect
            others = [
                word for word in present(connection, column) if not words.is_known(dialect, column, word)
            ]
            raise InvalidInput(
                f"no row of {column.table.name} has the status {status!r}",
                hint=f"the statuses are {', '.join((*known, *filter(None, others)))}",
            )
