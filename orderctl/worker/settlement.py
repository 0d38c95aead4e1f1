"""What becomes of an entry of the outbox after a try: sent, postponed or given up, and the event that says so."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, select

from orderctl import audit, clock, database, masking, outbox
from orderctl.audit import NewEvent, Origin
from orderctl.counting import counted
from orderctl.errors import DatabaseUnavailable
from orderctl.outbox import Entry, EntryKind
from orderctl.schema import download_tasks, orders
from orderctl.states import EventType, Source
from orderctl.worker.payloads import InvalidPayload
from orderctl.worker.smtp import Undeliverable
from orderctl.worker.webhook import EndpointRemoved, WebhookRefused

_log = logging.getLogger(__name__)

_LONGEST_PAUSE: Final = 3600.0
#: Longest pause for live messages, which users wait for, in seconds.
_LIVE_PAUSE: Final = 10.0
#: After this number of tries (10 to 20 hours) an entry is given up, which the audit log records.
_MOST_TRIES: Final = 30
#: How long a courier that has to stop still tries to record what it has sent, in seconds.
_LAST_WORD: Final = 10.0
#: At most one mail about an endpoint in this time.
_ALERT_SECONDS: Final = 3600.0
_MAILS: Final = {EntryKind.SUMMARY, EntryKind.ALERT}


def insist_on_note(engine: Engine, entry: Entry, remark: str | None, over: Callable[[], bool]) -> None:
    """Record that an entry was sent, however long the database is away: else it would be sent again.

    Args:
        engine: The database.
        entry: The entry.
        remark: The reason why it was not really sent, if it was not.
        over: Whether the courier has to stop; then it tries for some seconds more.

    Raises:
        DatabaseUnavailable: The courier has to stop.
    """
    stopped: list[float] = []

    def give_up() -> bool:
        if over():
            stopped.append(clock.elapsed())
        return bool(stopped) and clock.elapsed() - stopped[0] >= _LAST_WORD

    try:
        database.insist(engine, lambda connection: _note_sent(connection, entry, remark), give_up)
    except DatabaseUnavailable:
        if remark is None:
            _log.error("%s was sent, which could not be recorded: it may be sent again", entry.dedup_key)
        raise


def _note_sent(connection: Connection, entry: Entry, remark: str | None) -> None:
    if outbox.mark_sent(connection, entry, remark=remark) and remark is None and entry.kind in _MAILS:
        _record(connection, entry, EventType.EMAIL_SENT, {"attempts": entry.attempts})


def postpone(engine: Engine, entry: Entry, error: Exception, *, quiet: bool = False) -> bool:
    """Release an entry that could not be sent, to be tried later, or give it up.

    Args:
        engine: The database.
        entry: The entry.
        error: The reason.
        quiet: Whether the reason is in the log already.

    Returns:
        False when the entry was given up. Live messages never are, however often they were tried.
    """
    text = _text(error)
    live = entry.kind == EntryKind.COMPLETION
    if _is_final(error) or (entry.attempts >= _MOST_TRIES and not live):
        database.transact(engine, lambda connection: give_up(connection, entry, error))
        return False
    pause = _pause(entry, error, _LIVE_PAUSE if live else _LONGEST_PAUSE)
    if not quiet:
        _log.warning("cannot send %s, next try in %.0f s: %s", entry.dedup_key, pause, text)
    database.transact(engine, lambda connection: outbox.postpone(connection, entry, text, pause))
    return True


def _is_final(error: Exception) -> bool:
    """Whether every further try would end like this one."""
    return isinstance(error, Undeliverable | EndpointRemoved | InvalidPayload) or (
        isinstance(error, WebhookRefused) and error.is_final
    )


def _pause(entry: Entry, error: Exception, longest: float) -> float:
    """Return the seconds until the next try: more each time, and not before the receiver wants it."""
    backoff = min(longest, 2.0 ** min(entry.attempts, 20)) * random.uniform(0.5, 1)
    return max(backoff, min(longest, getattr(error, "retry_after", None) or 0.0))


def _text(error: Exception) -> str:
    name = "" if isinstance(error, InvalidPayload) else f"{type(error).__name__}: "
    return masking.foreign(f"{name}{error}")


def give_up(connection: Connection, entry: Entry, error: Exception) -> None:
    """Try an entry no more: the log and the order's events say so, and of a webhook the admin gets a mail.

    Args:
        connection: In a transaction of its own.
        entry: The entry.
        error: The reason.
    """
    text = _text(error)
    tries = counted(entry.attempts, "try", "tries")
    again = f"to send it again: orderctl outbox resend {entry.id}"
    _log.error("gave up sending %s after %s: %s (%s)", entry.dedup_key, tries, text, again)
    if not outbox.fail(connection, entry, text):
        return
    details: dict[str, object] = {"error": text, "attempts": entry.attempts}
    if entry.kind in _MAILS:
        _record(connection, entry, EventType.EMAIL_FAILED, details)
        return
    if entry.kind == EntryKind.COMPLETION:  # only where its payload names no order
        return
    receiver = getattr(error, "receiver", None)
    details |= {"event": entry.payload.get("event"), "endpoint": entry.endpoint, "url": receiver}
    details["status"] = getattr(error, "status", None)
    _record(connection, entry, EventType.WEBHOOK_FAILED, details)
    about = {"about": "webhook", "endpoint": entry.endpoint, "receiver": receiver, "error": text}
    name = f"alert:webhook:{entry.endpoint}"
    outbox.put_spaced(connection, EntryKind.ALERT, name, about, seconds=_ALERT_SECONDS)


def _record(connection: Connection, entry: Entry, event_type: EventType, details: dict[str, object]) -> None:
    """Record an event of the entry's order. What belongs to no order, or to one that is gone, is in the log only."""
    order_id, task_id = outbox.id_in(entry.payload, "orderId"), outbox.id_in(entry.payload, "taskId")
    if (
        order_id is None
        or connection.execute(select(orders.c.id).where(orders.c.id == order_id)).first() is None
    ):
        return
    if connection.execute(select(download_tasks.c.id).where(download_tasks.c.id == task_id)).first() is None:
        task_id = None
    event = NewEvent(
        event_type,
        order_id,
        Origin(Source.WORKER),
        task_id,
        words={**details, "to": outbox.to(entry.endpoint)},
        details={"kind": entry.kind, **details},
        dedup_key=f"{entry.sending_key}:{event_type}",
    )
    audit.record(connection, event)
