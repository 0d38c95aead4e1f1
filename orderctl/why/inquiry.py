"""Looks at all links of the way of an order or of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection

from orderctl.crews import Client
from orderctl.errors import DatabaseUnavailable, OrderctlError
from orderctl.settings import Settings
from orderctl.why import bells, ending, handling, live, money, queueing, scene, word_out, workers
from orderctl.why.chain import Diagnosis, Link, State, Step
from orderctl.why.scene import Scene

#: What looks at each link.
LOOKS: Final[Mapping[Link, Callable[[Scene], Step]]] = {
    Link.PAYMENT: money.payment,
    Link.MATCH: money.match,
    Link.MANAGED: queueing.managed,
    Link.DOORBELL: bells.rung,
    Link.QUEUE: queueing.queue,
    Link.WORKER: workers.worker,
    Link.LEASE: workers.lease,
    Link.HANDLER: handling.handler,
    Link.END: ending.end,
    Link.MAIL: word_out.mail,
    Link.WEBHOOK: word_out.webhook,
    Link.RELAY: live.relay,
}


def of_order(connection: Connection, client: Client, settings: Settings, order_id: int) -> Diagnosis:
    """Return what was found of all links of an order. Nothing is changed.

    Args:
        connection: A connection for reading.
        client: Redis; None: it is the embedded one, and does not run; an error: it does not answer.
        settings: All settings.
        order_id: The order; the shop may have deleted it.

    Raises:
        OrderNotFound: There is no such order.
        DatabaseUnavailable: The database does not answer.
    """
    return of_scene(scene.of_order(connection, client, settings, order_id))


def of_task(connection: Connection, client: Client, settings: Settings, task_id: int) -> Diagnosis:
    """Return what was found of all links of a task, as :func:`of_order` does of an order.

    Raises:
        TaskNotFound: There is no such task.
        DatabaseUnavailable: The database does not answer.
    """
    return of_scene(scene.of_task(connection, client, settings, task_id))


def of_scene(found: Scene) -> Diagnosis:
    """Return what was found of all links."""
    return Diagnosis(tuple(_look(link, found) for link in Link))


def _look(link: Link, found: Scene) -> Step:
    try:
        return LOOKS[link](found)
    except DatabaseUnavailable:
        raise
    except OrderctlError as error:  # Redis, in most cases: the link ``queue`` says what it is
        return Step(link, State.UNKNOWN, f"could not be looked at: {error}", explanation=error.hint)
