"""Write into tables that the shop's system made and that may have columns unknown to orderctl."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from sqlalchemy import Connection, CursorResult, Insert, Table, Update, column, select
from sqlalchemy import table as bare_table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from orderctl import database, database_errors, shape, words
from orderctl.errors import Conflict
from orderctl.moments import SharedDateTime, localised
from orderctl.schema import SEQUELIZE_TIMESTAMPS

#: Columns with text that only people read: a shortened text is better than none. Never a code, URL or link.
#: A previous status is what the shop wrote, which may be longer than the log's column.
_FOR_PEOPLE: Final = frozenset(
    {"title", "error_log", "message", "details", "previous_status", "worker", "actor"}
)
_BEYOND_BMP: Final = re.compile("[\U00010000-\U0010ffff]")  # "[^\u0000-\uffff]" takes 6 ms to compile
#: Lengths to which the texts in ``details`` are cut, tried one after the other.
_LENGTHS: Final = (16_000, 4_000, 1_000, 200, 50)


def insert(connection: Connection, target: Table, values: Mapping[str, Any]) -> int:
    """Insert a row and fill what the shop's own columns require.

    Args:
        connection: In a transaction.
        target: A table of ``orderctl.schema``.
        values: The values by column name.

    Returns:
        The new row's id.

    Raises:
        Conflict: The table requires a column that orderctl does not know, or it computes or does not number
            one that orderctl needs.
    """
    statement, filled = _filled(connection, target, values)
    return int(execute(connection, statement, filled).lastrowid)


def insert_all(connection: Connection, target: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows as :func:`insert` does, in few statements: all of them, or none.

    Args:
        connection: In a transaction.
        target: A table of ``orderctl.schema``.
        rows: At least one row: the values by column name, the same columns in each.

    Raises:
        Conflict: As :func:`insert`.
    """
    filled = [_filled(connection, target, row) for row in rows]
    execute_all(connection, filled[0][0], [values for _, values in filled])


def _filled(
    connection: Connection, target: Table, values: Mapping[str, Any]
) -> tuple[Insert, dict[str, Any]]:
    """Return the INSERT of a row, and the values with those that the shop's own columns require."""
    _refuse_unwritable(connection, target, values)
    required = _required(connection, target)
    unknown = [name for name in required if name.lower() not in values and name not in SEQUELIZE_TIMESTAMPS]
    if unknown:
        raise Conflict(
            f"table {target.name} requires a value for its column {unknown[0]}, which orderctl does not know",
            hint="add the order with the shop's own system, or give the column a default",
        )
    filled = {name: database.utc_now() for name in required if name.lower() not in values} | dict(values)
    # orderctl's columns have types; of the shop's further columns only the names are known.
    columns = [column(name, _type(target, name)) for name in filled]
    return bare_table(target.name, *columns).insert(), filled


def _type(target: Table, name: str) -> Any:
    if name in target.c:
        return target.c[name].type
    return SharedDateTime(target.name, name) if name in SEQUELIZE_TIMESTAMPS else NullType()


def _localised(statement: Insert | Update, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the database's clock in the zone of each column."""
    columns = statement.table.c
    return {name: localised(value, columns[name].type) for name, value in values.items()}


def _refuse_unwritable(connection: Connection, target: Table, values: Mapping[str, Any]) -> None:
    there = shape.refresh(connection, words.WANTED).columns(target.name)
    for name, column_ in there.items():
        if column_.generated and name in values:
            reason = f"column {column_.name} of table {target.name} is generated"
        elif name == "id" and not column_.numbered and name not in values:
            reason = (
                f"table {target.name} does not number its rows: column {column_.name} is not AUTO_INCREMENT"
            )
        else:
            continue
        raise Conflict(reason, hint="add the order with the shop's own system")


def _required(connection: Connection, target: Table) -> list[str]:
    """Return the columns of the table that an INSERT has to fill; none if the table does not exist."""
    there = shape.refresh(connection, words.WANTED).columns(target.name)
    return [column.name for column in there.values() if column.required]


def execute(
    connection: Connection, statement: Insert | Update, values: Mapping[str, Any]
) -> CursorResult[Any]:
    """Run an INSERT or UPDATE; if a column cannot hold a text for people, shorten or simplify the text.

    The shop's columns may be short, or have another character set. A task has to be able to end nevertheless.

    Args:
        connection: In a transaction.
        statement: A statement on a table of ``orderctl.schema``, without its values.
        values: The values by column name.
    """
    values = _localised(statement, values)
    try:
        return connection.execute(statement.values(values))
    except DBAPIError as error:
        # The server rolls back only the statement: the transaction continues.
        if not database_errors.is_unstorable(error):
            raise
    return connection.execute(statement.values(_fit(connection, str(statement.table), values)))


def execute_all(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run an INSERT of several rows: all of them are written, or none. Texts are not made to fit.

    The driver for MySQL and MariaDB writes many rows in one statement, but only where all values are parameters: so
    the database's clock is read before.

    Args:
        connection: In a transaction.
        statement: A statement on a table of ``orderctl.schema``, without its values.
        rows: At least one row: the values by column name, the same columns in each, and the same times by the clock.
    """
    now = connection.execute(select(database.utc_now())).scalar_one()
    times = {
        name: now + timedelta(seconds=value.offset)
        for name, value in rows[0].items()
        if isinstance(value, database.utc_now)
    }
    savepoint = connection.begin_nested()  # the rows may become several statements: the last may fail
    try:
        connection.execute(statement, [{**row, **times} for row in rows])
        savepoint.commit()
    except BaseException:
        # A deadlock has undone the whole transaction, so that the savepoint is gone: it is the error that matters.
        with contextlib.suppress(DBAPIError):
            savepoint.rollback()
        raise


def _fit(connection: Connection, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the texts for people made to fit their columns."""
    there = shape.refresh(connection, words.WANTED).columns(table)
    capacities = {name: _Capacity.of(column) for name, column in there.items() if column.charset}
    fitted = dict(values)
    for name in _FOR_PEOPLE & fitted.keys() & capacities.keys():
        fit = capacities[name].fit_json if name == "details" else capacities[name].fit
        fitted[name] = fit(fitted[name])
    return fitted


@dataclass(frozen=True, slots=True)
class _Capacity:
    """The capacity of a text column."""

    charset: str
    characters: int
    octets: int

    @classmethod
    def of(cls, column: shape.Column) -> Self:
        """Return the capacity of a column."""
        return cls(column.charset or "", column.characters or 0, column.octets or 0)

    def fit(self, value: str | None) -> str | None:
        """Shorten a text to the column's length, and replace characters that it cannot hold with "?"."""
        if value is None:
            return None
        if self.charset in {"utf8mb3", "utf8"}:
            value = _BEYOND_BMP.sub("?", value)
        encoded = value[: self.characters].encode(self._codec, "replace")[: self.octets]
        return encoded.decode(self._codec, "ignore")

    def fit_json(self, value: Any) -> Any:
        """Shorten the texts in a JSON value until it fits; the JSON itself is ASCII. None if nothing fits."""
        for longest in _LENGTHS:
            shortened = _shorten(value, longest)
            if len(json.dumps(shortened)) <= min(self.characters, self.octets):
                return shortened
        return None

    @property
    def _codec(self) -> str:
        if self.charset.startswith("utf8"):
            return "utf-8"
        try:
            # MySQL's latin1 is Windows-1252.
            return "cp1252" if self.charset == "latin1" else codecs.lookup(self.charset).name
        except LookupError:
            return "ascii"


def _shorten(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else value[:longest] + "..."
    if isinstance(value, dict):
        return {key: _shorten(inner, longest) for key, inner in value.items()}
    return [_shorten(inner, longest) for inner in value] if isinstance(value, list) else value


def storable(text: str) -> str:
    """Return the text without lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")


def storable_json(value: Any) -> Any:
    """Return the value as it is after a round trip through strict JSON in UTF-8."""
    return json.loads(storable(json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)))
