"""The columns of orders, payments, differences, tasks and events. Their names are keys in JSON, which scripts rely on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from orderctl import error_types
from orderctl.cli import outlook
from orderctl.terminal import render
from orderctl.terminal.render import Column, Where
from orderctl.terminal.table import STAYS

_STATUS_STYLES: Final = {
    "completed": "green",
    "paid": "green",
    "failed": "red",
    "processing": "blue",
    "downloading": "blue",
    "enrolled": "blue",
    "cancelled": "dim",
    "refunded": "dim",
    "partial": "blue",
    "unmatched": "yellow",
    "mismatch": "yellow",
    "surplus": "yellow",
    "ignored": "dim",
    "refused": "dim",
    "sent": "green",
    "skipped": "dim",
}
_DIFFERENCE_STYLES: Final = {
    "missing": "red",
    "double": "yellow",
    "wrong-amount": "yellow",
    "late": "dim",
    "without-transfer": "yellow",
}
_SEVERITY_STYLES: Final = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}


def status_style(status: Any) -> str | None:
    """Return the colour of a status, or of the outcome of a payment."""
    return _STATUS_STYLES.get(str(status))


def severity_style(severity: Any) -> str | None:
    """Return the colour of a severity."""
    return _SEVERITY_STYLES.get(str(severity))


def percent(value: Any) -> str:
    """Return a percentage as text for people."""
    return f"{value:g} %"


def speed(value: Any) -> str:
    """Return bytes per second as text for people."""
    return f"{render.size(value)}/s"


def _reason(error: str) -> str:
    """Return an error without the name of its class."""
    return re.sub(r"\A[A-Z][A-Za-z]+: (?=\S)", "", error)


def _short_reason(error: str) -> str:
    """Return the reason without the receiver's URL, which another column names."""
    return re.sub(r"\Ahttps?://\S+: (?=\S)", "", _reason(error))


def _untyped(error: str) -> str:
    return error_types.untyped(error) or render.NOTHING


def _live(name: str) -> Callable[[Any], Any]:
    """Return a function that reads an attribute that only a :class:`orderctl.cli.live.LiveTask` has."""
    return lambda task: getattr(task, name, None)


ORDERS: Final = (
    Column("order_code", "CODE", keep=True),
    Column("id", where=Where.WIDE, right=True),
    Column("order_status", "STATUS", style=status_style, keep=True),
    Column("payment_status", "PAYMENT", style=status_style, priority=9),
    Column("total_amount", "AMOUNT", show=render.amount, right=True, keep=True),
    Column("user_email", "CUSTOMER", priority=6),
    Column("total_tasks", "TASKS", right=True, priority=4),
    Column("completed_tasks", "DONE", right=True, priority=3),
    Column("failed_tasks", "FAILED", right=True, style=lambda count: "red" if count else None, priority=8),
    Column("progress_percentage", "PROGRESS", show=percent, right=True, priority=7),
    Column("created_at", "CREATED", priority=5),
    Column("paid_at", where=Where.WIDE),
    Column("completed_at", where=Where.WIDE),
)

TASKS: Final = (
    Column("id", keep=True, right=True),
    Column("order_id", where=Where.WIDE, right=True),
    Column("order_code", "ORDER", keep=True),
    Column("title", instead=lambda task: task.course_url, priority=7),
    Column("course_url", where=Where.WIDE),
    Column("status", style=status_style, keep=True),
    Column("percent", "%", get=_live("percent"), show="{:g}".format, right=True, priority=6),
    Column("current_file", "FILE", get=_live("current_file"), where=Where.WIDE),
    Column("speed", get=_live("speed"), show=speed, where=Where.WIDE, right=True),
    Column("attempt", "TRIES", right=True, priority=1),
    Column("max_attempts", where=Where.WIDE, right=True),
    Column("retry_at", "NEXT TRY", priority=3),
    Column("error_type", "ERROR", style=lambda kind: "red" if kind else None, priority=8),
    Column("error_log", "REASON", show=_untyped, priority=4),
    Column("failing_since", where=Where.WIDE),
    Column("error_fingerprint", "FINGERPRINT", where=Where.WIDE),
    Column("drive_link", where=Where.WIDE),
    Column("worker", where=Where.WIDE),
    Column("managed", where=Where.WIDE),
    Column("updated_at", "UPDATED", priority=2),
)


class _AtLeast(int):
    """A number at which counting stopped."""


def _counted(group: Any) -> int:
    return _AtLeast(group.count) if group.capped else int(group.count)


def _at_least(number: int) -> str:
    return f"{number:d}+" if isinstance(number, _AtLeast) else str(number)


ERROR_GROUPS: Final = (
    Column("fingerprint", keep=True),
    Column("error_type", "ERROR", style=lambda kind: "red" if kind else None, priority=9),
    Column("count", "TASKS", get=_counted, show=_at_least, right=True, keep=True),
    Column("capped", "MORE", where=Where.DATA),
    Column("latest_task_id", "LATEST TASK", right=True, priority=4),
    Column("example", show=_untyped, priority=7),
)

EVENTS: Final = (
    Column("id", where=Where.WIDE, right=True),
    Column("created_at", "TIME", keep=True),
    Column("severity", style=severity_style, priority=4),
    Column("event_type", "EVENT", priority=7),
    Column("order_id", where=Where.DATA, right=True),
    Column("task_id", "TASK", right=True, priority=5),
    Column("message", priority=STAYS),
    Column("event_category", "CATEGORY", where=Where.WIDE),
    Column("previous_status", "FROM", where=Where.WIDE),
    Column("new_status", "TO", where=Where.WIDE),
    Column("source", where=Where.WIDE),
    Column("actor", where=Where.WIDE),
    Column("details", where=Where.DATA),
    Column("task_title", where=Where.DATA),
    Column("course_url", where=Where.DATA),
)

#: Columns of events of several orders: those of events, and the code of the order.
ORDER_EVENTS: Final = (EVENTS[0], EVENTS[1], Column("order_code", "ORDER", priority=8), *EVENTS[2:])

#: Failures: their events, and the ids of all events that tell of them.
FAILURES: Final = (*ORDER_EVENTS, Column("event_ids", where=Where.DATA))

_SHOWN_FIRST: Final = {"order_code": 8, "task_id": 6, "event_type": 3, "severity": 2}
#: Events that were searched for: who caused them is more important than their type.
FOUND_EVENTS: Final = tuple(
    replace(column, where=Where.TABLE, priority=7)
    if column.name == "actor"
    else replace(column, priority=_SHOWN_FIRST.get(column.name, column.priority))
    for column in ORDER_EVENTS
)

PAYMENTS: Final = (
    Column("id", keep=True, right=True),
    Column("told_at", "RECEIVED", priority=6),
    Column("provider", priority=3),
    Column("provider_id", where=Where.WIDE),
    Column("amount", show=render.amount, right=True, keep=True),
    Column("currency", where=Where.WIDE),
    Column("direction", where=Where.WIDE),
    Column("bank", priority=4),
    Column("account", where=Where.WIDE),
    Column("reference", where=Where.WIDE),
    Column("order_id", where=Where.DATA, right=True),
    Column("order_code", "ORDER", instead=lambda payment: payment.order_id, priority=9),
    Column("outcome", style=status_style, keep=True),
    Column("reason", priority=5),
    Column("code", where=Where.WIDE),
    Column("content", where=Where.WIDE),
    Column("happened_at", where=Where.WIDE),
    Column("decided_by", where=Where.WIDE),
    Column("decided_at", where=Where.WIDE),
    Column("decision", where=Where.WIDE),
)

#: All that is known of one payment, except what its provider sent.
PAYMENT_DETAIL: Final = tuple(replace(column, where=Where.TABLE) for column in PAYMENTS)

#: Differences between a bank's statement and the ledger.
DIFFERENCES: Final = (
    Column("kind", keep=True, style=lambda kind: _DIFFERENCE_STYLES.get(str(kind))),
    Column("line", right=True),
    Column("happened_at", "TIME", priority=2),
    Column("order_id", where=Where.DATA, right=True),
    Column("order_code", "ORDER", instead=lambda difference: difference.order_id, keep=True),
    Column("amount", show=render.amount, right=True, keep=True),
    Column("expected", show=render.amount, right=True, priority=1),
    Column("currency", where=Where.WIDE),
    Column("payment_id", "PAYMENT", right=True, priority=4),
    Column("reference", where=Where.WIDE),
    Column("told_at", "RECEIVED", where=Where.WIDE),
    Column("outcome", where=Where.WIDE, style=status_style),
    Column("text", "DIFFERENCE"),
    Column("applied", where=Where.DATA, style=lambda done: "green" if done else None),
)

MESSAGES: Final = (
    Column("id", keep=True, right=True),
    Column("kind", priority=8),
    Column("state", style=status_style, keep=True),
    Column("order_id", where=Where.DATA, right=True),
    Column("order_code", "ORDER", instead=lambda message: message.order_id, priority=7),
    Column("task_id", where=Where.WIDE, right=True),
    Column("event", priority=1),
    Column("endpoint", where=Where.WIDE),
    Column("receiver", "TO", priority=4),
    Column("attempts", "TRIES", right=True, priority=2),
    Column("resent", where=Where.WIDE, right=True),
    Column("created_at", where=Where.WIDE),
    Column("due_at", "WHEN", instead=lambda message: message.sent_at or message.failed_at, priority=3),
    Column("sent_at", where=Where.WIDE),
    Column("failed_at", where=Where.WIDE),
    Column("last_error", "ERROR", show=_short_reason, priority=6),
    Column("dedup_key", where=Where.WIDE),
    Column("webhook_id", where=Where.WIDE),
)

TRIALS: Final = (
    Column("name", keep=True),
    Column("kind", where=Where.WIDE),
    Column("receiver", "TO"),
    Column("accepted", style=lambda accepted: "green" if accepted else "red", keep=True),
    Column("seconds", "TIME", show="{:.2f} s".format, right=True, keep=True),
    Column("error", "REASON"),
)

#: All that is known of one message, and what it says.
MESSAGE_DETAIL: Final = (
    *(
        replace(
            column,
            where=Where.TABLE,
            instead=None,
            show=_reason if column.name == "last_error" else column.show,
        )
        for column in MESSAGES
    ),
    Column("payload"),
)

#: What an order or a task waits for, of rows with an attribute ``reason``.
WAITING: Final = Column(
    "waiting",
    get=lambda found: outlook.record(found.reason),
    show=lambda reason: reason["text"],
    where=Where.DATA,
)


def _task_of(found: Any, task: Any) -> dict[str, Any]:
    """Return the record of a task of an order, with what it waits for."""
    waiting = outlook.record(found.outlook.tasks.get(task.id))
    return {**render.record(task, TASKS), WAITING.name: waiting}


ORDER_DETAIL: Final = (
    *ORDERS,
    WAITING,
    Column("tasks", get=lambda found: [_task_of(found, task) for task in found.tasks], where=Where.DATA),
    Column(
        "payments",
        get=lambda found: [render.record(payment, PAYMENTS) for payment in found.payments],
        where=Where.DATA,
    ),
    Column(
        "events", get=lambda found: [render.record(event, EVENTS) for event in found.events], where=Where.DATA
    ),
)

#: What has become of orders that were to be cancelled.
CANCELLED_ORDERS: Final = (
    Column("order_code", "ORDER", keep=True),
    Column("id", right=True),
    Column("order_status", "STATUS", style=status_style),
    Column("payment_status", "PAYMENT", style=status_style),
    Column("cancelled_tasks", "CANCELLED TASKS", right=True),
    Column("changed"),
    Column("error", style=lambda error: "red" if error else None),
)
