"""Cancel orders, each in a transaction of its own, and report what has become of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderctl.cli import bell
from orderctl.counting import counted
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, ExitStatus, OrderctlError
from orderctl.states import PaymentOutcome, PaymentStatus
from orderctl.terminal import render

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.cli.app import App
    from orderctl.cli.options import Consent
    from orderctl.lifecycle import Moved
    from orderctl.orders import Order


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What has become of one order: it was cancelled, or an error."""

    order_code: str
    id: int | None = None
    order_status: str | None = None
    payment_status: str | None = None
    cancelled_tasks: int = 0
    changed: bool = False
    error: str | None = None
    money: str | None = None


def cancel(app: App, references: Sequence[str], consent: Consent) -> ExitStatus:
    """Cancel the orders, wake whom it concerns, and show the results.

    Returns:
        FAILED if one of several orders could not be cancelled.

    Raises:
        OrderctlError: The only order cannot be cancelled, or the database is away from the start.
    """
    named = list(dict.fromkeys(references))
    outcomes: list[OrderOutcome] = []
    moved: list[Moved] = []
    outage: OrderctlError | None = None
    for one in named:
        try:
            if outage is not None:
                raise outage
            outcome, done = _dry(app, one) if consent.dry_run else _cancel(app, one, consent.reason)
        except OrderctlError as error:
            away = isinstance(error, DatabaseUnavailable) and not isinstance(error, DatabaseBusy)
            if len(named) == 1 or (away and not moved):
                raise
            outage = error if away else None
            outcomes.append(OrderOutcome(one, error=str(error)))
            continue
        outcomes.append(outcome)
        moved += done
    try:
        if moved:
            bell.ring(app, moved)
    finally:  # it is saved, whatever Redis says
        app.render(outcomes)
        _say(app, outcomes, dry_run=consent.dry_run)
    return ExitStatus.FAILED if any(one.error for one in outcomes) else ExitStatus.DONE


def _cancel(app: App, reference: str, reason: str | None) -> tuple[OrderOutcome, list[Moved]]:
    from orderctl import cancellation, orders
    from orderctl.audit import Origin
    from orderctl.states import Source

    with app.reading() as connection:  # the lock is the first statement of the transaction
        order_id = orders.find(connection, reference).id

    def work(connection: Connection) -> tuple[Order, str, Moved]:
        moved = cancellation.cancel(connection, order_id, Origin(Source.CLI, app.actor), reason)
        order = orders.get(connection, order_id)
        return order, _money(connection, order), moved

    order, money, moved = app.transact(work)
    outcome = _outcome(order, money, len(moved.tasks), changed=True)
    return outcome, [moved]


def _dry(app: App, reference: str) -> tuple[OrderOutcome, list[Moved]]:
    from orderctl import cancellation, orders
    from orderctl.states import UNFINISHED

    with app.reading() as connection:
        order = orders.find(connection, reference)
        cancellation.refuse(connection, order)
        money = _money(connection, order)
    return _outcome(order, money, sum(order.task_counts.get(one, 0) for one in UNFINISHED), changed=False), []


def _outcome(order: Order, money: str, tasks: int, *, changed: bool) -> OrderOutcome:
    return OrderOutcome(
        order.order_code,
        order.id,
        order.order_status,
        order.payment_status,
        tasks,
        changed=changed,
        money=money,
    )


def _money(connection: Connection, order: Order) -> str:
    """Return the state of an order's money, which is not touched: the shop has to send it back."""
    from orderctl.payments import ledger

    if order.payment_status == PaymentStatus.PAID:
        return "payment: paid; refund by the shop"
    parts = [
        payment.amount
        for payment in ledger.of_order(connection, order.id)
        if payment.outcome == PaymentOutcome.PARTIAL and payment.amount is not None
    ]
    if parts:
        return f"payment: {render.amount(sum(parts))} received in part; refund by the shop"
    return f"payment: {order.payment_status}; nothing to refund"


def _say(app: App, outcomes: Sequence[OrderOutcome], *, dry_run: bool) -> None:
    done = [one for one in outcomes if one.error is None]
    for one in done:
        app.say(f"{f'{one.order_code}: ' if len(outcomes) > 1 else ''}{one.money}")
    if dry_run:
        app.say(f"Would cancel {counted(len(done), 'order')}; nothing was changed.")
