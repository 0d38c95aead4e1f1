"""The workers of a queue that take tasks, as Redis knows them, or why none does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import redis
from sqlalchemy import Connection

from orderctl import setting_sections
from orderctl.errors import OrderctlError
from orderctl.settings import Settings
from orderctl.waits import Cause, Reason
from orderctl.worker import fleet
from orderctl.worker.fleet import SupervisorSign

#: What is said where workers are running that take no tasks; :data:`ELSEWHERE` and the queues follow "no worker is running".
DRAINING: Final = "the workers are draining and take no more tasks"
ELSEWHERE: Final = "no worker is running on queue "

#: What is said of workers that are all frozen.
FROZEN: Final = (
    "the supervisors send heartbeats, but their workers have not for half a minute: they are frozen or hang"
)

#: How the workers are looked for; see :func:`look`.
Client = redis.Redis | OrderctlError | None


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers that take tasks of the queue.

    Attributes:
        workers: How many there are.
        free: How many of them carry out no task.
        frozen: The names of the workers if all of them have stopped to tell RQ that they live; empty: one does.
    """

    workers: int
    free: int
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of the workers in Redis.

    Attributes:
        crew: The workers of the queue, or why none of them takes a task.
        alive: The supervisors that send a heartbeat, of any queue; None: it is not known.
        signs: All supervisors, of any queue.
    """

    crew: Crew | Reason
    alive: frozenset[str] | None
    signs: Sequence[SupervisorSign] = ()


def blind(error: OrderctlError) -> Sight:
    """Return what is seen when Redis does not answer: nothing."""
    # A command follows it on its line, so it has no full stop.
    return Sight(Reason(Cause.UNKNOWN, str(error).rstrip("."), error.hint), None)


def look(connection: Connection, client: Client, settings: Settings) -> Sight:
    """Return what is seen of the workers of the queue.

    Args:
        connection: A connection for reading.
        client: As in :func:`of_tasks`.
        settings: The queue.
    """
    queue = settings.worker.queue
    if client is None:
        return Sight(_no_worker("no worker is running"), frozenset())
    if isinstance(client, OrderctlError):
        return blind(client)
    try:
        paused = fleet.is_paused(client, queue)
        signs = fleet.find_all(connection, client)
        stopped = () if paused else fleet.frozen(client, queue, {sign.name for sign in signs if sign.alive})
    except OrderctlError as error:
        return blind(error)
    alive = frozenset(sign.name for sign in signs if sign.alive)
    if paused:
        return Sight(
            Reason(Cause.PAUSED, "the queue is paused", f"orderctl worker resume{_named(queue)}"),
            alive,
            signs,
        )
    found = crew(signs, queue)
    return Sight(replace(found, frozen=stopped) if isinstance(found, Crew) else found, alive, signs)


def _named(queue: str) -> str:
    default = setting_sections.Worker.queue.default
    return "" if queue == default else f" --queue {shlex.quote(queue)}"


def crew(signs: Sequence[SupervisorSign], queue: str) -> Crew | Reason:
    """Return the workers of a queue, or why none of them takes a task.

    Args:
        signs: All supervisors.
        queue: The queue.
    """
    ours = [sign for sign in signs if sign.alive and sign.queue == queue]
    taking = [sign for sign in ours if not sign.draining]
    if taking:
        workers = sum(sign.concurrency or 0 for sign in taking)
        return Crew(workers, max(0, workers - sum(len(sign.tasks) for sign in taking)))
    if ours:
        return _no_worker(DRAINING)
    others = sorted({str(sign.queue) for sign in signs if sign.alive})
    if others:
        plural = "queue" if len(others) == 1 else "queues"
        return _no_worker(f"{ELSEWHERE}{queue}, only on {plural} {', '.join(others)}")
    return _no_worker("no worker is running")


def _no_worker(text: str) -> Reason:
    return Reason(Cause.NO_WORKER, text, "orderctl worker start")
