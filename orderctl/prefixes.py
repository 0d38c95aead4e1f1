"""Texts that begin alike, found by an index of their column."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, String, and_, false, func, or_, type_coerce

from orderctl import shape

#: Behind every text that a user can type.
_LAST: Final = "\U0010ffff"
_ESCAPE: Final = "!"


def spellings(text: str) -> list[str]:
    """Return a text as it is given, and in the cases in which a shop may have written it."""
    return list(dict.fromkeys((text, text.upper(), text.lower())))


def begins(connection: Connection, column: Column[Any], text: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with a text, in the form that an index of the column answers.

    It holds for no row where the whole table would have to be read for it.

    Args:
        connection: A connection to the database.
        column: The column; an index begins with it.
        text: The text, of one character or more.
    """
    bare = type_coerce(column, String)
    if connection.dialect.name == "sqlite":  # its LIKE ignores case, and so uses no index
        return and_(bare >= text, bare < text + _LAST)
    there = shape.of(connection.dialect).column(column.table.name, column.name)
    charset = there.charset if there is not None else None
    if charset is None or not (text.isascii() or charset.startswith("utf8")):
        return false()  # the server would convert each row
    return bare.like(_escaped(text) + "%", escape=_ESCAPE)


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Return the condition that a text stands in a column, in any case of letters. No index answers it.

    The database lowers both: Python lowers some letters in another way, and a text would not find itself. So do two
    collations (MySQL and the capital sharp s): the text as it is given counts, too.
    """
    pattern = f"%{_escaped(text)}%"
    lowered = func.lower(column).like(func.lower(pattern), escape=_ESCAPE)
    return or_(lowered, column.like(pattern, escape=_ESCAPE))


def _escaped(text: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text
