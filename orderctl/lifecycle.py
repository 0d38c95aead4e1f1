"""Every move of a task and of an order, written once.

A move is part of a transaction: the order is held first, the task's row is written behind its fence, an audit
event tells it, and the order begins, opens again or ends where that follows. What is to be done after the commit
comes back as :class:`Moved`. ``tasks`` (admins), ``leases`` and ``failures`` (workers), ``reconcile`` and
``payments`` say only what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, select, update

from orderctl import audit, clock, database, orders, outbox, shop_tables
from orderctl.audit import NewEvent, Origin
from orderctl.channels import Scope
from orderctl.errors import OrderNotFound, TaskNotFound
from orderctl.messages import Completion, StatusChange
from orderctl.orders import OrderState
from orderctl.schema import columns, download_tasks
from orderctl.schema import orders as orders_table
from orderctl.states import (
    ENDED_ORDER,
    ENDED_TASK,
    WAITING,
    EventType,
    OrderStatus,
    PaymentStatus,
    Severity,
    Source,
    TaskStatus,
    order_end,
)

#: Statuses in which a worker holds a lease; every other move frees it.
_LEASED: Final = (TaskStatus.ENROLLED, TaskStatus.DOWNLOADING)

Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where a task stands: what whoever moves it has to know."""

    id: int
    order_id: int
    order_code: str
    title: str | None
    course_url: str
    status: str
    attempt: int
    max_attempts: int
    managed: bool
    worker: str | None
    lease_token: str | None
    lease_until: datetime | None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """The task of a row; what the shop wrote there may be NULL."""
        return cls(**{**row, "status": row["status"] or "", "managed": bool(row["managed"])})

    @property
    def name(self) -> str:
        """What people call it."""
        return self.title or self.course_url

    @property
    def leased(self) -> bool:
        """Whether a worker holds it."""
        return self.lease_until is not None

    def key(self, event: str) -> str:
        """The dedup key of an event of its present attempt."""
        return f"task:{self.id}:attempt:{self.attempt}:{event}"


@dataclass(frozen=True, slots=True)
class Move:
    """What happens to a task.

    Attributes:
        status: Where it stands afterwards.
        event: What the audit log calls it.
        origin: Who moves it.
        values: Further columns of its row. A waiting task is due at once, and a task that nobody works at has
            no lease, where they do not say otherwise.
        words: What the event's message needs besides the task's name.
        details: For the audit log.
        warning: Whether the event is a warning although its type is an error.
        key: The event's dedup key; None: each counts.
        error: Why, for the listeners, as (message, error type).
        reopens: Whether an ended order is opened again.
        also: Writes what else belongs to it, before the order's end.
    """

    status: TaskStatus
    event: EventType
    origin: Origin
    values: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None
    warning: bool = False
    key: str | None = None
    error: tuple[str, str] | None = None
    reopens: bool = False
    also: Callable[[Connection], None] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What has moved: what is to be done after the commit.

    Attributes:
        messages: To be published.
        tasks: The tasks after it; those that wait are rung for.
        completion: The numbers of the order, when it has ended; the courier tells them.
    """

    messages: tuple[StatusChange, ...] = ()
    tasks: tuple[TaskState, ...] = ()
    completion: Completion | None = None


#: Nothing is to be done.
NOTHING: Final = Moved()


def hold(connection: Connection, task_id: int, order_id: int | None = None) -> tuple[OrderState, TaskState]:
    """Hold a task and its order until the transaction ends, the order first: nobody else moves them meanwhile.

    Args:
        connection: In a transaction.
        task_id: The task.
        order_id: Its order, where it is known.

    Raises:
        TaskNotFound: When there is no such task, or none of any order.
    """
    task = download_tasks.c
    if order_id is None:
        order_id = connection.execute(select(task.order_id).where(task.id == task_id)).scalar()
    try:
        order = None if order_id is None else orders.lock(connection, order_id)
    except OrderNotFound:  # an orphan
        raise no_task(task_id) from None
    row = connection.execute(_STATE.where(task.id == task_id).with_for_update()).mappings().first()
    if order is None or row is None:
        raise no_task(task_id)
    return order, TaskState.of({**row, "order_code": order.order_code})


def no_task(task_id: int) -> TaskNotFound:
    """What is raised where there is no task of that id."""
    return TaskNotFound(f"task {task_id} not found", hint="orderctl tasks list")


def as_it_stood(task: TaskState) -> Conditions:
    """The fence of whoever holds a task: it is as it was when it was read."""
    row = download_tasks.c
    return row.status == task.status, row.attempt == task.attempt


def write(connection: Connection, task_id: int, fence: Conditions, values: Mapping[str, Any]) -> bool:
    """Write into a task's row if it still meets its fence; a compare-and-set.

    Returns:
        Whether it did.
    """
    row = update(download_tasks).where(download_tasks.c.id == task_id, *fence)
    values = {"updated_at": database.utc_now(), **values}
    return shop_tables.execute(connection, row, values).rowcount == 1


def move(
    connection: Connection, task: TaskState, what: Move, fence: Conditions, order: OrderState | None = None
) -> Moved | None:
    """Move a task.

    Args:
        connection: In a transaction.
        task: As it stands.
        what: What happens to it.
        fence: What its row has to meet still.
        order: Its order, from :func:`hold` in this transaction; None where the move cannot end it.

    Returns:
        What to do after the commit; None when the row does not meet the fence any more: nothing is written.
    """
    if not write(connection, task.id, fence, _values(what)):
        return None
    _record(connection, task, what)
    change = _change(task, what)
    after = replace(task, status=what.status, managed=bool(what.values.get("managed", task.managed)))
    if order is None:
        return Moved((change,), (after,))
    reopened = reopen(connection, order, what.origin) if what.reopens else ()
    if what.also is not None:
        what.also(connection)
    ended = end(connection, order, what.origin) if what.status in ENDED_TASK else NOTHING
    return Moved((change, *reopened, *ended.messages), (after,), ended.completion)


def _values(what: Move) -> dict[str, Any]:
    values: dict[str, Any] = {"status": what.status.value}
    if what.status is TaskStatus.PENDING:
        values["available_at"] = database.utc_now()
    if what.status not in _LEASED:
        values |= {"lease_token": None, "lease_until": None}
    return {**values, **what.values}


def _record(connection: Connection, task: TaskState, what: Move) -> None:
    event = NewEvent(
        what.event,
        task.order_id,
        what.origin,
        task.id,
        words={"name": task.name, **what.words},
        details=what.details,
        previous_status=task.status,
        new_status=what.status,
        severity=Severity.WARNING if what.warning else None,
        dedup_key=what.key,
    )
    audit.record(connection, event)


def _change(task: TaskState, what: Move) -> StatusChange:
    now = clock.milliseconds()
    error, error_type = what.error or (None, None)
    return StatusChange(Scope.TASK, task.id, what.status, task.status, now, error, error_type, task.attempt)


def pay(connection: Connection, order: OrderState, event: NewEvent) -> Moved | None:
    """Mark an order paid.

    Args:
        connection: In a transaction.
        order: Held, and not paid.
        event: Tells the payment; its dedup key names it.

    Returns:
        The tasks that may now be worked at; None when that payment has been told before: roll back.
    """
    paid = {"payment_status": PaymentStatus.PAID.value, "paid_at": database.utc_now()}
    _write_order(connection, order, paid)
    if not audit.record(connection, event):
        return None
    task = download_tasks.c
    waiting = (task.order_id == order.id, task.status.in_(WAITING))
    rows = connection.execute(_STATE.where(*waiting).order_by(task.id)).mappings()
    return Moved(tasks=tuple(TaskState.of({**row, "order_code": order.order_code}) for row in rows))


def begin(connection: Connection, order: OrderState, origin: Origin) -> tuple[StatusChange, ...]:
    """Make an order ``processing``, when its first task is claimed, or one that came after its end."""
    if order.order_status == OrderStatus.PENDING:
        return (_move_order(connection, order, OrderStatus.PROCESSING),)
    return reopen(connection, order, origin)


def reopen(connection: Connection, order: OrderState, origin: Origin) -> tuple[StatusChange, ...]:
    """Open an ended order again, for a task that is to run once more; its next end is another round."""
    if order.order_status not in ENDED_ORDER:
        return ()
    number = order.round + 1
    change = _move_order(connection, order, OrderStatus.PROCESSING, completed_at=None, round=number)
    event = NewEvent(
        EventType.ORDER_REOPENED,
        order.id,
        origin,
        words={"order_code": order.order_code},
        previous_status=order.order_status,
        new_status=OrderStatus.PROCESSING,
        dedup_key=f"order:{order.id}:reopened:{number}",
    )
    audit.record(connection, event)
    return (change,)


def end(connection: Connection, order: OrderState, origin: Origin) -> Moved:
    """End an order if its tasks have all ended: status, audit event, completion message, mail, webhook.

    All but the status are written once for each round: somebody else may set the status back.

    Args:
        connection: In the transaction that moved the task, which held the order first.
        order: Held in this transaction.
        origin: Whose move leads to it.

    Returns:
        What to publish after the commit; nothing when it has not ended or had ended before.
    """
    current = orders.lock(connection, order.id)  # it may have been opened again in this transaction
    counts = orders.count_tasks(connection, [order.id]).get(order.id, {})
    status = order_end(counts)
    if status is None or current.order_status in ENDED_ORDER:
        return NOTHING
    completion = _completion(order.id, counts)
    key = f"order:{order.id}:round:{current.round}"
    _record_end(connection, current, status, completion, key, origin)
    change = _move_order(connection, current, status, completed_at=database.utc_now())
    outbox.put_order_end(connection, key, current.id, completion, status)
    return Moved((change,), completion=completion)


def _record_end(
    connection: Connection,
    order: OrderState,
    status: OrderStatus,
    completion: Completion,
    key: str,
    origin: Origin,
) -> None:
    completed, total = completion.completed_tasks, completion.total_tasks
    counts = {"completedCount": completed, "failedCount": completion.failed_tasks, "totalCount": total}
    event = NewEvent(
        EventType[f"ORDER_{status.name}"],
        order.id,
        # A worker only did its job; an admin wanted what led to it.
        origin if origin.source is not Source.WORKER else Origin(origin.source),
        words={"order_code": order.order_code, "status": status, "completed": completed, "total": total},
        details=counts,
        previous_status=order.order_status,
        new_status=status,
        dedup_key=key,
    )
    audit.record(connection, event)


def _move_order(
    connection: Connection, order: OrderState, status: OrderStatus, **values: Any
) -> StatusChange:
    _write_order(connection, order, {"order_status": status.value, **values})
    return StatusChange(Scope.ORDER, order.id, status, order.order_status, clock.milliseconds())


def _write_order(connection: Connection, order: OrderState, values: Mapping[str, Any]) -> None:
    # No fence: the order is held.
    shop_tables.execute(connection, update(orders_table).where(orders_table.c.id == order.id), values)


def _completion(order_id: int, counts: Mapping[str, int]) -> Completion:
    total = sum(counts.values()) - counts.get(TaskStatus.CANCELLED, 0)
    completed, failed = counts.get(TaskStatus.COMPLETED, 0), counts.get(TaskStatus.FAILED, 0)
    return Completion(order_id, total, completed, failed, clock.milliseconds())


_STATE: Final = select(*columns(TaskState, download_tasks))
