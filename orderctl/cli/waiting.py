"""Waits for an order by polling the database, since messages on Redis may be lost."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orderctl.errors import TimedOut, Unavailable
from orderctl.states import ENDED_ORDER

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.orders import Order

_ASK_SECONDS: Final = 0.5


def for_order(app: App, reference: str, statuses: Collection[str], timeout: timedelta | None) -> Order:
    """Wait until an order has one of these statuses, or has ended and will not get one.

    Raises:
        OrderNotFound: When there is no such order.
        TimedOut: When the timeout has expired.
    """
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    found = _ask(app, reference)
    while found.order_status not in {*statuses, *ENDED_ORDER}:
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(
                f"timed out: order {found.order_code} is still {found.order_status}",
                hint=f"orderctl tail order {shlex.quote(reference)}",
            )
        time.sleep(_ASK_SECONDS)
        found = _ask_again(app, found)
    return found


def _ask(app: App, reference: str) -> Order:
    from orderctl import orders

    with app.reading() as connection:
        return orders.find(connection, reference)


def _ask_again(app: App, known: Order) -> Order:
    from orderctl import orders

    try:
        with app.reading() as connection:
            return orders.get(connection, known.id)
    except Unavailable:
        return known  # the database answered before, so it is asked again in the next round
