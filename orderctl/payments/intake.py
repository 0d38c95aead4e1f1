"""Take transfers in: each counts once, pays the order that it names, and stands in the ledger whatever it does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import Connection

from orderctl import orders
from orderctl.audit import Origin
from orderctl.errors import Conflict, OrderDeleted, OrderNotFound
from orderctl.lifecycle import NOTHING, Moved
from orderctl.orders import OrderState
from orderctl.payments import effects, judgement, known, ledger, posting
from orderctl.payments.amounts import Rules
from orderctl.payments.codes import Found
from orderctl.payments.judgement import Decision
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import STATEMENT, Transfer
from orderctl.states import UNDECIDED, PaymentOutcome


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transfer.

    Attributes:
        payment: Its row in the ledger.
        repeated: Whether it was told before, and nothing is new.
        expected: The amount of its order.
        moved: The tasks that workers may take now.
    """

    payment: Payment
    repeated: bool
    expected: Decimal | None = None
    moved: Moved = NOTHING


def receive(
    connection: Connection,
    transfers: Sequence[Transfer],
    rules: Rules,
    origin: Origin,
    *,
    others: Collection[int] = (),
) -> list[Receipt]:
    """Take the transfers of one delivery in, all or none.

    Args:
        connection: In a transaction of its own; commit it whatever the outcomes.
        transfers: What a provider tells.
        rules: What the shop accepts.
        origin: The part of orderctl that received it.
        others: Ids of payments that are known to be other transfers than these.

    Returns:
        What became of each transfer, in their order.

    Raises:
        InvalidInput: An amount is none.
    """
    checked = [_checked(transfer, rules) for transfer in transfers]
    found = [judgement.find_order(connection, transfer, rules) for transfer in checked]
    receipts: dict[int, Receipt] = {}
    # In the order of their ids, so that two deliveries at once do not wait for each other.
    for place in sorted(range(len(checked)), key=lambda place: found[place].order_id or 0):
        receipts[place] = _take(connection, checked[place], found[place], rules, origin, others=others)
    return [receipts[place] for place in range(len(checked))]


def _checked(transfer: Transfer, rules: Rules) -> Transfer:
    checked = transfer.checked()
    return checked if rules.keep_raw else replace(checked, raw={})


def pay(connection: Connection, reference: str, transfer: Transfer, rules: Rules, origin: Origin) -> Receipt:
    """Take in what a person types: a transfer for an order, which is named by its code or id.

    Args:
        connection: In a transaction of its own; commit it whatever the outcome.
        reference: The order's code or id.
        transfer: The transfer, of the provider :data:`MANUAL`.
        rules: What the shop accepts.
        origin: Who types it.

    Raises:
        OrderNotFound: No order has this code or id.
        Conflict: The transfer has paid another order, or several orders have this code.
        InvalidInput: The amount is none.
    """
    transfer = _checked(transfer, rules)
    try:
        order = orders.find(connection, reference)
    except OrderDeleted:  # it may have been paid before, by this transfer
        order = orders.find(connection, reference, deleted=True)
    by_id = reference == str(order.id) != order.order_code
    state = orders.lock(connection, order.id)
    _refuse_used(connection, transfer, state, by_id=by_id)
    return _take(connection, transfer, Found(order.id, None), rules, origin, by_id=by_id)


def _refuse_used(connection: Connection, transfer: Transfer, order: OrderState, *, by_id: bool) -> None:
    """Refuse to record a transfer for an order if it is known to be another one's: the person may have mistyped."""
    used = None
    if transfer.provider_id is not None:
        used = known.order_of(connection, transfer, transfer.provider_id)
    elif not by_id:
        used = known.namesake(connection, transfer, order)
    if used is None or used == order.id:
        return
    if transfer.provider_id is not None:
        raise Conflict(
            f"transaction {transfer.provider_id} has already paid the order with id {used}",
            hint=f"orderctl orders show {used}",
        )
    raise Conflict(
        f"a payment of {order.order_code} without a transaction has already paid the order with id {used}",
        hint=f"orderctl orders pay {order.id} --amount {transfer.amount}",
    )


def _take(
    connection: Connection,
    transfer: Transfer,
    found: Found,
    rules: Rules,
    origin: Origin,
    *,
    by_id: bool = False,
    others: Collection[int] = (),
) -> Receipt:
    order = _lock(connection, found)
    decision = judgement.decide(
        connection, transfer, order, rules, reason=found.reason, by_id=by_id, others=others
    )
    if isinstance(decision, Decision):
        return _carry_out(connection, transfer, decision, origin)
    before = decision.payment
    if before.provider == transfer.provider or STATEMENT in {before.provider, transfer.provider}:
        posting.complete(connection, before, transfer)
    return Receipt(before, repeated=True, expected=order.total_amount if order else None)


def _carry_out(connection: Connection, transfer: Transfer, decision: Decision, origin: Origin) -> Receipt:
    order = decision.order
    receipt = _keep(connection, transfer, decision, origin)
    paid = receipt.payment.outcome == PaymentOutcome.PAID and not receipt.repeated
    if not paid or order is None or decision.total is None:
        return receipt
    moved = effects.settle(connection, order, receipt.payment, decision.total, origin)
    return Receipt(receipt.payment, repeated=False, expected=order.total_amount, moved=moved)


def _lock(connection: Connection, found: Found) -> OrderState | None:
    try:
        return None if found.order_id is None else orders.lock(connection, found.order_id)
    except OrderNotFound:  # the shop has just deleted its row
        return None


def _keep(connection: Connection, transfer: Transfer, decision: Decision, origin: Origin) -> Receipt:
    """Write a transfer into the ledger, and tell of it unless it pays its order."""
    before, order, by_shop = decision.before, decision.order, decision.by_shop
    order_id, expected = (None, None) if order is None else (order.id, order.total_amount)
    after = _written(connection, transfer, decision, order_id)
    if after is None:  # told at the same time by another process
        there = known.find(connection, transfer, order_id)
        if there is None:
            raise Conflict("the transfer was changed by another process at the same time; send it again")
        return Receipt(there, repeated=True, expected=expected)
    is_new = before is None or (before.outcome, before.amount, before.order_id) != (
        after.outcome, after.amount, after.order_id,
    )  # fmt: skip
    if is_new and order is not None and not by_shop:
        effects.tell(connection, order, after, decision.total, origin)
    if is_new and after.outcome in UNDECIDED:
        effects.alert(connection, after)
    return Receipt(after, repeated=not is_new or by_shop, expected=expected)


def _written(
    connection: Connection, transfer: Transfer, decision: Decision, order_id: int | None
) -> Payment | None:
    before, verdict = decision.before, decision.verdict
    if before is None:
        return posting.add(connection, transfer, order_id, verdict.outcome, verdict.reason)
    if not posting.judge_again(connection, before, transfer, order_id, verdict.outcome, verdict.reason):
        return None
    return ledger.find(connection, before.id)
