"""What the commands say about payments that came in or were matched."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderctl.cli import bell
from orderctl.cli.app import App
from orderctl.errors import Conflict, OrderctlError, OrderNotFound, SubjectFailed
from orderctl.states import PaymentOutcome
from orderctl.terminal import render

if TYPE_CHECKING:
    from orderctl.payments.intake import Receipt


def report(app: App, receipts: Sequence[Receipt]) -> None:
    """Say what became of payments, and wake the workers for those that paid.

    Args:
        app: The application.
        receipts: What became of the payments. They are committed.

    Raises:
        OrderctlError: For the first payment that paid no order, although money came in.
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
    for error in errors[1:]:
        app.warn(f"orderctl: {error}")
    if errors:
        raise errors[0]


def _lines(receipt: Receipt) -> list[str]:
    payment = receipt.payment
    if payment.outcome == PaymentOutcome.IGNORED:
        return [f"Payment {payment.id} is ignored: {payment.reason}."]
    if payment.outcome == PaymentOutcome.REFUSED:
        return [f"Payment {payment.id} was set aside before: {payment.decision or payment.reason}."]
    order = shlex.quote(payment.order_code or str(payment.order_id))
    if receipt.repeated and payment.outcome in {PaymentOutcome.PAID, PaymentOutcome.PARTIAL}:
        return [f"This payment of order {payment.order_code} was recorded before; nothing was changed."]
    if payment.outcome == PaymentOutcome.PARTIAL:
        return [f"Order {payment.order_code} is not paid yet: {payment.reason}."]
    if payment.outcome == PaymentOutcome.PAID:
        remark = f": {payment.reason}" if payment.reason else ""
        return [f"Order {payment.order_code} is paid{remark}.", f"next: orderctl tail order {order}"]
    return []


def _error(receipt: Receipt) -> OrderctlError | None:
    """Return the error for a payment that paid nothing and waits for a decision."""
    payment, amount = receipt.payment, render.amount(receipt.payment.amount)
    match = f"orderctl payments match {payment.id}"
    if payment.outcome == PaymentOutcome.MISMATCH:
        return SubjectFailed(
            f"order {payment.order_code} costs {render.amount(receipt.expected)}, but {amount} was paid: the order"
            " stays unpaid",
            hint=f"{match} {shlex.quote(payment.order_code or '')}",
        )
    if payment.outcome == PaymentOutcome.SURPLUS:
        because = (payment.reason or "").removeprefix("the order ")
        return Conflict(
            f"order {payment.order_code} {because}: the payment of {amount} is kept as surplus, with id {payment.id}",
            hint=f"orderctl payments show {payment.id}",
        )
    if payment.outcome == PaymentOutcome.UNMATCHED:
        return OrderNotFound(
            f"the payment of {amount} is kept without an order, with id {payment.id}: {payment.reason}",
            hint=f"{match} ORDER",
        )
    return None
