"""Make an operation: its tasks are written in several transactions, and it becomes ready when all of them stand there."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from orderctl import audit, choices, database, database_errors, faultpoints, shop_tables, texts
from orderctl.errors import Conflict, InvalidInput, OrderctlError
from orderctl.operations import reading
from orderctl.operations.rates import Rate
from orderctl.operations.records import (
    MAKING_SECONDS,
    ItemState,
    Kind,
    NameTaken,
    Operation,
    OperationNotFound,
    State,
)
from orderctl.schema import operation_tasks, operations
from orderctl.states import Source

_VALID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
#: Tasks in one transaction.
CHUNK: Final = 1000
_TRIES: Final = 20
_ROW: Final = operations.c

Chosen = tuple[int, choices.Seen]


@dataclass(frozen=True, slots=True)
class NewOperation:
    """An operation that is to be made.

    Attributes:
        kind: What it does.
        actor: Who makes it: its events tell so.
        name: Its name; None: it gets one, such as ``retry-20260131-1``.
        selection: What was selected, for people.
        reason: Why, for the audit log.
        source: The part of orderctl that received the request.
        take: Whether tasks of the shop's own workers are retried, too.
        max_attempts: How many further attempts a task gets.
        rate: The pace; None: as fast as possible.
        canary: How many tasks have to pass first; 0: none.
        max_failures: How many tasks may fail again after the canary; None: any number.
    """

    kind: Kind
    actor: str
    name: str | None = None
    selection: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    source: Source = Source.CLI
    take: bool = False
    max_attempts: int = 0
    rate: Rate | None = None
    canary: int = 0
    max_failures: int | None = None


def check_name(name: str) -> str:
    """Return a name that an operation may have.

    Raises:
        InvalidInput: It is not valid.
    """
    if not _VALID.fullmatch(name):
        raise InvalidInput(
            f"{texts.shown(name)} is not a valid name: 1 to 64 ASCII letters, digits, '.', '_' and '-',"
            " a letter or a digit in front"
        )
    return name


def make(engine: Engine, new: NewOperation, chosen: Iterable[Chosen]) -> Operation | None:
    """Make an operation. Nothing of it is carried out before all its tasks are written.

    Args:
        engine: The database.
        new: The operation.
        chosen: The tasks with their states, each once. They are read while they are written.

    Returns:
        The operation; None if there are no tasks, and so no operation.

    Raises:
        NameTaken: Another operation has its name.
    """
    token = str(uuid.uuid4())
    operation_id = _begin(engine, new, token)
    try:
        total = _write(engine, operation_id, token, chosen)
        faultpoints.point("operation.written")
        if total:
            return database.transact(engine, partial(_ready, operation_id, token, total, new))
    except BaseException:
        _abandon(engine, operation_id, token)
        raise
    _abandon(engine, operation_id, token)
    return None


def _begin(engine: Engine, new: NewOperation, token: str) -> int:
    for _ in range(_TRIES):
        name = (
            database.transact(engine, partial(_next_name, new.kind))
            if new.name is None
            else check_name(new.name)
        )
        try:
            return database.transact(engine, partial(_insert, new, name, token))
        except NameTaken:
            if new.name is not None:
                _forget_abandoned(engine, name)
    raise NameTaken("too many operations are made at the same time", hint="give it a --name")


def _insert(new: NewOperation, name: str, token: str, connection: Connection) -> int:
    values = {
        "name": name,
        "kind": new.kind.value,
        "selection": json.dumps(shop_tables.storable_json(dict(new.selection)), ensure_ascii=True),
        "reason": new.reason and shop_tables.storable(new.reason),
        "actor": audit.named(new.actor),
        "source": new.source.value,
        "take": int(new.take),
        "max_attempts": new.max_attempts,
        "rate": new.rate and new.rate.text,
        "per_hour": new.rate and new.rate.per_hour,
        "canary": new.canary,
        "max_failures": new.max_failures,
        "state": State.PREPARING.value,
        **dict.fromkeys(("total", "changed", "unchanged", "refused", "completed", "failed", "cancelled"), 0),
        "created_at": database.utc_now(),
        "lease_token": token,
        "lease_until": database.utc_now(MAKING_SECONDS),
    }
    try:
        result = connection.execute(insert(operations).values(values))
    except IntegrityError as error:
        if not database_errors.is_duplicate(error):
            raise
        raise _taken(name) from None
    [key] = result.inserted_primary_key or (0,)
    return int(key)


def _next_name(kind: Kind, connection: Connection) -> str:
    """Return a name that is not taken, with the day in UTC."""
    today = connection.execute(select(database.utc_now())).scalar_one()
    begin = f"{kind}-{today:%Y%m%d}-"
    query = select(_ROW.name).where(_ROW.name >= begin, _ROW.name < f"{begin}:")  # ":" is behind the digits
    numbers = [
        int(end) for name in connection.execute(query).scalars() if (end := name[len(begin) :]).isdigit()
    ]
    return f"{begin}{max(numbers, default=0) + 1}"


def _write(engine: Engine, operation_id: int, token: str, chosen: Iterable[Chosen]) -> int:
    total = 0
    for chunk in _chunks(chosen):
        database.transact(engine, partial(_write_chunk, operation_id, token, chunk))
        faultpoints.point("operation.chunk")
        total += len(chunk)
    return total


def _chunks(chosen: Iterable[Chosen]) -> Iterator[Sequence[Chosen]]:
    left = iter(chosen)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _write_chunk(operation_id: int, token: str, chunk: Sequence[Chosen], connection: Connection) -> None:
    _keep(connection, operation_id, token, lease_until=database.utc_now(MAKING_SECONDS))
    rows = [
        {
            "operation_id": operation_id,
            "task_id": task_id,
            "seen_status": seen.status[:64],
            "seen_attempt": seen.attempt,
            "state": ItemState.WAITING.value,
        }
        for task_id, seen in chunk
    ]
    connection.execute(insert(operation_tasks), rows)


def _ready(operation_id: int, token: str, total: int, new: NewOperation, connection: Connection) -> Operation:
    state = State.CANARY if new.canary else State.RUNNING
    free = {"lease_token": None, "lease_until": None}
    _keep(connection, operation_id, token, state=state.value, total=total, **free)
    operation = reading.read(connection, operation_id)
    if operation is None:  # cannot happen: it was written above
        raise _lost()
    return operation


def _keep(connection: Connection, operation_id: int, token: str, **values: Any) -> None:
    mine = (_ROW.id == operation_id, _ROW.lease_token == token, _ROW.state == State.PREPARING)
    if not connection.execute(update(operations).where(*mine).values(values)).rowcount:
        raise _lost()


def _lost() -> Conflict:
    return Conflict(
        "the operation was stopped, or making it took too long and it was given up", hint="orderctl ops list"
    )


def _abandon(engine: Engine, operation_id: int, token: str) -> None:
    """Remove an operation that does not become ready; if that fails, a supervisor does it."""
    with suppress(OrderctlError):
        _remove(engine, operation_id, token)


def _remove(engine: Engine, operation_id: int, token: str | None = None) -> None:
    while not database.transact(engine, partial(remove_some, operation_id, token=token)):
        pass


def _forget_abandoned(engine: Engine, name: str) -> None:
    """Remove what a process that died has left of an operation with this name.

    Raises:
        NameTaken: It is one that is made or was made, and is not removed.
    """
    with database.reading(engine) as connection:
        try:
            found = reading.find(connection, name)
        except OperationNotFound:  # a supervisor has just removed it; the name is free
            return
    if found.state != State.PREPARING:
        raise _taken(name)
    if not found.free:
        raise _being_made(found)
    _remove(engine, found.id)


def _being_made(found: Operation) -> NameTaken:
    left = 0.0 if found.lease_until is None else (found.lease_until - found.now).total_seconds()
    return NameTaken(
        f"an operation {found.name} is being made",
        hint=f"if the command that was making it is dead, the name is free in {math.ceil(left)} s; or take another one",
    )


def _taken(name: str) -> NameTaken:
    return NameTaken(f"an operation {name} exists already", hint=f"orderctl ops show {texts.arguments(name)}")


def remove_some(operation_id: int, connection: Connection, *, token: str | None = None) -> bool:
    """Remove some tasks of an operation that is not ready and that no process is making, and at last itself.

    Args:
        operation_id: The operation.
        token: The lease of the process that has been making it and gives up, if this one is that.
        connection: In a transaction of its own.

    Returns:
        Whether nothing is left to remove.
    """
    # The lock: no process makes it ready, or begins it anew, in the meantime.
    free = or_(_ROW.lease_token.is_(None), _ROW.lease_until.is_(None), _ROW.lease_until < database.utc_now())
    mine = free if token is None else or_(free, _ROW.lease_token == token)
    query = select(_ROW.id).where(_ROW.id == operation_id, _ROW.state == State.PREPARING, mine)
    if connection.execute(query.with_for_update()).first() is None:
        return True
    item = operation_tasks.c
    ids = (
        connection.execute(select(item.task_id).where(item.operation_id == operation_id).limit(CHUNK))
        .scalars()
        .all()
    )
    if ids:
        connection.execute(
            delete(operation_tasks).where(item.operation_id == operation_id, item.task_id.in_(ids))
        )
        # A process that still writes tasks is fenced off.
        connection.execute(update(operations).where(_ROW.id == operation_id).values(lease_token=None))
        return False
    connection.execute(delete(operations).where(_ROW.id == operation_id, _ROW.state == State.PREPARING))
    return True
