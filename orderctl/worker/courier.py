"""The courier: sends the entries of the outbox, each once, and retries those that could not be sent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final

import redis
from sqlalchemy import Engine

from orderctl import channels, database, outages, outbox, publications, webhook_endpoints
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, OrderNotFound, RedisUnavailable
from orderctl.outages import Outage
from orderctl.outbox import Entry, EntryKind, Lane
from orderctl.settings import Settings
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import addressing, alerts, letters, mail, payloads, rounds, settlement, smtp, webhook
from orderctl.worker.heartbeat import StopRequest
from orderctl.worker.letters import Letter
from orderctl.worker.rounds import Rounds

_log = logging.getLogger(__name__)

#: Kinds that are sent one after the other; a server that does not answer delays only its own group. Of webhooks each
#: endpoint is a group.
_LIVE: Final = (EntryKind.COMPLETION,)
_MAILS: Final = (EntryKind.SUMMARY, EntryKind.ALERT)
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
Senders = Mapping[EntryKind, Sender]
Turn = Callable[["redis.Redis"], None]


def send(settings: Settings) -> None:
    """Send the entries of the outbox each second, until SIGTERM.

    Live messages, mails and the webhooks of each endpoint have threads of their own, so that none waits for another.
    """
    endpoints = webhook_endpoints.of(settings.notify)
    engine = rounds.open_database(settings, pool_size=3 + len(endpoints))
    stop = rounds.stop_on_sigterm()
    loop = rounds.Rounds(settings, engine, stop)
    senders = _senders(engine, settings)

    def of(kinds: tuple[EntryKind, ...]) -> Turn:
        return lambda client: _send(engine, Lane(kinds), senders(client), SendReport(), lambda: stop.made)

    hooks = _Webhooks(engine, endpoints, stop)
    turns = {"completion": of(_LIVE), "webhook": hooks.turn, "mail": of(_MAILS)}
    threads = [
        threading.Thread(target=_each_second, args=(name, turn, stop, loop), name=name)
        for name, turn in turns.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hooks.close()


def _each_second(name: str, turn: Turn, stop: StopRequest, loop: Rounds) -> None:
    try:
        loop.each_second(turn)
    except BaseException:  # noqa: BLE001 - one failed thread ends all; the supervisor restarts them
        _log.exception("the courier's thread for %s failed", name)
        stop.made = True


class _Webhooks:
    """Sends webhooks: an endpoint that has some gets a thread, so that one that hangs delays no other.

    Args:
        engine: The database.
        endpoints: All that are configured.
        stop: Once its ``made`` is True, nothing more is sent.
    """

    def __init__(self, engine: Engine, endpoints: Sequence[Endpoint], stop: StopRequest) -> None:
        self._engine = engine
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._stop = stop
        self._pool = ThreadPoolExecutor(max(1, len(endpoints)), "webhook")
        self._busy: dict[str, Future[None]] = {}

    def turn(self, _: redis.Redis) -> None:
        """Let each endpoint that has entries to get, and no thread, have one."""
        ended = [self._busy.pop(name) for name, future in [*self._busy.items()] if future.done()]
        report = SendReport()
        for endpoint in _due_endpoints(self._engine, self._endpoints, report, self._over):
            if endpoint.name not in self._busy:
                self._busy[endpoint.name] = self._pool.submit(
                    _send_webhooks, self._engine, endpoint, report, self._over
                )
        for future in ended:
            future.result()  # what ended it is an error of this turn

    def close(self) -> None:
        """Wait for what is being sent."""
        self._pool.shutdown()

    def _over(self) -> bool:
        return self._stop.made


def send_completions(engine: Engine, client: redis.Redis) -> SendReport:
    """Send the completion messages that are due.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    report = SendReport()
    _send(engine, Lane(_LIVE), {EntryKind.COMPLETION: lambda entry: _complete(client, entry)}, report)
    return report


def send_due(
    engine: Engine, client: redis.Redis, settings: Settings, over: Callable[[], bool] = lambda: False
) -> SendReport:
    """Send all entries that are due, one after the other.

    An entry whose receiver is not configured is marked as sent with a remark, so that entries do not pile up.

    Args:
        engine: The database.
        client: Redis.
        settings: Where mails and webhooks go.
        over: Returns True when no further entry may be sent; entries that are already taken are put back.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    report, senders = SendReport(), _senders(engine, settings)(client)
    _send(engine, Lane(_LIVE), senders, report, over)
    endpoints = {endpoint.name: endpoint for endpoint in webhook_endpoints.of(settings.notify)}
    for endpoint in _due_endpoints(engine, endpoints, report, over):
        _send_webhooks(engine, endpoint, report, over)
    _send(engine, Lane(_MAILS), senders, report, over)
    return report


def _senders(engine: Engine, settings: Settings) -> Callable[[redis.Redis], Senders]:
    return lambda client: {
        EntryKind.COMPLETION: lambda entry: _complete(client, entry),
        EntryKind.SUMMARY: lambda entry: _mail_summary(engine, settings, entry),
        EntryKind.ALERT: lambda entry: _mail_alert(engine, settings, entry),
    }


def _due_endpoints(
    engine: Engine, endpoints: Mapping[str, Endpoint], report: SendReport, over: Callable[[], bool]
) -> list[Endpoint]:
    found, dropped = addressing.due(engine, endpoints, over)
    for remark in filter(None, dropped.values()):
        _log_once(remark)
    report.dropped.extend(dropped)
    return found


def _send_webhooks(engine: Engine, endpoint: Endpoint, report: SendReport, over: Callable[[], bool]) -> None:
    """Send what an endpoint is to get."""
    sender = partial(_post, endpoint)
    _send(engine, Lane((EntryKind.WEBHOOK,), endpoint.name), {EntryKind.WEBHOOK: sender}, report, over)


def _send(
    engine: Engine,
    lane: Lane,
    senders: Senders,
    report: SendReport,
    over: Callable[[], bool] = lambda: False,
) -> None:
    lease = max(_LEASES[kind] for kind in lane.kinds)
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
        payloads.check(entry.kind, entry.payload)
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


def _post(endpoint: Endpoint, entry: Entry) -> bool:
    webhook.post(endpoint, entry.payload, entry.event_key)
    return True
