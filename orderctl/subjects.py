"""The orders and tasks that are watched: what the database says of them, and how they ended."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from orderctl import channels, error_types, orders, references, tasks
from orderctl.channels import Channel, Scope
from orderctl.orders import Order
from orderctl.schema import orders as orders_table
from orderctl.states import ENDED_ORDER, ENDED_TASK, OrderStatus, TaskStatus
from orderctl.tasks import Task, TaskFilter
from orderctl.watched import End, Failed, Key, Standing

#: Most running tasks that are looked for.
_MOST_RUNNING: Final = 200
#: Most failed tasks of an order whose ids a command for a retry names.
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched until it ends: an order with its tasks, or one task.

    Attributes:
        channels: The channels to listen to.
        standings: The order and its tasks, or the task.
    """

    scope: Scope
    id: int
    name: str
    channels: tuple[Channel, ...]
    standings: tuple[Standing, ...]

    @property
    def key(self) -> Key:
        """The order or task."""
        return self.scope, self.id

    @property
    def order_id(self) -> int:
        """The order itself, or the task's order."""
        return self.standings[0].order_id


def find_task(connection: Connection, task_id: int) -> Subject:
    """Return the task with this id as a subject.

    Raises:
        TaskNotFound: The task does not exist.
    """
    task = tasks.find(connection, task_id)
    listened = channels.of_subject(Scope.TASK, task.id)
    return Subject(Scope.TASK, task.id, f"task {task.id}", listened, (_of_task(task, _named(task)),))


def find_order(connection: Connection, reference: str) -> Subject:
    """Return the order with this code or id as a subject.

    Raises:
        OrderNotFound: The order does not exist.
    """
    order = references.find(connection, reference)
    own = [_of_task(task, _named(task)) for task in tasks.of_orders(connection, [order.id])]
    standings = (_of_order(order), *own)
    listened = [channel for one in standings for channel in channels.of_subject(one.scope, one.id)]
    return Subject(Scope.ORDER, order.id, f"order {order.order_code}", tuple(listened), standings)


def running(connection: Connection) -> list[Standing]:
    """Return the tasks that workers are carrying out, newest first, labelled with their order's code."""
    wanted = TaskFilter(statuses=(TaskStatus.ENROLLED, TaskStatus.DOWNLOADING))
    found = tasks.select_tasks(connection, wanted, limit=_MOST_RUNNING)
    return [_of_task(task, _with_code(task)) for task in found if task.leased]


def name(connection: Connection, keys: Collection[Key]) -> list[Standing]:
    """Return what the database says of these orders and tasks, labelled with the order's code."""
    ids = _ids(keys, Scope.ORDER)
    found = orders.select_orders(connection, orders_table.c.id.in_(ids)) if ids else []
    own = _tasks(connection, _ids(keys, Scope.TASK))
    return [*map(_of_order, found), *(_of_task(task, _with_code(task)) for task in own)]


def name_tasks(connection: Connection, keys: Collection[Key]) -> list[Standing]:
    """Return what the database says of these tasks, labelled as the tasks of :func:`find_order`."""
    return [_of_task(task, _named(task)) for task in _tasks(connection, _ids(keys, Scope.TASK))]


def _ids(keys: Collection[Key], scope: Scope) -> list[int]:
    return [subject_id for kind, subject_id in keys if kind is scope]


def _tasks(connection: Connection, ids: Sequence[int]) -> Sequence[Task]:
    return tasks.select_tasks(connection, TaskFilter(ids=ids), limit=len(ids)) if ids else []


def find_end(connection: Connection, subject: Subject) -> End | None:
    """Return how a subject has ended; None if it has not.

    Raises:
        NotFound: The order or the task does not exist any more.
    """
    if subject.scope is Scope.TASK:
        return _end_of_task(subject, tasks.find(connection, subject.id))
    order = orders.get(connection, subject.id)
    if order.order_status not in ENDED_ORDER:
        return None
    return _end_of_order(subject, order, tasks.of_orders(connection, [order.id]))


def _end_of_task(subject: Subject, task: Task) -> End | None:
    if task.status not in ENDED_TASK:
        return None
    failed = task.status == TaskStatus.FAILED
    detail = reason(task) if failed else task.error_log or task.drive_link
    hint = _retry([task], None) if failed else None
    standing = _of_task(task, _named(task))
    return End(subject.scope, task.id, subject.name, task.status, detail, (), hint, (standing,))


def _end_of_order(subject: Subject, order: Order, own: Sequence[Task]) -> End:
    links = sum(1 for task in own if task.drive_link)
    detail = f"{order.completed_tasks} of {order.total_tasks} tasks completed"
    if links:
        detail += f", {links} {'link' if links == 1 else 'links'}"
    failing = [task for task in own if task.status == TaskStatus.FAILED]
    failed = tuple(Failed(task.id, reason(task)) for task in failing)
    hint = _retry(failing, order) if failing and order.order_status == OrderStatus.FAILED else None
    standings = (_of_order(order), *(_of_task(task, _named(task)) for task in own))
    status = order.order_status or ""
    return End(subject.scope, order.id, subject.name, status, detail, failed, hint, standings)


def _retry(failing: Sequence[Task], order: Order | None) -> str:
    take = "" if any(task.managed for task in failing) else " --take"
    if order is None or len(failing) <= _MOST_NAMED:
        return f"orderctl tasks retry {shlex.join(str(task.id) for task in failing)}{take}"
    return f"orderctl tasks retry --failed --order {shlex.quote(order.order_code)}{take}"


def reason(task: Task) -> str:
    """Return why a task failed."""
    return error_types.typed(task.error_type, task.error_log) or "no reason is recorded"


def _of_task(task: Task, label: str) -> Standing:
    percent = 100.0 if task.status == TaskStatus.COMPLETED else 0.0
    return Standing(Scope.TASK, task.id, label, task.status, task.order_id, percent, bool(task.title))


def _of_order(order: Order) -> Standing:
    percent = float(order.progress_percentage)
    return Standing(Scope.ORDER, order.id, order.order_code, order.order_status or "", order.id, percent)


def _named(task: Task) -> str:
    return f"task {task.id} {task.title or ''}".strip()


def _with_code(task: Task) -> str:
    return f"{task.order_code} {task.title or f'task {task.id}'}" if task.order_code else _named(task)
