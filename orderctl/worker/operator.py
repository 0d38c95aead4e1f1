"""The operator, one for each supervisor: carries out operations, in a process of its own.

So an operation of 50,000 tasks delays neither the keeper's heartbeat nor the courier's mails.
"""

from __future__ import annotations

import contextlib

import redis

from orderctl.errors import OrderctlError, RedisUnavailable
from orderctl.operations.turns import Turns
from orderctl.settings import Settings
from orderctl.worker import fleet, rounds

#: What the supervisor calls this child.
KIND = "operator"


def operate(settings: Settings) -> None:
    """Carry out operations each second, until SIGTERM.

    Args:
        settings: All settings.
    """
    engine = rounds.open_database(settings)
    stop = rounds.stop_on_sigterm()
    turns = Turns(engine, settings.worker.queue, lambda: stop.made)

    rounds.Rounds(settings, engine, stop).each_second(
        lambda client: take(turns, client, settings.worker.queue)
    )
    with contextlib.suppress(OrderctlError):  # else the leases expire within seconds
        turns.release()


def take(turns: Turns, client: redis.Redis, queue: str) -> None:
    """Take one turn: while the queue is paused, nothing is carried out, but what was is counted.

    What is retried while nothing is taken would start all at once afterwards. Without Redis nobody knows whether the
    queue is paused, and a retry by hand does not ask either: then operations go on.

    Args:
        turns: The operations.
        client: A Redis client.
        queue: The RQ queue.

    Raises:
        RedisUnavailable: After the turn: Redis does not answer.
        DatabaseUnavailable: When the database does not answer.
    """
    try:
        paused = fleet.is_paused(client, queue)
    except RedisUnavailable:
        turns.turn(None)
        raise
    turns.turn(client, paused=paused)
