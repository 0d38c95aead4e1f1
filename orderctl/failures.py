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

from sqlalchemy import Connection

from orderctl import database, leases, lifecycle, outbox, shop_tables
from orderctl.audit import Origin
from orderctl.leases import Claim
from orderctl.lifecycle import NOTHING, Move, Moved, TaskState
from orderctl.states import ALERTING, TRANSIENT, UNFINISHED, ErrorType, EventType, Source, TaskStatus

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
    message = shop_tables.storable(_text(exception).strip() or type(exception).__name__)[:_MAX_MESSAGE]
    stack = "".join(traceback.format_exception(exception))[-_MAX_STACK:]
    return Failure(classify(exception), message, fingerprint(exception), shop_tables.storable(stack))


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


def fail(connection: Connection, claim: Claim, failure: Failure, *, retry_transient: bool) -> Moved:
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
    order, task = leases.hold(connection, claim)
    again = retry_transient and failure.transient and claim.attempt < claim.max_attempts
    what = failed(task, failure, Origin(Source.WORKER, claim.worker), key=claim.key("failed"), again=again)
    return leases.finish(connection, claim, order, task, what)


def report(
    connection: Connection,
    task_id: int,
    failure: Failure,
    *,
    source: Source = Source.WORKER,
    actor: str | None = None,
) -> Moved:
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
    order, task = lifecycle.hold(connection, task_id)
    if task.status not in UNFINISHED:
        return NOTHING
    what = failed(task, failure, Origin(source, actor))
    return lifecycle.move(connection, task, what, lifecycle.as_it_stood(task), order) or NOTHING


def failed(
    task: TaskState, failure: Failure, origin: Origin, *, key: str | None = None, again: bool = False
) -> Move:
    """The move of a task that failed: into its row, the audit log, the channel, the webhook and a mail.

    Args:
        task: The task.
        failure: Why.
        origin: Who found it.
        key: Unique name of this failure; None: each counts.
        again: Whether it waits for another attempt.
    """

    def also(connection: Connection) -> None:
        _alert(connection, task, failure)
        if not again:
            _tell(connection, task, failure, key or f"task:{task.id}:{uuid.uuid4()}")

    return Move(
        TaskStatus.PENDING if again else TaskStatus.FAILED,
        EventType.DOWNLOAD_FAILED,
        origin,
        values=_values(failure, task.attempt, again=again),
        words={"error": failure.message, "again": " (will be tried again)" if again else ""},
        details=failure.details(task.attempt),
        warning=again,
        key=key,
        error=(failure.message, failure.error_type),
        also=also,
    )


def _values(failure: Failure, attempt: int, *, again: bool) -> dict[str, Any]:
    return {
        "available_at": database.utc_now(_pause(attempt)) if again else None,
        "error_type": failure.error_type.value,
        "error_log": f"{failure.error_type}: {failure.message}",
        "error_fingerprint": failure.fingerprint,
    }


def _pause(attempt: int) -> float:
    """Full jitter: a random part of a pause that doubles with each attempt."""
    return random.uniform(0, min(_RETRY_CAP, _RETRY_BASE * 2 ** (attempt - 1)))


def _alert(connection: Connection, task: TaskState, failure: Failure) -> None:
    """Ask for a mail to the admin: at once, then at most one for a fingerprint in an hour."""
    if failure.error_type not in ALERTING:
        return
    payload = {
        "orderId": task.order_id,
        "taskId": task.id,
        "errorType": failure.error_type.value,
        "message": failure.message,
        "fingerprint": failure.fingerprint,
    }
    outbox.put_spaced(
        connection, outbox.EntryKind.ALERT, f"alert:{failure.fingerprint}", payload, seconds=ALERT_SECONDS
    )


def _tell(connection: Connection, task: TaskState, failure: Failure, key: str) -> None:
    payload = {
        "event": "task_failed",
        "orderId": task.order_id,
        "taskId": task.id,
        "errorType": failure.error_type.value,
        "error": failure.message,
        "attempt": task.attempt,
    }
    outbox.put(connection, outbox.EntryKind.WEBHOOK, f"{key}:webhook", payload)
