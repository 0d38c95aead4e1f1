"""The payments that wait for an admin's decision: money came in and paid no order."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, literal, select, union_all

from orderctl.payments import ledger
from orderctl.payments.ledger import Filter, Payment
from orderctl.schema import payments
from orderctl.states import UNDECIDED
from orderctl.statuses import COUNT_LIMIT


def count(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, int]:
    """Count the payments that wait, by outcome.

    Args:
        connection: A connection to the database.
        conditions: Further conditions on the table.

    Returns:
        A number for each outcome; ``COUNT_LIMIT + 1`` means more than ``COUNT_LIMIT``.
    """
    parts = []
    for outcome in UNDECIDED:
        some = select(payments.c.id).where(payments.c.outcome == outcome.value, *conditions)
        few = some.limit(COUNT_LIMIT + 1).subquery()
        parts.append(
            select(literal(outcome.value).label("outcome"), func.count().label("number")).select_from(few)
        )
    return {row.outcome: row.number for row in connection.execute(union_all(*parts))}


def newest(connection: Connection, limit: int) -> Sequence[Payment]:
    """Return the newest payments that wait, newest first.

    Args:
        connection: A connection to the database.
        limit: Their highest number.
    """
    return ledger.page(connection, Filter(outcomes=UNDECIDED), limit=limit).payments


def shown(number: int) -> str:
    """Return a number of :func:`count` for people: ``3``, or ``10,000+`` where it was not counted to the end."""
    return f"{COUNT_LIMIT:,}+" if number > COUNT_LIMIT else f"{number:,}"
