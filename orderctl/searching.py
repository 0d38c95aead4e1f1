"""Orders by a part of their code or e-mail address, at a cost that does not grow with the table.

What a code or an address begins with is found by its index. What it contains is looked for in the newest orders only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Select, Subquery, or_, select

from orderctl import prefixes
from orderctl.schema import orders

#: How many codes, and how many addresses, that begin with the part are looked at: the last ones.
BEGINNING: Final = 1_000
#: How many of the newest orders are looked at for the part anywhere.
NEWEST: Final = 10_000
#: Of these, how many are found.
_FOUND: Final = 1_000
#: No id is longer.
_ID_DIGITS: Final = 18

#: Types of stored times as SQLite sorts them; the last one is any other type.
_KINDS: Final[tuple[Any, ...]] = ((int, float), datetime, str, object)

_ORDER: Final = orders.c


def rows(
    connection: Connection, part: str, query: Select[Any], *, in_addresses: bool = True
) -> list[Row[Any]]:
    """Return the rows of the orders whose code or address begins with or contains a part, newest first.

    The order whose id is the part is among them.

    Args:
        connection: A connection for reading.
        part: The part, in any case.
        query: A SELECT of ``id`` and ``stored`` (the creation time as it stands in the row) with further conditions.
        in_addresses: Whether to look at the addresses at all.
    """
    found: dict[int, Row[Any]] = {}
    columns = (_ORDER.order_code, _ORDER.user_email) if in_addresses else (_ORDER.order_code,)
    for chosen in _chosen(connection, part, columns):
        found |= {row.id: row for row in connection.execute(query.join(chosen, chosen.c.id == _ORDER.id))}
    if part.isascii() and part.isdigit() and len(part) <= _ID_DIGITS:
        found |= {row.id: row for row in connection.execute(query.where(_ORDER.id == int(part)))}
    return sorted(found.values(), key=_age, reverse=True)


def is_complete(connection: Connection) -> bool:
    """Whether all orders are among the newest ones that a search looks at."""
    return connection.execute(select(_ORDER.id).order_by(_ORDER.id).limit(1).offset(NEWEST)).first() is None


def _chosen(connection: Connection, part: str, columns: Sequence[Column[Any]]) -> list[Subquery]:
    chosen = [_beginning(connection, column, text) for column in columns for text in prefixes.spellings(part)]
    # The limit stands inside: else a rare status would let the server read on to the end of the table.
    some = select(_ORDER.id, *columns).order_by(_ORDER.id.desc()).limit(NEWEST).subquery()
    contains = or_(*(prefixes.contains(some.c[column.name], part) for column in columns))
    return [*chosen, select(some.c.id).where(contains).limit(_FOUND).subquery()]


def _beginning(connection: Connection, column: Column[Any], text: str) -> Subquery:
    begins = prefixes.begins(connection, column, text)
    return select(_ORDER.id).where(begins).order_by(column.desc()).limit(BEGINNING).subquery()


def _age(row: Row[Any]) -> tuple[int, Any, int]:
    """Return the key by which the database sorts orders: their creation time as it is stored, and their id."""
    if row.stored is None or str(row.stored).startswith("0000-00-00"):
        return 0, 0, row.id
    return next(at for at, kind in enumerate(_KINDS, 1) if isinstance(row.stored, kind)), row.stored, row.id
