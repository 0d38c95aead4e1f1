"""The base of SQLAlchemy types for columns into which other programs write, too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Dialect, TypeDecorator

T = TypeVar("T")


class ForeignType(TypeDecorator[T]):
    """A type whose values other programs write, too.

    ``process_result_value`` gets what the driver returns. SQLAlchemy's own conversion would come first, and
    fails for values that are not of the column's type.
    """

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Return the function that converts a value of the driver."""
        return partial(self.process_result_value, dialect=dialect)
