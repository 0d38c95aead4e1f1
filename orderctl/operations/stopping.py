"""An operation is stopped: what is done stays, and nothing more is changed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, and_, case, update

from orderctl import audit, database, shop_tables, texts
from orderctl.errors import Conflict
from orderctl.operations import reading
from orderctl.operations.records import CHANGING, Kind, Operation, State
from orderctl.schema import operations

_ROW = operations.c
_LONGEST_REASON = 1000


def stop(connection: Connection, name: str, *, actor: str, reason: str | None = None) -> Operation:
    """Stop an operation by hand.

    Args:
        connection: In a transaction.
        name: Its name.
        actor: Who stops it.
        reason: Why.

    Returns:
        The operation as it is now.

    Raises:
        OperationNotFound: There is none of this name.
        Conflict: All its tasks were changed, or it was stopped.
    """
    found = reading.find(connection, name)
    # One that is being made is given up by the process that makes it.
    states = (State.PREPARING, *CHANGING)
    stopped = end(connection, found.id, reason or "by hand", stopped_by=actor, states=states)
    now = reading.read(connection, found.id) or found
    if not stopped:
        raise Conflict(
            f"operation {name} is {now.state}: nothing is left to stop",
            hint=f"orderctl ops show {texts.arguments(name)}",
        )
    return now


def end(
    connection: Connection,
    operation_id: int,
    why: str,
    *,
    stopped_by: str | None = None,
    states: Collection[State] = CHANGING,
) -> bool:
    """Stop an operation, if it is in one of these states.

    Args:
        connection: In a transaction.
        operation_id: The operation.
        why: The reason, for people.
        stopped_by: Who stops it; None: orderctl itself.
        states: The states.

    Returns:
        Whether it was stopped now.
    """
    unfinished = _ROW.changed - _ROW.completed - _ROW.failed - _ROW.cancelled > 0
    state = case((and_(_ROW.kind == Kind.RETRY, unfinished), State.STOPPING.value), else_=State.STOPPED.value)
    values = {
        "why": shop_tables.storable(why)[:_LONGEST_REASON],
        "stopped_by": audit.named(stopped_by),
        "ended_at": database.utc_now(),
        "looked_to": None,
        "state": state,
    }
    chosen = update(operations).where(_ROW.id == operation_id, _ROW.state.in_(states))
    return connection.execute(chosen.values(values)).rowcount == 1
