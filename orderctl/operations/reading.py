"""Operations and their tasks, as people see them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from orderctl import database, masking
from orderctl.choices import Seen
from orderctl.errors import InvalidInput
from orderctl.operations.records import CHANGING, Item, ItemState, Operation, State, missing
from orderctl.schema import operation_tasks, operations

#: Of so many failures it is counted of which types they are; the same for what was refused.
MOST_FAILURES: Final = 10_000
#: Among so many of the newest operations, those that are not finished are looked for.
_NEWEST: Final = 1000
#: So many operations are counted, the newest.
MOST_COUNTED: Final = 1000
_DAY_SECONDS: Final = 86_400
_ROW: Final = operations.c
_ITEM: Final = operation_tasks.c
_NOW: Final = database.utc_now()
#: The states of tasks whose turn has come, as ``ops show`` looks at them.
_DONE: Final = tuple(state for state in ItemState if state is not ItemState.WAITING)
#: Those that need somebody: they come first.
_BAD: Final = (ItemState.REFUSED, ItemState.FAILED)


class Failures(NamedTuple):
    """How many tasks have failed again for one reason."""

    error_type: str
    tasks: int


class Refusals(NamedTuple):
    """How many tasks could not be changed for one reason."""

    note: str
    tasks: int


class Activity(NamedTuple):
    """How many operations there are, among the newest.

    Attributes:
        running: Those that change tasks.
        settling: Those that have changed all tasks, of which some have not ended.
        stopped: Those that were stopped in the last day.
    """

    running: int
    settling: int
    stopped: int


class Page(NamedTuple):
    """A page of operations, newest first; ``cursor`` leads to the next page, None at the end."""

    operations: list[Operation]
    cursor: str | None


def find(connection: Connection, name: str) -> Operation:
    """Return the operation with this name.

    Raises:
        OperationNotFound: There is none.
    """
    row = connection.execute(_rows().where(_ROW.name == name)).mappings().first()
    if row is None or row["name"] != name:
        raise missing(name)
    return Operation.of(row)


def read(connection: Connection, operation_id: int) -> Operation | None:
    """Return an operation by its id; None if there is none (any more)."""
    row = connection.execute(_rows().where(_ROW.id == operation_id)).mappings().first()
    return None if row is None else Operation.of(row)


def activity(connection: Connection) -> Activity:
    """Return how many operations run, settle, and were stopped in the last day, among the newest."""
    lately = _ROW.ended_at >= database.utc_now(-_DAY_SECONDS)
    newest = select(_ROW.state, case((lately, 1), else_=0).label("lately")).order_by(_ROW.id.desc())
    some = newest.limit(MOST_COUNTED).subquery()
    query = select(some.c.state, some.c.lately, func.count().label("number"))
    found = connection.execute(query.group_by(some.c.state, some.c.lately)).all()

    def number(*states: State, only_lately: bool = False) -> int:
        return sum(row.number for row in found if row.state in states and (row.lately or not only_lately))

    stopped = number(State.STOPPING, State.STOPPED, only_lately=True)
    return Activity(number(*CHANGING), number(State.SETTLING), stopped)


def page(
    connection: Connection, states: Collection[str] | None, *, limit: int, after: str | None = None
) -> Page:
    """Return operations, newest first.

    Args:
        connection: A connection for reading.
        states: Only those in one of these states; None: any.
        limit: The maximum number.
        after: The cursor of the previous page.

    Raises:
        InvalidInput: ``after`` is not a valid cursor.
    """
    query = _rows().order_by(_ROW.id.desc()).limit(limit + 1)
    if states is not None:
        query = query.where(_ROW.state.in_(states))
    if after is not None:
        query = query.where(_ROW.id < _id(after))
    found = [Operation.of(row) for row in connection.execute(query).mappings()]
    return Page(found[:limit], str(found[limit - 1].id) if len(found) > limit else None)


def unfinished(connection: Connection, kind: str) -> dict[int, str]:
    """Return the names, by id, of operations of a kind that change tasks, among the newest ones.

    One that is being made is none of them: the process that makes it may have died. Where it has not, each task is still
    changed once.
    """
    newest = select(_ROW.id).order_by(_ROW.id.desc()).limit(_NEWEST).subquery()
    query = select(_ROW.id, _ROW.name).join(newest, newest.c.id == _ROW.id)
    rows = connection.execute(query.where(_ROW.kind == kind, _ROW.state.in_(CHANGING)).order_by(_ROW.id))
    return {row.id: row.name for row in rows}


def waiting_in(
    connection: Connection, operation_ids: Collection[int], chosen: Mapping[int, Seen]
) -> dict[int, int]:
    """Return which of some tasks wait in an operation in their present states, with the operation.

    Args:
        connection: A connection for reading.
        operation_ids: The operations.
        chosen: At most a thousand tasks.
    """
    found: dict[int, int] = {}
    for operation_id in operation_ids:
        query = select(_ITEM.task_id, _ITEM.seen_status, _ITEM.seen_attempt).where(
            _ITEM.operation_id == operation_id,
            _ITEM.task_id.between(min(chosen), max(chosen)),  # MariaDB reads all of an operation for IN
            _ITEM.state == ItemState.WAITING,
        )
        for row in connection.execute(query):
            seen = chosen.get(row.task_id)
            if seen is not None and (row.seen_status, row.seen_attempt) == (seen.status[:64], seen.attempt):
                found.setdefault(row.task_id, operation_id)
    return found


def _id(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):  # noqa: PLR2004 - digits of a BIGINT
        raise InvalidInput("the cursor is not valid", hint="use the one that the previous page printed")
    return int(cursor)


def _rows() -> Select[Any]:
    return select(operations, _NOW.label("now"))


def last_items(connection: Connection, operation_id: int, *, limit: int = 10) -> list[Item]:
    """Return the tasks whose turn has come, newest first; before all others those that failed again or were refused.

    Args:
        connection: A connection for reading.
        operation_id: The operation.
        limit: The maximum number.
    """
    found: list[Item] = []
    for state in _DONE:  # each in the order of the index
        query = select(*_columns()).where(_ITEM.operation_id == operation_id, _ITEM.state == state)
        rows = connection.execute(query.order_by(_ITEM.task_id.desc()).limit(limit)).mappings()
        found += [
            Item(**{**row, "note": masking.foreign(row["note"]) if row["note"] else None}) for row in rows
        ]
    return sorted(found, key=lambda item: (item.state in _BAD, item.task_id), reverse=True)[:limit]


def _columns() -> list[Any]:
    return [_ITEM[name] for name in Item.__slots__]


def failures(connection: Connection, operation_id: int) -> list[Failures]:
    """Return of which types the tasks' new failures are, the most frequent first."""
    some = (
        select(_ITEM.note)
        .where(_ITEM.operation_id == operation_id, _ITEM.state == ItemState.FAILED)
        .limit(MOST_FAILURES)
        .subquery()
    )
    counted = select(some.c.note, func.count().label("tasks")).group_by(some.c.note)
    found = [Failures(row.note or "UNKNOWN", row.tasks) for row in connection.execute(counted)]
    return sorted(found, key=lambda one: (-one.tasks, one.error_type))


def refusals(connection: Connection, operation_id: int) -> list[Refusals]:
    """Return why tasks could not be changed, the most frequent reason first."""
    some = (
        select(_ITEM.task_id, _ITEM.note)
        .where(_ITEM.operation_id == operation_id, _ITEM.state == ItemState.REFUSED)
        .limit(MOST_FAILURES)
    )
    counted = Counter(_alike(row.task_id, row.note) for row in connection.execute(some))
    found = [Refusals(note, tasks) for note, tasks in counted.items()]
    return sorted(found, key=lambda one: (-one.tasks, one.note))


def _alike(task_id: int, note: str | None) -> str:
    """Return a note that is the same for all tasks with this fault: it names neither task, order nor worker."""
    text = re.sub(rf"\btask {task_id}\b", "the task", masking.foreign(note or "unknown"))
    text = re.sub(r"^order .+? (is|has) ", r"the order \1 ", text)
    return re.sub(r" on worker \S+$", " on a worker", text)
