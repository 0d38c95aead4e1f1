"""Why nothing happens to a task or an order just now, and what an admin can do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import Connection

from orderctl.orders import Order
from orderctl.settings import Settings
from orderctl.tasks import Task


class Cause(StrEnum):
    """What a task or an order waits for."""

    UNPAID = "unpaid"  #: Its order is not paid.
    SHOP = "shop"  #: The shop's own workers are to carry it out.
    RETRY = "retry"  #: Its next attempt, after a failure that may pass by itself.
    PAUSED = "paused"  #: The queue is paused.
    NO_WORKER = "no-worker"  #: No worker of the queue is running.
    BEHIND = "behind"  #: Other tasks are before it.
    SOON = "soon"  #: A worker is free and takes it in a moment.
    UNKNOWN = "unknown"  #: Redis does not answer, so that nothing is known of the workers.


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a task waits.

    Attributes:
        cause: What it waits for.
        text: The same for people: ``no worker is running``.
        hint: The command that helps, which can be pasted; None: nothing has to be done.
    """

    cause: Cause
    text: str
    hint: str | None = None

    @property
    def line(self) -> str:
        """The reason and the command on one line."""
        return f"{self.text}: {self.hint}" if self.hint else self.text


def of_tasks(
    connection: Connection, client: redis.Redis | None, settings: Settings, tasks: Sequence[Task]
) -> Mapping[int, Reason]:
    """Return, by the task's id, why each of these tasks waits; tasks that do not wait are left out.

    Args:
        connection: A connection for reading.
        client: Redis; None when the embedded Redis does not run, so that no worker does.
        settings: The queue, and which tasks the workers take.
        tasks: The tasks.
    """
    raise NotImplementedError


def of_order(
    connection: Connection,
    client: redis.Redis | None,
    settings: Settings,
    order: Order,
    tasks: Sequence[Task],
) -> Reason | None:
    """Return why nothing happens to an order; None when a worker carries out one of its tasks, or when it has ended.

    Args:
        connection: A connection for reading.
        client: As in :func:`of_tasks`.
        settings: As in :func:`of_tasks`.
        order: The order.
        tasks: Its tasks.
    """
    raise NotImplementedError
