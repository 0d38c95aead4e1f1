"""The API's database queries, with results in the JSON shapes that the shop's dashboard reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from orderctl import audit, clock, listing, order_stats, orders, tasks
from orderctl.audit import Event, Search
from orderctl.error_groups import ErrorGroup
from orderctl.errors import TaskNotFound
from orderctl.listing import OrderFilter
from orderctl.order_stats import Stats
from orderctl.orders import Order
from orderctl.payments import ledger, waiting
from orderctl.payments.ledger import Filter, Payment
from orderctl.states import UNDECIDED, TaskStatus
from orderctl.tasks import Task, TaskFilter
from orderctl.waits import Reason
from orderctl.why.chain import Diagnosis
from orderctl.why.scene import Scene

#: A task's percent in these statuses, regardless of the last progress message.
_FINAL: Final = {TaskStatus.COMPLETED: 100, TaskStatus.CANCELLED: 0}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request for a page of the paid orders.

    Attributes:
        limit: Most orders on the page.
        page: Number of the page, from 1; ignored if there is a cursor.
        cursor: The cursor that the previous page returned.
        statuses: Only orders of these statuses; None: any.
        search: Only the orders whose code or e-mail address contains this, as far as ``searching`` looks.
        search_addresses: Whether the search looks at addresses, too.
    """

    limit: int
    page: int = 1
    cursor: str | None = None
    statuses: Sequence[str] | None = None
    search: str | None = None
    search_addresses: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A page of orders with their tasks.

    Attributes:
        orders: Newest first.
        tasks: By order.
        cursor: For the next page; None at the end.
        total: Number of all orders that a search finds, None when it was not counted.
        waiting: Why nothing happens to an order, by its id.
    """

    orders: Sequence[Order]
    tasks: Mapping[int, Sequence[Task]]
    cursor: str | None = None
    total: int | None = None
    waiting: Mapping[int, Reason] = field(default_factory=dict)


def paid_orders(connection: Connection, wanted: Wanted) -> Found:
    """Return one page of the paid orders.

    Raises:
        InvalidInput: When the cursor is not valid.
    """
    chosen = OrderFilter(
        paid=True,
        statuses=wanted.statuses,
        search=wanted.search,
        search_addresses=wanted.search_addresses,
    )
    skip = 0 if wanted.cursor else (wanted.page - 1) * wanted.limit
    page = listing.page(connection, chosen, limit=wanted.limit, after=wanted.cursor, skip=skip)
    return Found(page.orders, _tasks_of(connection, page.orders), page.cursor, page.total)


def one_order(connection: Connection, order_id: int) -> Found:
    """Return the order of that id, paid or not.

    Raises:
        OrderNotFound: When there is no such order.
    """
    found = [orders.get(connection, order_id)]
    return Found(found, _tasks_of(connection, found), total=1)


def payments_of(connection: Connection, order_id: int) -> list[Json]:
    """Return the payments of an order, oldest first."""
    return [payment_in_json(payment) for payment in ledger.of_order(connection, order_id)]


def payments(connection: Connection, *, waits: bool, limit: int, before: int | None) -> Json:
    """Return a page of the payments, newest first, and the numbers of those that wait for a decision.

    Args:
        connection: A connection for reading.
        waits: Only those that wait for a decision.
        limit: Most payments on the page.
        before: Only payments with a lower id.
    """
    chosen = Filter(outcomes=UNDECIDED if waits else None)
    after = None if before is None else str(before)
    page = ledger.page(connection, chosen, limit=limit, after=after)
    return {
        "payments": [payment_in_json(payment) for payment in page.payments],
        "waiting": waiting.count(connection),
        "before": None if page.cursor is None else int(page.cursor),
    }


def payment_in_json(payment: Payment) -> Json:
    """Return a payment as `orderctl payments list -o json` has it."""
    return {name: _plain(value) for name, value in asdict(payment).items()}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return moment(value) if isinstance(value, datetime) else value


def _tasks_of(connection: Connection, found: Sequence[Order]) -> dict[int, list[Task]]:
    by_order: dict[int, list[Task]] = {order.id: [] for order in found}
    for task in tasks.of_orders(connection, list(by_order)) if by_order else ():
        by_order[task.order_id].append(task)
    return by_order


def numbers(connection: Connection) -> Json:
    """Return the exact numbers of orders and tasks by status."""
    return _numbers(order_stats.count(connection, exact=True))


def bounds(connection: Connection) -> Json:
    """Return the numbers of orders and tasks by status, and in ``atLeast`` which of them are lower bounds."""
    stats = order_stats.count(connection)
    totals = {name.partition(".")[0] + ".total" for name in stats.at_least}
    return {**_numbers(stats), "atLeast": sorted(stats.at_least | totals)}


def _numbers(stats: Stats) -> Json:
    return {
        "orders": {"total": sum(stats.orders.values()), **stats.orders},
        "tasks": {"total": sum(stats.tasks.values()), **stats.tasks},
    }


def logs(connection: Connection, order_id: int, wanted: Search, *, limit: int) -> list[Json]:
    """Return events of one order, newest first.

    Raises:
        OrderNotFound: When there is no such order.
    """
    orders.get(connection, order_id)
    return [_event(event) for event in audit.search(connection, order_id, wanted, limit=limit)]


def errors(connection: Connection, *, limit: int) -> list[Json]:
    """Return the failed tasks grouped by error, each group with its newest task."""
    groups = tasks.group_errors(connection, TaskFilter(), limit=limit)
    if not groups:
        return []
    newest = TaskFilter(ids=[group.latest_task_id for group in groups])
    found = {task.id: task for task in tasks.select_tasks(connection, newest, limit=limit)}
    return [_group(group, found.get(group.latest_task_id)) for group in groups]


def order_of_task(connection: Connection, task_id: int) -> int | None:
    """Return the id of a task's order; None when there is no such task."""
    try:
        return tasks.find(connection, task_id).order_id
    except TaskNotFound:
        return None


def why_in_json(known: Scene, found: Diagnosis) -> Json:
    """Return why an order or a task hangs, as ``orderctl why -o json`` has it, with the evidence of the first link.

    Args:
        known: The order or the task.
        found: What was found of it.
    """
    task, order = known.task, known.order
    subject = f"task {task.id}" if task else f"order {(order and (order.order_code or order.id)) or ''}"
    first: Json = {
        "link": None,
        "cause": None,
        "text": None,
        "evidence": [],
        "repair": None,
        "explanation": None,
    }
    if found.first is not None:
        first = found.first.record
    return {"subject": subject, "state": "holds", **first, "steps": [step.record for step in found.steps]}


def order_in_json(
    order: Order, found: Sequence[Task], live: Mapping[int, Json], waits: Reason | None = None
) -> Json:
    """Return an order with its tasks as JSON; ``live`` has the last progress message by task id."""
    return {
        "id": order.id,
        "order_code": order.order_code,
        "order_status": order.order_status,
        "user_email": order.user_email,
        "total_amount": float(order.total_amount or 0),
        "payment_status": order.payment_status,
        "created_at": moment(order.created_at),
        "waiting": None if waits is None else waits.record,
        "stats": {
            "completedTasks": order.completed_tasks,
            "totalTasks": order.total_tasks,
            "failedTasks": order.failed_tasks,
            "progressPercentage": order.progress_percentage,
        },
        "tasks": [_task(task, live.get(task.id, {})) for task in found],
    }


def _task(task: Task, live: Json) -> Json:
    return {
        "id": task.id,
        "title": task.title,
        "status": task.status,
        "course_url": task.course_url,
        "currentProgress": _FINAL.get(task.status, live.get("percent", 0)),  # type: ignore[call-overload]
        "currentFile": live.get("currentFile"),
        "speed": live.get("speed"),
        "drive_link": task.drive_link,
        "error_log": task.error_log,
        "error_type": task.error_type,
        "error_fingerprint": task.error_fingerprint,
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "retry_at": moment(task.retry_at),
        "failing_since": moment(task.failing_since),
        "managed": task.managed,
        "updated_at": moment(task.updated_at),
    }


def _event(event: Event) -> Json:
    details = event.details
    return {
        "id": event.id,
        "task_id": event.task_id,
        "task_title": event.task_title,
        "course_url": event.course_url,
        "severity": event.severity,
        "event_type": event.event_type,
        "event_category": event.event_category,
        "message": event.message,
        "details": details if details is None or isinstance(details, dict) else {"value": details},
        "previous_status": event.previous_status,
        "new_status": event.new_status,
        "source": event.source,
        "actor": event.actor,
        "created_at": moment(event.created_at),
    }


def _group(group: ErrorGroup, newest: Task | None) -> Json:
    return {
        "error_type": group.error_type,
        "fingerprint": group.fingerprint,
        "count": group.count,
        "capped": group.capped,
        "latest_task_id": group.latest_task_id,
        "latest_task_title": newest and newest.title,
        "latest_order_id": newest and newest.order_id,
        "latest_order_code": newest and newest.order_code,
        "latest_at": newest and moment(newest.updated_at),
        "example": group.example,
        "managed": newest is None or newest.managed,
    }


def moment(value: datetime | None) -> str | None:
    """Return a time in ISO 8601 with its zone."""
    return None if value is None else clock.iso(value)
