"""``orderctl worker start --burst``: which tasks are due at its start, and whether they have been carried out."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Final

import redis
from sqlalchemy import Connection, Engine, select

from orderctl import clock, database, doorbell, reconcile
from orderctl.errors import OrderctlError
from orderctl.schema import download_tasks
from orderctl.settings import Settings
from orderctl.worker import fleet

_LOOK_SECONDS: Final = 0.2


class TasksLeft(OrderctlError):
    """Tasks that were due have not been carried out."""


def begin(engine: Engine, client: redis.Redis, settings: Settings) -> frozenset[tuple[int, int]]:
    """Queue the tasks that are due, and return their ids with the numbers of their attempts.

    A job that another worker has just taken is given time to be claimed; if that worker has died, it is queued again.

    Raises:
        DatabaseUnavailable: When the database does not answer.
        RedisUnavailable: When Redis does not answer.
    """
    reconcile.run(engine, client, settings)
    due = _due(engine, settings)
    queue = settings.worker.queue
    doorbell.ring(
        client, queue, sorted(due)
    )  # reconcile queues a part at once, as it comes again in a second
    if due and doorbell.without_job(client, queue, due):
        clock.rest(doorbell.CLAIM_SECONDS + _LOOK_SECONDS, lambda: False)
        doorbell.ring(client, queue, sorted(_due(engine, settings)))
    return due


def check(
    engine: Engine, client: redis.Redis, settings: Settings, supervisor: str, due: Collection[tuple[int, int]]
) -> None:
    """Check that tasks have been carried out, whatever came of them.

    Args:
        engine: The database.
        client: Redis.
        settings: All settings.
        supervisor: Name of the supervisor, whose workers have all ended.
        due: What :func:`begin` returned.

    Raises:
        TasksLeft: Some still wait for the same attempt, or a killed download has left its claim.
        DatabaseUnavailable: When the database does not answer.
    """
    if not due:
        return
    queue = settings.worker.queue
    paused = fleet.is_paused(client, queue)
    patience = 0.0 if paused else doorbell.CLAIM_SECONDS
    over = clock.elapsed() + patience
    while (waiting := _due(engine, settings) & frozenset(due)) and clock.elapsed() < over:
        clock.rest(_LOOK_SECONDS, lambda: False)
    with database.reading(engine) as connection:
        left = sorted({task_id for task_id, _ in waiting} | _held(connection, supervisor))
    if left:
        were = "task that was due has" if len(left) == 1 else "tasks that were due have"
        why = f": queue {queue} is paused" if paused else ""
        raise TasksLeft(
            f"{len(left)} {were} not been carried out{why}",
            hint=f"orderctl worker resume --queue {shlex.quote(queue)}"
            if paused
            else f"orderctl tasks show {left[0]}",
        )


def _due(engine: Engine, settings: Settings) -> frozenset[tuple[int, int]]:
    with database.reading(engine) as connection:
        found = reconcile.find_due(connection, settings, limit=None)
    return frozenset((task_id, attempt) for task_id, _, attempt in found)


def _held(connection: Connection, supervisor: str) -> set[int]:
    """Return the tasks that workers of this supervisor have claimed and neither ended nor released."""
    task = download_tasks.c
    ours = task.worker.startswith(f"{supervisor}.", autoescape=True)
    return set(connection.scalars(select(task.id).where(task.lease_token.is_not(None), ours)))
