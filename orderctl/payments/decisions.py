"""What an admin decides about payments that paid no order: they are given to one, or set aside."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from orderctl import audit, money, orders, texts
from orderctl.audit import NewEvent, Origin
from orderctl.errors import Conflict, OrderNotFound, Superseded
from orderctl.orders import OrderState
from orderctl.payments import amounts, closed, effects, ledger, posting
from orderctl.payments.amounts import Rules, Verdict
from orderctl.payments.intake import Receipt
from orderctl.payments.ledger import Payment
from orderctl.states import EventType, PaymentOutcome

#: Outcomes about which an admin can decide.
DECIDABLE: Final = (
    PaymentOutcome.UNMATCHED,
    PaymentOutcome.MISMATCH,
    PaymentOutcome.SURPLUS,
    PaymentOutcome.PARTIAL,
    PaymentOutcome.REFUSED,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What :func:`match` would do.

    Attributes:
        payment: The payment.
        order: The order that would get it.
        received: The sum of the order's other part payments.
        verdict: What the payment would do for the order.
    """

    payment: Payment
    order: OrderState
    received: Decimal
    verdict: Verdict


def find(connection: Connection, payment_id: int) -> Payment:
    """Return a payment about which an admin can decide.

    Raises:
        PaymentNotFound: There is no such payment.
        Conflict: It has paid an order, or is none that came in.
    """
    payment = ledger.find(connection, payment_id)
    _refuse_decided(payment)
    return payment


def find_refusable(connection: Connection, payment_id: int) -> Payment:
    """Return a payment that :func:`refuse` can set aside.

    Raises:
        PaymentNotFound: There is no such payment.
        Conflict: It has paid an order, is none that came in, or was set aside before.
    """
    payment = find(connection, payment_id)
    if payment.outcome == PaymentOutcome.REFUSED:
        raise Conflict(
            f"payment {payment.id} was set aside before: {payment.decision or payment.reason}",
            hint=f"orderctl payments show {payment.id}",
        )
    return payment


def propose(connection: Connection, payment_id: int, reference: str, *, rules: Rules) -> Proposal:
    """Return what :func:`match` would do; nothing is changed or locked.

    Raises:
        PaymentNotFound: There is no such payment.
        OrderNotFound: No order has this code or id.
        Conflict: The payment has paid an order or is none that came in, or the order takes no payment.
    """
    payment = find(connection, payment_id)
    return _proposal(connection, payment, orders.find(connection, reference), rules)


def _proposal(connection: Connection, payment: Payment, order: OrderState, rules: Rules) -> Proposal:
    because = closed.why(order, rules.pending)
    if because is not None:
        look = f"orderctl orders show {texts.arguments(order.order_code or str(order.id))}"
        aside = f"orderctl payments match {payment.id} --refuse --reason WHY"
        raise Conflict(
            f"order {order.order_code} {because} and cannot be paid",
            hint=aside if payment.order_id == order.id else look,
        )
    received = ledger.received(connection, order.id)
    if _is_part(payment, order):
        received -= payment.amount or Decimal(0)
    return Proposal(payment, order, received, judge(payment, order, received, rules))


def match(
    connection: Connection,
    payment_id: int,
    reference: str,
    *,
    reason: str | None,
    rules: Rules,
    origin: Origin,
    seen: Proposal | None = None,
) -> Receipt:
    """Give a payment to an order, which it pays, whatever its amount: the admin has seen both numbers.

    Where the shop adds payments up, one that is too small becomes a part of the order's amount; a part that is given
    to its own order pays it.

    Args:
        connection: In a transaction of its own.
        payment_id: The payment.
        reference: The order's code or id.
        reason: Why, in the admin's words.
        rules: What the shop accepts.
        origin: Who decides.
        seen: What the admin has agreed to; None: to whatever comes of it.

    Raises:
        PaymentNotFound: There is no such payment.
        OrderNotFound: No order has this code or id.
        Conflict: The payment has paid an order or is none that came in, the order takes no payment, or another
            process has decided at the same time.
        Superseded: It is not any more what the admin has agreed to.
    """
    order_id = orders.find(connection, reference).id
    order = _hold(connection, payment_id, order_id)[order_id]
    proposal = _proposal(connection, find(connection, payment_id), order, rules)
    if seen is not None:
        _refuse_changed(proposal, seen)
    payment, before, verdict = proposal.payment, proposal.received, proposal.verdict
    _decide(connection, payment, verdict.outcome, origin, reason, order_id=order.id, because=verdict.reason)
    after = ledger.find(connection, payment.id)
    _tell(connection, EventType.PAYMENT_MATCHED, order.id, order.order_code, payment, reason, origin)
    if payment.order_id not in {None, order.id} and payment.order_code is not None:
        # The order that it is taken from says so as well.
        _tell(
            connection, EventType.PAYMENT_MATCHED, payment.order_id, order.order_code, payment, reason, origin
        )
    total = before + (payment.amount or Decimal(0)) if rules.accept == "sum" else payment.amount or Decimal(0)
    if verdict.outcome is not PaymentOutcome.PAID:
        effects.tell(connection, order, after, total, origin)
        return Receipt(after, repeated=False, expected=order.total_amount)
    moved = effects.settle(connection, order, after, total, origin)
    return Receipt(after, repeated=False, expected=order.total_amount, moved=moved)


def _hold(connection: Connection, payment_id: int, order_id: int | None = None) -> dict[int, OrderState]:
    """Lock the order that a payment is given to, and the payment's own one, which may be adding up its parts.

    They are locked in the order of their ids, so that two decisions at once do not wait for each other.
    """
    own, held = ledger.find(connection, payment_id).order_id, {}
    for wanted in sorted({one for one in (own, order_id) if one is not None}):
        try:
            held[wanted] = orders.lock(connection, wanted)
        except OrderNotFound:  # the shop has removed the payment's own order
            if wanted == order_id:
                raise
    return held


def _refuse_changed(now: Proposal, seen: Proposal) -> None:
    if (now.order.id, now.order.total_amount) != (seen.order.id, seen.order.total_amount):
        raise Superseded(
            f"order {now.order.order_code} was changed by another process; nothing was changed",
            hint=f"orderctl orders show {texts.arguments(now.order.order_code or str(now.order.id))}",
        )
    if (now.payment, now.verdict) != (seen.payment, seen.verdict):
        raise Superseded(
            f"payment {now.payment.id} was changed by another process; nothing was changed",
            hint=f"orderctl payments show {now.payment.id}",
        )


def judge(payment: Payment, order: OrderState, received: Decimal, rules: Rules) -> Verdict:
    """Return what a payment does for an order that an admin gives it to.

    Args:
        payment: The payment.
        order: The order.
        received: The sum of the order's other part payments.
        rules: What the shop accepts.
    """
    amount = payment.amount or Decimal(0)
    found = amounts.judge(
        amount, order.total_amount, received=received, currency=payment.currency, rules=rules
    )
    becomes_part = found.outcome is PaymentOutcome.PARTIAL and not _is_part(payment, order)
    return found if becomes_part else Verdict(PaymentOutcome.PAID, found.reason)


def _is_part(payment: Payment, order: OrderState) -> bool:
    """Whether a payment is a part of an order's amount already."""
    return payment.order_id == order.id and payment.outcome == PaymentOutcome.PARTIAL


def refuse(connection: Connection, payment_id: int, *, reason: str | None, origin: Origin) -> Payment:
    """Set a payment aside: it pays no order, and waits for no decision any more.

    Args:
        connection: In a transaction of its own.
        payment_id: The payment.
        reason: Why, in the admin's words.
        origin: Who decides.

    Raises:
        PaymentNotFound: There is no such payment.
        Conflict: It has paid an order, is none that came in, was set aside before, or another process has decided
            at the same time.
    """
    _hold(connection, payment_id)
    payment = find_refusable(connection, payment_id)
    _decide(connection, payment, PaymentOutcome.REFUSED, origin, reason, because=payment.reason)
    if payment.order_id is not None and payment.order_code is not None:
        _tell(
            connection,
            EventType.PAYMENT_REFUSED,
            payment.order_id,
            payment.order_code,
            payment,
            reason,
            origin,
        )
    return ledger.find(connection, payment_id)


def _refuse_decided(payment: Payment) -> None:
    if payment.outcome in DECIDABLE:
        return
    if payment.outcome == PaymentOutcome.IGNORED:
        raise Conflict(
            f"payment {payment.id} is not a transfer to the shop: {payment.reason}",
            hint=f"orderctl payments show {payment.id}",
        )
    order = payment.order_code or payment.order_id
    raise Conflict(
        f"payment {payment.id} has paid order {order}",
        hint=f"orderctl orders show {texts.arguments(str(order))}",
    )


def _decide(
    connection: Connection,
    payment: Payment,
    outcome: PaymentOutcome,
    origin: Origin,
    reason: str | None,
    *,
    because: str | None,
    **values: object,
) -> None:
    values |= {"outcome": outcome.value, "reason": because}
    if not posting.decide(connection, payment, actor=audit.named(origin.actor), decision=reason, **values):
        raise Conflict(
            f"payment {payment.id} was decided by another process at the same time",
            hint=f"orderctl payments show {payment.id}",
        )


def _tell(
    connection: Connection,
    event: EventType,
    order_id: int,
    order_code: str | None,
    payment: Payment,
    reason: str | None,
    origin: Origin,
) -> None:
    words = {
        "payment": payment.id,
        "amount": money.shown(payment.amount or Decimal(0)),
        "order_code": order_code,
        "because": f": {reason}" if reason else "",
    }
    more = {"paymentId": payment.id, "reason": reason, "outcome": payment.outcome}
    audit.record(
        connection, NewEvent(event, order_id, origin, words=words, details=effects.details(payment) | more)
    )
