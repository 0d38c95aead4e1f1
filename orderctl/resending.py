"""Send messages of the outbox again: they are due now, and the logs of their orders say so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from orderctl import audit, database, outbox, outgoing, texts
from orderctl.audit import NewEvent, Origin
from orderctl.errors import Conflict, OrderctlError, Superseded
from orderctl.outbox import EntryKind
from orderctl.outgoing import Message, Seen
from orderctl.schema import download_tasks
from orderctl.schema import outbox as table
from orderctl.states import EventType, MessageState

_RESENT: Final[Mapping[str, EventType]] = {
    EntryKind.SUMMARY: EventType.EMAIL_RESENT,
    EntryKind.ALERT: EventType.EMAIL_RESENT,
    EntryKind.WEBHOOK: EventType.WEBHOOK_RESENT,
    EntryKind.COMPLETION: EventType.COMPLETION_RESENT,
}


def resend(
    connection: Connection,
    ids: Sequence[int],
    *,
    reason: str | None,
    origin: Origin,
    seen: Mapping[int, Seen] | None = None,
) -> list[Message | OrderctlError]:
    """Make messages due now, whatever became of them; the courier sends them. The logs of their orders say so.

    One that waits is only tried earlier.

    Args:
        connection: In a transaction.
        ids: The messages.
        reason: Why, for the audit log.
        origin: Who wants it.
        seen: The messages as they were when they were chosen, by id; they must not have changed.

    Returns:
        For each id the message as it was before, or why it stays as it is: MessageNotFound; Superseded, if another
        process has changed it; Conflict, if a worker holds it or orderctl does not know its kind.
    """
    found = outgoing.hold(connection, ids)
    results: list[Message | OrderctlError] = []
    events: list[NewEvent] = []
    for one in ids:
        message = found.get(one)
        error = (
            outgoing.missing(one) if message is None else _resend(connection, message, (seen or {}).get(one))
        )
        if message is not None and error is None:
            events += _events(connection, message, reason, origin)
        results.append(error or found[one])
    audit.record_all(connection, events)
    return results


def _resend(connection: Connection, message: Message, seen: Seen | None) -> OrderctlError | None:
    """Make a message due now; return why it stays as it is."""
    hint = f"orderctl outbox show {message.id}"
    if seen is not None and (seen.state, seen.resent) != (message.state, message.resent):
        return Superseded(f"message {message.id} is {message.state} by now: another process was first")
    if message.kind not in _RESENT:
        kind = texts.shown(message.kind)
        return Conflict(
            f"message {message.id} is of the kind {kind}, which orderctl does not send", hint=hint
        )
    if not outbox.resend(connection, message.id):
        return _held(connection, message.id)
    return None


def _held(connection: Connection, message_id: int) -> Conflict:
    """Return the error about a message that a worker has taken: it sends it, or others of the same batch first."""
    box = table.c
    query = select(box.lease_until, database.utc_now().label("now")).where(box.id == message_id)
    row = connection.execute(query).one()
    seconds = math.ceil(max(0.0, (row.lease_until - row.now).total_seconds())) if row.lease_until else 0
    return Conflict(
        f"message {message_id} is held by a worker that sends at this moment; try again in up to {max(1, seconds)} s",
        hint=f"orderctl outbox show {message_id}, and if it was not sent: orderctl outbox resend {message_id}",
    )


def _events(connection: Connection, message: Message, reason: str | None, origin: Origin) -> list[NewEvent]:
    """Return the event of the message's order, one for each sending. An order that is gone has no log."""
    if message.order_id is None or message.order_code is None:
        return []
    task = download_tasks.c
    exists = select(task.id).where(task.id == message.task_id)
    of_task = message.task_id is not None and connection.execute(exists).first() is not None
    kind = _RESENT[message.kind]
    resent = message.resent + (message.state != MessageState.WAITING)
    details = {
        "kind": message.kind,
        "endpoint": message.endpoint,
        "attempts": message.attempts,
        "error": message.last_error,
    }
    event = NewEvent(
        kind,
        message.order_id,
        origin,
        message.task_id if of_task else None,
        words={"because": f" ({reason})" if reason else "", "to": outbox.to(message.endpoint)},
        details={**details, "reason": reason},
        dedup_key=f"{outbox.sending_key(message.dedup_key, resent)}:{kind}",
    )
    return [event]
