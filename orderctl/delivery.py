"""Sends what stands in the outbox, each entry once, and tries again what would not go."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import redis
from sqlalchemy import Connection, Engine

from orderctl import audit, broker, channels, database, mail, outbox, webhook
from orderctl.outbox import Entry, Kind
from orderctl.settings import Settings
from orderctl.states import Category, Severity, Source

_log = logging.getLogger(__name__)

_LEASE_SECONDS: Final = 120.0
_BATCH: Final = 20
_LONGEST_PAUSE: Final = 3600.0
#: After this many tries (about a day) an entry is given up, and the audit log says so.
_MOST_TRIES: Final = 30


@dataclass(slots=True)
class Report:
    """What a round of sending did: dedup keys of what was sent, and of what was put off."""

    sent: list[str] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


#: Sends an entry; returns False when it was not ours any more, a remark when it was settled otherwise.
Sender = Callable[[Entry], "bool | str"]


def send_completions(engine: Engine, client: redis.Redis) -> Report:
    """Send the completion messages that are due.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    return _send(engine, {Kind.COMPLETION: lambda entry: _complete(client, entry)})


def send_due(engine: Engine, client: redis.Redis, settings: Settings) -> Report:
    """Send all that is due; what is not configured is settled with a remark, so that nothing piles up.

    Args:
        engine: The database.
        client: Redis.
        settings: Where mails and webhooks go.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    senders: dict[str, Sender] = {
        Kind.COMPLETION: lambda entry: _complete(client, entry),
        Kind.SUMMARY: lambda entry: _mail_summary(engine, settings, entry),
        Kind.ALERT: lambda entry: _mail_alert(engine, settings, entry),
        Kind.WEBHOOK: lambda entry: _post(settings, entry),
    }
    return _send(engine, senders)


def _send(engine: Engine, senders: dict[str, Sender]) -> Report:
    report = Report()
    while True:
        entries = database.transact(
            engine,
            lambda connection: outbox.take(
                connection, list(senders), limit=_BATCH, lease_seconds=_LEASE_SECONDS
            ),
        )
        for entry in entries:
            _settle(engine, entry, senders[entry.kind], report)
        if len(entries) < _BATCH:
            return report


def _settle(engine: Engine, entry: Entry, send: Sender, report: Report) -> None:
    try:
        # Those before it in the batch may have taken long.
        outcome = _hold(engine, entry) and send(entry)
    except Exception as error:  # noqa: BLE001 - an entry that cannot be sent must not hold up the rest
        _postpone(engine, entry, error, report)
        return
    if outcome is False:
        return
    remark = outcome if isinstance(outcome, str) else None
    (report.dropped if remark else report.sent).append(entry.dedup_key)
    # It has left: forgetting that for an outage of the database would send it again.
    database.insist(engine, lambda connection: _note_sent(connection, entry, remark))


def _hold(engine: Engine, entry: Entry) -> bool:
    return database.transact(engine, lambda connection: outbox.extend(connection, entry, _LEASE_SECONDS))


def _note_sent(connection: Connection, entry: Entry, remark: str | None) -> None:
    if outbox.mark_sent(connection, entry, remark=remark) and remark is None and entry.kind in _MAILS:
        _record_mail(
            connection, entry, "email_sent", "Mail sent", Severity.INFO, {"attempts": entry.attempts}
        )


def _postpone(engine: Engine, entry: Entry, error: Exception, report: Report) -> None:
    text = f"{type(error).__name__}: {error}"
    if entry.attempts >= _MOST_TRIES:
        report.dropped.append(entry.dedup_key)
        database.transact(engine, lambda connection: _give_up(connection, entry, text))
        return
    report.postponed.append(entry.dedup_key)
    pause = min(_LONGEST_PAUSE, 2.0**entry.attempts) * random.uniform(0.5, 1)
    _log.warning("%s is put off by %.0f s: %s", entry.dedup_key, pause, text)
    database.transact(engine, lambda connection: outbox.postpone(connection, entry, text, pause))


def _give_up(connection: Connection, entry: Entry, text: str) -> None:
    _log.error("%s is given up after %d tries: %s", entry.dedup_key, entry.attempts, text)
    if outbox.mark_sent(connection, entry, remark=f"given up: {text}") and entry.kind in _MAILS:
        _record_mail(
            connection, entry, "email_failed", f"Mail failed: {text}", Severity.ERROR, {"error": text}
        )


_MAILS: Final = {Kind.SUMMARY, Kind.ALERT}


def _record_mail(
    connection: Connection,
    entry: Entry,
    event_type: str,
    message: str,
    severity: Severity,
    details: dict[str, object],
) -> None:
    audit.record(
        connection,
        entry.payload["orderId"],
        event_type,
        Category.EMAIL,
        message,
        severity=severity,
        task_id=entry.payload.get("taskId"),
        details={"kind": entry.kind, **details},
        source=Source.WORKER,
        dedup_key=f"{entry.dedup_key}:{event_type}",
    )


def _complete(client: redis.Redis, entry: Entry) -> bool | str:
    channel = channels.order_complete(entry.payload["orderId"])
    broker.publish_once(client, entry.dedup_key, channel, entry.payload)
    return True


def _mail_summary(engine: Engine, settings: Settings, entry: Entry) -> bool | str:
    if settings.mail.url is None:
        return "mail.url is not configured"
    with database.reading(engine) as connection:
        letter = mail.summary(connection, entry.payload["orderId"])
    return _mail(engine, settings, entry, letter)


def _mail_alert(engine: Engine, settings: Settings, entry: Entry) -> bool | str:
    if settings.mail.url is None or settings.mail.admin is None:
        return "mail.url or mail.admin is not configured"
    with database.reading(engine) as connection:
        letter = mail.alert(connection, entry.payload, settings.mail.admin)
    return _mail(engine, settings, entry, letter)


def _mail(engine: Engine, settings: Settings, entry: Entry, letter: mail.Letter) -> bool:
    message = mail.compose(letter, settings.mail, entry.dedup_key, datetime.now(UTC))
    return mail.send(message, settings.mail, lambda: _hold(engine, entry))


def _post(settings: Settings, entry: Entry) -> bool | str:
    if settings.notify.webhook_url is None:
        return "notify.webhook_url is not configured"
    webhook.post(settings.notify, entry.payload, entry.dedup_key)
    return True
