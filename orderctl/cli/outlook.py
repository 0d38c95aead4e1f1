"""What orders and tasks wait for, as commands say it. The embedded Redis is never started for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from orderctl import texts
from orderctl.errors import OrderctlError
from orderctl.terminal import render

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.crews import Client
    from orderctl.orders import Order
    from orderctl.tasks import Task
    from orderctl.waiting_reasons import Line
    from orderctl.waits import Reason

#: Of so many subjects of a change it is asked what they wait for; the others wait for the same or behind them.
_MOST_ASKED: Final = 100
#: Most orders that a command names.
_MOST_NAMED: Final = 5


class Outlook(NamedTuple):
    """What an order and its tasks wait for.

    Attributes:
        order: Why nothing happens to the order; None: it is running, or has ended.
        tasks: The same of each task that waits, by its id.
    """

    order: Reason | None
    tasks: Mapping[int, Reason]


def of_order(app: App, order_id: int, *, hasty: bool = False) -> Outlook:
    """Return what an order and its tasks wait for now.

    Args:
        app: The application.
        order_id: The order.
        hasty: Whether to give Redis 0.2 s to answer, where the next look comes soon.

    Raises:
        OrderNotFound: There is no such order.
    """
    from orderctl import orders, tasks

    with app.reading() as connection:
        order = orders.get(connection, order_id)
        its = tasks.of_orders(connection, [order_id])
    return of_found(app, order, its, hasty=hasty)


def of_found(app: App, order: Order, its: Sequence[Task], *, hasty: bool = False) -> Outlook:
    """Return what an order that was read, and its tasks, wait for."""
    from orderctl import waiting_reasons

    found = of_tasks(app, its, hasty=hasty)
    return Outlook(waiting_reasons.summary(order, its, found), found)


def of_tasks(app: App, found: Sequence[Task], *, hasty: bool = False) -> Mapping[int, Reason]:
    """Return, by its id, why each of these tasks waits; the others are left out."""
    from orderctl import waiting_reasons

    with client(app, hasty=hasty) as reached, app.reading() as connection:
        return waiting_reasons.of_tasks(connection, reached, app.settings, found)


def of_queue(app: App) -> Line:
    """Return how many tasks wait for a worker, and why none takes them."""
    from orderctl import waiting_reasons

    with client(app) as reached, app.reading() as connection:
        return waiting_reasons.of_queue(connection, reached, app.settings)


@contextmanager
def client(app: App, *, hasty: bool = False) -> Iterator[Client]:
    """Return a client of Redis, or the error why there is none; None: the embedded server, which does not run."""
    from orderctl import broker

    connect = broker.hasty if hasty else broker.brisk
    with ExitStack() as stack:
        try:
            url = broker.running_url(app.settings)
            reached: Client = None if url is None else stack.enter_context(connect(url))
        except OrderctlError as error:
            reached = error
        yield reached


def line(reason: Reason) -> str:
    """Return a reason with its command, for people: ``waits: no worker is running: orderctl worker start``."""
    return f"waits: {render.human(reason.line)}"


def record(reason: Reason | None) -> dict[str, str | None] | None:
    """Return a reason as it stands in JSON."""
    return None if reason is None else reason.record


def say_of_orders(app: App, order_ids: Sequence[int]) -> None:
    """Say after a change what orders wait for; the change is made, so that no error matters here."""
    from orderctl import waiting_reasons

    with suppress(OrderctlError), client(app) as reached, app.reading() as connection:
        found = waiting_reasons.of_orders(connection, reached, app.settings, order_ids[:_MOST_ASKED])
        _say_most_telling(app, found.values())


def say_of_tasks(app: App, task_ids: Sequence[int]) -> None:
    """Say after a change what tasks wait for, as :func:`say_of_orders` does."""
    from orderctl import tasks

    with suppress(OrderctlError):
        wanted = tasks.TaskFilter(ids=task_ids[:_MOST_ASKED])
        with app.reading() as connection:
            found = tasks.select_tasks(connection, wanted, limit=_MOST_ASKED)
        _say_most_telling(app, of_tasks(app, found).values())


def _say_most_telling(app: App, reasons: Iterable[Reason]) -> None:
    from orderctl import waits

    if (reason := waits.most_telling(reasons)) is not None:
        app.say(line(reason))


def watch_orders(codes: Iterable[str]) -> str:
    """Return the command that watches these orders; of very many, the one that watches everything."""
    named = tuple(dict.fromkeys(codes))
    return (
        "orderctl tail all" if len(named) > _MOST_NAMED else f"orderctl tail order {texts.arguments(*named)}"
    )
