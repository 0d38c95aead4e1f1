"""The courier: sends the entries of the outbox, each once, and retries those that could not be sent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final

import redis
from sqlalchemy import Engine

from orderctl import channels, database, outages, outbox, publications
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, OrderNotFound, RedisUnavailable
from orderctl.outages import Outage
from orderctl.outbox import Entry, EntryKind, Lane
from orderctl.settings import Settings
from orderctl.worker import alerts, letters, mail, rounds, settlement, smtp, webhook
from orderctl.worker.heartbeat import StopRequest
from orderctl.worker.letters import Letter
from orderctl.worker.rounds import Rounds

_log = logging.getLogger(__name__)

#: Kinds that are sent one after the other; a server that does not answer delays only its own group.
GROUPS: Final = ((EntryKind.COMPLETION,), (EntryKind.WEBHOOK,), (EntryKind.SUMMARY, EntryKind.ALERT))
#: How long a courier holds an entry, in seconds: longer than sending takes.
_LEASES: Final = {
    EntryKind.COMPLETION: 10.0,
    EntryKind.WEBHOOK: 60.0,
    EntryKind.SUMMARY: 120.0,
    EntryKind.ALERT: 120.0,
}
_BATCH: Final = 20
#: Whether Redis takes completion messages.
_redis: Final = Outage("Redis")


@dataclass(slots=True)
class SendReport:
    """What one round has sent, postponed and given up, as dedup keys of the entries."""

    sent: list[str] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


#: Sends an entry. Returns True when it was sent, False when another courier has taken it, and a remark
#: when nothing is to be sent.
Sender = Callable[[Entry], "bool | str"]


def send(settings: Settings) -> None:
    """Send the entries of the outbox each second, until SIGTERM.

    Each group has a thread of its own, so that no group waits for another.
    """
    engine = rounds.open_database(settings, pool_size=len(GROUPS))
    stop = rounds.stop_on_sigterm()
    loop = rounds.Rounds(settings, engine, stop)
    threads = [
        threading.Thread(target=_send_group, args=(engine, settings, group, stop, loop), name=group[0])
        for group in GROUPS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send_group(
    engine: Engine, settings: Settings, group: Sequence[EntryKind], stop: StopRequest, loop: Rounds
) -> None:
    def turn(client: redis.Redis) -> None:
        send_due(engine, client, settings, [group], lambda: stop.made)

    try:
        loop.each_second(turn)
    except BaseException:  # noqa: BLE001 - one failed thread ends all; the supervisor restarts them
        _log.exception("the courier's thread for %s failed", group[0])
        stop.made = True


def send_completions(engine: Engine, client: redis.Redis) -> SendReport:
    """Send the completion messages that are due.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    report = SendReport()
    _send(engine, {EntryKind.COMPLETION: lambda entry: _complete(client, entry)}, report)
    return report


def send_due(
    engine: Engine,
    client: redis.Redis,
    settings: Settings,
    groups: Sequence[Sequence[EntryKind]] = GROUPS,
    over: Callable[[], bool] = lambda: False,
) -> SendReport:
    """Send all entries that are due.

    An entry whose receiver is not configured is marked as sent with a remark, so that entries do not pile up.

    Args:
        engine: The database.
        client: Redis.
        settings: Where mails and webhooks go.
        groups: Of :data:`GROUPS`; all of them, one after the other, by default.
        over: Returns True when no further entry may be sent; entries that are already taken are put back.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    senders: dict[EntryKind, Sender] = {
        EntryKind.COMPLETION: lambda entry: _complete(client, entry),
        EntryKind.SUMMARY: lambda entry: _mail_summary(engine, settings, entry),
        EntryKind.ALERT: lambda entry: _mail_alert(engine, settings, entry),
        EntryKind.WEBHOOK: lambda entry: _post(settings, entry),
    }
    report = SendReport()
    for kinds in groups:
        _send(engine, {kind: senders[kind] for kind in kinds}, report, over)
    return report


def _send(
    engine: Engine,
    senders: Mapping[EntryKind, Sender],
    report: SendReport,
    over: Callable[[], bool] = lambda: False,
) -> None:
    kinds = list(senders)
    lane, lease = Lane(kinds), max(_LEASES[kind] for kind in kinds)
    while not over():
        with database.reading(engine) as connection:
            if not outbox.is_due(connection, lane):
                return
        entries = database.transact(
            engine, lambda connection: outbox.take(connection, lane, limit=_BATCH, lease_seconds=lease)
        )
        for entry in entries:
            if over():
                database.transact(engine, partial(outbox.put_back, entry=entry))
            else:
                _settle(engine, entry, senders[EntryKind(entry.kind)], report, over)
        if len(entries) < _BATCH:
            return


def _settle(engine: Engine, entry: Entry, send: Sender, report: SendReport, over: Callable[[], bool]) -> None:
    try:
        # Sending the earlier entries of the batch may have taken long.
        outcome = _hold(engine, entry) and send(entry)
    except OrderNotFound as error:  # the shop has deleted it
        outcome = str(error)
    except DatabaseBusy:
        raise  # another transaction holds the entry: the others are next
    except DatabaseUnavailable as error:  # this says nothing about the entry, and nothing was sent
        outages.of(engine).begin(error)
        database.insist(engine, partial(outbox.put_back, entry=entry), over)
        return
    except Exception as error:  # noqa: BLE001 - an entry that cannot be sent must not delay the others
        if isinstance(error, RedisUnavailable):  # as for all other entries; one line is enough
            _redis.begin(error)
        postponed = settlement.postpone(engine, entry, error, quiet=isinstance(error, RedisUnavailable))
        (report.postponed if postponed else report.dropped).append(entry.dedup_key)
        return
    if outcome is False:
        return
    remark = outcome if isinstance(outcome, str) else None
    if remark:
        _log_once(remark)
    (report.dropped if remark else report.sent).append(entry.dedup_key)
    settlement.insist_on_note(engine, entry, remark, over)


@cache
def _log_once(remark: str) -> None:
    _log.info("no message is sent: %s", remark)


def _hold(engine: Engine, entry: Entry) -> bool:
    lease = _LEASES[EntryKind(entry.kind)]
    return database.transact(engine, lambda connection: outbox.extend(connection, entry, lease))


def _complete(client: redis.Redis, entry: Entry) -> bool | str:
    channel = channels.order_complete(entry.payload["orderId"])
    publications.publish_once(client, entry.sending_key, channel, entry.payload)
    _redis.end()
    return True


def _mail_summary(engine: Engine, settings: Settings, entry: Entry) -> bool | str:
    if settings.mail.url is None:
        return "mail.url is not configured"
    with database.reading(engine) as connection:
        letter = letters.summary(connection, entry.payload["orderId"])
    return _mail(engine, settings, entry, letter)


def _mail_alert(engine: Engine, settings: Settings, entry: Entry) -> bool | str:
    if settings.mail.url is None or settings.mail.admin is None:
        return "mail.url or mail.admin is not configured"
    with database.reading(engine) as connection:
        letter = alerts.alert(connection, entry.payload, settings.mail.admin)
    return _mail(engine, settings, entry, letter)


def _mail(engine: Engine, settings: Settings, entry: Entry, letter: Letter) -> bool:
    envelope = mail.compose(letter, settings.mail, entry.sending_key, datetime.now(UTC))
    return smtp.send(envelope, settings.mail, lambda: _hold(engine, entry))


def _post(settings: Settings, entry: Entry) -> bool | str:
    if settings.notify.webhook_url is None:
        return "notify.webhook_url is not configured"
    webhook.post(settings.notify, entry.payload, entry.dedup_key)
    return True
