"""What mails say: the facts that their templates get. The customer's mail is here, the admin's are in ``alerts``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from orderctl import masking, orders, tasks, texts
from orderctl.orders import Order
from orderctl.states import TaskStatus
from orderctl.tasks import Task
from orderctl.worker import reasons

#: Characters of a text of a stranger that a mail shows.
LONGEST: Final = 500
_LONGEST_LINK: Final = 4000
_ESCAPES: Final = str.maketrans({letter: f"%{ord(letter):02X}" for letter in ' "<>'})
#: The status of a course in words for the customer; any other is one of the shop's own.
STATES: Final[dict[str, str]] = {
    TaskStatus.PENDING: "In preparation",
    TaskStatus.ENROLLED: "In preparation",
    TaskStatus.DOWNLOADING: "In preparation",
    TaskStatus.COMPLETED: "Ready",
    TaskStatus.FAILED: "Not ready yet",
    TaskStatus.CANCELLED: "Cancelled",
}
#: Statuses in which an old link of a course leads nowhere.
_WITHOUT_FILES: Final = (TaskStatus.FAILED, TaskStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of a mail, before its templates make a text of it.

    Attributes:
        recipient: The address, as the shop or a setting has it.
        name: The name of its templates, of ``templates.MAILS``.
        facts: The variables of its templates.
    """

    recipient: str
    name: str
    facts: Mapping[str, Any]


def summary(connection: Connection, order_id: int) -> Letter:
    """Return the customer's mail at the end of an order: each course, its status, its link or what went wrong.

    Raises:
        OrderNotFound: The order does not exist.
    """
    order = orders.get(connection, order_id)
    courses = [_course(task) for task in tasks.of_orders(connection, [order.id])]
    return Letter(order.user_email, "order", {"order": _order(order), "courses": courses})


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "code": texts.legible(order.order_code, LONGEST),
        "email": texts.legible(order.user_email, LONGEST),
        "status": texts.legible(order.order_status or "", LONGEST),
        "outcome": outcome(order.total_tasks, order.completed_tasks, order.failed_tasks),
        "total": order.total_tasks,
        "completed": order.completed_tasks,
        "failed": order.failed_tasks,
        "cancelled": order.task_counts.get(TaskStatus.CANCELLED, 0),
    }


def outcome(total: int, completed: int, failed: int) -> str:
    """Return how an order ended: completed, partly, failed or cancelled; open when it was reopened since then.

    Args:
        total: The number of its courses that were not cancelled.
        completed: How many of them are ready.
        failed: How many of them failed.
    """
    if not total:
        return "cancelled"
    if completed + failed < total:
        return "open"
    if not failed:
        return "completed"
    return "partly" if completed else "failed"


def _course(task: Task) -> dict[str, Any]:
    failed = task.status == TaskStatus.FAILED
    status = texts.legible(task.status, LONGEST)
    error_type = reasons.kind(task.error_type) if failed else None
    return {
        "id": task.id,
        "title": _title(task),
        "status": status,
        "state": STATES.get(status, status),
        "link": None if task.status in _WITHOUT_FILES else _link(task.drive_link),
        "error_type": error_type and error_type.value,
        "reason": error_type and reasons.explain(error_type),
    }


def _title(task: Task) -> str:
    """Return the name of a course; a title of invisible characters is none."""
    names = (task.name, masking.url(task.course_url), f"Course {task.id}")
    return next(shown for name in names if (shown := texts.legible(name, LONGEST)))


def _link(text: str | None) -> str | None:
    """Return a link that a customer can follow; None for none, a path of a machine, or a program for the browser."""
    given = (text or "").strip()
    if not given.isprintable() or "\\" in given or len(given) > _LONGEST_LINK:
        return None
    try:
        parts = urlsplit(given)
        host = parts.hostname
    except ValueError:
        return None
    # In the text part, these would end the link.
    return given.translate(_ESCAPES) if parts.scheme in {"http", "https"} and host else None
