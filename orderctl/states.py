"""The statuses of orders, payments and tasks, and the events of the audit log.

Values in the database that stand in none of these were written by somebody else: they are shown as
they are and never acted upon.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING = "pending"  #: Nothing has begun.
    PROCESSING = "processing"  #: A task has been claimed.
    COMPLETED = "completed"  #: Every task that was not cancelled is completed.
    FAILED = "failed"  #: It has ended, and a task failed for good.
    CANCELLED = "cancelled"  #: Every task was cancelled.


class PaymentStatus(StrEnum):
    """Whether the money came in."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    REFUNDED = "refunded"


class TaskStatus(StrEnum):
    """Where a download task stands."""

    PENDING = "pending"  #: Waits for a worker (or for its next attempt).
    ENROLLED = "enrolled"  #: A worker has found out what there is to download.
    DOWNLOADING = "downloading"  #: A worker is at it.
    COMPLETED = "completed"  #: Everything is on disk, verified.
    FAILED = "failed"  #: Out of attempts, or a failure that no retry mends.
    CANCELLED = "cancelled"  #: An admin gave it up.


class Severity(StrEnum):
    """How much an audit event matters, mildest first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Category(StrEnum):
    """What an audit event is about."""

    PAYMENT = "payment"
    TASK = "task"
    ENROLLMENT = "enrollment"
    DOWNLOAD = "download"
    EMAIL = "email"
    SYSTEM = "system"
    SECURITY = "security"


_ORDER_END: Final = "Order {order_code} {status}: {completed} of {total} tasks"


class EventType(StrEnum):
    """What an audit event tells.

    Attributes:
        category: What it is about.
        severity: How much it matters, where the event itself does not say otherwise.
        template: Its message for people, with places for words in the manner of ``str.format``.
    """

    category: Category
    severity: Severity
    template: str

    def __new__(
        cls, name: str, category: Category, template: str, severity: Severity = Severity.INFO
    ) -> Self:
        """A member whose value is its name in the database."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.category, member.severity, member.template = category, severity, template
        return member

    PAYMENT_RECEIVED = (
        "payment_received", Category.PAYMENT, "Payment of {amount} received for order {order_code}",
    )  # fmt: skip
    PAYMENT_MISMATCH = (
        "payment_mismatch", Category.PAYMENT,
        "Payment of {amount} does not match order {order_code} of {expected}", Severity.WARNING,
    )  # fmt: skip
    TASK_CREATED = "task_created", Category.TASK, "Task created: {name}"
    TASK_RETRIED = "task_retried", Category.TASK, "Task retried: {name}{because}"
    TASK_CANCELLED = "task_cancelled", Category.TASK, "Task cancelled: {name}{because}"
    TASK_RELEASED = "task_released", Category.TASK, "Given back by a worker that stops: {name}"
    TASK_RECOVERED = (
        "task_recovered", Category.SYSTEM, "Worker {worker} was lost; the task waits for another",
        Severity.WARNING,
    )  # fmt: skip
    ENROLLMENT_SUCCESS = "enrollment_success", Category.ENROLLMENT, "Enrolled: {name}"
    DOWNLOAD_STARTED = "download_started", Category.DOWNLOAD, "Download started: {name}"
    DOWNLOAD_COMPLETED = "download_completed", Category.DOWNLOAD, "Download completed: {name}"
    DOWNLOAD_FAILED = "download_failed", Category.DOWNLOAD, "Download failed: {error}{again}", Severity.ERROR
    ORDER_COMPLETED = "order_completed", Category.SYSTEM, _ORDER_END
    ORDER_FAILED = "order_failed", Category.SYSTEM, _ORDER_END, Severity.ERROR
    ORDER_CANCELLED = "order_cancelled", Category.SYSTEM, _ORDER_END
    ORDER_REOPENED = "order_reopened", Category.SYSTEM, "Order {order_code} was opened again"
    EMAIL_SENT = "email_sent", Category.EMAIL, "Mail sent"
    EMAIL_FAILED = "email_failed", Category.EMAIL, "Mail failed: {error}", Severity.ERROR
    JOB_REJECTED = (
        "job_rejected", Category.SECURITY,
        "A job in the queue that names this task was set aside: {reason}", Severity.WARNING,
    )  # fmt: skip


class ErrorType(StrEnum):
    """Why a task failed."""

    DISK_SPACE = "DISK_SPACE"  #: No room for the files.
    AUTHENTICATION = "AUTHENTICATION"  #: The course's server does not accept us.
    TIMEOUT = "TIMEOUT"  #: It took too long.
    NETWORK = "NETWORK"  #: The connection failed.
    PERMISSION = "PERMISSION"  #: The files may not be read or written.
    WORKER_LOST = "WORKER_LOST"  #: The worker died and no attempt was left.
    UNKNOWN = "UNKNOWN"  #: None of the above.


class Source(StrEnum):
    """Which part of orderctl wrote an audit event. Others write names of their own."""

    CLI = "orderctl_cli"
    WORKER = "orderctl_worker"
    RECONCILE = "orderctl_reconcile"
    RELAY = "orderctl_relay"


#: A task that waits for a worker.
WAITING = (TaskStatus.PENDING, TaskStatus.ENROLLED)
#: A task that keeps its order from ending.
UNFINISHED = (TaskStatus.PENDING, TaskStatus.ENROLLED, TaskStatus.DOWNLOADING)
#: A task that will not move again by itself.
ENDED_TASK = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
#: An order that will not move again by itself.
ENDED_ORDER = (OrderStatus.COMPLETED, OrderStatus.FAILED, OrderStatus.CANCELLED)
#: Failures after which another attempt by itself makes sense.
TRANSIENT = (ErrorType.TIMEOUT, ErrorType.NETWORK)
#: Failures of which the admin is told by mail.
ALERTING = (ErrorType.DISK_SPACE, ErrorType.AUTHENTICATION)


def at_least(severity: Severity) -> tuple[Severity, ...]:
    """The given severity and all that matter more."""
    ranked = tuple(Severity)
    return ranked[ranked.index(severity) :]


def order_end(statuses: dict[str, int]) -> OrderStatus | None:
    """How an order ends whose tasks stand as counted, or None while it has not ended.

    Args:
        statuses: Number of the order's tasks by status.
    """
    present = {status for status, count in statuses.items() if count}
    if not present or present - set(ENDED_TASK):
        return None
    if TaskStatus.FAILED in present:
        return OrderStatus.FAILED
    return OrderStatus.COMPLETED if TaskStatus.COMPLETED in present else OrderStatus.CANCELLED


def percentage(completed: int, total: int) -> int:
    """An order's progress in whole percent, half up; ``total`` leaves cancelled tasks out."""
    return (200 * completed + total) // (2 * total) if total else 0
