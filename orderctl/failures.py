"""The error bridge: a failure of a task goes into its row, the audit log, the channel and an alert mail."""

from __future__ import annotations

import hashlib
import random
import re
import traceback
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from orderctl import (
    audit,
    capacity,
    clock,
    database,
    error_types,
    leases,
    lifecycle,
    outbox,
    shape,
    shop_tables,
    texts,
    words,
)
from orderctl.audit import Origin
from orderctl.errors import InvalidInput
from orderctl.leases import Claim
from orderctl.lifecycle import NOTHING, Move, Moved, TaskState
from orderctl.schema import order_audit_logs
from orderctl.states import ALERTING, TRANSIENT, UNFINISHED, ErrorType, EventType, Source, TaskStatus

_MAX_MESSAGE: Final = 4_000
_MAX_STACK: Final = 16_000
#: What the audit log's column ``source`` holds in a table that orderctl made.
_MAX_SOURCE: Final = 64
#: Maximum pause before an automatic retry, and the maximum of the first one, in seconds.
_RETRY_CAP: Final = 300.0
_RETRY_BASE: Final = 5.0
#: At most one alert mail for each fingerprint in this number of seconds.
ALERT_SECONDS: Final = 3600

#: What may differ between two failures of the same kind: URLs, quoted texts, paths, hex and decimal numbers.
_VARIABLE: Final = re.compile(
    r"https?://\S+|'[^']*'|\"[^\"]*\"|/[\w.\-/]+|0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a task failed, as the audit log stores it."""

    error_type: ErrorType
    message: str
    fingerprint: str
    stack_trace: str = ""

    @property
    def transient(self) -> bool:
        """Whether an automatic retry makes sense."""
        return self.error_type in TRANSIENT

    def details(self, attempt: int) -> dict[str, Any]:
        """Return the details of the event ``download_failed``, as the contract defines them."""
        return {
            "error_message": self.message,
            "error_type": self.error_type.contract.value,
            "error_kind": self.error_type.value,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "stack_trace": self.stack_trace,
            "fingerprint": self.fingerprint,
            "attempt": attempt,
        }


def describe(reason: object) -> Failure:
    """Return the error type, message, fingerprint and stack trace of an exception, or of a text. Never raises."""
    exception = error_types.as_exception(reason)
    message = error_types.explain(exception).strip() or type(exception).__name__
    stack = "".join(traceback.format_exception(exception))[-_MAX_STACK:] if exception is reason else ""
    return Failure(
        error_types.classify(exception),
        shop_tables.storable(message)[:_MAX_MESSAGE],
        fingerprint(exception),
        shop_tables.storable(stack),
    )


def fingerprint(exception: BaseException) -> str:
    """Return 16 hex digits that are equal for failures with the same class, innermost frame and message."""
    frames = traceback.extract_tb(exception.__traceback__)
    frame = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else ""
    normalised = _VARIABLE.sub("#", error_types.message(exception)[:_MAX_MESSAGE]).strip().lower()[:500]
    text = f"{type(exception).__qualname__}\n{frame}\n{normalised}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def lost_worker(worker: str | None) -> Failure:
    """Return the failure of a task whose worker died in the last attempt."""
    text = f"WORKER_LOST\n{ErrorType.WORKER_LOST}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Failure(ErrorType.WORKER_LOST, f"worker {worker or '?'} was lost while it ran the task", digest)


def fail(connection: Connection, claim: Claim, failure: Failure, *, retry_transient: bool) -> Moved:
    """End an attempt with a failure: the task waits for another attempt, or has failed permanently.

    It can run again if it is not known whether the commit happened.

    Args:
        connection: In a transaction of its own.
        claim: The claim on the task.
        failure: The reason.
        retry_transient: Whether transient failures are retried while attempts are left.

    Raises:
        LeaseLost: Another worker has the task now.
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
    source: str = Source.WORKER,
    actor: str | None = None,
) -> Moved:
    """Mark a task as failed that a worker of the shop's runs, without a lease and without a retry.

    Args:
        connection: In a transaction of its own.
        task_id: The task.
        failure: The reason.
        source: The program that reports the failure, for the audit log.
        actor: Who reports the failure.

    Returns:
        What to publish; nothing if the task had ended already.

    Raises:
        TaskNotFound: The task does not exist.
        OrderNotFound: The task's order does not exist.
        InvalidInput: The source is not one that the audit log can hold.
    """
    source = _checked_source(connection, source)
    order, task = lifecycle.hold(connection, task_id)
    if task.status not in UNFINISHED:
        return NOTHING
    what = failed(task, failure, Origin(source, audit.named(actor)))
    return lifecycle.move(connection, task, what, lifecycle.unchanged(task), order) or NOTHING


def _checked_source(connection: Connection, source: str) -> str:
    """Return a source as the column of the audit log spells it.

    Refuse what the column cannot hold; a shortened name would be another program's.
    """
    there = shape.refresh(connection, words.WANTED)
    column = there.column(order_audit_logs.name, "source")
    allowed = () if column is None else column.words  # of an ENUM of the shop's
    most = _MAX_SOURCE if allowed else capacity.room(there, order_audit_logs.name, "source", _MAX_SOURCE)
    refused = f"{texts.shown(source)} is not a valid source: "
    if not isinstance(source, str) or not source.strip() or not source.isprintable() or len(source) > most:
        raise InvalidInput(f"{refused}1 to {most} printable characters")
    spelled = next((word for word in allowed if word.casefold() == source.casefold()), None)
    if allowed and spelled is None:
        raise InvalidInput(
            f"{refused}the column order_audit_logs.source of the shop holds only {', '.join(allowed)}"
        )
    return spelled or source


def failed(
    task: TaskState, failure: Failure, origin: Origin, *, key: str | None = None, again: bool = False
) -> Move:
    """Return the move of a failed task, with its row, audit event, channel message, webhook and alert mail.

    Args:
        task: The task.
        failure: The reason.
        origin: Who detected the failure.
        key: The dedup key of this failure; None: the same failure may be recorded several times.
        again: Whether the task waits for another attempt.
    """

    def also(connection: Connection) -> None:
        _alert(connection, task, failure)
        if not again:
            _queue_webhook(connection, task, failure, origin, key or f"task:{task.id}:{uuid.uuid4()}")

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
    """Return a random part (full jitter) of a pause that doubles with each attempt, in seconds."""
    return random.uniform(0, min(_RETRY_CAP, _RETRY_BASE * 2 ** min(attempt - 1, 10)))


def _alert(connection: Connection, task: TaskState, failure: Failure) -> None:
    """Queue an alert mail to the admin: the first at once, then one per fingerprint and hour at most."""
    if failure.error_type not in ALERTING:
        return
    payload = {
        "orderId": task.order_id,
        "taskId": task.id,
        "errorType": failure.error_type.value,
        "message": failure.message,
        "fingerprint": failure.fingerprint,
        "managed": task.managed,
    }
    outbox.put_spaced(
        connection, outbox.EntryKind.ALERT, f"alert:{failure.fingerprint}", payload, seconds=ALERT_SECONDS
    )


def _queue_webhook(
    connection: Connection, task: TaskState, failure: Failure, origin: Origin, key: str
) -> None:
    """Queue what the audit event has, without the stack trace: it may name files and addresses of the shop."""
    payload = {
        "event": "task_failed",
        "orderId": task.order_id,
        "orderCode": task.order_code,
        "taskId": task.id,
        "title": task.title,
        "errorType": failure.error_type.contract.value,
        "errorKind": failure.error_type.value,
        "error": failure.message,
        "fingerprint": failure.fingerprint,
        "attempt": task.attempt,
        "previousStatus": task.status,
        "newStatus": TaskStatus.FAILED.value,
        "source": str(origin.source),
        "actor": origin.actor,
        "timestamp": clock.milliseconds(),
    }
    outbox.put(connection, outbox.EntryKind.WEBHOOK, f"{key}:webhook", payload)
