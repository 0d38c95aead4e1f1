"""The links ``payment`` and ``match``: the order is paid, and no transfer for it lies aside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from orderctl import clock, money, orders, texts
from orderctl.orders import Order
from orderctl.payments import closed, ledger, likeness
from orderctl.payments.amounts import Rules
from orderctl.payments.ledger import Payment
from orderctl.states import PaymentOutcome, PaymentStatus
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene

#: The newest unmatched transfers that are looked at, and the highest number that is named.
_NEWEST: Final = 300
_NAMED: Final = 3
#: The least share of what a code and a part of a transfer's text have in common, in order.
_LEAST: Final = 0.75
#: Digits of a code that make a text resemble it where they stand there alone.
_LEAST_DIGITS: Final = 4
_LAST_DIGITS: Final = re.compile(r"\d+(?=\D*\Z)")
_MOST_TEXT: Final = 80
#: Outcomes of transfers that are for an order and do not pay it.
_ASIDE: Final = {
    PaymentOutcome.MISMATCH: "amount-mismatch",
    PaymentOutcome.PARTIAL: "partial-payment",
    PaymentOutcome.SURPLUS: "surplus-payment",
}


class _Candidate(NamedTuple):
    """An unmatched transfer that may be for the order; the more it resembles the code, the higher ``share`` is."""

    share: float
    payment: Payment


def payment(scene: Scene) -> Step:
    """Return whether the order is paid."""
    order = scene.order
    if order is None:
        return Step(Link.PAYMENT, State.AHEAD, "its order does not exist")
    if scene.is_paid:
        return Step(Link.PAYMENT, State.HOLDS, _paid(order))
    if scene.has_ended:
        return Step(Link.PAYMENT, State.HOLDS, f"the order was {order.order_status} without a payment")
    return _unpaid(scene, order)


def _paid(order: Order) -> str:
    return "the order is paid" if order.paid_at is None else f"paid at {clock.second(order.paid_at)}"


def _unpaid(scene: Scene, order: Order) -> Step:
    facts = (f"payment_status is {order.payment_status!r}, total_amount {_amount(order.total_amount)}",)
    if (refusal := _not_payable(scene, order, facts)) is not None or order.total_amount is None:
        text = "not paid, and the shop's row does not tell the amount"
        return refusal or _closed("amount-unknown", text, facts, _NO_AMOUNT)
    known = ledger.of_order(scene.connection, order.id)
    if aside := [one for one in known if one.outcome in _ASIDE]:
        return _not_accepted(scene, order, order.total_amount, aside)
    if _candidates(scene):
        text = "not paid; a transfer that names no order may be for it"
        return Step(Link.PAYMENT, State.WAITS, text, evidence=facts)
    failed = order.payment_status == PaymentStatus.FAILED
    return Step(
        Link.PAYMENT,
        State.BROKEN,
        "its payment has failed" if failed else "the order is not paid",
        "payment-failed" if failed else "unpaid",
        (*facts, *(_facts(known) or ("the ledger has no transfer for it",))),
        repair=orders.payment_command(_named(scene, order), order.total_amount),
        explanation=_WITH_MONEY,
    )


def _not_payable(scene: Scene, order: Order, facts: tuple[str, ...]) -> Step | None:
    """Return the step of an order that takes no payment as it is."""
    if order.payment_status == PaymentStatus.REFUNDED:
        return _closed("refunded", "the order's payment is refunded", facts, _REFUNDED)
    if order.deleted or not orders.is_valid(order):
        return Step(Link.PAYMENT, State.AHEAD, "not paid, and takes no payment as it is")
    because = closed.why(order, Rules.of(scene.settings).pending)
    if because is None:
        return None
    return _closed("payment-status-unknown", f"the order {because}", facts, _UNKNOWN_STATUS)


_REFUNDED: Final = "The money went back to the customer. If the order is to run all the same, the shop sets payment_status to 'paid'."
_UNKNOWN_STATUS: Final = (
    "orderctl takes payments for the words in payments.pending_statuses only. Add this word to the setting if it means "
    "that the order is to be paid; otherwise the shop corrects payment_status."
)
_WITH_MONEY: Final = (
    "Only when the bank shows the money: the command records a payment, and the order is carried out. Otherwise it waits "
    "for the customer, and nothing is to be repaired."
)
_WHEN_ACCEPTED: Final = (
    "Only when you accept the amount that came: the order is paid then, and carried out. Write your reason in place of "
    "WHY: it goes into the audit log."
)
_WHEN_ITS_OWN: Final = (
    "Only when you agree that the transfer is this order's: the order is paid then, and carried out. Write your reason in "
    "place of WHY: it goes into the audit log."
)
_NO_AMOUNT: Final = "The shop writes the amount into orders.total_amount; then record the payment."


def _closed(cause: str, text: str, facts: tuple[str, ...], explanation: str) -> Step:
    return Step(Link.PAYMENT, State.BROKEN, text, cause, facts, explanation=explanation)


def _not_accepted(scene: Scene, order: Order, costs: Decimal, aside: Sequence[Payment]) -> Step:
    """Return the step of an order with transfers of its own that do not pay it."""
    newest = aside[-1]
    cause = _ASIDE[PaymentOutcome(newest.outcome)]
    adds_up = scene.settings.payments.accept == "sum" and newest.outcome == PaymentOutcome.PARTIAL
    rest = costs - ledger.received(scene.connection, order.id)
    if adds_up and rest > 0:
        text, advice = f"{money.shown(rest)} of {money.shown(costs)} is missing", _WITH_MONEY
        repair = orders.payment_command(_named(scene, order), rest)
    else:
        text = f"a transfer came that does not pay it: {newest.reason or newest.outcome}"
        repair, advice = _give(newest, _named(scene, order)), _WHEN_ACCEPTED
    return Step(Link.PAYMENT, State.BROKEN, text, cause, _facts(aside), repair, advice)


def match(scene: Scene) -> Step:
    """Return whether a transfer for the order lies aside."""
    order = scene.order
    if order is None or order.deleted:
        return Step(Link.MATCH, State.AHEAD, "no order to match transfers with")
    if scene.is_paid or scene.has_ended:
        return _surplus(scene, order)
    if order.total_amount is None or not orders.is_valid(order) or not (found := _candidates(scene)):
        return Step(Link.MATCH, State.HOLDS, "no transfer without an order resembles it")
    best = found[0].payment
    return Step(
        Link.MATCH,
        State.BROKEN,
        f"payment {best.id} of {_amount(best.amount)} names no order, and may be for this one",
        "unmatched-transfer",
        (f"the order {order.order_code} costs {_amount(order.total_amount)}", *_facts(one.payment for one in found)),
        repair=_give(best, _named(scene, order)),
        explanation=_WHEN_ITS_OWN,
    )  # fmt: skip


def _surplus(scene: Scene, order: Order) -> Step:
    more = [
        one
        for one in ledger.of_order(scene.connection, order.id)
        if one.outcome == PaymentOutcome.SURPLUS or (one.outcome in _ASIDE and not scene.is_paid)
    ]
    if not more:
        return Step(Link.MATCH, State.HOLDS, "no transfer for it lies aside")
    return Step(
        Link.MATCH,
        State.WAITS,
        "money came for it that pays nothing",
        "surplus-payment",
        _facts(more),
        explanation="Send the money back, then `orderctl payments match ID --refuse --reason WHY`. The order does not wait for it.",
    )


def _candidates(scene: Scene) -> list[_Candidate]:
    """Return unmatched transfers that may be for the order, the most similar first."""
    order = scene.order
    if order is None or not order.order_code:
        return []
    wanted = ledger.Filter(outcomes=(PaymentOutcome.UNMATCHED,))
    newest = ledger.page(scene.connection, wanted, limit=_NEWEST).payments
    since = order.created_at
    told = [one for one in newest if since is None or one.told_at is None or one.told_at >= since]
    found = [_Candidate(share, one) for one in told if (share := _likeness(one, order))]
    return sorted(found, key=lambda one: -one.share)[:_NAMED]


def _likeness(payment: Payment, order: Order) -> float:
    """Return how much a transfer resembles an order, from 0 to 2: one that names it has its amount, or another."""
    text = " ".join(filter(None, (payment.code, payment.content, payment.reference)))
    same_amount = payment.amount is not None and payment.amount == order.total_amount
    if likeness.names_code(text, order.order_code) or payment.code == order.order_code:
        return 2.0 if same_amount else 1.5
    return _share(likeness.compact(text), likeness.compact(order.order_code)) if same_amount else 0.0


def _share(text: str, code: str) -> float:
    """Return the share of a code that some part of a text has, in order; 0 if it is small."""
    digits = _LAST_DIGITS.search(code)
    if digits and len(digits[0]) >= _LEAST_DIGITS and digits[0] in text:
        return 1.0
    matcher = SequenceMatcher(None, "", code, autojunk=False)
    best = 0.0
    for begin in range(max(1, len(text) - len(code) + 2)):
        matcher.set_seq1(text[begin : begin + len(code)])
        if matcher.quick_ratio() > max(best, _LEAST):
            best = max(best, matcher.ratio())
    return best if best >= _LEAST else 0.0


def _give(payment: Payment, name: str) -> str:
    """Return the command that gives a payment to an order; it asks before, and a person has to say why."""
    return f"orderctl payments match --reason WHY {texts.arguments(str(payment.id), name)}"


def _named(scene: Scene, order: Order) -> str:
    """Return what names the order in a command: its code, unless another order has the same."""
    same = orders.find_all(scene.connection, order.order_code) if order.order_code else []
    return order.order_code if [one.id for one in same] == [order.id] else str(order.id)


def _facts(payments: Iterable[Payment]) -> tuple[str, ...]:
    return tuple(_fact(one) for one in payments)[-_NAMED:]


def _fact(one: Payment) -> str:
    told = f", known since {clock.second(one.told_at)}" if one.told_at else ""
    text = f": {texts.legible(one.content, _MOST_TEXT)!r}" if one.content else ""
    return f"payment {one.id} of {_amount(one.amount)}{told}, {one.outcome}{text}"


def _amount(amount: Decimal | None) -> str:
    return "an unknown amount" if amount is None else money.shown(amount)
