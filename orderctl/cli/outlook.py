"""What orders and tasks wait for, as commands say it. The embedded Redis is never started for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from orderctl.errors import OrderctlError
from orderctl.terminal import render

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.orders import Order
    from orderctl.tasks import Task
    from orderctl.waiting_reasons import Reason


class Outlook(NamedTuple):
    """What an order and its tasks wait for.

    Attributes:
        order: Why nothing happens to the order; None: it is running, or has ended.
        tasks: The same of each task that waits, by its id.
    """

    order: Reason | None
    tasks: Mapping[int, Reason]


def of_order(app: App, reference: str) -> tuple[Order, Outlook]:
    """Return an order as it is now, and what it waits for.

    Raises:
        OrderNotFound: There is no such order.
    """
    from orderctl import orders, tasks

    with app.reading() as connection:
        order = orders.find(connection, reference)
        its = tasks.of_orders(connection, [order.id])
    return order, of_found(app, order, its)


def of_found(app: App, order: Order, its: Sequence[Task]) -> Outlook:
    """Return what an order that was read, and its tasks, wait for."""
    from orderctl import waiting_reasons

    found = of_tasks(app, its)
    return Outlook(waiting_reasons.summary(order, its, found), found)


def of_tasks(app: App, found: Sequence[Task]) -> Mapping[int, Reason]:
    """Return, by its id, why each of these tasks waits; the others are left out."""
    from orderctl import broker, waiting_reasons

    with ExitStack() as stack:
        try:
            url = broker.running_url(app.settings)
            client = None if url is None else stack.enter_context(broker.brisk(url))
        except OrderctlError as error:
            client = error
        with app.reading() as connection:
            return waiting_reasons.of_tasks(connection, client, app.settings, found)


def line(reason: Reason) -> str:
    """Return a reason with its command, for a message: ``waits: no worker is running: orderctl worker start``."""
    return f"waits: {render.human(reason.line)}"


def record(reason: Reason | None) -> dict[str, str | None] | None:
    """Return a reason as it stands in JSON."""
    return None if reason is None else reason.record


def say(app: App, reasons: Mapping[Any, Reason], name: Callable[[Any], str]) -> None:
    """Say of each subject what it waits for; those that wait for the same share a line.

    Args:
        app: The application.
        reasons: The reasons, by subject.
        name: Returns what a subject is called.
    """
    by_line: dict[str, list[str]] = {}
    for subject, reason in reasons.items():
        by_line.setdefault(line(reason), []).append(name(subject))
    for text, names in by_line.items():
        app.say(text if len(by_line) == 1 else f"{names[0]}{_further(names)} {text}")


def _further(names: Sequence[str]) -> str:
    return f" and {len(names) - 1:,} more" if len(names) > 1 else ""
