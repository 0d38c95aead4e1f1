"""Whether a transfer was told before: by its provider, by a person, or in the audit log.

Who tells of a transfer may tell it several times, each time with more: by its id, then with the bank's reference, too.
The same reference of two banks is two transfers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from orderctl import foreign
from orderctl.orders import OrderState
from orderctl.payments import ledger, likeness, posting, stated
from orderctl.payments.ledger import Payment
from orderctl.payments.likeness import may_be_of_one_account
from orderctl.payments.transfer import AUDIT_LOG, MANUAL, STATEMENT, WITHOUT_SENDER, Transfer
from orderctl.schema import order_audit_logs, orders
from orderctl.states import EventType, PaymentOutcome

#: Who names a transfer by the id or the reference of whatever bank.
OF_ANY_BANK = frozenset({MANUAL, AUDIT_LOG})
#: Outcomes of a transfer that has paid an order, or a part of it.
_COUNTED = frozenset({PaymentOutcome.PAID, PaymentOutcome.PARTIAL})


def find(
    connection: Connection, transfer: Transfer, order_id: int | None, others: Collection[int] = ()
) -> Payment | None:
    """Return the ledger's row of a transfer; None if it was not told before.

    Args:
        connection: In a transaction that holds the order.
        transfer: The transfer, checked.
        order_id: Its order.
        others: Ids of rows that are other transfers.
    """
    found = _candidates(connection, transfer, order_id)
    return next((known for known in found if known.id not in others), None)


def _candidates(connection: Connection, transfer: Transfer, order_id: int | None) -> Iterator[Payment]:
    """Yield the rows that may be a transfer's, the most certain one first; each is asked for only if it is needed."""
    # It may have been told when its order was not there yet.
    keys = dict.fromkeys(posting.key_of(transfer, order) for order in (order_id, None))
    for key in keys:
        if (known := ledger.find_by_key(connection, transfer.provider, key)) is not None:
            yield known
    yield from _by_reference(connection, transfer)
    if order_id is not None:
        yield from _on_order(connection, transfer, order_id)
    yield from _unmatched(connection, transfer)
    if order_id is not None:
        yield from _mistyped(connection, transfer, order_id)
    yield from stated.find(connection, transfer, order_id)


def _by_reference(connection: Connection, transfer: Transfer) -> Iterator[Payment]:
    """Yield the rows of a transfer that was told without its id, or is told without it now."""
    if transfer.reference is not None:
        same = ledger.with_reference(connection, transfer)
        yield from (known for known in same if may_be_of_one_account(known, transfer))


def _on_order(connection: Connection, transfer: Transfer, order_id: int) -> Iterator[Payment]:
    """Yield the rows of a transfer for this order that have one of its ids or references, under whichever name.

    A person and the audit log name a transfer by whatever a bank calls it. A provider may call ``id`` at first what it
    calls the reference later; then the amount is the same, too. Of two providers that tell of one account each has
    ids of its own, but the bank's reference is one.
    """
    names = _names(transfer.provider_id, transfer.reference, transfer.alias)
    if not names:
        yield from _unnamed_in_log(connection, transfer, order_id)
        return
    for known in ledger.named_on_order(connection, order_id, names):
        is_one_name = known.provider == transfer.provider or known.reference == transfer.reference is not None
        same = known.amount == transfer.amount and may_be_of_one_account(known, transfer)
        tellers = {known.provider, transfer.provider}
        if tellers & OF_ANY_BANK or (is_one_name and same and STATEMENT not in tellers):
            yield known  # what a statement calls so is compared by ``stated``


def _unmatched(connection: Connection, transfer: Transfer) -> Iterator[Payment]:
    """Yield the rows of what a person types that a bank has told of before, without an order."""
    if transfer.provider != MANUAL or transfer.provider_id is None:
        return
    for known in ledger.with_name(connection, transfer.provider_id):
        same = known.amount == transfer.amount and may_be_of_one_account(known, transfer)
        if same and (known.order_id, known.outcome) == (None, PaymentOutcome.UNMATCHED):
            yield known


def _mistyped(connection: Connection, transfer: Transfer, order_id: int) -> Iterator[Payment]:
    """Yield the row of a wrong amount that a person typed for this order, and now corrects, without a transaction."""
    if transfer.provider != MANUAL or transfer.provider_id is not None:
        return
    wrong = (MANUAL, None, PaymentOutcome.MISMATCH)
    for known in ledger.of_order(connection, order_id):
        if (known.provider, known.provider_id, known.outcome) == wrong:
            yield known


def _unnamed_in_log(connection: Connection, transfer: Transfer, order_id: int) -> Iterator[Payment]:
    """Yield the rows of a transfer without any name that the audit log told of, by its amount."""
    for known in ledger.of_order(connection, order_id):
        if (known.provider, known.reference, known.amount) == (AUDIT_LOG, None, transfer.amount):
            yield known


def _names(*names: str | None) -> set[str]:
    return {name for name in names if name is not None}


def order_of(connection: Connection, transfer: Transfer, name: str) -> int | None:
    """Return the order for which a transfer that a person types was recorded before, by whomever.

    Args:
        connection: A connection to the database.
        transfer: The transfer.
        name: What the person calls it.
    """
    for known in ledger.with_name(connection, name):
        same = known.amount == transfer.amount and may_be_of_one_account(known, transfer)
        if known.outcome in _COUNTED and (known.provider in WITHOUT_SENDER or same):
            return known.order_id
    return None


def typed_elsewhere(connection: Connection, transfer: Transfer, order_id: int) -> Payment | None:
    """Return the payment of another order that a person has typed by a name of this transfer, and for its amount."""
    if transfer.provider == MANUAL:
        return None
    for name in _names(transfer.provider_id, transfer.reference, transfer.alias):
        for known in ledger.with_name(connection, name):
            same = known.amount == transfer.amount and may_be_of_one_account(known, transfer)
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
    names = _names(transfer.provider_id, transfer.reference, transfer.alias)
    if transfer.provider == STATEMENT:  # which writes names in its own way, and its lines may have none
        names = set(likeness.names_of(transfer))
        if names and name not in {None, ""}:
            return any(likeness.is_one_name(str(name), other) for other in names)
        if not names:
            return foreign.amount(details.get("amount")) == transfer.amount
    if names:
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
