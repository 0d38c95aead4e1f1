"""Whether a transfer was told before: by its provider, by a person, or in the audit log.

Who tells of a transfer may tell it several times, each time with more: by its id, then with the bank's reference, too.
The same reference of two banks is two transfers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from orderctl import foreign
from orderctl.orders import OrderState
from orderctl.payments import ledger
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import AUDIT_LOG, MANUAL, Transfer
from orderctl.schema import order_audit_logs, orders
from orderctl.states import EventType, PaymentOutcome

#: Who names a transfer by the id or the reference of whatever bank.
OF_ANY_BANK = frozenset({MANUAL, AUDIT_LOG})
#: Outcomes of a transfer that has paid an order, or a part of it.
_COUNTED = frozenset({PaymentOutcome.PAID, PaymentOutcome.PARTIAL})


def find(connection: Connection, transfer: Transfer, order_id: int | None) -> Payment | None:
    """Return the ledger's row of a transfer; None if it was not told before.

    Args:
        connection: In a transaction that holds the order.
        transfer: The transfer, checked.
        order_id: Its order.
    """
    # It may have been told when its order was not there yet.
    keys = dict.fromkeys(ledger.key_of(transfer, order) for order in (order_id, None))
    by_key = (ledger.find_by_key(connection, transfer.provider, key) for key in keys)
    return (
        next(filter(None, by_key), None)
        or _by_reference(connection, transfer)
        or (None if order_id is None else _on_order(connection, transfer, order_id))
        or _unmatched(connection, transfer)
        or (None if order_id is None else _mistyped(connection, transfer, order_id))
    )


def _by_reference(connection: Connection, transfer: Transfer) -> Payment | None:
    """Return the row of a transfer that was told without its id, or is told without it now."""
    if transfer.reference is None:
        return None
    same = ledger.with_reference(connection, transfer)
    return next((known for known in same if _may_be_of_one_account(known, transfer)), None)


def _on_order(connection: Connection, transfer: Transfer, order_id: int) -> Payment | None:
    """Return the row of a transfer for this order that has one of its ids or references, under whichever name.

    A person and the audit log name a transfer by whatever a bank calls it. A provider may call ``id`` at first what it
    calls the reference later; then the amount is the same, too. Of two providers that tell of one account each has
    ids of its own, but the bank's reference is one.
    """
    names = _names(transfer.provider_id, transfer.reference, transfer.alias)
    if not names:
        return _unnamed_in_log(connection, transfer, order_id)
    for known in ledger.named_on_order(connection, order_id, names):
        if {known.provider, transfer.provider} & OF_ANY_BANK:
            return known
        is_one_name = known.provider == transfer.provider or known.reference == transfer.reference is not None
        if is_one_name and known.amount == transfer.amount and _may_be_of_one_account(known, transfer):
            return known
    return None


def _unmatched(connection: Connection, transfer: Transfer) -> Payment | None:
    """Return the row of what a person types that a bank has told of before, without an order."""
    if transfer.provider != MANUAL or transfer.provider_id is None:
        return None
    for known in ledger.with_name(connection, transfer.provider_id):
        same = known.amount == transfer.amount and _may_be_of_one_account(known, transfer)
        if same and (known.order_id, known.outcome) == (None, PaymentOutcome.UNMATCHED):
            return known
    return None


def _mistyped(connection: Connection, transfer: Transfer, order_id: int) -> Payment | None:
    """Return the row of a wrong amount that a person typed for this order, and now corrects, without a transaction."""
    if transfer.provider != MANUAL or transfer.provider_id is not None:
        return None
    wrong = (MANUAL, None, PaymentOutcome.MISMATCH)
    found = ledger.of_order(connection, order_id)
    return next(
        (known for known in found if (known.provider, known.provider_id, known.outcome) == wrong), None
    )


def _unnamed_in_log(connection: Connection, transfer: Transfer, order_id: int) -> Payment | None:
    """Return the row of a transfer without any name that the audit log told of, by its amount."""
    for known in ledger.of_order(connection, order_id):
        if (known.provider, known.reference, known.amount) == (AUDIT_LOG, None, transfer.amount):
            return known
    return None


def _names(*names: str | None) -> set[str]:
    return {name for name in names if name is not None}


def _may_be_of_one_account(known: Payment, transfer: Transfer) -> bool:
    """Whether a row and a transfer may be of one account. Providers have names of their own for a bank."""
    if known.account is not None and known.account == transfer.account:
        return True
    one, other = known.bank, transfer.bank
    return one is None or other is None or one.casefold() == other.casefold()


def order_of(connection: Connection, transfer: Transfer, name: str) -> int | None:
    """Return the order for which a transfer that a person types was recorded before, by whomever.

    Args:
        connection: A connection to the database.
        transfer: The transfer.
        name: What the person calls it.
    """
    for known in ledger.with_name(connection, name):
        same = known.amount == transfer.amount and _may_be_of_one_account(known, transfer)
        if known.outcome in _COUNTED and (known.provider in OF_ANY_BANK or same):
            return known.order_id
    return None


def typed_elsewhere(connection: Connection, transfer: Transfer, order_id: int) -> Payment | None:
    """Return the payment of another order that a person has typed by a name of this transfer, and for its amount."""
    if transfer.provider == MANUAL:
        return None
    for name in _names(transfer.provider_id, transfer.reference, transfer.alias):
        for known in ledger.with_name(connection, name):
            same = known.amount == transfer.amount and _may_be_of_one_account(known, transfer)
            if same and known.provider == MANUAL and known.outcome in _COUNTED and known.order_id != order_id:
                return known
    return None


def by_shop(connection: Connection, transfer: Transfer, order_id: int) -> str | None:
    """Return who has written into the audit log that this transfer paid the order: the shop's own program, usually.

    Returns:
        The event's source; None if no event tells of this transfer.
    """
    log = order_audit_logs.c
    query = select(log.details, log.source, log.dedup_key).where(
        log.order_id == order_id, log.event_type == EventType.PAYMENT_RECEIVED
    )
    # Compared here: the database would refuse to look into details of the shop's that are not JSON.
    for details, source, key in connection.execute(query):
        is_ours = (key or "").startswith("ledger:")  # its transfer stands in the ledger, with its bank
        if not is_ours and isinstance(details, dict) and _is_told(transfer, details):
            return source or "another program"
    return None


def _is_told(transfer: Transfer, details: Mapping[str, Any]) -> bool:
    """Whether the details of an event name a transfer; one without any name is known by its amount."""
    name = details.get("transactionId")
    if names := _names(transfer.provider_id, transfer.reference, transfer.alias):
        return str(name) in names
    return name in {None, ""} and foreign.amount(details.get("amount")) == transfer.amount


def namesake(connection: Connection, transfer: Transfer, order: OrderState) -> int | None:
    """Return the order of the same code that a transfer without any id may have paid already.

    The code and the amount are all that tells such a transfer from its repetition: so what has paid an order that is
    deleted since does not pay the next one of its code as well.
    """
    if transfer.provider_id is not None or transfer.reference is not None or order.order_code is None:
        return None
    o = orders.c
    others = connection.execute(
        select(o.id).where(o.order_code == order.order_code, o.id != order.id)
    ).scalars()
    return next((other for other in others if _has_paid(transfer, ledger.of_order(connection, other))), None)


def _has_paid(transfer: Transfer, payments: Iterable[Payment]) -> bool:
    return any(
        known.outcome == PaymentOutcome.PAID and known.amount == transfer.amount
        for known in payments
        if known.provider_id is None and known.reference is None
    )
