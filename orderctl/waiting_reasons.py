"""Why nothing happens to a task or an order just now, and what an admin can do about it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from sqlalchemy import Connection, select

from orderctl import crews, database, orders, readiness, tasks
from orderctl.counting import counted
from orderctl.crews import Client, Crew, Sight
from orderctl.errors import OrderctlError
from orderctl.orders import Order, OrderState
from orderctl.schema import orders as orders_table
from orderctl.settings import Settings
from orderctl.states import ENDED_ORDER, UNFINISHED, WAITING, PaymentStatus
from orderctl.tasks import Task
from orderctl.waits import Cause, Reason, most_telling
from orderctl.worker import fleet

#: Most tasks that are counted before a task.
MOST_BEFORE: Final = 1000


def of_tasks(
    connection: Connection,
    client: Client,
    settings: Settings,
    tasks: Sequence[Task],
    *,
    known: Sight | None = None,
) -> Mapping[int, Reason]:
    """Return, by the task's id, why each of these tasks waits; tasks that do not wait are left out.

    Args:
        connection: A connection for reading.
        client: Redis; None when the embedded Redis does not run, so that no worker does; an error when it is
            known that Redis does not answer.
        settings: The queue, and which tasks the workers take.
        tasks: The tasks.
        known: What :func:`look` has returned a moment ago; None: it is looked for now, if it matters.
    """
    unfinished = [task for task in tasks if _may_wait(task)]
    if not unfinished:
        return {}
    states = orders.states(connection, {task.order_id for task in unfinished})
    scene = _Scene(connection, client, settings, unfinished)
    if known is not None:
        scene.crew, scene.alive = known.crew, known.alive
    found = {task.id: scene.of(task, states.get(task.order_id)) for task in unfinished}
    return {task_id: reason for task_id, reason in found.items() if reason is not None}


def of_order(
    connection: Connection,
    client: Client,
    settings: Settings,
    order: Order,
    tasks: Sequence[Task],
) -> Reason | None:
    """Return why nothing happens to an order; None when one of its tasks is running, or when it has ended.

    Args:
        connection: A connection for reading.
        client: As in :func:`of_tasks`.
        settings: As in :func:`of_tasks`.
        order: The order.
        tasks: Its tasks.
    """
    return summary(order, tasks, of_tasks(connection, client, settings, tasks))


def of_orders(
    connection: Connection, client: Client, settings: Settings, order_ids: Sequence[int]
) -> dict[int, Reason]:
    """Return, by the order's id, why nothing happens to these orders; Redis is asked once for all of them.

    Args:
        connection: A connection for reading.
        client: As in :func:`of_tasks`.
        settings: As in :func:`of_tasks`.
        order_ids: The orders.
    """
    found = orders.select_orders(connection, orders_table.c.id.in_(order_ids))
    its: dict[int, list[Task]] = {order.id: [] for order in found}
    for task in tasks.of_orders(connection, list(its)) if its else ():
        its[task.order_id].append(task)
    reasons = of_tasks(connection, client, settings, [task for own in its.values() for task in own])
    return summaries(found, its, reasons)


def summary(order: Order, tasks: Sequence[Task], reasons: Mapping[int, Reason]) -> Reason | None:
    """Return why nothing happens to an order, from what its tasks wait for.

    Args:
        order: The order.
        tasks: Its tasks.
        reasons: Of :func:`of_tasks`, for these tasks and perhaps others.
    """
    if order.deleted or order.order_status in ENDED_ORDER:
        return None
    if any(task.status in UNFINISHED and task.id not in reasons for task in tasks):
        return None  # it is running
    if (held := _of_order(order)) is not None:
        return held
    return most_telling(reasons[task.id] for task in tasks if task.id in reasons)


def summaries(
    found: Iterable[Order], its: Mapping[int, Sequence[Task]], reasons: Mapping[int, Reason]
) -> dict[int, Reason]:
    """Return, by the order's id, why nothing happens to orders; those to which something happens are left out.

    Args:
        found: The orders.
        its: Their tasks, by the order's id.
        reasons: Of :func:`of_tasks`, for all these tasks.
    """
    by_order = {order.id: summary(order, its.get(order.id, ()), reasons) for order in found}
    return {order_id: reason for order_id, reason in by_order.items() if reason is not None}


@dataclass(frozen=True, slots=True)
class Line:
    """The tasks that are due and wait for a worker of the queue.

    Attributes:
        tasks: How many there are; :data:`MOST_BEFORE` and one more if there are more than that.
        reason: Why no worker takes them; None: workers do.
    """

    tasks: int
    reason: Reason | None

    @property
    def text(self) -> str:
        """The line for people: ``80 tasks wait``."""
        number = counted(min(self.tasks, MOST_BEFORE), "task")
        more = "more than " if self.tasks > MOST_BEFORE else ""
        return f"{more}{number} {'waits' if self.tasks == 1 else 'wait'}"


def of_queue(connection: Connection, client: Client, settings: Settings) -> Line:
    """Return how many tasks wait for a worker, and why none takes them.

    Args:
        connection: A connection for reading.
        client: As in :func:`of_tasks`.
        settings: The queue.
    """
    waiting = len(readiness.line(connection, limit=MOST_BEFORE + 1))
    crew = crews.look(connection, client, settings).crew
    return Line(waiting, crew if isinstance(crew, Reason) else None)


def _may_wait(task: Task) -> bool:
    return task.status in UNFINISHED


def _of_order(order: OrderState) -> Reason | None:
    """Return why no task of an order may be claimed, if that is so."""
    if order.payment_status == PaymentStatus.REFUNDED:
        return Reason(Cause.UNPAID, "the order's payment is refunded")
    if order.payment_status != PaymentStatus.PAID:
        return Reason(Cause.UNPAID, "the order is not paid", orders.how_to_pay(order))
    if not orders.is_unended(order):
        return Reason(Cause.STATUS, f"the order has the status {order.order_status!r}")
    return None


class _Scene:
    """What the reasons of several tasks depend on. Each part is asked for once, and only if it is needed."""

    def __init__(
        self, connection: Connection, client: Client, settings: Settings, unfinished: Sequence[Task]
    ) -> None:
        self._unfinished = unfinished
        self._connection = connection
        self._client = client
        self._settings = settings
        self._take_all = settings.worker.take == "all"

    def of(self, task: Task, order: OrderState | None) -> Reason | None:
        """Return why a task waits, if it does.

        Args:
            task: A task that has not ended.
            order: Its order; None: it does not exist.
        """
        if order is None or order.deleted or order.order_status in ENDED_ORDER or self._runs(task):
            return None
        if (held := _of_order(order)) is not None:
            return held
        if not (task.managed or self._take_all):
            return Reason(Cause.SHOP, "the shop's own workers carry it out")
        if isinstance(self.crew, Reason) and self.crew.cause is not Cause.UNKNOWN:
            return self.crew
        if not task.leased and task.available_at is not None and task.available_at > self._now:
            return _next_attempt(task, (task.available_at - self._now).total_seconds())
        return self.crew if isinstance(self.crew, Reason) else self._in_line(task, self.crew)

    def _runs(self, task: Task) -> bool:
        """Whether a worker has the task: of orderctl's with a lease that holds, or of the shop's without one."""
        if task.lease_until is None:
            return task.status not in WAITING
        return self._is_held(task) and not self._is_lost(task)

    def _is_held(self, task: Task) -> bool:
        return task.lease_until is not None and task.lease_until >= self._now

    def _is_lost(self, task: Task) -> bool:
        """Whether the supervisor of a task's worker sends no heartbeat, though the lease still holds."""
        if task.worker is None or self.alive is None:
            return False
        return fleet.supervisor_of(task.worker) not in self.alive

    def _in_line(self, task: Task, workers: Crew) -> Reason:
        if task.lease_until is not None and self._is_held(task):
            seconds = (task.lease_until - self._now).total_seconds()
            return Reason(
                Cause.SOON, f"its worker sends no heartbeat: taken over in {_length(seconds)}", rank=seconds
            )
        if task.leased:
            return Reason(Cause.SOON, "its worker has ended: another one takes it over in a moment")
        before = bisect_left(self._line, (task.available_at or self._now, task.id))
        if before < workers.free:
            return Reason(Cause.SOON, "a free worker takes it in a moment", rank=before)
        if before > MOST_BEFORE:
            return Reason(Cause.BEHIND, f"more than {counted(MOST_BEFORE, 'task')} before it", rank=before)
        busy = "the worker is busy" if workers.workers == 1 else f"all {workers.workers} workers are busy"
        text = f"{counted(before, 'task')} before it" if before else f"it is the next one: {busy}"
        return Reason(Cause.BEHIND, text, rank=before)

    @cached_property
    def _now(self) -> datetime:
        """The database's time, as all times of leases and attempts are."""
        now: datetime = self._connection.execute(_NOW).scalar_one()
        return now

    @cached_property
    def _line(self) -> list[tuple[datetime, int]]:
        return readiness.line(self._connection, limit=MOST_BEFORE + 1)

    @cached_property
    def crew(self) -> Crew | Reason:
        """The workers of the queue, or why none of them takes a task."""
        seen = crews.look(self._connection, self._client, self._settings)
        if seen.alive is None:
            self.alive = None  # Redis that has not answered is not asked again
        return seen.crew

    @cached_property
    def alive(self) -> frozenset[str] | None:
        """The supervisors of these tasks that send a heartbeat; they are asked for by name, which costs little."""
        names = {fleet.supervisor_of(task.worker) for task in self._unfinished if task.worker is not None}
        if isinstance(self._client, OrderctlError):
            return None
        try:
            return fleet.alive(self._client, names)
        except OrderctlError as error:
            self.crew = crews.blind(error).crew
            return None


_NOW: Final = select(database.utc_now())


def _next_attempt(task: Task, seconds: float) -> Reason:
    why = f": {task.error_type}" if task.error_type else ""
    return Reason(Cause.RETRY, f"next attempt in {_length(seconds)}{why}", rank=seconds)


def _length(seconds: float) -> str:
    """Return a length of time for people, rounded up: an attempt never comes before it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds > 2 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{max(1, math.ceil(seconds))} s"
