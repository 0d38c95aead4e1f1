"""Compiled statements, kept for as long as the database looks as it did when they were compiled.

To compile a statement costs more than to run it. SQLAlchemy keeps compiled statements for each engine, but those of
orderctl depend on more than the engine: on the spellings of words (``words``), on the columns of deleted rows
(``deletion``), on the zone of times (``moments``). So each engine has a cache for its present :mod:`orderctl.shape`, and
none for statements that run before a shape was read.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Dialect
from sqlalchemy.util import LRUCache

from orderctl import moments, shape, words

#: The number of statements that are kept for each engine.
_MOST: Final = 500
_OPTION: Final = "compiled_cache"


class Statements(LRUCache[Any, Any]):
    """Compiled statements, with what they depend on.

    Attributes:
        there: The shape as it was read last.
        basis: What of it, and of the settings, decides how a statement is compiled.
    """

    def __init__(self, there: shape.Shape, basis: object) -> None:
        super().__init__(_MOST)
        self.there = there
        self.basis = basis


def refresh(connection: Connection) -> shape.Shape:
    """Read the shape of the database if that has not been done for a while, and choose the statements that fit it.

    A transaction that began before goes on with the statements that it has.

    Args:
        connection: A connection that begins a transaction, or is for reading.
    """
    there = shape.refresh(connection, words.WANTED)
    kept = connection.get_execution_options().get(_OPTION)
    if not isinstance(kept, Statements) or kept.there is not there:
        connection.execution_options(**{_OPTION: _renewed(connection, there, kept)})
    return there


def _renewed(connection: Connection, there: shape.Shape, kept: object) -> Statements:
    basis = _basis(connection.dialect, there)
    if isinstance(kept, Statements) and kept.basis == basis:
        kept.there = there
        return kept
    made = Statements(there, basis)
    connection.engine.update_execution_options(**{_OPTION: made})
    return made


def _basis(dialect: Dialect, there: shape.Shape) -> object:
    return there.tables, words.all_spellings(dialect), moments.own_zone(dialect)
