"""The keeper, one for each supervisor: reconciles and sends the supervisor's heartbeat each second.

About once an hour it deletes what payment providers sent and need not be kept any longer. Every few seconds it counts the
new events of the audit log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from typing import Final

import redis

from orderctl import audit_counting, broker, channels, clock, findings, reconcile
from orderctl.errors import DatabaseUnavailable, OrderctlError
from orderctl.grace import Grace
from orderctl.payments.retention import Retention
from orderctl.settings import Settings
from orderctl.sweep import Sweep
from orderctl.worker import fleet, rounds
from orderctl.worker.heartbeat import StopRequest

#: What the supervisor calls this child.
KIND: Final = "keeper"
#: The signal that tells the keeper that its supervisor drains: it goes on telling that, until SIGTERM.
DRAINING: Final = signal.SIGUSR1

_log = logging.getLogger(__name__)


def keep(settings: Settings, supervisor: str) -> None:
    """Each second reconcile, send the supervisor's heartbeat, and stop it if `orderctl worker stop` asked.

    Args:
        settings: All settings.
        supervisor: Name of the supervisor, which is the parent of this process.
    """
    engine = rounds.open_database(settings)
    grace = Grace(settings.worker.lease_seconds)
    sweep = Sweep(settings)
    retention = Retention(engine, settings.payments.keep_raw_days)
    counting = audit_counting.Counting(engine)
    born = clock.milliseconds()
    queue = settings.worker.queue
    draining = StopRequest()
    signal.signal(DRAINING, lambda *_: setattr(draining, "made", True))

    def turn(client: redis.Redis) -> None:
        if draining.made:
            fleet.announce(client, settings, supervisor, started=born, draining=True)
            return
        found: list[findings.Finding] = []
        outage: DatabaseUnavailable | None = None
        try:
            found = reconcile.recover(engine, client, grace)  # first, because it needs no Redis
        except DatabaseUnavailable as error:
            outage = error  # and then the rest that needs no database
        fleet.announce(client, settings, supervisor, started=born)
        if client.getdel(broker.key(client, channels.stop(supervisor))):
            _log.warning("stopping, as `orderctl worker stop` requested")
            os.kill(os.getppid(), signal.SIGTERM)
        if outage is not None:
            raise outage
        if not fleet.is_paused(client, queue):
            found += reconcile.ring(engine, client, settings, sweep)
        for finding in found:
            _note(finding)
        retention.turn()  # last, because nothing waits for it
        counting.turn()

    rounds.Rounds(settings, engine, rounds.stop_on_sigterm()).each_second(turn)
    _retire(settings, supervisor)


def _note(finding: findings.Finding) -> None:
    """Write a finding into the log. That a task was not rung for is ordinary: every retry waits without a job."""
    level = logging.DEBUG if finding.kind is findings.FindingKind.NOT_RUNG else logging.WARNING
    fields = {"task": finding.task_id, "order_id": finding.order_id, "finding": str(finding.kind)}
    _log.log(level, "%s", finding.text, extra={"fields": fields})


def _retire(settings: Settings, supervisor: str) -> None:
    """Take the sign away, if Redis answers: else it expires within seconds."""
    with contextlib.suppress(OrderctlError):
        url = broker.running_url(settings)
        if url is not None:
            with contextlib.closing(broker.brisk(url)) as client:
                fleet.retire(client, supervisor)
