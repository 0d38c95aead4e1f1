"""The statuses of orders, payments and tasks, and the moves between them.

Values in the database that stand in none of these were written by somebody else: they are shown as
they are and never acted upon.
"""

from __future__ import annotations

from enum import StrEnum


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
