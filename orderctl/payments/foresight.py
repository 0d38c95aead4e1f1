"""What recording the lines of a statement would do, in their order. Nothing is written or locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sqlalchemy import Connection

from orderctl import money, orders
from orderctl.orders import OrderState
from orderctl.payments import judgement, ledger
from orderctl.payments.amounts import Rules
from orderctl.payments.codes import Habits
from orderctl.payments.judgement import Decision, Known
from orderctl.payments.statements.line import Line
from orderctl.payments.transfer import Transfer
from orderctl.states import PaymentOutcome, PaymentStatus


@dataclass
class Foresight:
    """Foresees transfers one after the other: what the first one pays is paid for the next one.

    Attributes:
        connection: A connection to the database.
        rules: What the shop accepts.
        others: Returns the ids of payments that are known to be other transfers.
        named: The ids of the orders that the transfers have named.
    """

    connection: Connection
    rules: Rules
    others: Callable[[], frozenset[int]] = frozenset
    named: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with nothing foreseen."""
        self._habits = Habits(self.connection)
        self._paid: set[int] = set()
        self._parts: defaultdict[int, Decimal] = defaultdict(Decimal)

    def order_of(self, line: Line) -> int | None:
        """Return the id of the order that a line names."""
        return judgement.find_order(self.connection, line.transfer(), self.rules, self._habits).order_id

    def foresee(self, transfer: Transfer, *, is_strange: bool = False) -> Known | Decision:
        """Return what would become of a transfer, by the code that takes it in.

        Args:
            transfer: The transfer.
            is_strange: Whether only a row of its own order may be it, see :mod:`orderctl.payments.strangers`.
        """
        checked = transfer.checked()
        found = judgement.find_order(self.connection, checked, self.rules, self._habits)
        order = self._order(found.order_id)
        besides = Decimal(0) if order is None else self._parts[order.id]
        decision = judgement.decide(
            self.connection,
            checked,
            order,
            self.rules,
            reason=found.reason,
            others=self.others(),
            besides=besides,
            is_new=is_strange and (order is None or not ledger.of_order(self.connection, order.id)),
        )
        if isinstance(decision, Decision) and decision.order is not None and decision.before is None:
            self._note(decision, decision.order.id, checked.amount or Decimal(0))
        return decision

    def _order(self, order_id: int | None) -> OrderState | None:
        if order_id is None:
            return None
        self.named.add(order_id)
        order = orders.states(self.connection, [order_id]).get(order_id)
        if order is not None and order_id in self._paid:
            return replace(order, payment_status=PaymentStatus.PAID)
        return order

    def _note(self, decision: Decision, order_id: int, amount: Decimal) -> None:
        if decision.verdict.outcome == PaymentOutcome.PAID:
            self._paid.add(order_id)
        elif decision.verdict.outcome == PaymentOutcome.PARTIAL:
            self._parts[order_id] = money.EXACT.add(self._parts[order_id], amount)
