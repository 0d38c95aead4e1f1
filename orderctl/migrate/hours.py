"""Count the events of an audit log that there was before its hours were counted.

The log may have millions of rows, and the shop writes into it: the events are counted by ranges of their ids, in short
transactions. A migration that was killed goes on where it was. Nothing is missing without it, only slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from orderctl import audit_counting, audit_hours, clock, database_errors, primary
from orderctl.counting import counted
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Plan
from orderctl.schema import audit_counts

_WHAT: Final = "counts of the audit log's events"
_NEEDS: Final = (
    ("SELECT", "order_audit_logs"),
    *(
        (right, f"orderctl_audit_{name}")
        for name in ("hours", "counts")
        for right in ("SELECT", "INSERT", "UPDATE")
    ),
)
_TELL_SECONDS: Final = 5.0
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.1


def require(plan: Plan) -> None:
    """Require that the events are counted: after all other steps, and again with each migration.

    Args:
        plan: The plan, in which the tables are required already.
    """
    plan.again.append(Step((_WHAT,), (), _NEEDS, optional=True, work=fill))


def fill(connection: Connection, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Count the events that are not counted yet.

    Args:
        connection: A connection to the database. What it has written is committed, but not on SQLite, where the whole
            migration is one transaction.
        tell: Called with the progress, from time to time.

    Returns:
        What was added, as text; nothing if some events were counted before.
    """
    is_new = connection.execute(select(audit_counts.c.counted_to)).scalar() is None
    total, told = 0, clock.elapsed()
    while some := _advance(connection):
        total += some
        if clock.elapsed() - told >= _TELL_SECONDS:
            told = clock.elapsed()
            tell(f"{_WHAT}, {total:,} so far")
        if not audit_counting.is_behind(connection, audit_hours.NEWEST):
            break
    return (f"counts of {counted(total, 'event')}",) if is_new and total else ()


def _advance(connection: Connection) -> int:
    """Count a range in one transaction; run it again where another client was in the way."""
    on_sqlite = connection.dialect.name == "sqlite"
    for attempt in range(_TRIES):
        primary.require_still(connection)  # a long log takes minutes
        try:
            number = audit_hours.advance(connection, most=audit_hours.BATCH)
        except DBAPIError as error:
            if attempt == _TRIES - 1 or on_sqlite or not database_errors.is_worth_rerunning(error):
                raise
            connection.rollback()
            time.sleep(_PAUSE_SECONDS)
        else:
            if not on_sqlite:
                connection.commit()
            return number
    raise AssertionError("unreachable")
