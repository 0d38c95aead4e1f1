"""All moves of tasks and orders from status to status. No other module writes a status.

A move is part of a transaction. The order is locked first, then the task's row is written if it still meets
the fence, an audit event is written, and the order is started, reopened or ended if that follows. What is to
be done after the commit is returned as :class:`Moved`. The callers ``tasks`` (admins), ``leases`` and
``failures`` (workers), ``reconcile`` and ``payments`` only describe the move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select, update

from orderctl import audit, clock, database, deletion, endings, masking, orders, readiness, shop_tables
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
    ErrorType,
    EventType,
    OrderStatus,
    PaymentStatus,
    Severity,
    TaskStatus,
    order_end,
)

#: Statuses in which a worker holds a lease; a move to any other status ends the lease.
_LEASED: Final = (TaskStatus.ENROLLED, TaskStatus.DOWNLOADING)

Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of a task, as far as a move needs it."""

    id: int
    order_id: int
    order_code: str | None  # None: the order does not exist
    title: str | None
    course_url: str
    status: str
    attempt: int
    max_attempts: int
    managed: bool
    worker: str | None
    lease_token: str | None
    lease_until: datetime | None
    failing_since: datetime | None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """Make a task from a row; columns written by the shop may be NULL."""
        return cls(**{**row, "status": row["status"] or "", "managed": bool(row["managed"])})

    @property
    def name(self) -> str:
        """The name of the task for people: its title, else its URL without what is secret."""
        return masking.text(self.title) if self.title else masking.url(self.course_url)

    @property
    def leased(self) -> bool:
        """Whether a worker holds a lease on the task."""
        return self.lease_until is not None

    def key(self, event: str) -> str:
        """Return the dedup key of an event of the current attempt."""
        return f"task:{self.id}:attempt:{self.attempt}:{event}"


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a task's status, with all that belongs to it.

    Attributes:
        status: The new status.
        event: The type of the audit event.
        origin: Who moves the task.
        values: Further columns of the row. Unless given here, a waiting task becomes due at once, and a task
            that is not being worked on gets no lease.
        words: Placeholders of the event's message, besides the task's name.
        details: Details for the audit log.
        warning: Whether the event is a warning although its type is an error.
        key: The event's dedup key; None: such an event may be written several times.
        error: The reason of a failure, for the status message, as (message, error type).
        retry_at: When a task that waits after a failure is tried again, and ``failing_since``: for the status
            message.
        is_told: Whether the move is written into the audit log.
        reopens: Whether an order that has ended is reopened.
        also: Called to write further rows, before the order's end.
    """

    status: TaskStatus
    event: EventType
    origin: Origin
    values: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None
    warning: bool = False
    key: str | None = None
    error: tuple[str, ErrorType] | None = None
    retry_at: datetime | None = None
    failing_since: datetime | None = None
    is_told: bool = True
    reopens: bool = False
    also: Callable[[Connection], None] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved, and so what is to be done after the commit.

    Attributes:
        messages: The messages to publish.
        tasks: The tasks after the move; for those that wait a worker is woken.
        completion: The numbers of the order's tasks if the order has ended; the courier publishes them.
        note: Why nothing was changed, for people: another one had changed it before.
    """

    messages: tuple[StatusChange, ...] = ()
    tasks: tuple[TaskState, ...] = ()
    completion: Completion | None = None
    note: str | None = None


#: Nothing was moved.
NOTHING: Final = Moved()


def hold(connection: Connection, task_id: int, order_id: int | None = None) -> tuple[OrderState, TaskState]:
    """Lock a task and its order, the order first, so that no other process moves them in this transaction.

    Args:
        connection: In a transaction.
        task_id: The task.
        order_id: The task's order, if it is known.

    Raises:
        TaskNotFound: The task does not exist, or the shop has deleted it or its order.
        OrderNotFound: The task's order does not exist. Where no foreign key prevents it, the shop can delete an
            order and leave its tasks behind.
    """
    if order_id is None:
        found = connection.execute(_ORDER_OF, {"task_id": task_id}).first()
        if found is None:
            raise no_task(task_id)
        order_id = found.order_id
    try:
        order = orders.lock(connection, order_id)
    except OrderNotFound:
        missing = "has no order" if order_id is None else f"belongs to order {order_id}, which does not exist"
        raise OrderNotFound(f"task {task_id} {missing}", hint=f"orderctl tasks show {task_id}") from None
    row = connection.execute(_HELD, {"task_id": task_id}).mappings().first()
    if row is None or order.deleted:
        raise no_task(task_id)
    return order, TaskState.of({**row, "order_code": order.order_code})


def no_task(task_id: int) -> TaskNotFound:
    """Return the error for a task that does not exist."""
    return TaskNotFound(f"task {task_id} not found", hint="orderctl tasks list")


def unchanged(task: TaskState) -> Conditions:
    """Return the fence of a transaction that holds a task: status and attempt are still as they were read."""
    row = download_tasks.c
    # The shop's own column may hold NULL, which is read as 0.
    return row.status == task.status, func.coalesce(row.attempt, 0) == task.attempt


def write(connection: Connection, task_id: int, fence: Conditions, values: Mapping[str, Any]) -> bool:
    """Write into a task's row if it still meets the fence; a compare-and-set.

    Returns:
        Whether the row was written.
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
        task: The task as it was read.
        what: The move.
        fence: The conditions that the row still has to meet.
        order: The task's order, from :func:`hold` in this transaction; None if the move cannot end the order.

    Returns:
        What to do after the commit. None if the row does not meet the fence any more; nothing is written
        then.
    """
    if not write(connection, task.id, fence, _values(task, what, order)):
        return None
    if what.is_told:
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


def _values(task: TaskState, what: Move, order: OrderState | None) -> dict[str, Any]:
    values: dict[str, Any] = {"status": what.status.value, "ready": readiness.NOT_READY}
    if what.status is TaskStatus.PENDING:
        values["available_at"] = database.utc_now()
        values["ready"] = readiness.after_move(
            order,
            managed=bool(what.values.get("managed", task.managed)),
            failing=what.values.get("failing_since", task.failing_since) is not None,
            reopens=what.reopens,
        )
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
    if what.error is None:
        return StatusChange(Scope.TASK, task.id, what.status, task.status, now, attempt=task.attempt)
    error, kind = what.error
    return StatusChange(
        Scope.TASK,
        task.id,
        what.status,
        task.status,
        now,
        error,
        kind.contract,
        task.attempt,
        kind,
        clock.as_milliseconds(what.retry_at),
        clock.as_milliseconds(what.failing_since),
    )


def pay(connection: Connection, order: OrderState, event: NewEvent) -> Moved:
    """Mark an order as paid.

    Args:
        connection: In a transaction that has made sure that the payment counts once.
        order: The order, locked and not paid.
        event: The event of the payment.

    Returns:
        The tasks that workers may take now.
    """
    paid = {"payment_status": PaymentStatus.PAID.value, "paid_at": database.utc_now()}
    _write_order(connection, order, paid)
    audit.record(connection, event)
    readiness.note_order(connection, order.id)
    task = download_tasks.c
    waiting = (
        task.order_id == order.id,
        task.status.in_(WAITING),
        or_(task.available_at.is_(None), task.available_at <= database.utc_now()),
        deletion.not_deleted(download_tasks),
    )
    rows = connection.execute(_STATE.where(*waiting).order_by(task.id)).mappings()
    return Moved(tasks=tuple(TaskState.of({**row, "order_code": order.order_code}) for row in rows))


def begin(connection: Connection, order: OrderState, origin: Origin) -> tuple[StatusChange, ...]:
    """Make an order ``processing`` when a task is claimed: its first one, or one added after its end.

    An order that the shop has ended stays as it is, although a task was still open.
    """
    if order.order_status in {OrderStatus.PENDING, None}:
        return (_move_order(connection, order, OrderStatus.PROCESSING),)
    if order.order_status in ENDED_ORDER and endings.is_recorded(connection, order):
        return _reopen(connection, order, origin)
    return ()


def reopen(connection: Connection, order: OrderState, origin: Origin) -> tuple[StatusChange, ...]:
    """Reopen an order that has ended, because an admin changes a task; its next end is in a new round."""
    return _reopen(connection, order, origin) if has_ended(connection, order) else ()


def has_ended(connection: Connection, order: OrderState) -> bool:
    """Whether an order has ended: its status tells so, or its end is recorded, by orderctl or by the shop."""
    if not orders.is_unended(order):
        return order.order_status in ENDED_ORDER
    return endings.is_recorded(connection, order) or endings.by_shop(connection, order) is not None


def _reopen(connection: Connection, order: OrderState, origin: Origin) -> tuple[StatusChange, ...]:
    number = order.round + 1
    change = _move_order(connection, order, OrderStatus.PROCESSING, completed_at=None, round=number)
    event = NewEvent(
        EventType.ORDER_REOPENED,
        order.id,
        origin,
        words={"order_code": order.order_code},
        previous_status=order.order_status,
        new_status=OrderStatus.PROCESSING,
        dedup_key=endings.reopening_key(order, number),
    )
    audit.record(connection, event)
    return (change,)


def end(connection: Connection, order: OrderState, origin: Origin, *, settle: bool = False) -> Moved:
    """End an order if all its tasks have ended: status, audit event, completion message, mail, webhook.

    All but the status are written only once in each round, because another program may set the status back; and
    never where the shop has ended the order itself. If it has only written its event yet, its status will follow:
    orderctl does not anticipate it.

    Args:
        connection: In the transaction that moved the task, which locked the order first.
        order: The order, locked in this transaction.
        origin: Who made the move that ends the order.
        settle: Give an order that the shop has ended by an event the status of that event.

    Returns:
        What to publish after the commit; nothing if the order has not ended, had ended before, is deleted or has a
        status that orderctl does not know.
    """
    counts = orders.count_tasks(connection, [order.id]).get(order.id, {})
    status = order_end(counts)
    if status is None:
        return NOTHING
    current = orders.lock(connection, order.id)  # it may have been reopened in this transaction
    if not orders.is_unended(current) or current.deleted:
        return NOTHING
    # Where orderctl has ended this round, a later event of the shop's is its own note of that.
    recorded = endings.is_recorded(connection, current)
    by_shop = None if recorded else endings.by_shop(connection, current)
    if by_shop is not None:
        return Moved((_finish(connection, current, by_shop),)) if settle else NOTHING
    completion = None if recorded else endings.record(connection, current, status, counts, origin)
    return Moved((_finish(connection, current, status),), completion=completion)


def cancel(connection: Connection, order: OrderState, origin: Origin, reason: str | None) -> Moved:
    """End an order as cancelled, whatever its tasks have come to.

    Args:
        connection: In a transaction that has locked the order first, and cancelled its unfinished tasks.
        order: The order, which has not ended.
        origin: Who cancels it.
        reason: Why, for the audit log.
    """
    counts = orders.count_tasks(connection, [order.id]).get(order.id, {})
    completion = endings.record(connection, order, OrderStatus.CANCELLED, counts, origin, reason)
    return Moved((_finish(connection, order, OrderStatus.CANCELLED),), completion=completion)


def _finish(connection: Connection, order: OrderState, status: OrderStatus) -> StatusChange:
    return _move_order(connection, order, status, completed_at=database.utc_now())


def _move_order(
    connection: Connection, order: OrderState, status: OrderStatus, **values: Any
) -> StatusChange:
    _write_order(connection, order, {"order_status": status.value, **values})
    return StatusChange(Scope.ORDER, order.id, status, order.order_status, clock.milliseconds())


def _write_order(connection: Connection, order: OrderState, values: Mapping[str, Any]) -> None:
    # No fence is needed: the order is locked.
    shop_tables.execute(connection, update(orders_table).where(orders_table.c.id == order.id), values)


_STATE: Final = select(*columns(TaskState, download_tasks))
# Statements that are made once need no new key among the compiled ones.
_IS_TASK: Final = download_tasks.c.id == bindparam("task_id")
_ORDER_OF: Final = select(download_tasks.c.order_id).where(_IS_TASK)
_HELD: Final = _STATE.where(_IS_TASK, deletion.not_deleted(download_tasks)).with_for_update()
