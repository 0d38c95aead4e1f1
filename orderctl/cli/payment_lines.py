"""What the commands say about payments that came in or were matched."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderctl.cli import bell, outlook
from orderctl.cli.app import App
from orderctl.counting import counted
from orderctl.errors import Conflict, OrderctlError, OrderNotFound, SubjectFailed
from orderctl.states import PaymentOutcome
from orderctl.terminal import render

if TYPE_CHECKING:
    from orderctl.payments.decisions import Proposal
    from orderctl.payments.intake import Receipt
    from orderctl.payments.ledger import Payment


def amount(payment: Payment) -> str:
    """Return the amount of a payment, with the currency if its provider names one."""
    shown = render.amount(payment.amount)
    return f"{shown} {render.human(payment.currency)}" if payment.currency else shown


def transaction(payment: Payment) -> str | None:
    """Return what a payment is called at its bank: the bank's reference, or else its provider's id."""
    return payment.reference or payment.provider_id


def report(app: App, receipts: Sequence[Receipt]) -> None:
    """Say what became of payments, and wake the workers for those that paid.

    Args:
        app: The application.
        receipts: What became of the payments. They are committed.

    Raises:
        OrderctlError: A payment paid no order, although money came in.
    """
    errors = [error for receipt in receipts if (error := _error(receipt)) is not None]
    moved = [receipt.moved for receipt in receipts if receipt.moved.tasks]
    try:
        if moved:
            bell.ring(app, moved)
    finally:  # it is saved, whatever Redis says
        for receipt in receipts:
            for line in _lines(receipt):
                app.say(line)
        _say_next(app, [receipt.payment for receipt in receipts if _has_paid(receipt)])
        for error in errors if len(receipts) > 1 else ():
            app.warn(f"orderctl: {error}\nhint: {error.hint}")
    if errors and len(receipts) > 1:
        number = counted(len(receipts), "payment")
        raise SubjectFailed(f"{len(errors)} of {number} paid no order", hint="orderctl payments list --open")
    if errors:
        raise errors[0]


def _lines(receipt: Receipt) -> list[str]:
    payment = receipt.payment
    if payment.outcome == PaymentOutcome.IGNORED:
        return [f"Payment {payment.id} is ignored: {payment.reason}."]
    if payment.outcome == PaymentOutcome.REFUSED:
        return [f"Payment {payment.id} was set aside before: {payment.decision or payment.reason}."]
    order = order_of(payment)
    if receipt.repeated and payment.outcome in {PaymentOutcome.PAID, PaymentOutcome.PARTIAL}:
        return [f"This payment of order {order} was recorded before; nothing was changed."]
    if payment.outcome == PaymentOutcome.PARTIAL:
        return [f"Order {order} is not paid yet: {payment.reason}."]
    if payment.outcome == PaymentOutcome.PAID:
        remark = f": {payment.reason}" if payment.reason else ""
        return [f"Order {order} is paid{remark}."]
    return []


def _has_paid(receipt: Receipt) -> bool:
    return receipt.payment.outcome == PaymentOutcome.PAID and not receipt.repeated


def _say_next(app: App, paying: Sequence[Payment]) -> None:
    """Say what the orders that were just paid wait for, and how to watch them."""
    if not paying:
        return
    outlook.say_of_orders(app, [payment.order_id for payment in paying if payment.order_id is not None])
    app.say(f"next: {outlook.watch_orders(map(order_of, paying))}")


def order_of(payment: Payment) -> str:
    """Return how the order of a payment is named: by its code, or by its id if its row was deleted since."""
    return payment.order_code or str(payment.order_id)


def _error(receipt: Receipt) -> OrderctlError | None:
    """Return the error for a payment that paid nothing and waits for a decision."""
    payment, order = receipt.payment, order_of(receipt.payment)
    if payment.outcome == PaymentOutcome.MISMATCH:
        return SubjectFailed(
            f"order {order} stays unpaid: {payment.reason}; the payment is kept with id {payment.id}",
            hint=match(payment, order),
        )
    if payment.outcome == PaymentOutcome.SURPLUS:
        because = (payment.reason or "").removeprefix("the order ")
        return Conflict(
            f"order {order} {because}: the payment of {amount(payment)} is kept as surplus, with id {payment.id}",
            hint=f"orderctl payments show {payment.id}",
        )
    if payment.outcome == PaymentOutcome.UNMATCHED:
        return OrderNotFound(
            f"the payment of {amount(payment)} is kept without an order, with id {payment.id}: {payment.reason}",
            hint=match(payment),
        )
    return None


def match(payment: Payment, order: str | None = None) -> str:
    """Return the command that gives a payment to an order; None: the user has to find out which."""
    to = "ORDER" if order is None else shlex.quote(order)
    return f"orderctl payments match {payment.id} {to} --reason WHY"


def show(app: App, payment: Payment) -> None:
    """Show what an admin has to know of a payment before a decision."""
    parts = [f"payment {payment.id}", amount(payment), payment.bank, payment.outcome]
    app.say("  ".join(render.human(part) for part in parts if part))
    further = {
        "for order": payment.order_code,
        "reason": payment.reason,
        "transaction": transaction(payment),
        "code": payment.code,
        "content": payment.content,
    }
    for name, value in further.items():
        if value:
            app.say(f"  {name}: {render.human(value)}")


def show_proposal(app: App, proposal: Proposal) -> None:
    """Show a payment and the order that would get it, with both amounts."""
    order = proposal.order
    show(app, proposal.payment)
    parts = [f"order {order.order_code}", render.amount(order.total_amount), order.payment_status]
    app.say("  ".join(map(render.human, [*parts, order.user_email])))
    if proposal.received:
        app.say(f"  received before: {render.amount(proposal.received)}")


def question(proposal: Proposal) -> str:
    """Return what the admin is asked before a payment is given to an order."""
    payment, order = proposal.payment, proposal.order
    part = " as a part" if proposal.verdict.outcome is PaymentOutcome.PARTIAL else ""
    costs = render.amount(order.total_amount)
    return f"Give payment {payment.id} of {amount(payment)} to order {order.order_code}, which costs {costs}{part}?"


def effect(proposal: Proposal) -> str:
    """Return what would become of a payment that is given to an order."""
    is_part = proposal.verdict.outcome is PaymentOutcome.PARTIAL
    does = "become a part of the amount of" if is_part else "pay"
    because = f": {proposal.verdict.reason}" if proposal.verdict.reason else ""
    return f"Payment {proposal.payment.id} would {does} order {render.human(proposal.order.order_code)}{because}."
