"""What a worker does with a task: claim, heartbeat, advance, finish, release. The token fences each write.

All times come from the database's clock, never from a host's. A transaction that ends a task locks its order
first. The event of an attempt's end has a unique key, so that after a lost connection the outcome can be
looked up.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, or_

from orderctl import audit, database, deletion, lifecycle, masking, orders, readiness
from orderctl.audit import Origin
from orderctl.errors import LeaseLost, NotFound
from orderctl.lifecycle import NOTHING, Conditions, Move, Moved, TaskState
from orderctl.messages import StatusChange
from orderctl.orders import OrderState
from orderctl.schema import HIGHEST_INT, download_tasks
from orderctl.states import (
    UNFINISHED,
    WAITING,
    EventType,
    PaymentStatus,
    Source,
    TaskStatus,
)

#: The columns of a task that has no error any more.
NO_ERROR: Final = dict.fromkeys(("error_type", "error_log", "error_fingerprint", "failing_since"))


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's claim on a task, valid while the lease holds; ``token`` is the fencing token."""

    task_id: int
    order_id: int
    order_code: str
    course_url: str
    title: str | None
    attempt: int
    max_attempts: int
    previous_status: str
    worker: str
    token: str
    messages: tuple[StatusChange, ...] = ()
    failing_since: datetime | None = None

    def task(self, status: str) -> TaskState:
        """Return the task with this status."""
        return TaskState(
            self.task_id, self.order_id, self.order_code, self.title, self.course_url, status,
            self.attempt, self.max_attempts, managed=True, worker=self.worker, lease_token=self.token, lease_until=None,
            failing_since=self.failing_since,
        )  # fmt: skip

    def key(self, event: str) -> str:
        """Return the dedup key of an event of this attempt."""
        return self.task(self.previous_status).key(event)


def claim(
    connection: Connection,
    task_id: int,
    *,
    worker: str,
    lease_seconds: float,
    take_all: bool = False,
    token: str | None = None,
) -> Claim | None:
    """Take a waiting task for one worker.

    This is a single compare-and-set: if several workers try at the same time, one of them gets the task. If
    it is not known whether the commit happened, call it again with the same token: it returns the same claim.

    Args:
        connection: In a transaction of its own.
        task_id: The task.
        worker: The name of the worker, for the audit log and ``worker list``.
        lease_seconds: Seconds for which the claim is valid without a heartbeat.
        take_all: Also take tasks that are not managed by orderctl.
        token: The fencing token; a new one when None.

    Returns:
        The claim with its fencing token, or None if the task is not waiting, not due or not managed by
        orderctl, or if its order is not paid, is cancelled, or has a status that orderctl does not know.
    """
    try:
        order, task = lifecycle.hold(connection, task_id)
    except NotFound:
        return None
    if order.payment_status != PaymentStatus.PAID or not orders.is_valid(order):
        return None
    claimed = token is not None and task.lease_token == token
    token = token or str(uuid.uuid4())
    if not claimed and not _take(connection, task, token, worker, lease_seconds, take_all=take_all):
        return None
    attempt = task.attempt if claimed else _next(task)
    return Claim(
        task_id, order.id, order.order_code, task.course_url, task.title, attempt, task.max_attempts,
        task.status, worker, token, lifecycle.begin(connection, order, Origin(Source.WORKER, worker)),
        task.failing_since,
    )  # fmt: skip


def _take(
    connection: Connection, found: TaskState, token: str, worker: str, lease_seconds: float, *, take_all: bool
) -> bool:
    task = download_tasks.c
    waiting = [
        task.status.in_(WAITING),
        task.lease_token.is_(None),
        or_(task.available_at.is_(None), task.available_at <= database.utc_now()),
        deletion.not_deleted(download_tasks),
    ]
    if not take_all:
        waiting.append(task.managed == 1)
    values = {
        "ready": readiness.NOT_READY,
        "attempt": _next(found),
        "worker": worker,
        "lease_token": token,
        "lease_until": database.utc_now(lease_seconds),
    }
    return lifecycle.write(connection, found.id, waiting, values)


def _next(task: TaskState) -> int:
    return min(task.attempt + 1, HIGHEST_INT)


def beat(connection: Connection, claim: Claim, lease_seconds: float) -> None:
    """Extend the lease to this number of seconds from now.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    held = {"lease_until": database.utc_now(lease_seconds)}
    if not lifecycle.write(connection, claim.task_id, _fence(claim), held):
        raise _lost(claim)


def enrolled(
    connection: Connection, claim: Claim, *, title: str | None, details: dict[str, Any]
) -> StatusChange:
    """Record that the worker has found out which files there are to download.

    Args:
        connection: In a transaction of its own.
        claim: The claim on the task.
        title: The course's title; it is stored if the task has none.
        details: What was found, for the audit log.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    title = title and masking.text(title, *masking.secrets(claim.course_url))
    what = Move(
        TaskStatus.ENROLLED,
        EventType.ENROLLMENT_SUCCESS,
        _origin(claim),
        values={"title": title} if title and not claim.title else {},
        words={"name": claim.title or title or masking.url(claim.course_url)},
        details=details,
        key=claim.key(TaskStatus.ENROLLED),
        is_told=_is_news(connection, claim, EventType.ENROLLMENT_SUCCESS),
    )
    return _advance(connection, claim, claim.previous_status, what)


def started(connection: Connection, claim: Claim) -> StatusChange:
    """Record that the download starts.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    what = Move(
        TaskStatus.DOWNLOADING,
        EventType.DOWNLOAD_STARTED,
        _origin(claim),
        details={"attempt": claim.attempt, "worker": claim.worker},
        key=claim.key(TaskStatus.DOWNLOADING),
        is_told=_is_news(connection, claim, EventType.DOWNLOAD_STARTED),
    )
    return _advance(connection, claim, TaskStatus.ENROLLED, what)


def _is_news(connection: Connection, claim: Claim, event: EventType) -> bool:
    """Whether a step of an attempt gets an event: of a task that has been failing, only the first one does."""
    if claim.failing_since is None:
        return True
    before = audit.newest(connection, claim.task_id, event, EventType.TASK_RETRIED)
    return not before or before[0].event_type == EventType.TASK_RETRIED


def _advance(connection: Connection, claim: Claim, previous: str, what: Move) -> StatusChange:
    """Move the task to a status that cannot end the order, so the order is not held."""
    moved = lifecycle.move(connection, claim.task(previous), what, _fence(claim))
    if moved is None:
        raise _lost(claim)
    [change] = moved.messages
    return change


def complete(
    connection: Connection, claim: Claim, *, folder_name: str, drive_link: str | None, details: dict[str, Any]
) -> Moved:
    """Mark a task as completed, and end its order if this was the last task.

    It can run again if it is not known whether the commit happened.

    Args:
        connection: In a transaction of its own.
        claim: The claim on the task.
        folder_name: The folder of its files, below the download directory.
        drive_link: The URL where the customer finds the files.
        details: Further details for the audit log.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    order, task = hold(connection, claim)
    what = Move(
        TaskStatus.COMPLETED,
        EventType.DOWNLOAD_COMPLETED,
        _origin(claim),
        values={"drive_link": drive_link, **NO_ERROR},
        details={"folderName": folder_name, "driveLink": drive_link, **details},
        key=claim.key("completed"),
    )
    return finish(connection, claim, order, task, what)


def release(connection: Connection, claim: Claim, *, reason: str, got_on: bool = False) -> Moved:
    """Release a task, so that another worker can take it at once; the attempt does not count.

    Args:
        connection: In a transaction of its own.
        claim: The claim on the task.
        reason: Why, for the audit log.
        got_on: Whether the attempt had downloaded a part, so the task is not failing any more.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    order, task = hold(connection, claim)
    what = Move(
        TaskStatus.PENDING,
        EventType.TASK_RELEASED,
        _origin(claim),
        values={"max_attempts": one_more(task), **({"failing_since": None} if got_on else {})},
        details={"attempt": claim.attempt, "worker": claim.worker, "reason": reason},
        key=claim.key("released"),
    )
    return finish(connection, claim, order, task, what)


def one_more(task: TaskState) -> int:
    """Return the number of attempts of a task of which the present one does not count."""
    return min(task.max_attempts + 1, HIGHEST_INT)


def hold(connection: Connection, claim: Claim) -> tuple[OrderState, TaskState]:
    """Hold the claimed task and its order until the transaction ends.

    Raises:
        LeaseLost: The task or its order does not exist any more.
    """
    try:
        return lifecycle.hold(connection, claim.task_id, claim.order_id)
    except NotFound:
        raise _lost(claim) from None


def finish(connection: Connection, claim: Claim, order: OrderState, task: TaskState, what: Move) -> Moved:
    """End an attempt. If this end was committed already and only the reply was lost, nothing is written.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    moved = lifecycle.move(connection, task, what, _fence(claim), order)
    if moved is not None:
        return moved
    if what.key is not None and audit.find_by_key(connection, what.key) is not None:
        return NOTHING
    raise _lost(claim)


def _fence(claim: Claim) -> Conditions:
    task = download_tasks.c
    kept = deletion.not_deleted(download_tasks)
    return task.lease_token == claim.token, task.status.in_(UNFINISHED), kept


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"task {claim.task_id}: {claim.worker} has lost its lease")


def _origin(claim: Claim) -> Origin:
    return Origin(Source.WORKER, claim.worker)
