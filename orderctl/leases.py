"""What a worker does with a task: claim, heartbeat, advance, finish, release; each fenced by its token.

Times are the database's, never a host's. Whoever ends a task locks its order first. The event of an
attempt's end is unique: it is how an outcome that got lost with the connection is found again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, or_, select, update

from orderctl import adopted, audit, clock, database, orders
from orderctl.audit import NewEvent, Origin
from orderctl.channels import Scope
from orderctl.errors import LeaseLost
from orderctl.messages import StatusChange
from orderctl.orders import Ended
from orderctl.schema import download_tasks
from orderctl.states import (
    UNFINISHED,
    WAITING,
    EventType,
    OrderStatus,
    PaymentStatus,
    Source,
    TaskStatus,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is ours while the lease holds; ``token`` fences every write."""

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

    def key(self, event: str) -> str:
        """The dedup key of an event of this attempt."""
        return f"task:{self.task_id}:attempt:{self.attempt}:{event}"


@dataclass(frozen=True, slots=True)
class Finished:
    """How an attempt ended: what to publish after the commit."""

    messages: tuple[StatusChange, ...]
    ended: Ended | None = None


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

    A single compare-and-set: of any number of workers that try at once, one gets the task. With a token it
    is safe to run again when it is not known whether the commit happened: the same claim comes of it.

    Args:
        connection: In a transaction of its own.
        task_id: The task.
        worker: Name of the worker, for the audit log and ``worker list``.
        lease_seconds: How long the claim holds without a heartbeat.
        take_all: Take tasks, too, that were not given to us.
        token: Fences every write; a new one when None.

    Returns:
        The claim with its fencing token, or None when the task is not waiting (any more), not due, not
        ours, or its order is not paid or is cancelled.
    """
    task = download_tasks.c
    order_id = connection.execute(select(task.order_id).where(task.id == task_id)).scalar()
    if order_id is None:
        return None
    order = orders.lock(connection, order_id)
    if order.payment_status != PaymentStatus.PAID or order.order_status == OrderStatus.CANCELLED:
        return None
    columns = (task.status, task.attempt, task.max_attempts, task.course_url, task.title, task.lease_token)
    row = connection.execute(select(*columns).where(task.id == task_id).with_for_update()).one()
    ours = token is not None and row.lease_token == token
    token = token or str(uuid.uuid4())
    if not ours and not _take(connection, task_id, token, worker, lease_seconds, take_all=take_all):
        return None
    attempt = row.attempt if ours else row.attempt + 1
    return Claim(
        task_id, order_id, order.order_code, row.course_url, row.title, attempt, row.max_attempts,
        str(row.status), worker, token, orders.begin(connection, order, worker=worker),
    )  # fmt: skip


def _take(
    connection: Connection, task_id: int, token: str, worker: str, lease_seconds: float, *, take_all: bool
) -> bool:
    task = download_tasks.c
    now = database.utc_now()
    waiting = [
        task.id == task_id,
        task.status.in_(WAITING),
        task.lease_token.is_(None),
        or_(task.available_at.is_(None), task.available_at <= now),
    ]
    if not take_all:
        waiting.append(task.managed == 1)
    values = {
        "attempt": task.attempt + 1,
        "worker": worker,
        "lease_token": token,
        "lease_until": database.utc_now(lease_seconds),
        "updated_at": now,
    }
    return connection.execute(update(download_tasks).where(*waiting).values(values)).rowcount == 1


def beat(connection: Connection, claim: Claim, lease_seconds: float) -> None:
    """Hold the lease for so many seconds from now.

    Raises:
        LeaseLost: When it is somebody else's by now.
    """
    write(connection, claim, lease_until=database.utc_now(lease_seconds))


def enrolled(
    connection: Connection, claim: Claim, *, title: str | None, details: dict[str, Any]
) -> StatusChange:
    """Say that it is known what there is to download.

    Args:
        connection: In a transaction of its own.
        claim: The task.
        title: The course's title, kept where the task has none.
        details: What was found, for the audit log.

    Raises:
        LeaseLost: When the lease is somebody else's by now.
    """
    values = {"title": title} if title and not claim.title else {}
    claim = replace(claim, title=claim.title or title)
    return _advance(
        connection,
        claim,
        claim.previous_status,
        TaskStatus.ENROLLED,
        event_type=EventType.ENROLLMENT_SUCCESS,
        details=details,
        **values,
    )


def started(connection: Connection, claim: Claim) -> StatusChange:
    """Say that the download begins.

    Raises:
        LeaseLost: When the lease is somebody else's by now.
    """
    details = {"attempt": claim.attempt, "worker": claim.worker}
    return _advance(
        connection,
        claim,
        TaskStatus.ENROLLED,
        TaskStatus.DOWNLOADING,
        event_type=EventType.DOWNLOAD_STARTED,
        details=details,
    )


def complete(
    connection: Connection, claim: Claim, *, folder_name: str, drive_link: str | None, details: dict[str, Any]
) -> Finished:
    """End a task well, and with it perhaps its order.

    Safe to run again when it is not known whether the commit happened.

    Args:
        connection: In a transaction of its own.
        claim: The task.
        folder_name: Where its files are, below the download directory.
        drive_link: Where the customer finds them.
        details: Anything further for the audit log.

    Raises:
        LeaseLost: When the lease is somebody else's by now.
    """
    order = orders.lock(connection, claim.order_id)
    if audit.find_by_key(connection, claim.key("completed")) is not None:
        return Finished(())
    values = {
        "status": TaskStatus.COMPLETED.value,
        "drive_link": drive_link,
        "lease_token": None,
        "lease_until": None,
    }
    cleared = {"error_type": None, "error_log": None, "error_fingerprint": None}
    write(connection, claim, **values, **cleared)
    _record(
        connection,
        claim,
        TaskStatus.DOWNLOADING,
        TaskStatus.COMPLETED,
        EventType.DOWNLOAD_COMPLETED,
        details={"folderName": folder_name, "driveLink": drive_link, **details},
        key="completed",
    )
    ended = orders.end_if_done(connection, order, source=Source.WORKER)
    change = change_of(claim, TaskStatus.DOWNLOADING, TaskStatus.COMPLETED)
    return Finished((change, *(ended.messages if ended else ())), ended)


def release(connection: Connection, claim: Claim, *, reason: str) -> Finished:
    """Give a task back, so that another worker takes it at once; the attempt does not count.

    Raises:
        LeaseLost: When the lease is somebody else's by now.
    """
    orders.lock(connection, claim.order_id)
    previous = status_of(connection, claim)
    if audit.find_by_key(connection, claim.key("released")) is not None:
        return Finished(())
    write(
        connection,
        claim,
        status=TaskStatus.PENDING.value,
        available_at=database.utc_now(),
        max_attempts=download_tasks.c.max_attempts + 1,
        lease_token=None,
        lease_until=None,
    )
    _record(
        connection,
        claim,
        previous,
        TaskStatus.PENDING,
        EventType.TASK_RELEASED,
        details={"attempt": claim.attempt, "worker": claim.worker, "reason": reason},
        key="released",
    )
    return Finished((change_of(claim, previous, TaskStatus.PENDING),))


def status_of(connection: Connection, claim: Claim) -> str:
    """The task's present status."""
    return str(
        connection.execute(
            select(download_tasks.c.status).where(download_tasks.c.id == claim.task_id)
        ).scalar_one()
    )


def change_of(
    claim: Claim, previous: str, new: TaskStatus, *, error: str | None = None, error_type: str | None = None
) -> StatusChange:
    """The message that tells a task's move."""
    return StatusChange(
        Scope.TASK,
        claim.task_id,
        new,
        previous,
        clock.milliseconds(),
        error,
        error_type,
        attempt=claim.attempt,
    )


def _advance(
    connection: Connection,
    claim: Claim,
    previous: str,
    status: TaskStatus,
    *,
    event_type: EventType,
    details: dict[str, Any],
    **values: Any,
) -> StatusChange:
    write(connection, claim, status=status.value, **values)
    _record(connection, claim, previous, status, event_type, details=details, key=status)
    return change_of(claim, previous, status)


def _record(
    connection: Connection,
    claim: Claim,
    previous: str,
    status: TaskStatus,
    event_type: EventType,
    *,
    details: dict[str, Any],
    key: str,
) -> None:
    event = NewEvent(
        event_type,
        claim.order_id,
        Origin(Source.WORKER, claim.worker),
        claim.task_id,
        words={"name": claim.title or claim.course_url},
        details=details,
        previous_status=previous,
        new_status=status,
        dedup_key=claim.key(key),
    )
    audit.record(connection, event)


def write(connection: Connection, claim: Claim, **values: Any) -> None:
    """Write into the task's row if it is still ours.

    Raises:
        LeaseLost: When it is not.
    """
    task = download_tasks.c
    mine = (task.id == claim.task_id, task.lease_token == claim.token, task.status.in_(UNFINISHED))
    values = {"updated_at": database.utc_now(), **values}
    if adopted.execute(connection, update(download_tasks).where(*mine), values).rowcount != 1:
        raise LeaseLost(f"task {claim.task_id}: the lease of {claim.worker} is gone")
