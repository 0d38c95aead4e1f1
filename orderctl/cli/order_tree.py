"""An order with its tasks, payments and events, drawn as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from orderctl import clock, error_types
from orderctl.cli import live, outlook, payment_lines
from orderctl.cli.columns import percent, severity_style, speed, status_style
from orderctl.cli.live import LiveOrder, LiveTask
from orderctl.cli.outlook import Outlook
from orderctl.terminal import render
from orderctl.terminal.render import Branch, View
from orderctl.terminal.widths import paint

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.audit import Event
    from orderctl.cli.app import App
    from orderctl.orders import Order
    from orderctl.payments.ledger import Payment
    from orderctl.tasks import Task
    from orderctl.waits import Reason

_MOST_EVENTS: Final = 1000


@dataclass(frozen=True)
class OrderTree:
    """An order, its tasks, its payments and its events, oldest first. It also has the attributes of the order.

    Attributes:
        cut: Whether there are older events, which are left out.
        outlook: What the order and its tasks wait for.
    """

    order: Order | LiveOrder
    tasks: Sequence[Task | LiveTask]
    payments: Sequence[Payment]
    events: Sequence[Event]
    cut: bool
    outlook: Outlook = field(default_factory=lambda: Outlook(None, {}))

    @property
    def reason(self) -> Reason | None:
        """Why nothing happens to the order."""
        return self.outlook.order

    def __getattr__(self, name: str) -> Any:
        return getattr(self.order, name)


@dataclass(frozen=True)
class TaskWithEvents:
    """A task, its events, oldest first, and what it waits for. It also has the attributes of the task."""

    task: Task | LiveTask
    events: Sequence[Event]
    reason: Reason | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


def find(connection: Connection, reference: str, *, deleted: bool = False) -> OrderTree:
    """Find the order with this code or id, if ``deleted`` among those that the shop has deleted.

    Raises:
        OrderNotFound: When there is no such order.
    """
    from orderctl import audit, references, tasks
    from orderctl.payments import ledger

    order = references.find(connection, reference, deleted=deleted)
    newest = audit.search(connection, order.id, limit=_MOST_EVENTS + 1)
    events = newest[:_MOST_EVENTS][::-1]
    cut = len(newest) > _MOST_EVENTS
    payments = ledger.of_order(connection, order.id)
    return OrderTree(order, tasks.of_orders(connection, [order.id]), payments, events, cut=cut)


def enliven(app: App, found: OrderTree) -> OrderTree:
    """Return the tree with the live progress of its order and tasks, and with what they wait for."""
    ahead = outlook.of_found(app, cast("Order", found.order), cast("Sequence[Task]", found.tasks))
    [order] = live.orders(app, [found.order])
    return replace(found, order=order, tasks=live.tasks(app, found.tasks), outlook=ahead)


def draw(found: OrderTree, view: View) -> str:
    """Return the tree as text: the order, its tasks with their events, its payments, then its own events."""
    below = [
        _task(task, _events_of(found, task.id), view, _own_reason(found, task.id)) for task in found.tasks
    ]
    known = {task.id for task in found.tasks}
    own = [event for event in found.events if event.task_id not in known]
    lines = [_order_line(found.order, view)]
    if found.reason is not None:
        lines.append(_waits(found.reason, view))
    return render.tree(
        Branch("\n".join(lines), (*below, *_payments(found, view), *_events(own, view))), view.width
    )


def _own_reason(found: OrderTree, task_id: int) -> Reason | None:
    """Return what a task waits for, unless the line of its order says the same."""
    reason = found.outlook.tasks.get(task_id)
    return None if reason == found.reason else reason


def _waits(reason: Reason, view: View) -> str:
    return paint(outlook.line(reason), "yellow" if view.color and reason.hint else None)


def next_tries(found: OrderTree) -> list[str]:
    """Return a line about each task that waits for its next try, which the events may not show."""
    return [
        f"task {task.id}: next try {clock.iso(task.retry_at)}, failing since {clock.iso(task.failing_since)}"
        for task in found.tasks
        if task.retry_at is not None and task.failing_since is not None
    ]


def draw_task(found: TaskWithEvents, view: View) -> str:
    """Return a task with its events, as a tree."""
    return render.tree(_task(found.task, found.events, view, found.reason), view.width)


def _order_line(order: Order | LiveOrder, view: View) -> str:
    parts = [
        paint(render.human(order.order_code), "bold" if view.color else None),
        _status(order.order_status, view),
        _status(order.payment_status, view),
        render.amount(order.total_amount),
        render.human(order.user_email),
        f"{order.completed_tasks} of {order.total_tasks} tasks ({order.progress_percentage} %)",
        f"created {render.moment(order.created_at, view)}",
    ]
    if order.deleted:
        parts.append(paint("deleted by the shop", _red(view)))
    return "  ".join(parts)


def _task(task: Task | LiveTask, events: Sequence[Event], view: View, reason: Reason | None = None) -> Branch:
    parts = [f"task {task.id}", _status(task.status, view), render.human(task.name)]
    if task.attempt:
        parts.append(f"attempt {task.attempt} of {task.max_attempts}")
    if not task.managed:
        parts.append("the shop's own")
    if task.worker and task.lease_until:
        parts.append(f"on {render.human(task.worker)}")
    parts += _now(task)
    lines = ["  ".join(parts)]
    if task.retry_at is not None:
        since = render.moment(task.failing_since, view)
        lines.append(f"next try {render.moment(task.retry_at, view)}, failing since {since}")
    if task.error_type or task.error_log:
        lines.append(paint(render.human(error_types.typed(task.error_type, task.error_log)), _red(view)))
    if reason is not None and (
        task.retry_at is None or reason.hint
    ):  # else it says no more than the next try
        lines.append(_waits(reason, view))
    if task.drive_link:
        lines.append(render.human(task.drive_link))
    return Branch("\n".join(lines), _events(events, view))


def _payments(found: OrderTree, view: View) -> tuple[Branch, ...]:
    return tuple(Branch(_payment_line(payment, view)) for payment in found.payments)


def _payment_line(payment: Payment, view: View) -> str:
    parts = [f"payment {payment.id}", _status(payment.outcome, view), payment_lines.amount(payment)]
    parts += [render.human(text) for text in (payment.bank, payment_lines.transaction(payment)) if text]
    parts.append(render.moment(payment.told_at, view))
    if payment.reason:
        parts.append(render.human(payment.reason))
    return "  ".join(parts)


def _now(task: Task | LiveTask) -> list[str]:
    """Return the live progress of a running task, as parts of its line."""
    if not isinstance(task, LiveTask):
        return []
    parts = [percent(task.percent)]
    if task.current_file:
        parts.append(render.human(task.current_file))
    if task.speed is not None:
        parts.append(speed(task.speed))
    return parts


def _events(events: Sequence[Event], view: View) -> tuple[Branch, ...]:
    return tuple(Branch(_event_line(event, view)) for event in events)


def _event_line(event: Event, view: View) -> str:
    kind = paint(render.human(event.event_type), severity_style(event.severity) if view.color else None)
    return f"{render.moment(event.created_at, view)}  {kind}  {render.human(event.message)}"


def _events_of(found: OrderTree, task_id: int) -> list[Event]:
    return [event for event in found.events if event.task_id == task_id]


def _status(status: str | None, view: View) -> str:
    return paint(render.human(status), status_style(status or "") if view.color else None)


def _red(view: View) -> str | None:
    return "red" if view.color else None
