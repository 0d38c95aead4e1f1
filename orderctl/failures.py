"""The error bridge: a failure of a task goes into its row, the audit log, the channel and an alert mail."""

from __future__ import annotations

import hashlib
import re
import traceback
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from orderctl import (
    audit,
    capacity,
    clock,
    error_types,
    leases,
    lifecycle,
    masking,
    outbox,
    patience,
    shape,
    shop_tables,
    texts,
    words,
)
from orderctl.audit import Origin
from orderctl.counting import counted
from orderctl.errors import InvalidInput
from orderctl.leases import Claim
from orderctl.lifecycle import NOTHING, Move, Moved, TaskState
from orderctl.patience import DEFAULT, Patience, Wait
from orderctl.schema import order_audit_logs
from orderctl.states import ALERTING, TRANSIENT, UNFINISHED, ErrorType, EventType, Source, TaskStatus

_MAX_MESSAGE: Final = 4_000
_MAX_STACK: Final = 16_000
#: Longest part of a text that is looked at: a secret must not be cut in two before it is masked.
_LONGEST: Final = 1_000_000
#: What the audit log's column ``source`` holds in a table that orderctl made.
_MAX_SOURCE: Final = 64
#: At most one alert mail for each fingerprint in this number of seconds.
ALERT_SECONDS: Final = 3600

#: What may differ between two failures of the same kind: URLs, quoted texts, paths, hex and decimal numbers.
_VARIABLE: Final = re.compile(
    r"https?://\S+|'[^']*'|\"[^\"]*\"|/[\w.\-/]+|0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a task failed, as the audit log stores it.

    Attributes:
        is_passing: Whether it may pass by itself; None: as all failures of its type.
        retry_after: The pause that the course's server asked for, in seconds.
    """

    error_type: ErrorType
    message: str
    fingerprint: str
    stack_trace: str = ""
    is_passing: bool | None = None
    retry_after: float | None = None

    @property
    def transient(self) -> bool:
        """Whether an automatic retry makes sense."""
        return self.error_type in TRANSIENT if self.is_passing is None else self.is_passing

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
    """Return the error type, message, fingerprint and stack trace of an exception, or of a text. Never raises.

    Secrets are masked in all but the fingerprint, a digest: it stays what it was for the same failure.
    """
    exception = error_types.as_exception(reason)
    message = error_types.explain(exception).strip() or type(exception).__name__
    stack = "".join(traceback.format_exception(exception)) if exception is reason else ""
    return Failure(
        error_types.classify(exception),
        shop_tables.storable(masking.foreign(message[:_LONGEST]))[:_MAX_MESSAGE],
        fingerprint(exception),
        shop_tables.storable(masking.foreign(stack[-_LONGEST:])[-_MAX_STACK:]),
        patience.is_passing(exception),
        patience.retry_after(exception),
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


def fail(
    connection: Connection,
    claim: Claim,
    failure: Failure,
    *,
    retry_transient: bool,
    limits: Patience = DEFAULT,
    got_on: bool = False,
) -> Moved:
    """End an attempt with a failure: the task waits for another attempt, or has failed permanently.

    What may pass by itself uses up no attempt, until the task has been failing for too long. It can run again if it is
    not known whether the commit happened.

    Args:
        connection: In a transaction of its own.
        claim: The claim on the task.
        failure: The reason.
        retry_transient: Whether transient failures are retried.
        limits: How long they are retried.
        got_on: Whether the attempt has downloaded a part, so only now the task begins to fail.

    Raises:
        LeaseLost: Another worker has the task now.
    """
    order, task = leases.hold(connection, claim)
    wait = None
    if retry_transient and failure.transient:
        if _waits_already(task, claim):
            return NOTHING
        wait = patience.find_wait(
            connection, task, failure.fingerprint, failure.retry_after, limits, got_on=got_on
        )
    origin = Origin(Source.WORKER, claim.worker)
    what = failed(task, failure, origin, key=claim.key("failed"), wait=wait)
    return leases.finish(connection, claim, order, task, what)


def _waits_already(task: TaskState, claim: Claim) -> bool:
    """Whether this end of the attempt was committed, perhaps without an event: only the answer was lost."""
    waits = task.status == TaskStatus.PENDING and task.lease_token is None
    return waits and task.attempt == claim.attempt and task.failing_since is not None


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
    known = masking.secrets(task.course_url)
    failure = replace(
        failure,
        message=masking.text(failure.message, *known),
        stack_trace=masking.text(failure.stack_trace, *known),
    )
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
    task: TaskState,
    failure: Failure,
    origin: Origin,
    *,
    key: str | None = None,
    wait: Wait | None = None,
) -> Move:
    """Return the move of a failed task, with its row, audit event, channel message, webhook and alert mail.

    Args:
        task: The task.
        failure: The reason.
        origin: Who detected the failure.
        key: The dedup key of this failure; None: the same failure may be recorded several times.
        wait: How the task waits for the next try, or that it is given up; None: it has failed permanently at once.
    """
    retry_at = None if wait is None else wait.retry_at

    def also(connection: Connection) -> None:
        _alert(connection, task, failure)
        if retry_at is None:
            _queue_webhook(connection, task, failure, origin, key or f"task:{task.id}:{uuid.uuid4()}")

    values = _values(failure)
    if wait is not None and retry_at is not None:
        # As a release does: what may pass by itself uses up no attempt.
        values |= {
            "available_at": retry_at,
            "max_attempts": leases.one_more(task),
            "failing_since": wait.since,
        }
    elif wait is None:
        values["failing_since"] = None
    return Move(
        TaskStatus.FAILED if retry_at is None else TaskStatus.PENDING,
        EventType.DOWNLOAD_FAILED,
        origin,
        values=values,
        words={"error": failure.message, "again": _outlook(task, wait)},
        details=failure.details(task.attempt) | ({} if wait is None else wait.details()),
        warning=retry_at is not None,
        key=key,
        error=(failure.message, failure.error_type),
        retry_at=retry_at,
        failing_since=wait.since if wait and retry_at else None,
        is_told=wait is None or wait.is_news,
        also=also,
    )


def _outlook(task: TaskState, wait: Wait | None) -> str:
    """Return what an event's message says about further tries."""
    if wait is None:
        return ""
    if wait.retry_at is not None:
        tries = f" (try {wait.tries} since {_minute(wait.since)})" if wait.tries > 1 else ""
        return f"{tries} (will be tried again)"
    if task.failing_since is None:
        return ""
    tries = counted(wait.tries, "try", "tries")
    return f" (given up after {tries}: failing since {_minute(task.failing_since)}, worker.give_up_after)"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _values(failure: Failure) -> dict[str, Any]:
    return {
        "available_at": None,
        "error_type": failure.error_type.value,
        "error_log": f"{failure.error_type}: {failure.message}",
        "error_fingerprint": failure.fingerprint,
    }


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
