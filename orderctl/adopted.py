"""Writing into tables that the shop's system made, and that may have columns of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, column, inspect
from sqlalchemy import table as bare_table

from orderctl.database import utc_now
from orderctl.errors import Conflict

#: Columns that Sequelize creates NOT NULL without a default, and fills itself.
_TIMESTAMPS = ("created_at", "updated_at", "createdAt", "updatedAt")


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
    unknown = [name for name in required if name not in values and name not in _TIMESTAMPS]
    if unknown:
        raise Conflict(
            f"table {target.name} requires a value for its column {unknown[0]}, which orderctl does not know",
            hint="add the order with the shop's own system, or give the column a default",
        )
    filled = {name: utc_now() for name in required if name not in values} | dict(values)
    # Columns of ours keep their types; of theirs we know only the names.
    columns = [column(name, target.c[name].type) if name in target.c else column(name) for name in filled]
    statement = bare_table(target.name, *columns).insert().values(filled)
    return int(connection.execute(statement).lastrowid)


def _required(connection: Connection, target: Table) -> list[str]:
    """Names of the columns, in the database, that an INSERT has to fill."""
    return [
        found["name"]
        for found in inspect(connection).get_columns(target.name)
        if not found["nullable"]
        and found.get("default") is None
        and not found.get("computed")
        and found["name"] != "id"
    ]


def storable(text: str) -> str:
    """The text without what UTF-8 cannot hold (lone surrogates)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def storable_json(value: Any) -> Any:
    """The value as JSON would return it, without what UTF-8 or strict JSON cannot hold."""
    return json.loads(storable(json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)))
