"""Why an order takes no payment."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from orderctl import orders
from orderctl.orders import OrderState
from orderctl.states import OrderStatus, PaymentStatus

#: Why a paid order takes no further payment.
PAID_ALREADY: Final = "is paid already"


def why(order: OrderState, pending: Collection[str]) -> str | None:
    """Return why an order takes no payment, such as ``is cancelled``; None if it does.

    A status that orderctl does not know is never open.

    Args:
        order: The order.
        pending: The payment statuses that can be paid, in lower case.
    """
    if order.deleted:
        return "is deleted by the shop"
    if order.payment_status == PaymentStatus.PAID:
        return PAID_ALREADY
    if order.order_status == OrderStatus.CANCELLED:
        return "is cancelled"
    if not orders.is_valid(order):
        return f"has the status {order.order_status!r}, which orderctl does not know"
    return _by_payment_status(order.payment_status, pending)


def _by_payment_status(status: str | None, pending: Collection[str]) -> str | None:
    if status == PaymentStatus.REFUNDED:
        return "is refunded"
    if status is None or status.strip().casefold() in pending:
        return None
    return (
        f"has the payment status {status!r}, which is not one of the setting payments.pending_statuses"
        f" ({', '.join(pending)})"
    )
