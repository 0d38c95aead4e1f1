"""The workers, one by one: which of them has which task, and since when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import redis
from sqlalchemy import Connection

from orderctl import audit, tasks
from orderctl.states import TaskStatus
from orderctl.tasks import Task, TaskFilter
from orderctl.worker import fleet
from orderctl.worker.fleet import SupervisorSign

#: The name of a worker, without the supervisor's and without the number of its start.
_ROLE: Final = re.compile(r"\.(worker-([0-9]+))(?:\.[0-9]+)?\Z")
#: Most tasks that are looked up at once.
_CHUNK: Final = 500


class State(StrEnum):
    """What a worker does."""

    IDLE = "idle"
    ENROLLING = "enrolling"  #: It finds out which files there are to download.
    DOWNLOADING = "downloading"
    DRAINING = "draining"  #: It ends after the task that it has.
    FROZEN = (
        "frozen"  #: Neither it nor another worker of its queue tells RQ that it lives; its supervisor does.
    )
    LOST = "no heartbeat"  #: Its supervisor sends no heartbeat any more; another worker takes the task over.


@dataclass(frozen=True, slots=True)
class WorkerSign:
    """A worker.

    Attributes:
        worker: Its name, with that of its supervisor.
        state: What it does.
        supervisor: Its supervisor.
        task: The task that it has.
        since: When it has begun with the task, as far as the audit log has it.
    """

    worker: str
    state: State
    supervisor: SupervisorSign
    task: Task | None = None
    since: datetime | None = None


def find_all(connection: Connection, client: redis.Redis | None) -> list[WorkerSign]:
    """Return all workers of the supervisors that Redis or the database knows.

    Args:
        connection: A connection for reading.
        client: Redis; None: it is the embedded one, and does not run.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    signs = fleet.find_all(connection, client)
    held = _held(connection, [task_id for sign in signs for task_id in sign.tasks])
    since = _begun(connection, [*held.values()])
    found = [one for sign in signs for one in _workers(sign, held, since)]
    stopped = _frozen(client, signs)
    return [replace(one, state=State.FROZEN) if one.worker in stopped else one for one in found]


def _frozen(client: redis.Redis | None, signs: Sequence[SupervisorSign]) -> frozenset[str]:
    """Return the workers, without the numbers of their starts, of the queues whose workers are all frozen."""
    if client is None:
        return frozenset()
    alive = {sign.name for sign in signs if sign.alive}
    queues = {sign.queue for sign in signs if sign.alive and sign.queue is not None}
    names = (name for queue in queues for name in fleet.frozen(client, queue, alive))
    return frozenset(name.rpartition(".")[0] for name in names)


def _held(connection: Connection, task_ids: Sequence[int]) -> dict[int, Task]:
    found: dict[int, Task] = {}
    for begin in range(0, len(task_ids), _CHUNK):
        wanted = TaskFilter(ids=task_ids[begin : begin + _CHUNK])
        found |= {task.id: task for task in tasks.select_tasks(connection, wanted, limit=_CHUNK)}
    return found


def _begun(connection: Connection, held: Sequence[Task]) -> dict[int, datetime | None]:
    """Return when the present step of each task has begun, by the task's id."""
    keys = {task.key(task.status): task.id for task in held if task.status != TaskStatus.PENDING}
    return {keys[key]: at for key, at in audit.times_of(connection, keys).items()}


def _workers(
    sign: SupervisorSign, held: Mapping[int, Task], since: Mapping[int, datetime | None]
) -> Iterator[WorkerSign]:
    """Return the workers of a supervisor; one without a number if none is known of it."""
    its = [task for task_id in sign.tasks if (task := held.get(task_id)) is not None]
    # By task: a worker that was started again after a crash, and the one before it, may both hold one.
    found = [(_role(task.worker), task) for task in its]
    busy = {role for role, _ in found}
    free = range(1, (sign.concurrency or 0) + 1) if sign.alive and not sign.draining else ()
    roles: list[tuple[str, Task | None]] = [*found]
    roles += [(role, None) for number in free if (role := f"worker-{number}") not in busy]
    if not roles:
        yield WorkerSign(sign.name, _state(sign, None), sign)
    for role, task in sorted(roles, key=lambda one: _number(one[0])):
        begun = since.get(task.id) if task is not None else None
        yield WorkerSign(f"{sign.name}.{role}", _state(sign, task), sign, task, begun)


def _role(worker: str | None) -> str:
    found = _ROLE.search(worker or "")
    return found[1] if found else "worker"


def _number(role: str) -> tuple[int, str]:
    number = role.partition("-")[2]
    return (int(number) if number else 0, role)


def _state(sign: SupervisorSign, task: Task | None) -> State:
    if not sign.alive:
        return State.LOST
    if sign.draining:
        return State.DRAINING
    if task is None:
        return State.IDLE
    return State.DOWNLOADING if task.status == TaskStatus.DOWNLOADING else State.ENROLLING


def supervisor_of(name: str) -> str:
    """Return the name of the supervisor of a worker, or of the supervisor that is named."""
    return _ROLE.sub("", name)
