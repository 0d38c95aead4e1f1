"""Writing into tables that the shop's system made, and that may have columns of their own."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, CursorResult, Insert, Table, Update, column, text
from sqlalchemy import table as bare_table
from sqlalchemy.exc import DBAPIError

from orderctl import database
from orderctl.errors import Conflict
from orderctl.schema import SEQUELIZE_TIMESTAMPS

#: Columns whose text is read by people alone: better a part of it than nothing. Never a code, a URL, a link.
_FOR_PEOPLE: Final = frozenset({"title", "error_log", "message", "details"})
_BEYOND_BMP: Final = re.compile("[\U00010000-\U0010ffff]")  # "[^\u0000-\uffff]" takes 6 ms to compile
#: To how many letters the texts in details are cut, in turn.
_LENGTHS: Final = (16_000, 4_000, 1_000, 200, 50)


def insert(connection: Connection, target: Table, values: Mapping[str, Any]) -> int:
    """Insert a row and fill what the shop's own columns require.

    Args:
        connection: In a transaction.
        target: A table of ``orderctl.schema``.
        values: By column name.

    Returns:
        The new row's id.

    Raises:
        Conflict: When the table requires a column of which we know nothing.
    """
    required = _required(connection, target)
    unknown = [name for name in required if name not in values and name not in SEQUELIZE_TIMESTAMPS]
    if unknown:
        raise Conflict(
            f"table {target.name} requires a value for its column {unknown[0]}, which orderctl does not know",
            hint="add the order with the shop's own system, or give the column a default",
        )
    filled = {name: database.utc_now() for name in required if name not in values} | dict(values)
    # Columns of ours keep their types; of theirs we know only the names.
    columns = [column(name, target.c[name].type) if name in target.c else column(name) for name in filled]
    return int(execute(connection, bare_table(target.name, *columns).insert(), filled).lastrowid)


#: Columns that an INSERT has to fill, by kind of database. SQLAlchemy's inspector would warn of types that
#: it does not know.
_REQUIRED: Final = {
    "sqlite": 'SELECT name FROM pragma_table_info(:name) WHERE "notnull" AND dflt_value IS NULL AND NOT pk',
    "mysql": "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = :name AND is_nullable = 'NO' AND column_default IS NULL"
    " AND extra NOT REGEXP 'auto_increment|GENERATED' ORDER BY ordinal_position",
}


def _required(connection: Connection, target: Table) -> list[str]:
    """Names of the columns, in the database, that an INSERT has to fill; none where there is no table."""
    query = text(_REQUIRED["sqlite" if database.is_sqlite(connection) else "mysql"])
    return list(connection.execute(query, {"name": target.name}).scalars())


def execute(
    connection: Connection, statement: Insert | Update, values: Mapping[str, Any]
) -> CursorResult[Any]:
    """Run an INSERT or UPDATE; a text for people that its column cannot hold is stored as far as it can.

    The shop's columns may be of another character set, and short. That must not keep a task from ending.

    Args:
        connection: In a transaction.
        statement: On a table of ``orderctl.schema``, without its values.
        values: By column name.
    """
    try:
        return connection.execute(statement.values(values))
    except DBAPIError as error:
        # Only the statement is rolled back: the transaction goes on.
        if not database.is_unstorable(error):
            raise
    return connection.execute(statement.values(_fit(connection, str(statement.table), values)))


def _fit(connection: Connection, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with texts for people made to fit their columns."""
    query = text(
        "SELECT column_name, character_set_name, character_maximum_length, character_octet_length"
        " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = :table"
    )
    rooms = {row[0]: _Room(*row[1:]) for row in connection.execute(query, {"table": table}) if row[1]}
    fitted = dict(values)
    for name in _FOR_PEOPLE & fitted.keys() & rooms.keys():
        fit = rooms[name].fit_json if name == "details" else rooms[name].fit
        fitted[name] = fit(fitted[name])
    return fitted


@dataclass(frozen=True, slots=True)
class _Room:
    """What a column of text can hold."""

    charset: str
    characters: int
    octets: int

    def fit(self, value: str | None) -> str | None:
        """As much of a text as there is room for; question marks for letters that are unknown here."""
        if value is None:
            return None
        if self.charset in {"utf8mb3", "utf8"}:
            value = _BEYOND_BMP.sub("?", value)
        encoded = value[: self.characters].encode(self._codec, "replace")[: self.octets]
        return encoded.decode(self._codec, "ignore")

    def fit_json(self, value: Any) -> Any:
        """The value with its texts shortened until there is room; JSON itself is ASCII."""
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
            # MySQL's latin1 is Windows'.
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
    """The text without what UTF-8 cannot hold (lone surrogates)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def storable_json(value: Any) -> Any:
    """The value as JSON would return it, without what UTF-8 or strict JSON cannot hold."""
    return json.loads(storable(json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)))
