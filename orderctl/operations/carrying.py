"""Change the tasks of an operation that are due, each in the transaction that marks it as changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from orderctl import database, faultpoints, masking, shop_tables, tasks
from orderctl.choices import Seen
from orderctl.errors import LeaseLost, OrderctlError, Superseded
from orderctl.lifecycle import Moved
from orderctl.operations import obstacles, rates, reading
from orderctl.operations.obstacles import Place
from orderctl.operations.records import (
    CHANGING,
    LEASE_SECONDS,
    Item,
    ItemState,
    Kind,
    Operation,
    State,
)
from orderctl.schema import operation_tasks, operations

#: Tasks in one transaction: their orders are locked until it ends.
BATCH: Final = 20
#: A fast pace is kept in steps of this time: a transaction for each task would cost more.
EVEN_SECONDS: Final = 0.1
_LONGEST_NOTE: Final = 500
_ROW: Final = operations.c
_ITEM: Final = operation_tasks.c


@dataclass(frozen=True, slots=True)
class Held:
    """An operation that this process has leased."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What was done in one transaction.

    Attributes:
        moved: The changes, for the messages and for the workers.
        rest: Seconds until the next task is due; None: nothing can be changed for the present.
        name: The operation's name.
    """

    moved: Sequence[Moved]
    rest: float | None
    name: str


def carry(
    connection: Connection, held: Held, *, without: Collection[int] = (), place: Place | None = None
) -> Carried:
    """Change the tasks that are due, and mark them.

    Args:
        connection: In a transaction of its own.
        held: The operation.
        without: Tasks that are passed over for the present.
        place: Tells, when this has failed, about which task the error is.

    Raises:
        LeaseLost: Another process has leased it, or it was stopped.
    """
    place = place or Place()
    place.task_id = None
    _fence(connection, held)
    operation = reading.read(connection, held.id)
    if operation is None:
        raise _lost()
    number = _due(operation)
    items, all_seen = _waiting(connection, operation, number, without)
    moved, states = [], Counter[str]()
    alike: dict[tuple[ItemState, str | None], list[int]] = defaultdict(list)
    for item in items:
        place.task_id = item.task_id
        state, note, done = _change(connection, operation, item)
        alike[state, note].append(item.task_id)
        states[state] += 1
        moved += [done] if done is not None else []
    place.task_id = None
    for (state, note), ids in alike.items():
        _mark(connection, operation, ids, state, note)
    if items:
        faultpoints.point("operation.changed")
    next_at = _note(connection, operation, states, last=all_seen and len(items) < number)
    rest = None if len(items) < number else _rest(operation, next_at, states)
    return Carried(moved, rest, operation.name)


def _fence(connection: Connection, held: Held) -> None:
    """Lock the operation's row, so that it is neither stopped nor taken over before the commit."""
    mine = (_ROW.id == held.id, _ROW.lease_token == held.token, _ROW.state.in_(CHANGING))
    renewed = update(operations).where(*mine).values(lease_until=database.utc_now(LEASE_SECONDS))
    if not connection.execute(renewed).rowcount:
        raise _lost()


def _lost() -> LeaseLost:
    return LeaseLost("another process carries the operation out, or it was stopped")


def _due(operation: Operation) -> int:
    """Return how many tasks may be changed now, as far as the canary and the pace allow it."""
    most = BATCH
    if operation.state == State.CANARY:
        most = min(most, operation.canary - operation.changed)
    if operation.per_hour is not None:
        most = min(most, rates.due(operation.next_at, operation.now, operation.per_hour))
    return max(0, most)


def _waiting(
    connection: Connection, operation: Operation, number: int, without: Collection[int]
) -> tuple[list[Item], bool]:
    """Return the next tasks, oldest first, and whether none but these wait."""
    if not number:
        return [], False
    names = [_ITEM[name] for name in Item.__slots__]
    query = select(*names).where(_ITEM.operation_id == operation.id, _ITEM.state == ItemState.WAITING)
    limit = number + len(without)
    rows = connection.execute(query.order_by(_ITEM.task_id).limit(limit)).mappings().all()
    items = [Item(**row) for row in rows if row["task_id"] not in without][:number]
    return items, len(items) == len(rows)


def _change(
    connection: Connection, operation: Operation, item: Item
) -> tuple[ItemState, str | None, Moved | None]:
    try:
        done = _carry_out(connection, operation, item)
    except Superseded as error:
        return ItemState.UNCHANGED, str(error), None
    except OrderctlError as error:  # raised before anything of the task was written
        if not obstacles.is_of_task(error):
            raise
        return ItemState.REFUSED, str(error), None
    if done.note is not None:
        return ItemState.UNCHANGED, done.note, None
    return ItemState.CHANGED, None, done


def _carry_out(connection: Connection, operation: Operation, item: Item) -> Moved:
    seen = Seen(item.seen_status, item.seen_attempt)
    told = {
        "actor": operation.actor,
        "reason": operation.reason,
        "source": operation.source,
        "seen": seen,
        "operation": operation.name,
    }
    if operation.kind == Kind.CANCEL:
        return tasks.cancel(connection, item.task_id, **told)  # type: ignore[arg-type]
    return tasks.retry(
        connection,
        item.task_id,
        max_attempts=operation.max_attempts,
        take=operation.take,
        **told,  # type: ignore[arg-type]
    )


def refuse(connection: Connection, held: Held, task_id: int, error: OrderctlError) -> None:
    """Mark a task as one that cannot be changed: the database refuses it.

    Args:
        connection: In a transaction of its own, after that of :func:`carry` has failed.
        held: The operation.
        task_id: The task.
        error: Why.
    """
    _fence(connection, held)
    operation = reading.read(connection, held.id)
    if operation is not None and _mark(connection, operation, [task_id], ItemState.REFUSED, str(error)):
        _note(connection, operation, Counter([ItemState.REFUSED]))


def _mark(
    connection: Connection, operation: Operation, ids: Sequence[int], state: ItemState, note: str | None
) -> int:
    storable = None if note is None else shop_tables.storable(masking.foreign(note))[:_LONGEST_NOTE]
    row = update(operation_tasks).where(
        _ITEM.operation_id == operation.id, _ITEM.task_id.in_(ids), _ITEM.state == ItemState.WAITING
    )
    done = connection.execute(row.values(state=state.value, note=storable, changed_at=database.utc_now()))
    return done.rowcount


def _note(
    connection: Connection, operation: Operation, states: Counter[str], *, last: bool = False
) -> datetime | None:
    """Note in the operation's row what was done, when the next task is due, and that none waits any more."""
    next_at, number = operation.next_at, states.total()
    values: dict[str, object] = {
        state.value: _ROW[state.value] + states[state]
        for state in (ItemState.CHANGED, ItemState.UNCHANGED, ItemState.REFUSED)
        if states[state]
    }
    if operation.started_at is None:
        values["started_at"] = database.utc_now()
    if number and operation.per_hour is not None:
        next_at = rates.after(next_at, operation.now, operation.per_hour, number)
        values["next_at"] = next_at
    if last and not _is_canary_open(operation, states):
        values |= _last(operation)
    if values:
        connection.execute(update(operations).where(_ROW.id == operation.id).values(values))
    return next_at


def _is_canary_open(operation: Operation, states: Counter[str]) -> bool:
    """Whether tasks of the canary have not ended: until then it is judged, also if there are fewer than it has."""
    return operation.state == State.CANARY and bool(operation.unfinished or states[ItemState.CHANGED])


def _last(operation: Operation) -> dict[str, object]:
    """Return what is written when no task waits any more."""
    if operation.kind == Kind.CANCEL:
        return {"state": State.FINISHED.value, "ended_at": database.utc_now()}
    return {"state": State.SETTLING.value, "looked_to": None}


def _rest(operation: Operation, next_at: datetime | None, states: Counter[str]) -> float | None:
    if operation.state == State.CANARY and operation.changed + states[ItemState.CHANGED] >= operation.canary:
        return None
    if operation.per_hour is None or next_at is None:
        return 0.0
    rest = (next_at - operation.now).total_seconds()
    return max(rest, EVEN_SECONDS) if rest > 0 else 0.0
