"""Tasks: find them, and what admins do with them. What workers do is in ``leases``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, not_, select, type_coerce

from orderctl import (
    choices,
    deletion,
    error_groups,
    lifecycle,
    masking,
    orders,
    statuses,
    texts,
    walks,
    words,
)
from orderctl.audit import Origin
from orderctl.choices import Seen
from orderctl.error_groups import ErrorGroup
from orderctl.errors import Conflict, NotManaged, OrderNotFound
from orderctl.lifecycle import Move, Moved, TaskState
from orderctl.orders import OrderState
from orderctl.schema import HIGHEST_INT, Chars, columns, download_tasks
from orderctl.schema import orders as orders_table
from orderctl.states import (
    UNFINISHED,
    WAITING,
    ErrorType,
    EventType,
    OrderStatus,
    PaymentStatus,
    Source,
    TaskStatus,
)
from orderctl.walks import Part

#: Of how many of the newest tasks the time of the last change is looked at.
LOOKED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Task(TaskState):
    """A download task with all columns that are displayed.

    It may be an orphan: without a foreign key the shop can delete an order and leave its tasks behind. Then
    ``order_code`` is None. Secrets in its URL, and in what is told of it, are masked; a :class:`TaskState` has the URL
    as it is.
    """

    error_type: str | None
    error_log: str | None
    error_fingerprint: str | None
    drive_link: str | None
    updated_at: datetime | None
    available_at: datetime | None

    @property
    def retry_at(self) -> datetime | None:
        """When the task is tried again; None unless it waits after a failure that may pass by itself."""
        waits = self.status in WAITING and not self.leased and self.failing_since is not None
        return self.available_at if waits else None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """A filter for tasks; None means any.

    Attributes:
        ids: Only these tasks.
        statuses: Only tasks with one of these statuses.
        order_id: Only tasks of this order.
        error_type: Only tasks that failed with this error type.
        fingerprint: Only tasks that failed with this fingerprint.
        managed: Only tasks that orderctl's workers run, or only those of the shop's own workers.
        since: Only tasks that changed last at this time or later.
        until: Only tasks that changed last before this time.
    """

    ids: Collection[int] | None = None
    statuses: Collection[str] | None = None
    order_id: int | None = None
    error_type: ErrorType | str | None = None
    fingerprint: str | None = None
    managed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def of_period(self) -> bool:
        """Whether it is for tasks of a period, for which no index has them."""
        return (self.since, self.until) != (None, None) and self.ids is None and self.order_id is None


def find(connection: Connection, task_id: int) -> Task:
    """Return the task with this id.

    Raises:
        TaskNotFound: The task does not exist.
    """
    kept = deletion.not_deleted(orders_table)
    found = _rows(connection, _select().where(download_tasks.c.id == task_id, kept))
    if not found:
        raise lifecycle.no_task(task_id)
    return found[0]


def of_orders(connection: Connection, order_ids: Collection[int]) -> list[Task]:
    """Return the tasks of these orders, oldest first."""
    query = _select().where(download_tasks.c.order_id.in_(order_ids))
    return _rows(connection, query.order_by(download_tasks.c.order_id, download_tasks.c.id))


def select_tasks(
    connection: Connection, wanted: TaskFilter, *, limit: int = 100, before_id: int | None = None
) -> list[Task]:
    """Return tasks, newest first.

    Args:
        connection: A connection for reading.
        wanted: The filter.
        limit: The maximum number of tasks.
        before_id: Only tasks with a lower id: pass the last id of the previous page.
    """
    if wanted.of_period:
        looked = replace(wanted, since=None, until=None)
        chosen = _walk(connection, looked, before_id, LOOKED).subquery()
    else:
        chosen = _walk(connection, wanted, before_id, limit).subquery()
    query = _select().join(chosen, chosen.c.id == download_tasks.c.id).where(*_of_period(wanted))
    return _rows(connection, query.order_by(download_tasks.c.id.desc()).limit(limit))


def choose(
    connection: Connection, wanted: TaskFilter, *, limit: int, before_id: int | None = None
) -> list[tuple[int, Seen]]:
    """Return the ids of tasks, newest first, with their present states; less than :func:`select_tasks` reads.

    Args:
        connection: A connection for reading.
        wanted: The filter, without a period.
        limit: The maximum number of tasks.
        before_id: Only tasks with a lower id: pass the last id of the previous page.
    """
    task = download_tasks.c
    chosen = _walk(connection, wanted, before_id, limit).subquery()
    query = select(task.id, task.status, task.attempt).join(chosen, chosen.c.id == task.id)
    rows = connection.execute(query.order_by(task.id.desc()))
    return [(row.id, Seen(row.status or "", row.attempt)) for row in rows]


def looked_at(connection: Connection, wanted: TaskFilter, *, before_id: int | None = None) -> int | None:
    """Return the id at which :func:`select_tasks` ends looking for tasks of a period; None if it looks at all of them."""
    if not wanted.of_period:
        return None
    query = _walk(connection, replace(wanted, since=None, until=None), before_id, LOOKED + 1)
    ids = connection.execute(query).scalars().all()
    return ids[-2] if len(ids) > LOOKED else None


def _walk(connection: Connection, wanted: TaskFilter, before_id: int | None, limit: int) -> Select[Any]:
    """Return the query of the ids of the newest tasks."""
    task = download_tasks.c
    found_in, rest = _parts(connection, wanted)
    query = select(task.id).where(*_conditions(connection, rest))
    if before_id is not None:
        query = query.where(task.id < before_id)
    # The ids first: else MariaDB would start with the orders and sort all tasks.
    return walks.newest(connection.dialect, query, found_in, [task.id], limit=limit)


def _parts(connection: Connection, wanted: TaskFilter) -> tuple[Sequence[Part], TaskFilter]:
    """Return parts of the tasks, each of which an index has in the order of their ids, and what is left of the filter."""
    task = download_tasks.c
    of_error = wanted.error_type is not None or wanted.fingerprint is not None
    if wanted.ids is not None or wanted.order_id is not None or (wanted.statuses is None and not of_error):
        return [()], wanted
    chosen = _stored_statuses(connection, wanted)
    if len(chosen) > walks.MOST:  # perhaps not even all of them
        return [()], wanted
    groups: list[Part] = []
    for status in chosen if of_error else ():
        found = error_groups.parts(
            connection, status, error_type=wanted.error_type, fingerprint=wanted.fingerprint
        )
        if found is None:  # too many
            groups = []
            break
        groups += found
    else:
        if of_error and len(groups) <= walks.MOST:
            return groups, replace(wanted, statuses=None, error_type=None, fingerprint=None)
    return walks.parts((task.status, chosen)), replace(wanted, statuses=None)


def _stored_statuses(connection: Connection, wanted: TaskFilter) -> list[Any]:
    """Return the statuses of a filter as they stand in the rows; without a filter, all of them."""
    status, dialect = download_tasks.c.status, connection.dialect
    if wanted.statuses is None:
        return [*statuses.stored(connection, status), None]
    spelled = (words.spellings(dialect, "download_tasks", "status", str(word)) for word in wanted.statuses)
    return list(dict.fromkeys(chain.from_iterable(spelled)))


def count(connection: Connection, wanted: TaskFilter) -> int:
    """Return the number of tasks that a filter lets through."""
    query = select(func.count()).select_from(download_tasks).where(*_conditions(connection, wanted))
    return connection.execute(query).scalar_one()


def group_errors(
    connection: Connection, wanted: TaskFilter, *, limit: int = 50, exact: bool = False
) -> list[ErrorGroup]:
    """Group failed tasks by error type and fingerprint, the largest group first.

    Args:
        connection: A connection for reading.
        wanted: The filter.
        limit: The maximum number of groups.
        exact: Count all failed tasks. Otherwise each number stops at a limit, and of many groups those of the newest
            failed tasks are returned.
    """
    conditions = _conditions(connection, wanted)
    if exact or wanted.ids is not None or wanted.order_id is not None:
        return error_groups.find_all(connection, conditions, limit=limit)
    error = {"error_type": wanted.error_type, "fingerprint": wanted.fingerprint}
    return error_groups.find(connection, conditions, limit=limit, **error)


def retry(
    connection: Connection,
    task_id: int,
    *,
    max_attempts: int,
    actor: str,
    reason: str | None = None,
    source: Source = Source.CLI,
    seen: Seen | None = None,
    take: bool = False,
    operation: str | None = None,
) -> Moved:
    """Queue a task again for orderctl's workers. An order that has ended is reopened.

    Each failure is retried once: a task that was retried since it was chosen, or that waits for a worker already,
    stays as it is.

    Args:
        connection: In a transaction.
        task_id: A failed or cancelled task, or one that waits for its next attempt.
        max_attempts: The number of further attempts.
        actor: Who retries the task.
        reason: The reason, for the audit log.
        source: The part of orderctl that received the request.
        seen: The state of the task when it was chosen; None: it is chosen now.
        take: Also retry a task that the shop's own workers run; from now on it is managed by orderctl.
        operation: The name of the operation of which this is a part; the event tells it.

    Returns:
        What to do after the commit. With a ``note`` if nothing was left to do.

    Raises:
        TaskNotFound: The task does not exist.
        Conflict: The task is completed or running, or its order is not paid or does not exist.
        NotManaged: The task is run by the shop's own workers, and is not to be taken from them.
        Superseded: The task has changed since it was chosen.
    """
    order, task = _hold(connection, task_id)
    retried = choices.retried(connection, task, seen)
    if retried is not None:
        return retried
    _refuse_retry(order, task)
    if not (task.managed or take):
        raise not_managed(task_id)
    attempts = min(task.attempt + max_attempts, HIGHEST_INT)
    waits = task.status in WAITING and choices.is_waiting_for(connection, task, attempts)
    if waits and not lifecycle.has_ended(connection, order):
        return choices.already(connection, task, "waiting", EventType.TASK_RETRIED)
    what = Move(
        TaskStatus.PENDING,
        EventType.TASK_RETRIED,
        Origin(source, actor),
        values={"managed": 1, "max_attempts": attempts, "failing_since": None},
        words=_because(reason, operation),
        details=_details(task, reason, operation),
        reopens=True,
    )
    return _move(connection, order, task, what)


def _hold(connection: Connection, task_id: int) -> tuple[OrderState, TaskState]:
    try:
        return lifecycle.hold(connection, task_id)
    except OrderNotFound as error:
        raise Conflict(str(error), hint=f"orderctl tasks show {task_id}") from None


def _refuse_retry(order: OrderState, task: TaskState) -> None:
    if order.payment_status != PaymentStatus.PAID:
        raise Conflict(
            f"order {order.order_code} is not paid, so its tasks cannot be retried",
            hint=orders.how_to_pay(order),
        )
    if not orders.is_valid(order) and order.order_status != OrderStatus.CANCELLED:
        raise Conflict(
            f"order {order.order_code} has the status {order.order_status!r}, which orderctl does not know, so its"
            " tasks cannot be retried",
            hint=f"orderctl orders show {texts.arguments(order.order_code)}",
        )
    retryable = (TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.PENDING, TaskStatus.ENROLLED)
    if task.leased and task.status in UNFINISHED:
        raise Conflict(
            f"task {task.id} is running on worker {task.worker}", hint=f"orderctl tail task {task.id}"
        )
    if task.status not in retryable:
        raise Conflict(
            f"task {task.id} is {_shown(task)}: only failed, cancelled or waiting tasks can be retried",
            hint=f"orderctl tasks show {task.id}",
        )


def not_managed(task_id: int) -> NotManaged:
    """Return the error for a retry of a task that the shop's own workers run."""
    return NotManaged(
        f"task {task_id} is run by the shop's own workers", hint=f"orderctl tasks retry {task_id} --take"
    )


def cancel(
    connection: Connection,
    task_id: int,
    *,
    actor: str,
    reason: str | None = None,
    source: Source = Source.CLI,
    seen: Seen | None = None,
    operation: str | None = None,
) -> Moved:
    """Cancel a task. If a worker is running it, the worker loses its lease and stops.

    Args:
        connection: In a transaction.
        task_id: A task that is not completed.
        actor: Who cancels the task.
        reason: The reason, for the audit log.
        source: The part of orderctl that received the request.
        seen: The state of the task when it was chosen; None: it is chosen now, whatever its state is.
        operation: The name of the operation of which this is a part; the event tells it.

    Returns:
        What to do after the commit. With a ``note`` if it was cancelled since it was chosen.

    Raises:
        TaskNotFound: The task does not exist.
        Conflict: The task is already completed or cancelled, its status is not known, or its order does not exist.
        Superseded: The task has ended, or was retried, since it was chosen.
    """
    order, task = _hold(connection, task_id)
    cancelled = choices.cancelled(connection, task, seen)
    if cancelled is not None:
        return cancelled
    if task.status in (TaskStatus.COMPLETED, TaskStatus.CANCELLED):
        raise Conflict(f"task {task_id} is already {task.status}", hint=f"orderctl tasks show {task_id}")
    if task.status not in (*UNFINISHED, TaskStatus.FAILED):
        raise Conflict(
            f"task {task_id} is {_shown(task)}, which orderctl does not know, and cannot be cancelled",
            hint=f"orderctl tasks show {task_id}",
        )
    what = Move(
        TaskStatus.CANCELLED,
        EventType.TASK_CANCELLED,
        Origin(source, actor),
        words=_because(reason, operation),
        details=_details(task, reason, operation),
        # The task that made the order fail is cancelled: the order ends once more, now without this task.
        reopens=task.status == TaskStatus.FAILED and order.order_status == OrderStatus.FAILED,
    )
    return _move(connection, order, task, what)


def _move(connection: Connection, order: OrderState, task: TaskState, what: Move) -> Moved:
    moved = lifecycle.move(connection, task, what, lifecycle.unchanged(task), order)
    if moved is None:  # cannot happen: the task is locked
        raise Conflict(
            f"task {task.id} was changed by another process meanwhile", hint=f"orderctl tasks show {task.id}"
        )
    return moved


def _shown(task: TaskState) -> str:
    """Return a task's status for a message; one that the shop wrote may be empty."""
    return task.status if task.status in set(TaskStatus) else f"in the status {task.status!r}"


def _because(reason: str | None, operation: str | None) -> dict[str, str]:
    told = ": ".join(filter(None, (operation and f"operation {operation}", reason)))
    return {"because": f" ({told})" if told else ""}


def _details(task: TaskState, reason: str | None, operation: str | None) -> dict[str, Any]:
    details: dict[str, Any] = {"attempt": task.attempt, "reason": reason}
    return details if operation is None else {**details, "operation": operation}


def _conditions(connection: Connection, wanted: TaskFilter) -> list[ColumnElement[bool]]:
    task = download_tasks.c
    conditions = [deletion.not_deleted(download_tasks)]
    if deletion.is_recorded(connection.dialect, orders_table):
        of_deleted = select(orders_table.c.id).where(
            orders_table.c.id == task.order_id, deletion.is_deleted(orders_table)
        )
        # Not NOT EXISTS: for that MySQL and MariaDB may read all orders.
        conditions.append(of_deleted.scalar_subquery().is_(None))
    if wanted.ids is not None:
        conditions.append(task.id.in_(wanted.ids))
    conditions += _of_period(wanted)
    if wanted.managed is not None:
        managed = func.coalesce(task.managed, 0) == 1  # the shop's own column may hold NULL
        conditions.append(managed if wanted.managed else not_(managed))
    if wanted.statuses is not None:
        conditions.append(task.status.in_(wanted.statuses))
    for column, value in (
        (task.order_id, wanted.order_id),
        (task.error_type, wanted.error_type),
        (task.error_fingerprint, wanted.fingerprint),
    ):
        if value is not None:
            conditions.append(column == value)
    return conditions


def _of_period(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    changed = download_tasks.c.updated_at
    since = [changed >= wanted.since] if wanted.since is not None else []
    return since + ([changed < wanted.until] if wanted.until is not None else [])


def _select() -> Select[Any]:
    # An outer join: a task whose order is missing is shown, too. NULL stays NULL for it.
    code = type_coerce(orders_table.c.order_code, Chars(null=None)).label("order_code")
    selected = select(*columns(Task, download_tasks), code)
    joined = selected.outerjoin(orders_table, orders_table.c.id == download_tasks.c.order_id)
    return joined.where(deletion.not_deleted(download_tasks))


def _rows(connection: Connection, query: Select[Any]) -> list[Task]:
    return [Task.of({**row, **_masked(row)}) for row in connection.execute(query).mappings()]


def _masked(row: Mapping[Any, Any]) -> dict[str, Any]:
    url, shown = row["course_url"] or "", {}
    for name in ("title", "error_log"):
        shown[name] = masking.of_task(row[name], url) if row[name] else row[name]
    return {**shown, "course_url": masking.url(url)}
