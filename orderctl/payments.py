"""Receive payments for orders; each payment counts once."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from sqlalchemy import Connection, select

from orderctl import audit, documents, lifecycle, money, orders, shape, texts
from orderctl.audit import NewEvent, Origin
from orderctl.capacity import Limits
from orderctl.errors import Conflict, InvalidInput, OrderDeleted
from orderctl.lifecycle import NOTHING, Moved
from orderctl.schema import order_audit_logs
from orderctl.schema import orders as orders_table
from orderctl.shape import Shape
from orderctl.states import EventType, OrderStatus, PaymentStatus, Source

_MAX_TEXT = 120
_ANY = Limits(Decimal(10**35), 30)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the bank reports it; ``amount`` is in the shop's currency."""

    order_code: str
    amount: Decimal
    bank: str | None = None
    transaction: str | None = None

    @property
    def key(self) -> str:
        """The dedup key of the payment, so that it counts once even if it is reported several times."""
        return f"payment:{self.transaction or self.order_code}"

    def details(self) -> dict[str, Any]:
        """Return the details for the audit log."""
        return {"amount": float(self.amount), "bank": self.bank, "transactionId": self.transaction}

    def checked(self, limits: Limits = _ANY) -> Payment:
        """Check the fields and return the payment without spaces around them.

        Some databases ignore trailing spaces in comparisons.

        Args:
            limits: Of the amount; without a database any amount is possible.

        Raises:
            InvalidInput: A field is not valid.
        """
        limits.check(self.amount)
        code = self.order_code.strip()
        if not code or not texts.is_storable(code):
            raise InvalidInput(f"{texts.shown(code)} is not a valid order code")
        bank, transaction = _stripped(self.bank), _stripped(self.transaction)
        for name, text in (("bank name", bank), ("transaction id", transaction)):
            if text is not None and (not text or len(text) > _MAX_TEXT or not text.isprintable()):
                raise InvalidInput(
                    f"{texts.shown(text)} is not a valid {name}: 1 to {_MAX_TEXT} printable characters"
                )
        if transaction is not None and not transaction.isascii():
            raise InvalidInput(
                f"{texts.shown(transaction)} is not a valid transaction id: ASCII characters only"
            )
        return Payment(code, self.amount, bank, transaction)


class Outcome(Enum):
    """The outcome of a payment."""

    PAID = auto()  #: The payment has paid the order.
    REPEATED = auto()  #: The payment was received before; nothing was changed.
    MISMATCH = auto()  #: The amount differs from the order's; only an audit event was written.


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """The outcome of a payment, the amount of the order, and the tasks that workers may take now."""

    outcome: Outcome
    order_id: int
    expected: Decimal | None
    moved: Moved = NOTHING


def from_webhook(document: str) -> Payment:
    """Return the payment in a bank's webhook: ``code``, ``transferAmount``, ``bankName``.

    The transaction is the first of ``transactionId``, ``referenceCode`` and ``id`` that is present.

    Args:
        document: A JSON object.

    Raises:
        InvalidInput: It is not a JSON object, or a field is missing or not valid.
    """
    fields = documents.parse(document, "the payment")
    if not isinstance(fields, dict):
        raise InvalidInput("the payment is not a JSON object")
    return Payment(
        order_code=_text(fields, "code"),
        amount=_amount(fields.get("transferAmount")),
        bank=_text(fields, "bankName") if fields.get("bankName") is not None else None,
        transaction=_transaction(fields),
    ).checked()


def _transaction(fields: Mapping[str, Any]) -> str | None:
    name = next((name for name in _TRANSACTIONS if fields.get(name) is not None), None)
    if name is None:
        return None
    if isinstance(fields[name], bool) or not isinstance(fields[name], int | str):
        raise InvalidInput(f"the payment's {name} is neither a string nor a whole number")
    return str(fields[name])


_TRANSACTIONS = ("transactionId", "referenceCode", "id")


def _stripped(text: str | None) -> str | None:
    return None if text is None else text.strip()


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"the payment's {name} is missing or not a string")
    return value.strip()


def _amount(value: object) -> Decimal:
    try:
        return money.parse(value)
    except TypeError:
        raise InvalidInput("the payment's transferAmount is missing or not a number") from None
    except ValueError as error:
        raise InvalidInput(f"the payment's transferAmount {error}") from None


def receive(
    connection: Connection,
    payment: Payment,
    *,
    actor: str,
    source: Source = Source.CLI,
    pending: Collection[str] = (PaymentStatus.PENDING, PaymentStatus.FAILED),
) -> PaymentResult:
    """Mark an order as paid, once for each payment.

    Args:
        connection: In a transaction of its own; commit it whatever the outcome.
        payment: The payment as the bank reports it.
        actor: Who reports it.
        source: The part of orderctl that received the report.
        pending: The payment statuses of an order that can be paid, in lower case.

    Returns:
        The outcome.

    Raises:
        OrderNotFound: No order has this code.
        Conflict: Another payment has paid the order, this payment has paid another order, the order is
            cancelled, refunded or deleted, or several orders have this code.
    """
    payment = payment.checked(_limits(shape.of(connection.dialect)))
    order = orders.lock(connection, _find(connection, payment.order_code).id)
    payment = _keyed(connection, order, payment)
    if order.payment_status == PaymentStatus.PAID:
        return _repeated(connection, order, payment)
    _refuse(order, pending)
    _refuse_used(connection, order, payment)
    if payment.amount != order.total_amount:
        _record_mismatch(connection, order, payment, Origin(source, actor))
        return PaymentResult(Outcome.MISMATCH, order.id, order.total_amount)
    waiting = _pay(connection, order, payment, Origin(source, actor))
    return PaymentResult(Outcome.PAID, order.id, order.total_amount, waiting)


def _find(connection: Connection, code: str) -> orders.OrderState:
    try:
        return orders.find(connection, code)
    except OrderDeleted:  # it may have been paid before, by this payment
        return orders.find(connection, code, deleted=True)


def _keyed(connection: Connection, order: orders.OrderState, payment: Payment) -> Payment:
    """Return the payment with the code as the order spells it, or with one of its own if another order has that key.

    Without a transaction, the code is all that tells a payment from its repetition: so a code that has paid another
    order, which may be deleted since, does not pay this one as well, unless it is named by its id.
    """
    by_id = payment.order_code == str(order.id) != order.order_code
    payment = replace(payment, order_code=order.order_code or payment.order_code)
    known = None if payment.transaction else audit.find_by_key(connection, payment.key)
    if known is None or known.order_id == order.id:
        return payment
    if not by_id and _have_one_code(connection, known.order_id, order):
        return payment
    return replace(payment, order_code=f"{payment.order_code}:{order.id}")


def _have_one_code(connection: Connection, order_id: int, order: orders.OrderState) -> bool:
    """Whether the database takes the codes of two orders for equal. Keys may ignore case where codes do not."""
    o = orders_table.c
    query = select(o.id).where(o.id == order_id, o.order_code == order.order_code)
    return connection.execute(query).first() is not None


def _limits(there: Shape) -> Limits:
    """Return the limits of payments: what no order can cost is a mistake, but cents are a wrong amount."""
    own, column = Limits(), Limits.of(there)
    return Limits(max(own.highest, column.highest), max(own.decimals, column.decimals))


def _repeated(connection: Connection, order: orders.OrderState, payment: Payment) -> PaymentResult:
    known = audit.find_by_key(connection, payment.key)
    if (known is not None and known.order_id == order.id) or _recorded_by_shop(connection, order, payment):
        return PaymentResult(Outcome.REPEATED, order.id, order.total_amount)
    raise Conflict(
        f"order {order.order_code} was already paid by another transaction",
        hint=f"orderctl orders show {order.id} --deleted"
        if order.deleted
        else f"orderctl logs show {shlex.quote(order.order_code)} --category payment",
    )


def _recorded_by_shop(connection: Connection, order: orders.OrderState, payment: Payment) -> bool:
    """Whether the shop's own webhook handler has recorded this transaction."""
    log = order_audit_logs.c
    query = select(log.details).where(log.order_id == order.id, log.event_type == EventType.PAYMENT_RECEIVED)
    # Compared here: the database would refuse to look into details of the shop's that are not JSON.
    known = [details for details in connection.execute(query).scalars() if isinstance(details, dict)]
    return payment.transaction is not None and any(
        str(details.get("transactionId")) == payment.transaction for details in known
    )


def _refuse(order: orders.OrderState, pending: Collection[str]) -> None:
    """Refuse an order that is not open for a payment. A status that orderctl does not know never is."""
    reason = None
    if order.deleted:
        reason = "is deleted by the shop"
    elif order.order_status == OrderStatus.CANCELLED:
        reason = "is cancelled"
    elif not orders.is_valid(order):
        reason = f"has the status {order.order_status!r}, which orderctl does not know,"
    elif order.payment_status == PaymentStatus.REFUNDED:
        reason = "is refunded"
    elif order.payment_status is not None and order.payment_status.strip().casefold() not in pending:
        reason = (
            f"has the payment status {order.payment_status!r}, which is not one of the setting"
            f" payments.pending_statuses ({', '.join(pending)}),"
        )
    if reason is not None:
        raise Conflict(
            f"order {order.order_code} {reason} and cannot be paid",
            hint=f"orderctl orders show {shlex.quote(order.order_code)}{' --deleted' if order.deleted else ''}",
        )


def _refuse_used(connection: Connection, order: orders.OrderState, payment: Payment) -> None:
    known = audit.find_by_key(connection, payment.key)
    if known is None:
        return
    again = f"orderctl orders pay {order.id} --amount {payment.amount}"
    raise Conflict(
        f"{_named(payment)} has already paid the order with id {known.order_id}",
        hint=f"orderctl logs show {known.order_id} --category payment" if payment.transaction else again,
    )


def _named(payment: Payment) -> str:
    if payment.transaction:
        return f"transaction {payment.transaction}"
    return f"a payment of {payment.order_code} without a transaction"


def _pay(connection: Connection, order: orders.OrderState, payment: Payment, origin: Origin) -> Moved:
    event = NewEvent(
        EventType.PAYMENT_RECEIVED,
        order.id,
        origin,
        words={"amount": payment.amount, "order_code": order.order_code},
        details=payment.details(),
        previous_status=order.payment_status,
        new_status=PaymentStatus.PAID,
        dedup_key=payment.key,
    )
    paid = lifecycle.pay(connection, order, event)
    if paid is None:  # meanwhile it has paid another order
        _refuse_used(connection, order, payment)
        raise Conflict(f"{_named(payment)} has already paid another order")
    return paid


def _record_mismatch(
    connection: Connection, order: orders.OrderState, payment: Payment, origin: Origin
) -> None:
    expected = order.total_amount
    event = NewEvent(
        EventType.PAYMENT_MISMATCH,
        order.id,
        origin,
        words={
            "amount": payment.amount,
            "order_code": order.order_code,
            "expected": "unknown" if expected is None else f"{expected.normalize():f}",
        },
        details=payment.details() | {"expected": None if expected is None else float(expected)},
        # The bank repeats the report; one event is enough. Another order may have the code.
        dedup_key=f"mismatch:{payment.key if payment.transaction else order.id}:{payment.amount.normalize()}",
    )
    audit.record(connection, event)
