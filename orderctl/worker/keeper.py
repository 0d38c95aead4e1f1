"""The keeper, one beside each supervisor's workers: reconciles each second and says that the supervisor lives."""

from __future__ import annotations

import logging
import os
import signal

import redis

from orderctl import channels, clock, reconcile
from orderctl.settings import Settings
from orderctl.worker import fleet, rounds

_log = logging.getLogger(__name__)


def keep(settings: Settings, supervisor: str) -> None:
    """Reconcile each second, announce the supervisor, and have it stop when it is told to.

    Args:
        settings: All settings.
        supervisor: Its name; it is the parent of this process.
    """
    engine = rounds.open_database(settings)
    born = clock.milliseconds()
    queue = settings.worker.queue

    def turn(client: redis.Redis) -> None:
        found = reconcile.recover(engine, client)  # first, for it needs no Redis
        fleet.announce(client, settings, supervisor, started=born)
        if client.getdel(channels.stop(supervisor)):
            _log.warning("stopping, as `orderctl worker stop` requested")
            os.kill(os.getppid(), signal.SIGTERM)
        if not client.exists(channels.paused(queue)):
            found += reconcile.ring(engine, client, settings)
        for finding in found:
            _log.info("%s", finding.text)

    rounds.each_second(settings, turn, rounds.stop_on_sigterm())
