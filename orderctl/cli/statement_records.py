"""Records what a bank's statement has and the ledger lacks, each payment in a transaction of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orderctl.cli import bell, payment_lines
from orderctl.cli.app import App
from orderctl.counting import counted
from orderctl.errors import OrderctlError, Unavailable
from orderctl.states import UNDECIDED, PaymentOutcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.audit import Origin
    from orderctl.payments.amounts import Rules
    from orderctl.payments.intake import Receipt
    from orderctl.payments.reconciliation import Difference
    from orderctl.payments.statements import Line, Statement


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the missing payments.

    Attributes:
        differences: The differences; those that are repaired are marked as applied.
        waits: Whether one of the recorded payments waits for a decision.
        left: Whether something is left to do: such a payment, one that could not be recorded, another difference.
    """

    differences: Sequence[Difference]
    waits: bool
    left: bool


class Recorder:
    """Records missing payments and says what became of each.

    Args:
        app: The application.
        statement: The statement, which has their lines.
        matched: The payments that are other lines of the statement.
        rules: What the shop accepts.
        origin: Who records them.

    Attributes:
        receipts: What became of each that is recorded, by the number of its line.
    """

    def __init__(
        self, app: App, statement: Statement, matched: Collection[int], rules: Rules, origin: Origin
    ) -> None:
        self._app = app
        self._lines = {line.number: line for line in statement.lines}
        self._matched, self._rules, self._origin = matched, rules, origin
        self.receipts: dict[int, Receipt] = {}

    def record(self, missing: Sequence[Difference]) -> None:
        """Record payments, and wake the workers for those that paid an order, once.

        What is recorded stays, whatever ends this in between.

        Args:
            missing: The differences of the kind ``missing``.

        Raises:
            Unavailable: The database does not answer any more.
            Misconfigured: Redis refuses the command; the payments are recorded.
        """
        try:
            for difference in missing:
                self._one(self._lines[difference.line or 0])
        finally:
            self._app.say(self._counted(len(missing)))
            moved = [receipt.moved for receipt in self.receipts.values() if receipt.moved.tasks]
            if moved:
                bell.ring(self._app, moved)

    def result(self, differences: Sequence[Difference]) -> Result:
        """Return the differences as they are now.

        Args:
            differences: All differences, as they were before.
        """
        after = [_after(one, self.receipts.get(one.line or 0)) for one in differences]
        waits = any(receipt.payment.outcome in UNDECIDED for receipt in self.receipts.values())
        return Result(after, waits, left=waits or not all(one.applied for one in after))

    def _counted(self, missing: int) -> str:
        meanwhile = sum(receipt.repeated for receipt in self.receipts.values())
        new = f"{len(self.receipts) - meanwhile:,} of {counted(missing, 'missing payment')} recorded"
        return f"{new}; {meanwhile:,} recorded meanwhile by another program." if meanwhile else f"{new}."

    def _one(self, line: Line) -> None:
        from orderctl.payments import reconciliation

        def work(connection: Connection) -> Receipt:
            return reconciliation.record(connection, line, self._rules, self._origin, self._matched)

        try:
            receipt = self._app.transact(work)
        except Unavailable:
            raise
        except OrderctlError as error:  # the others can be recorded nevertheless
            self._app.warn(f"line {line.number}: not recorded: {error}")
            return
        self.receipts[line.number] = receipt
        tell = self._app.warn if receipt.payment.outcome in UNDECIDED else self._app.say
        tell(f"line {line.number}: {became(receipt)}")


def became(receipt: Receipt) -> str:
    """Return what became of a payment."""
    payment = receipt.payment
    shown, order = payment_lines.amount(payment), payment_lines.order_of(payment)
    if receipt.repeated:
        return f"payment {payment.id} of {shown} was recorded meanwhile"
    because = f": {payment.reason}" if payment.reason else ""
    if payment.outcome == PaymentOutcome.PAID:
        return f"payment {payment.id} of {shown} pays order {order}{because}"
    of_order = "" if payment.order_id is None else f" of order {order}"
    return f"payment {payment.id} of {shown} is kept as {payment.outcome}{of_order}{because}"


def _after(difference: Difference, receipt: Receipt | None) -> Difference:
    from orderctl.payments.reconciliation import Kind

    if difference.kind != Kind.MISSING or receipt is None:
        return difference
    payment = receipt.payment
    return replace(
        difference,
        payment_id=payment.id,
        order_id=payment.order_id,
        order_code=payment.order_code,
        told_at=payment.told_at,
        outcome=payment.outcome,
        text=became(receipt),
        applied=True,
    )
