"""What has become of the tasks that an operation has retried: its canary passes, or it is stopped, or it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from orderctl import database, deletion
from orderctl.operations import reading, stopping
from orderctl.operations.carrying import Held
from orderctl.operations.records import (
    CHANGING,
    LEASE_SECONDS,
    ItemState,
    Kind,
    Operation,
    State,
)
from orderctl.schema import download_tasks, operation_tasks, operations
from orderctl.states import UNFINISHED, TaskStatus

#: Tasks at which is looked at once.
SOME: Final = 2000
_ROW: Final = operations.c
_ITEM: Final = operation_tasks.c
_LONGEST_NOTE: Final = 64


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen.

    Attributes:
        ended: How many tasks had ended.
        more: Whether there are tasks at which is not looked yet.
        stopped: Why the operation was stopped.
        passed: Whether its canary has passed just now.
        name: The operation's name, if it was stopped.
    """

    ended: int = 0
    more: bool = False
    stopped: str | None = None
    passed: bool = False
    name: str = ""


def look(connection: Connection, held: Held) -> Looked:
    """Look at some of the tasks that were retried, note which have ended, and draw the conclusions.

    Args:
        connection: In a transaction of its own.
        held: The operation.
    """
    states = (*CHANGING, State.SETTLING, State.STOPPING)
    mine = (_ROW.id == held.id, _ROW.lease_token == held.token, _ROW.state.in_(states))
    renewed = update(operations).where(*mine).values(lease_until=database.utc_now(LEASE_SECONDS))
    if not connection.execute(renewed).rowcount:
        return Looked()
    operation = reading.read(connection, held.id)
    if operation is None or operation.kind != Kind.RETRY:
        return Looked()
    rows = _retried(connection, operation)
    tally: Counter[str] = Counter()
    for row in rows:
        if (ended := _ended(row)) is not None:
            state, note = ended
            _mark(connection, operation, row.item, state, note)
            tally[state] += 1
    more = len(rows) == SOME
    values: dict[str, Any] = {state: _ROW[state] + number for state, number in tally.items()}
    looked_to = rows[-1].item if more else None
    if looked_to != operation.looked_to:
        values["looked_to"] = looked_to
    if values:
        connection.execute(update(operations).where(_ROW.id == operation.id).values(values))
    now = reading.read(connection, held.id) or operation
    return _conclude(connection, now, sum(tally.values()), more=more)


def _retried(connection: Connection, operation: Operation) -> list[Row[Any]]:
    """Return tasks that were retried and had not ended when they were last looked at."""
    task = download_tasks.c
    query = select(_ITEM.task_id.label("item"), task.id, task.status, task.error_type)
    deleted = deletion.not_deleted(download_tasks)
    joined = query.outerjoin(download_tasks, (task.id == _ITEM.task_id) & deleted)
    chosen = joined.where(_ITEM.operation_id == operation.id, _ITEM.state == ItemState.CHANGED)
    if operation.looked_to is not None:
        chosen = chosen.where(_ITEM.task_id > operation.looked_to)
    return list(connection.execute(chosen.order_by(_ITEM.task_id).limit(SOME)))


def _ended(row: Row[Any]) -> tuple[ItemState, str | None] | None:
    """Return how a task has ended; None if it has not."""
    if row.id is None:
        return ItemState.CANCELLED, "deleted"
    if row.status in UNFINISHED:
        return None
    if row.status == TaskStatus.COMPLETED:
        return ItemState.COMPLETED, None
    if row.status == TaskStatus.FAILED:  # since its retry, which made it wait
        return ItemState.FAILED, (row.error_type or "UNKNOWN")[:_LONGEST_NOTE]
    return ItemState.CANCELLED, None if row.status == TaskStatus.CANCELLED else str(row.status)[
        :_LONGEST_NOTE
    ]


def _mark(
    connection: Connection, operation: Operation, task_id: int, state: ItemState, note: str | None
) -> None:
    row = update(operation_tasks).where(_ITEM.operation_id == operation.id, _ITEM.task_id == task_id)
    connection.execute(row.values(state=state.value, note=note))


def _conclude(connection: Connection, operation: Operation, ended: int, *, more: bool) -> Looked:
    if operation.state in CHANGING and (why := too_bad(operation)) is not None:
        stopping.end(connection, operation.id, why)
        return Looked(ended, more, stopped=why, name=operation.name)
    if operation.unfinished or more:
        return Looked(ended, more)
    if operation.state == State.CANARY and operation.changed >= operation.canaries:
        _become(connection, operation, State.RUNNING)
        return Looked(ended, more, passed=True)
    if operation.state == State.SETTLING:
        _become(connection, operation, State.FINISHED, ended_at=database.utc_now())
    if operation.state == State.STOPPING:
        _become(connection, operation, State.STOPPED)
    return Looked(ended, more)


def too_bad(operation: Operation) -> str | None:
    """Return why an operation has to be stopped, by what has become of its tasks; None: it goes on."""
    allowed = operation.allowed
    of_canary = operation.state == State.CANARY
    which = "the canary's tasks" if of_canary else "its tasks"
    if allowed is not None and operation.failed > allowed:
        return f"{operation.failed} of {which} failed again, and {allowed or 'none'} may"
    if of_canary and operation.cancelled:
        return f"{operation.cancelled} of {which} did not pass: cancelled or deleted"
    return None


def _become(connection: Connection, operation: Operation, state: State, **values: Any) -> None:
    chosen = update(operations).where(_ROW.id == operation.id, _ROW.state == operation.state)
    connection.execute(chosen.values(state=state.value, **values))
