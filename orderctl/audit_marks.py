"""By what a log is known again: the times of some of its events.

When the log was emptied, when a backup was restored, or when the database is another one, ids stand for other events.
The highest mark that is still there as it was tells up to where the log is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select, type_coerce
from sqlalchemy.types import NullType

from orderctl.schema import order_audit_logs

_LOG: Final = order_audit_logs.c
#: The marks are this far below the newest one, so that little is shown again when only the newest events are gone.
_STEPS: Final = (0, *(8**power for power in range(8)))
#: The time as it stands in the row.
_WRITTEN: Final = type_coerce(_LOG.created_at, NullType()).label("written")
#: When the event ``:marked`` was written, for a larger query.
WRITTEN: Final = select(_WRITTEN).where(_LOG.id == bindparam("marked")).scalar_subquery().label("written")


class Mark(NamedTuple):
    """An event.

    Attributes:
        id: Its id.
        written: Its time, as it stands in the row.
    """

    id: int
    written: str


def below(connection: Connection, newest: int) -> tuple[Mark, ...]:
    """Return the marks of a log up to an event, lowest id first; an event without a time is none."""
    return _read(connection, (newest - step for step in _STEPS if newest > step))


def common(connection: Connection, marks: Sequence[Mark]) -> Mark | None:
    """Return the highest of some marks that is there as it was, None if none is."""
    there = set(_read(connection, (mark.id for mark in marks)))
    return max((mark for mark in marks if mark in there), default=None)


def differs(mark: Mark, written: Any) -> bool:
    """Whether the event of a mark is another one now; one that was deleted, or has no time, says nothing."""
    return written is not None and str(written) != mark.written


def _read(connection: Connection, ids: Iterable[int]) -> tuple[Mark, ...]:
    rows = connection.execute(select(_LOG.id, _WRITTEN).where(_LOG.id.in_(list(ids))).order_by(_LOG.id))
    return tuple(Mark(row.id, str(row.written)) for row in rows if row.written is not None)
