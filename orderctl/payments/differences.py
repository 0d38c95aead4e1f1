"""In what a bank's statement and the ledger differ, and how that is said. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from orderctl import money
from orderctl.orders import OrderState
from orderctl.payments import closed
from orderctl.payments.judgement import Decision
from orderctl.payments.ledger import Payment
from orderctl.payments.statements.line import Line
from orderctl.payments.transfer import STATEMENT
from orderctl.states import PaymentOutcome, PaymentStatus

_SECOND: Final = timedelta(seconds=1)
#: How outcomes are called in a text.
_AS: Final = {
    PaymentOutcome.MISMATCH: "a mismatch",
    PaymentOutcome.PARTIAL: "a part",
    PaymentOutcome.SURPLUS: "a surplus",
}


class Kind(StrEnum):
    """A kind of difference; one line or payment has at most one, the first that applies."""

    MISSING = "missing"  #: The bank has booked it, and the ledger does not know it.
    DOUBLE = "double"  #: The money came twice, or stands in the ledger twice.
    WRONG_AMOUNT = "wrong-amount"  #: The amount is not the order's, or the ledger's is not the bank's.
    LATE = "late"  #: The ledger learned of it late, or it came for an order that takes no money any more.
    WITHOUT_TRANSFER = "without-transfer"  #: It counts as paid, and the bank has no such transfer.


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between a statement and the ledger or the orders.

    Attributes:
        kind: One of :class:`Kind`.
        line: The number of the statement's line.
        payment_id: The ledger's payment.
        order_id: The order's id.
        order_code: The order's code.
        amount: What the bank says; without a line, what the ledger says.
        expected: What the order costs; of a wrong amount in the ledger, the ledger's.
        currency: The code of the currency; None: the shop's.
        reference: What the bank calls the transfer.
        happened_at: When the bank booked it.
        told_at: When the ledger learned of it.
        outcome: The payment's outcome; of a missing one, what it would become.
        text: The difference for people, in one line.
        applied: Whether a missing one is recorded now.
    """

    kind: str
    line: int | None
    payment_id: int | None
    order_id: int | None
    order_code: str | None
    amount: Decimal | None
    expected: Decimal | None
    currency: str | None
    reference: str | None
    happened_at: datetime | None
    told_at: datetime | None
    outcome: str | None
    text: str
    applied: bool = False


def is_decided(row: Payment) -> bool:
    """Whether an admin has decided about a payment."""
    return row.decided_by is not None or row.outcome == PaymentOutcome.REFUSED


def missing(line: Line, decision: Decision) -> Difference:
    """Return that the ledger does not know a line."""
    order, verdict = decision.order, decision.verdict
    if verdict.outcome == PaymentOutcome.PAID and order is not None:
        because = f": {verdict.reason}" if verdict.reason else ""
        text = f"it would pay order {_order(order)}{because}"
    else:
        text = f"it would be {_AS.get(verdict.outcome, verdict.outcome)}: {verdict.reason}"
    return Difference(
        kind=Kind.MISSING,
        line=line.number,
        payment_id=None if decision.before is None else decision.before.id,
        order_id=None if order is None else order.id,
        order_code=None if order is None else order.order_code,
        amount=line.amount,
        expected=None if order is None else order.total_amount,
        currency=line.currency,
        reference=_reference(line, None),
        happened_at=line.begin,
        told_at=None,
        outcome=str(verdict.outcome),
        text=text,
    )


def of_pair(line: Line, row: Payment, order: OrderState | None, late: timedelta) -> Difference | None:
    """Return in what a line and its row of the ledger differ; None if all is well or decided.

    Args:
        line: The line.
        row: Its row.
        order: The row's order.
        late: How late the ledger may learn of a transfer.
    """
    return None if is_decided(row) else _undecided(line, row, order, late)


def _undecided(line: Line, row: Payment, order: OrderState | None, late: timedelta) -> Difference | None:
    if row.outcome == PaymentOutcome.SURPLUS:
        kind = Kind.DOUBLE if closed.PAID_ALREADY in (row.reason or "") else Kind.LATE
        came = "the money came twice" if kind is Kind.DOUBLE else "the money came too late"
        return found(kind, line, row, order, f"{came}: {row.reason}")
    if row.amount != line.amount:
        has = f"the ledger has {_shown(row.amount)}, the bank {_shown(line.amount)}"
        return found(Kind.WRONG_AMOUNT, line, row, order, has, expected=row.amount)
    is_short = row.outcome == PaymentOutcome.PARTIAL and _is_unpaid(order)
    if row.outcome == PaymentOutcome.MISMATCH or is_short:
        return found(Kind.WRONG_AMOUNT, line, row, order, row.reason or "its amount is not the order's")
    delay = _delay(line, row)
    if row.provider == STATEMENT or delay is None or delay <= late:
        return None
    learned = f"the ledger learned of it {_duration(delay)} after the bank booked it"
    return found(Kind.LATE, line, row, order, learned)


def twice(line: Line, row: Payment, other: Payment, order: OrderState | None) -> Difference:
    """Return that the ledger has a line of the bank in two rows.

    Args:
        line: The line.
        row: The row that is one too many.
        other: The other row.
        order: The order of the row.
    """
    text = f"payments {min(row.id, other.id)} and {max(row.id, other.id)} are one transfer of the bank"
    return found(Kind.DOUBLE, line, row, order, text)


def untransferred(row: Payment, order: OrderState | None) -> Difference:
    """Return that the bank has no transfer of a payment."""
    by = f"recorded by {row.provider}"
    return found(Kind.WITHOUT_TRANSFER, None, row, order, f"the bank has no such transfer; {by}")


def unpaid_order(order: OrderState, paid_at: datetime | None) -> Difference:
    """Return that an order counts as paid, and neither the bank nor the ledger has a transfer for it."""
    return Difference(
        kind=Kind.WITHOUT_TRANSFER,
        line=None,
        payment_id=None,
        order_id=order.id,
        order_code=order.order_code,
        amount=None,
        expected=order.total_amount,
        currency=None,
        reference=None,
        happened_at=paid_at,
        told_at=None,
        outcome=None,
        text="the order is paid, and neither the bank nor the ledger has a transfer for it",
    )


def found(
    kind: Kind,
    line: Line | None,
    row: Payment,
    order: OrderState | None,
    text: str,
    *,
    expected: Decimal | None = None,
) -> Difference:
    """Return a difference of a row of the ledger, with its line if it has one."""
    costs = None if order is None else order.total_amount
    return Difference(
        kind=kind,
        line=None if line is None else line.number,
        payment_id=row.id,
        order_id=row.order_id,
        order_code=row.order_code,
        amount=row.amount if line is None else line.amount,
        expected=costs if expected is None else expected,
        currency=row.currency,
        reference=_reference(line, row),
        happened_at=row.happened_at if line is None else line.begin,
        told_at=row.told_at,
        outcome=row.outcome,
        text=text,
    )


def _is_unpaid(order: OrderState | None) -> bool:
    paid = (PaymentStatus.PAID, PaymentStatus.REFUNDED)
    return order is None or order.payment_status not in paid


def _delay(line: Line, row: Payment) -> timedelta | None:
    """Return how late the ledger certainly learned of a line: of a day without a time, after its end."""
    if row.told_at is None:
        return None
    is_exact = row.happened_at is not None and line.begin <= row.happened_at < line.end
    booked = row.happened_at + _SECOND if is_exact and row.happened_at is not None else line.end
    return row.told_at - booked


def _duration(delay: timedelta) -> str:
    minutes = int(delay.total_seconds() // 60)
    if minutes < 2 * 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def _reference(line: Line | None, row: Payment | None) -> str | None:
    if line is not None and line.names:
        return line.names[0]
    return None if row is None else row.reference or row.provider_id


def _order(order: OrderState) -> str:
    return order.order_code or str(order.id)


def _shown(amount: Decimal | None) -> str:
    return "no amount" if amount is None else money.shown(amount)
