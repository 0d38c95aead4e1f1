"""Waits for an order by polling the database, since messages on Redis may be lost."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orderctl import texts
from orderctl.cli import outlook
from orderctl.errors import OrderctlError, TimedOut, Unavailable
from orderctl.states import ENDED_ORDER

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.orders import Order

_ASK_SECONDS: Final = 0.5
#: How often it is looked what the order waits for, in seconds.
_LOOK_SECONDS: Final = 2.0


def for_order(app: App, reference: str, statuses: Collection[str], timeout: timedelta | None) -> Order:
    """Wait until an order has one of these statuses, or has ended and will not get one.

    Raises:
        OrderNotFound: When there is no such order.
        TimedOut: When the timeout has expired.
    """
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    found = _ask(app, reference)
    news = _News(app)
    while found.order_status not in {*statuses, *ENDED_ORDER}:
        news.look(found)
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(
                f"timed out: order {found.order_code} is still {found.order_status}",
                hint=f"orderctl tail order {texts.arguments(reference)}",
            )
        time.sleep(_ASK_SECONDS)
        found = _ask_again(app, found)
    return found


class _News:
    """Says on stderr what an order waits for, whenever that changes."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._looked = -float("inf")
        self._said: object = None

    def look(self, order: Order) -> None:
        """Look, unless that was just done."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        with suppress(OrderctlError):  # the wait goes on without it
            reason = outlook.of_order(self._app, order.id, hasty=True).order
            what = reason and (reason.cause, reason.hint)  # not its text: that counts down
            if reason is not None and what != self._said:
                self._app.say(outlook.line(reason))
            self._said = what
        self._looked = time.monotonic()


def _ask(app: App, reference: str) -> Order:
    from orderctl import references

    with app.reading() as connection:
        return references.find(connection, reference)


def _ask_again(app: App, known: Order) -> Order:
    from orderctl import orders

    try:
        with app.reading() as connection:
            return orders.get(connection, known.id)
    except Unavailable:
        return known  # the database answered before, so it is asked again in the next round
