"""The statuses of orders, payments and tasks, and the types of events of the audit log.

A value in the database that is in none of these lists was written by another program. It is shown unchanged,
and orderctl does nothing because of it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self


class OrderStatus(StrEnum):
    """The status of an order."""

    PENDING = "pending"  #: No task has been claimed yet.
    PROCESSING = "processing"  #: At least one task has been claimed.
    COMPLETED = "completed"  #: Every task that was not cancelled is completed.
    FAILED = "failed"  #: All tasks have ended, and at least one failed permanently.
    CANCELLED = "cancelled"  #: Every task was cancelled.


class PaymentStatus(StrEnum):
    """Whether the order is paid."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    REFUNDED = "refunded"


class TaskStatus(StrEnum):
    """The status of a download task."""

    PENDING = "pending"  #: Waits for a worker, or for its next attempt.
    ENROLLED = "enrolled"  #: A worker has found out which files there are to download.
    DOWNLOADING = "downloading"  #: A worker is downloading the files.
    COMPLETED = "completed"  #: All files are on disk and verified.
    FAILED = "failed"  #: No attempt is left, or a retry would fail in the same way.
    CANCELLED = "cancelled"  #: An admin cancelled it.


class PaymentOutcome(StrEnum):
    """What became of a transfer of money."""

    PAID = "paid"  #: It paid its order, or a part of what paid it.
    PARTIAL = "partial"  #: It is a part of its order's amount; the rest is missing yet.
    SURPLUS = "surplus"  #: Its order is paid already, or takes no money (cancelled, refunded, deleted).
    MISMATCH = "mismatch"  #: Its amount is not its order's.
    UNMATCHED = "unmatched"  #: It names no order, or several.
    IGNORED = "ignored"  #: It is outgoing, a test, or no transfer.
    REFUSED = "refused"  #: An admin has set it aside.


#: Outcomes of transfers that wait for a decision of an admin.
UNDECIDED: Final = (PaymentOutcome.UNMATCHED, PaymentOutcome.MISMATCH, PaymentOutcome.SURPLUS)


class MessageState(StrEnum):
    """What became of a message in the outbox."""

    WAITING = "waiting"  #: It has not been sent yet, or is to be tried again.
    SENT = "sent"  #: Its receiver has accepted it.
    FAILED = "failed"  #: It was given up.
    SKIPPED = "skipped"  #: Nothing was to be sent: no receiver is configured, for example.


class Severity(StrEnum):
    """The severity of an audit event, lowest first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Category(StrEnum):
    """The category of an audit event."""

    PAYMENT = "payment"
    TASK = "task"
    ENROLLMENT = "enrollment"
    DOWNLOAD = "download"
    EMAIL = "email"
    SYSTEM = "system"
    SECURITY = "security"


_ORDER_END: Final = "Order {order_code} {status}: {completed} of {total} tasks"


class EventType(StrEnum):
    """The type of an audit event.

    Attributes:
        category: The category of all events of this type.
        severity: The severity, unless the event itself has another.
        template: The message, with placeholders for ``str.format``.
    """

    category: Category
    severity: Severity
    template: str

    def __new__(
        cls, name: str, category: Category, template: str, severity: Severity = Severity.INFO
    ) -> Self:
        """Create a member; its value is its name in the database."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.category, member.severity, member.template = category, severity, template
        return member

    PAYMENT_RECEIVED = (
        "payment_received", Category.PAYMENT, "Payment of {amount} received for order {order_code}",
    )  # fmt: skip
    PAYMENT_MISMATCH = (
        "payment_mismatch", Category.PAYMENT,
        "Payment of {amount} does not match the amount of order {order_code}: {expected}", Severity.WARNING,
    )  # fmt: skip
    PAYMENT_PARTIAL = (
        "payment_partial", Category.PAYMENT,
        "Part payment of {amount} received for order {order_code}: {received} of {expected}",
    )  # fmt: skip
    PAYMENT_SURPLUS = (
        "payment_surplus", Category.PAYMENT,
        "Payment of {amount} received for order {order_code}, which {reason}", Severity.WARNING,
    )  # fmt: skip
    PAYMENT_MATCHED = (
        "payment_matched", Category.PAYMENT, "Payment {payment} of {amount} given to order {order_code}{because}",
    )  # fmt: skip
    PAYMENT_REFUSED = (
        "payment_refused", Category.PAYMENT, "Payment {payment} of {amount} set aside{because}",
        Severity.WARNING,
    )  # fmt: skip
    TASK_CREATED = "task_created", Category.TASK, "Task created: {name}"
    TASK_RETRIED = "task_retried", Category.TASK, "Task retried: {name}{because}"
    TASK_CANCELLED = "task_cancelled", Category.TASK, "Task cancelled: {name}{because}"
    TASK_RELEASED = "task_released", Category.TASK, "Released by a worker that is stopping: {name}"
    TASK_RECOVERED = (
        "task_recovered", Category.SYSTEM, "Worker {worker} was lost; the task waits for another worker",
        Severity.WARNING,
    )  # fmt: skip
    ENROLLMENT_SUCCESS = "enrollment_success", Category.ENROLLMENT, "Enrolled: {name}"
    DOWNLOAD_STARTED = "download_started", Category.DOWNLOAD, "Download started: {name}"
    DOWNLOAD_COMPLETED = "download_completed", Category.DOWNLOAD, "Download completed: {name}"
    DOWNLOAD_FAILED = "download_failed", Category.DOWNLOAD, "Download failed: {error}{again}", Severity.ERROR
    ORDER_COMPLETED = "order_completed", Category.SYSTEM, _ORDER_END
    ORDER_FAILED = "order_failed", Category.SYSTEM, _ORDER_END, Severity.ERROR
    ORDER_CANCELLED = "order_cancelled", Category.SYSTEM, f"{_ORDER_END}{{because}}"
    ORDER_REOPENED = "order_reopened", Category.SYSTEM, "Order {order_code} reopened"
    EMAIL_SENT = "email_sent", Category.EMAIL, "Mail sent"
    EMAIL_FAILED = "email_failed", Category.EMAIL, "Mail failed: {error}", Severity.ERROR
    WEBHOOK_FAILED = "webhook_failed", Category.SYSTEM, "Webhook{to} failed: {error}", Severity.ERROR
    EMAIL_RESENT = "email_resent", Category.EMAIL, "Mail to be sent again{because}"
    WEBHOOK_RESENT = "webhook_resent", Category.SYSTEM, "Webhook{to} to be sent again{because}"
    COMPLETION_RESENT = (
        "completion_resent", Category.SYSTEM, "Completion message to be sent again{because}",
    )  # fmt: skip
    JOB_REJECTED = (
        "job_rejected", Category.SECURITY,
        "A job in the queue that names this task was rejected: {reason}", Severity.WARNING,
    )  # fmt: skip


class ErrorType(StrEnum):
    """Why a task failed.

    The finer types are orderctl's own. The shop's fields (``errorType``, ``details.error_type``) have the
    contract's words only: see :attr:`contract`.
    """

    DISK_SPACE = "DISK_SPACE"  #: The disk is full.
    AUTHENTICATION = "AUTHENTICATION"  #: The course's server denies access.
    TIMEOUT = "TIMEOUT"  #: A time limit was exceeded.
    NETWORK = "NETWORK"  #: The connection to the server failed.
    PERMISSION = "PERMISSION"  #: orderctl may not read or write the files.
    WORKER_LOST = "WORKER_LOST"  #: The worker died and no attempt was left.
    NOT_FOUND = "NOT_FOUND"  #: The server does not have the course (HTTP 404 or 410).
    REFUSED = "REFUSED"  #: orderctl does not download from this URL, address or server (its certificate).
    NOT_A_FILE = "NOT_A_FILE"  #: A page, a playlist or an error message came in place of the file.
    CHECKSUM = "CHECKSUM"  #: The file does not have the announced size or checksum.
    TOO_LARGE = "TOO_LARGE"  #: The file is larger than allowed.
    UNKNOWN = "UNKNOWN"  #: None of the above.

    @property
    def contract(self) -> ErrorType:
        """The word for this type in the fields that the shop reads: UNKNOWN for orderctl's finer ones."""
        return ErrorType.UNKNOWN if self in _FINER else self


_FINER: Final = frozenset(
    {
        ErrorType.NOT_FOUND,
        ErrorType.REFUSED,
        ErrorType.NOT_A_FILE,
        ErrorType.CHECKSUM,
        ErrorType.TOO_LARGE,
    }
)


class Source(StrEnum):
    """The part of orderctl that wrote an audit event. Other programs write other names."""

    CLI = "orderctl_cli"
    WORKER = "orderctl_worker"
    RECONCILE = "orderctl_reconcile"
    RELAY = "orderctl_relay"


#: Statuses of a task that waits for a worker.
WAITING = (TaskStatus.PENDING, TaskStatus.ENROLLED)
#: Statuses of a task that has not ended, so that its order has not ended either.
UNFINISHED = (TaskStatus.PENDING, TaskStatus.ENROLLED, TaskStatus.DOWNLOADING)
#: Statuses of a task that has ended; only an admin can change it again.
ENDED_TASK = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
#: Statuses of an order that has ended; only a retried or a new task reopens it.
ENDED_ORDER = (OrderStatus.COMPLETED, OrderStatus.FAILED, OrderStatus.CANCELLED)
#: Statuses of an order that can be paid, and whose tasks can run. The shop's own statuses are not among them: they
#: may mean that the order is void.
VALID_ORDER = (OrderStatus.PENDING, OrderStatus.PROCESSING, OrderStatus.COMPLETED, OrderStatus.FAILED)
#: Failures that are often temporary: the task is retried automatically.
TRANSIENT = (ErrorType.TIMEOUT, ErrorType.NETWORK)
#: Failures that send an alert mail to the admin.
ALERTING = (ErrorType.DISK_SPACE, ErrorType.AUTHENTICATION)


def at_least(severity: Severity) -> tuple[Severity, ...]:
    """Return this severity and all higher ones."""
    ranked = tuple(Severity)
    return ranked[ranked.index(severity) :]


def order_end(statuses: dict[str, int]) -> OrderStatus | None:
    """Return the status with which an order ends, or None while it has not ended.

    Args:
        statuses: The number of the order's tasks by task status.
    """
    present = {status for status, count in statuses.items() if count}
    if not present or present - set(ENDED_TASK):
        return None
    if TaskStatus.FAILED in present:
        return OrderStatus.FAILED
    return OrderStatus.COMPLETED if TaskStatus.COMPLETED in present else OrderStatus.CANCELLED


def percentage(completed: int, total: int) -> int:
    """Return an order's progress in whole percent, rounded half up; ``total`` excludes cancelled tasks."""
    return (200 * completed + total) // (2 * total) if total else 0
