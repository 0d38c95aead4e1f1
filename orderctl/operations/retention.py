"""The tasks of operations that ended long ago are removed; the operations with their numbers stay."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, select

from orderctl import database
from orderctl.operations.records import State
from orderctl.schema import operation_tasks, operations

#: For how long the tasks of an operation are kept after its end, in days.
DAYS: Final = 90
#: Tasks that one transaction removes, and operations at which it looks.
SOME: Final = 1000
OPERATIONS: Final = 100
_ROW: Final = operations.c
_ITEM: Final = operation_tasks.c


def remove_some(connection: Connection, after: int) -> int | None:
    """Remove some tasks of operations that ended long ago.

    Args:
        connection: In a transaction of its own.
        after: What the last call has returned; 0: begin with the oldest operation.

    Returns:
        Behind which operation the next call goes on; None: nothing is left.
    """
    columns = (_ROW.id, _ROW.state, (_ROW.ended_at < database.utc_now(-DAYS * 86_400.0)).label("old"))
    query = select(*columns).where(_ROW.id > after).order_by(_ROW.id).limit(OPERATIONS)
    rows = connection.execute(query).all()
    for row in rows:
        if row.old and row.state in {State.FINISHED, State.STOPPED}:
            chosen = select(_ITEM.task_id).where(_ITEM.operation_id == row.id).limit(SOME)
            if ids := connection.execute(chosen).scalars().all():
                gone = delete(operation_tasks).where(_ITEM.operation_id == row.id, _ITEM.task_id.in_(ids))
                connection.execute(gone)
                return int(row.id) - 1
    return int(rows[-1].id) if len(rows) == OPERATIONS else None
