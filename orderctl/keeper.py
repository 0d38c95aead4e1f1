"""What a supervisor's two helpers do: the keeper reconciles each second, the courier sends the outbox."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence

import redis
from sqlalchemy import Engine

from orderctl import __version__, broker, channels, clock, database, delivery, reconcile
from orderctl.errors import OrderctlError
from orderctl.outbox import EntryKind
from orderctl.settings import Settings

_log = logging.getLogger(__name__)

#: Time between two rounds, in seconds.
PERIOD = 1.0
#: How long a supervisor is believed to live without a sign, in seconds.
_SIGN_SECONDS = 10


def keep(settings: Settings, supervisor: str) -> None:
    """Reconcile each second, announce the supervisor, and have it stop when it is told to.

    Args:
        settings: All settings.
        supervisor: Its name; it is the parent of this process.
    """
    engine = _open(settings)
    born = clock.milliseconds()
    queue = settings.worker.queue

    def turn(client: redis.Redis) -> None:
        found = reconcile.recover(engine, client)  # first, for it needs no Redis
        _announce(client, settings, supervisor, born)
        if client.getdel(channels.stop(supervisor)):
            _log.warning("told to stop by `orderctl worker stop`")
            os.kill(os.getppid(), signal.SIGTERM)
        if not client.exists(channels.paused(queue)):
            found += reconcile.ring(engine, client, settings)
        for finding in found:
            _log.info("%s", finding.text)

    _repeat(settings, turn, _until_told())


def send(settings: Settings) -> None:
    """Send what stands in the outbox, each second; each group in a thread of its own, so that none waits for another."""
    engine = _open(settings, pool_size=len(delivery.GROUPS))
    over = _until_told()
    threads = [
        threading.Thread(target=_send, args=(engine, settings, group, over), name=group[0])
        for group in delivery.GROUPS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(engine: Engine, settings: Settings, group: Sequence[EntryKind], over: threading.Event) -> None:
    def turn(client: redis.Redis) -> None:
        delivery.send_due(engine, client, settings, [group], over.is_set)

    try:
        _repeat(settings, turn, over)
    except BaseException:  # noqa: BLE001 - all end with one; the supervisor starts them again
        _log.exception("courier, %s", group[0])
        over.set()


def _open(settings: Settings, *, pool_size: int = 1) -> Engine:
    url = database.url(settings)
    return database.connect(url, pool_size=pool_size, lock_wait_seconds=1, answer_timeout=10)


def _until_told() -> threading.Event:
    """What SIGTERM sets."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    return over


def _repeat(settings: Settings, turn: Callable[[redis.Redis], None], over: threading.Event) -> None:
    """Take a turn each second until it is over; trouble is logged once and tried again."""
    trouble = ""
    while not over.is_set():
        began = clock.elapsed()
        try:
            # With the embedded server this starts it again after it died.
            with contextlib.closing(broker.brisk(broker.url(settings))) as client, broker.translating():
                turn(client)
            trouble = ""
        except OrderctlError as error:
            if str(error) != trouble:
                _log.warning("%s", error)
            trouble = str(error)
        over.wait(max(0.05, PERIOD - (clock.elapsed() - began)))


def _announce(client: redis.Redis, settings: Settings, supervisor: str, born: int) -> None:
    sign = {
        "name": supervisor,
        "host": socket.gethostname(),
        "pid": os.getppid(),
        "queue": settings.worker.queue,
        "concurrency": settings.worker.concurrency,
        "version": __version__,
        "started": born,
        "seen": clock.milliseconds(),
    }
    client.set(channels.supervisor(supervisor), json.dumps(sign), ex=_SIGN_SECONDS)
