"""What a payment does besides its row in the ledger: it pays its order, is told in the audit log, alerts the admin."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from orderctl import audit, lifecycle, money, outbox
from orderctl.audit import NewEvent, Origin
from orderctl.lifecycle import Moved
from orderctl.orders import OrderState
from orderctl.payments import posting
from orderctl.payments.ledger import Payment
from orderctl.states import EventType, PaymentOutcome, PaymentStatus

#: Shortest time between two alert mails about payments, in seconds.
ALERT_SECONDS: Final = 3600


def settle(
    connection: Connection, order: OrderState, payment: Payment, total: Decimal, origin: Origin
) -> Moved:
    """Mark an order as paid.

    Args:
        connection: In the transaction that holds the order and has written the payment.
        order: The order, open to payments.
        payment: What pays it.
        total: What was received for it in all.
        origin: Who receives it.

    Returns:
        The tasks that workers may take now.
    """
    posting.settle_parts(connection, order.id)
    event = NewEvent(
        EventType.PAYMENT_RECEIVED,
        order.id,
        origin,
        words={"amount": money.shown(total), "order_code": order.order_code},
        details={**details(payment), "amount": float(total)},
        previous_status=order.payment_status,
        new_status=PaymentStatus.PAID,
        dedup_key=f"ledger:{payment.id}:paid",
    )
    return lifecycle.pay(connection, order, event)


def details(payment: Payment) -> dict[str, Any]:
    """Return what an event in the audit log tells of a payment."""
    amount = None if payment.amount is None else float(payment.amount)
    return {"amount": amount, "bank": payment.bank, "transactionId": payment.reference or payment.provider_id}


def tell(
    connection: Connection, order: OrderState, payment: Payment, total: Decimal | None, origin: Origin
) -> None:
    """Write the event of a payment that does not pay its order."""
    expected = order.total_amount
    told = _EVENTS.get(payment.outcome)
    if told is None:
        return
    words: Mapping[str, object] = {
        "amount": money.shown(payment.amount or Decimal(0)),
        "order_code": order.order_code,
        "expected": "unknown" if expected is None else money.shown(expected),
        "received": money.shown(total or Decimal(0)),
        "reason": (payment.reason or "").removeprefix("the order "),
    }
    more = {"expected": None if expected is None else float(expected)}
    event = NewEvent(
        told,
        order.id,
        origin,
        words=words,
        details=details(payment) | more,
        # Another amount may be told for it, or an admin gives it to another order, which is another event.
        dedup_key=f"ledger:{payment.id}:{order.id}:{payment.outcome}:{payment.amount}",
    )
    audit.record(connection, event)


_EVENTS: Final = {
    PaymentOutcome.MISMATCH.value: EventType.PAYMENT_MISMATCH,
    PaymentOutcome.PARTIAL.value: EventType.PAYMENT_PARTIAL,
    PaymentOutcome.SURPLUS.value: EventType.PAYMENT_SURPLUS,
}


def alert(connection: Connection, payment: Payment) -> None:
    """Queue a mail to the admin: the first at once, then one an hour at most, with the number of such payments."""
    payload = {"about": "payments", "paymentId": payment.id}
    outbox.put_spaced(connection, outbox.EntryKind.ALERT, "alert:payments", payload, seconds=ALERT_SECONDS)
