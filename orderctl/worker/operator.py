"""The operator, one for each supervisor: carries out operations, in a process of its own.

So an operation of 50,000 tasks delays neither the keeper's heartbeat nor the courier's mails.
"""

from __future__ import annotations

import contextlib

import redis

from orderctl.errors import OrderctlError
from orderctl.operations.turns import Turns
from orderctl.settings import Settings
from orderctl.worker import fleet, rounds

#: What the supervisor calls this child.
KIND = "operator"


def operate(settings: Settings) -> None:
    """Carry out operations each second, until SIGTERM; none while the queue is paused.

    Args:
        settings: All settings.
    """
    engine = rounds.open_database(settings)
    stop = rounds.stop_on_sigterm()
    turns = Turns(engine, settings.worker.queue, lambda: stop.made)

    def turn(client: redis.Redis) -> None:
        # What is retried while nothing is taken would start all at once afterwards.
        if not fleet.is_paused(client, settings.worker.queue):
            turns.turn(client)

    rounds.Rounds(settings, engine, stop).each_second(turn)
    with contextlib.suppress(OrderctlError):  # else the leases expire within seconds
        turns.release()
