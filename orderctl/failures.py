"""The error bridge: whatever ends a task badly goes into its row, the audit log, the channel and a mail."""

from __future__ import annotations

import errno
import hashlib
import random
import re
import socket
import ssl
import traceback
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, update

from orderctl import adopted, audit, clock, database, leases, orders, outbox, tasks
from orderctl.audit import NewEvent, Origin
from orderctl.channels import Scope
from orderctl.leases import Claim, Finished
from orderctl.messages import StatusChange
from orderctl.orders import Locked
from orderctl.schema import download_tasks
from orderctl.states import (
    ALERTING,
    TRANSIENT,
    UNFINISHED,
    ErrorType,
    EventType,
    Severity,
    Source,
    TaskStatus,
)

_MAX_MESSAGE: Final = 4_000
_MAX_STACK: Final = 16_000
#: Longest pause before an automatic retry, in seconds, and the first one.
_RETRY_CAP: Final = 300.0
_RETRY_BASE: Final = 5.0
#: At most one alert mail for a fingerprint in this time.
ALERT_SECONDS: Final = 3600

_BY_ERRNO: Final = {
    errno.ENOSPC: ErrorType.DISK_SPACE,
    errno.EDQUOT: ErrorType.DISK_SPACE,
    errno.ETIMEDOUT: ErrorType.TIMEOUT,
    errno.EACCES: ErrorType.PERMISSION,
    errno.EPERM: ErrorType.PERMISSION,
    errno.EROFS: ErrorType.PERMISSION,
    errno.ENETUNREACH: ErrorType.NETWORK,
    errno.EHOSTUNREACH: ErrorType.NETWORK,
    errno.ENETDOWN: ErrorType.NETWORK,
    errno.ECONNRESET: ErrorType.NETWORK,
    errno.ECONNREFUSED: ErrorType.NETWORK,
    errno.ECONNABORTED: ErrorType.NETWORK,
    errno.EPIPE: ErrorType.NETWORK,
}
_BY_CLASS: Final[tuple[tuple[type[BaseException], ErrorType], ...]] = (
    (TimeoutError, ErrorType.TIMEOUT),
    (PermissionError, ErrorType.PERMISSION),
    (ConnectionError, ErrorType.NETWORK),
    (socket.gaierror, ErrorType.NETWORK),
    (ssl.SSLError, ErrorType.NETWORK),
)
#: The words are a contract with the shop's older workers, in this order.
_BY_WORDS: Final = (
    (re.compile("disk|space", re.IGNORECASE), ErrorType.DISK_SPACE),
    (re.compile("authentication|token", re.IGNORECASE), ErrorType.AUTHENTICATION),
    (re.compile("timeout", re.IGNORECASE), ErrorType.TIMEOUT),
    (re.compile("network|connection", re.IGNORECASE), ErrorType.NETWORK),
    (re.compile("permission", re.IGNORECASE), ErrorType.PERMISSION),
)
#: What differs between two failures of the same kind: URLs, quoted texts, paths, hex and plain numbers.
_VARIABLE: Final = re.compile(
    r"https?://\S+|'[^']*'|\"[^\"]*\"|/[\w.\-/]+|0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task failed, as the audit log keeps it."""

    error_type: ErrorType
    message: str
    fingerprint: str
    stack_trace: str = ""

    @property
    def transient(self) -> bool:
        """Whether another attempt by itself makes sense."""
        return self.error_type in TRANSIENT

    def details(self, attempt: int) -> dict[str, Any]:
        """The contract's details of ``download_failed``."""
        return {
            "error_message": self.message,
            "error_type": self.error_type.value,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "stack_trace": self.stack_trace,
            "fingerprint": self.fingerprint,
            "attempt": attempt,
        }


def describe(exception: BaseException) -> Failure:
    """What is known of an exception: its type, message, fingerprint and stack. Never fails itself."""
    message = adopted.storable(_text(exception).strip() or type(exception).__name__)[:_MAX_MESSAGE]
    stack = "".join(traceback.format_exception(exception))[-_MAX_STACK:]
    return Failure(classify(exception), message, fingerprint(exception), adopted.storable(stack))


def classify(exception: BaseException) -> ErrorType:
    """Why a task failed: what the exception says of itself, its errno, its class, then the words in it."""
    own = getattr(exception, "error_type", None)
    if isinstance(own, str) and own in set(ErrorType):
        return ErrorType(own)
    number = getattr(exception, "errno", None)
    if isinstance(number, int) and number in _BY_ERRNO:
        return _BY_ERRNO[number]
    for kind, error_type in _BY_CLASS:
        if isinstance(exception, kind):
            return error_type
    text = _text(exception)
    return next((error_type for words, error_type in _BY_WORDS if words.search(text)), ErrorType.UNKNOWN)


def fingerprint(exception: BaseException) -> str:
    """16 hex digits that are the same for failures of the same kind: class, innermost frame, message."""
    frames = traceback.extract_tb(exception.__traceback__)
    frame = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else ""
    normalised = _VARIABLE.sub("#", _text(exception)[:_MAX_MESSAGE]).strip().lower()[:500]
    text = f"{type(exception).__qualname__}\n{frame}\n{normalised}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _text(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - an exception of a stranger's handler
        return type(exception).__name__


def lost_worker(worker: str | None) -> Failure:
    """The failure of a task whose worker died at its last attempt."""
    text = f"WORKER_LOST\n{ErrorType.WORKER_LOST}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Failure(ErrorType.WORKER_LOST, f"worker {worker or '?'} was lost while it ran the task", digest)


def fail(connection: Connection, claim: Claim, failure: Failure, *, retry_transient: bool) -> Finished:
    """End an attempt badly: back to waiting when it is worth another, else the task has failed for good.

    Safe to run again when it is not known whether the commit happened.

    Args:
        connection: In a transaction of its own.
        claim: The task.
        failure: Why.
        retry_transient: Whether transient failures are tried again while attempts are left.

    Raises:
        LeaseLost: When the lease is somebody else's by now.
    """
    order = orders.lock(connection, claim.order_id)
    if audit.find_by_key(connection, claim.key("failed")) is not None:
        return Finished(())
    previous = leases.status_of(connection, claim)
    again = retry_transient and failure.transient and claim.attempt < claim.max_attempts
    leases.write(connection, claim, **_row(failure, claim.attempt, again=again))
    return bridge(
        connection, order, claim.task_id, failure,
        previous=previous, attempt=claim.attempt, again=again,
        source=Source.WORKER, actor=claim.worker, dedup_key=claim.key("failed"),
    )  # fmt: skip


def report(
    connection: Connection,
    task_id: int,
    failure: Failure,
    *,
    source: Source = Source.WORKER,
    actor: str | None = None,
) -> Finished:
    """End a task badly that a foreign worker runs, without lease or retry.

    Args:
        connection: In a transaction of its own.
        task_id: The task.
        failure: Why.
        source: Which part of orderctl was told.
        actor: Who tells it.

    Returns:
        What to publish; nothing when the task had ended before.

    Raises:
        TaskNotFound: When there is none.
    """
    order = orders.lock(connection, tasks.find(connection, task_id).order_id)
    task = tasks.find(connection, task_id)
    if task.status not in UNFINISHED:
        return Finished(())
    values = _row(failure, task.attempt, again=False) | {"updated_at": database.utc_now()}
    adopted.execute(connection, update(download_tasks).where(download_tasks.c.id == task_id), values)
    return bridge(
        connection, order, task_id, failure,
        previous=task.status, attempt=task.attempt, again=False, source=source, actor=actor, dedup_key=None,
    )  # fmt: skip


def bridge(
    connection: Connection,
    order: Locked,
    task_id: int,
    failure: Failure,
    *,
    previous: str,
    attempt: int,
    again: bool,
    source: Source,
    actor: str | None,
    dedup_key: str | None,
) -> Finished:
    """Write a failure down and say what to publish; the task's row has been written before.

    Args:
        connection: In the transaction that holds the order.
        order: The task's order.
        task_id: The task.
        failure: Why it failed.
        previous: Its status before.
        attempt: The attempt that failed.
        again: Whether it waits for another attempt.
        source: Which part of orderctl found it.
        actor: Who ran it.
        dedup_key: Unique name of this failure; None: each counts.
    """
    status = TaskStatus.PENDING if again else TaskStatus.FAILED
    event = NewEvent(
        EventType.DOWNLOAD_FAILED,
        order.id,
        Origin(source, actor),
        task_id,
        words={"error": failure.message, "again": " (will be tried again)" if again else ""},
        details=failure.details(attempt),
        previous_status=previous,
        new_status=status,
        severity=Severity.WARNING if again else None,
        dedup_key=dedup_key,
    )
    audit.record(connection, event)
    _alert(connection, order, task_id, failure)
    if not again:
        _tell(connection, order, task_id, failure, attempt, dedup_key or f"task:{task_id}:{uuid.uuid4()}")
    ended = None if again else orders.end_if_done(connection, order, source=source)
    change = StatusChange(
        Scope.TASK,
        task_id,
        status,
        previous,
        clock.milliseconds(),
        failure.message,
        failure.error_type,
        attempt,
    )
    return Finished((change, *(ended.messages if ended else ())), ended)


def _row(failure: Failure, attempt: int, *, again: bool) -> dict[str, Any]:
    return {
        "status": (TaskStatus.PENDING if again else TaskStatus.FAILED).value,
        "available_at": database.utc_now(_pause(attempt)) if again else None,
        "lease_token": None,
        "lease_until": None,
        "error_type": failure.error_type.value,
        "error_log": f"{failure.error_type}: {failure.message}",
        "error_fingerprint": failure.fingerprint,
    }


def _pause(attempt: int) -> float:
    """Full jitter: a random part of a pause that doubles with each attempt."""
    return random.uniform(0, min(_RETRY_CAP, _RETRY_BASE * 2 ** (attempt - 1)))


def _alert(connection: Connection, order: Locked, task_id: int, failure: Failure) -> None:
    """Ask for a mail to the admin: at once, then at most one for a fingerprint in an hour."""
    if failure.error_type not in ALERTING:
        return
    payload = {
        "orderId": order.id,
        "taskId": task_id,
        "errorType": failure.error_type.value,
        "message": failure.message,
        "fingerprint": failure.fingerprint,
    }
    outbox.put_spaced(
        connection, outbox.Kind.ALERT, f"alert:{failure.fingerprint}", payload, seconds=ALERT_SECONDS
    )


def _tell(
    connection: Connection, order: Locked, task_id: int, failure: Failure, attempt: int, key: str
) -> None:
    payload = {
        "event": "task_failed",
        "orderId": order.id,
        "taskId": task_id,
        "errorType": failure.error_type.value,
        "error": failure.message,
        "attempt": attempt,
    }
    outbox.put(connection, outbox.Kind.WEBHOOK, f"{key}:webhook", payload)
