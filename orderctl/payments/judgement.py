"""What a transfer is and does: known or new, for which order, with which outcome. Nothing is written or locked here.

The intake asks while it holds the order; whoever asks without that gets what the intake would do now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from orderctl import money
from orderctl.orders import OrderState
from orderctl.payments import amounts, closed, codes, known, ledger
from orderctl.payments.amounts import Rules, Verdict
from orderctl.payments.codes import Found, Habits
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import Transfer
from orderctl.states import PaymentOutcome

#: What may still pay its order when it is told again: the order may have been added, or the amount corrected.
_OPEN: Final = (PaymentOutcome.UNMATCHED, PaymentOutcome.MISMATCH)
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Known:
    """A transfer that is known: nothing changes.

    Attributes:
        payment: Its row in the ledger.
        order: The order that it names.
    """

    payment: Payment
    order: OrderState | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a transfer.

    Attributes:
        before: Its row in the ledger, which waits for a decision; None: it is new.
        verdict: What it does.
        order: The order that it is kept with.
        total: What was received for the order in all, with this transfer; None: it is not judged by its amount.
        by_shop: Whether the shop's own program has recorded it as the payment of its order.
    """

    before: Payment | None
    verdict: Verdict
    order: OrderState | None = None
    total: Decimal | None = None
    by_shop: bool = False


def find_order(
    connection: Connection, transfer: Transfer, rules: Rules, habits: Habits | None = None
) -> Found:
    """Return the order that a transfer names; without one, the reason why.

    Args:
        connection: A connection to the database.
        transfer: The transfer, checked.
        rules: What the shop accepts.
        habits: What is known of the shop's codes; None: nothing yet.
    """
    if transfer.why_ignored is not None:
        return Found(None, transfer.why_ignored)
    return codes.find(connection, transfer, rules.code_pattern, habits)


def decide(
    connection: Connection,
    transfer: Transfer,
    order: OrderState | None,
    rules: Rules,
    *,
    reason: str | None = None,
    by_id: bool = False,
    others: Collection[int] = (),
    besides: Decimal = _NOTHING,
    is_new: bool = False,
) -> Known | Decision:
    """Return what becomes of a transfer.

    Args:
        connection: A connection to the database.
        transfer: The transfer, checked.
        order: Its order.
        rules: What the shop accepts.
        reason: Why it has no order.
        by_id: Whether a person named the order by its id.
        others: Ids of payments that are known to be other transfers.
        besides: What the order has got in parts besides what the ledger has.
        is_new: Whether the ledger certainly has no row of it, and no row that has one of its names.
    """
    before = None if is_new else known.find(connection, transfer, None if order is None else order.id, others)
    if before is not None and before.outcome not in _OPEN:
        return Known(before, order)
    if order is None:
        outcome = PaymentOutcome.IGNORED if transfer.why_ignored else PaymentOutcome.UNMATCHED
        return Decision(before, Verdict(outcome, reason))
    because = None if is_new else _why_not_its_own(connection, transfer, order, by_id=by_id)
    if because is not None:
        return Decision(before, Verdict(PaymentOutcome.UNMATCHED, because))
    because = closed.why(order, rules.pending)
    if because is None:
        return _judge(connection, before, transfer, order, rules, besides)
    source = known.by_shop(connection, transfer, order.id)
    if source is None:
        return Decision(before, Verdict(PaymentOutcome.SURPLUS, f"the order {because}"), order)
    return Decision(before, Verdict(PaymentOutcome.PAID, f"recorded by {source}"), order, by_shop=True)


def _why_not_its_own(
    connection: Connection, transfer: Transfer, order: OrderState, *, by_id: bool
) -> str | None:
    """Return why a transfer may have paid another order than the one that it names."""
    namesake = None if by_id else known.namesake(connection, transfer, order)
    if namesake is not None:
        return (
            f"a payment without an id has paid order {namesake}, which has the same code: it may be this one"
        )
    typed = known.typed_elsewhere(connection, transfer, order.id)
    if typed is not None:
        return (
            f"payment {typed.id} of order {typed.order_code or typed.order_id} was typed by this transaction"
        )
    return None


def _judge(
    connection: Connection,
    before: Payment | None,
    transfer: Transfer,
    order: OrderState,
    rules: Rules,
    besides: Decimal,
) -> Decision:
    received = money.EXACT.add(ledger.received(connection, order.id), besides)
    amount = transfer.amount or _NOTHING
    verdict = amounts.judge(
        amount, order.total_amount, received=received, currency=transfer.currency, rules=rules
    )
    total = money.EXACT.add(received, amount) if rules.accept == "sum" else amount
    return Decision(before, verdict, order, total)
