"""Whether a transfer was told before, where one of the two stands in a bank's statement, which has names of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from orderctl import database
from orderctl.payments import ledger, likeness
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import MANUAL, STATEMENT, Transfer
from orderctl.schema import payments
from orderctl.states import PaymentOutcome


def find(connection: Connection, transfer: Transfer, order_id: int | None) -> Iterator[Payment]:
    """Yield the rows of the ledger that may be a line of a statement, or of which such a row may be the line.

    By a name in common; what has no name by its order or text, amount and day.

    Args:
        connection: A connection to the database.
        transfer: The transfer, checked.
        order_id: Its order.
    """
    is_line = transfer.provider == STATEMENT
    # Most shops have no such row, and a bank waits.
    if transfer.why_ignored is not None or not (is_line or ledger.has_any(connection, STATEMENT)):
        return
    of_order = [] if order_id is None else ledger.of_order(connection, order_id)
    on_order = [known for known in of_order if _may_be(known, transfer)]
    yield from (known for known in on_order if likeness.have_one_name(known, transfer))
    yield from _named(connection, transfer, order_id)
    yield from (
        known for known in on_order if _is_unnamed(known, transfer) and _is_of_one_day(known, transfer)
    )
    yield from _with_text(connection, transfer, order_id)


def _may_be(known: Payment, transfer: Transfer) -> bool:
    """Whether a row and a transfer may be one, of which exactly one comes from a statement."""
    is_line = transfer.provider == STATEMENT
    if not is_line and known.provider != STATEMENT:
        return False
    # Each line of a statement is a transfer of its own.
    is_other_line = is_line and known.provider == STATEMENT
    if is_other_line or not likeness.is_money_in(known) or known.amount != transfer.amount:
        return False
    return likeness.may_have_one_name(known, transfer.account, likeness.names_of(transfer))


def _named(connection: Connection, transfer: Transfer, order_id: int | None) -> Iterator[Payment]:
    """Yield the rows with one of the transfer's names, whichever order they are for if the name is long."""
    given = likeness.names_of(transfer)
    names = likeness.wanted(given)
    if not names.equal:
        return
    tellers = () if transfer.provider == STATEMENT else (STATEMENT,)
    for known in ledger.named(connection, names, *tellers):
        is_one = _may_be(known, transfer) and likeness.have_one_name(known, transfer)
        is_one = is_one and likeness.may_be_for(known, order_id, given)
        if is_one and _may_be_given(known, transfer) and _is_of_one_month(known, transfer):
            yield known


def _may_be_given(known: Payment, transfer: Transfer) -> bool:
    """Whether the row may be taken whatever its order is. What a person types for an order is not another order's."""
    if transfer.provider == MANUAL:
        return (known.order_id, known.outcome) == (None, PaymentOutcome.UNMATCHED)
    return likeness.may_be_of_one_account(known, transfer)


def _is_of_one_month(known: Payment, transfer: Transfer) -> bool:
    """Whether the times allow it: a bank's references may begin anew."""
    one, other = known.happened_at or known.told_at, transfer.happened_at
    return one is None or other is None or abs(one - other) <= likeness.MONTH


def _is_unnamed(known: Payment, transfer: Transfer) -> bool:
    """Whether the row or the transfer has no name by which the two could be told apart."""
    if not likeness.names_of(transfer) or not likeness.names_of(known):
        return True
    # A provider that does not tell the bank's reference has only an id of its own.
    return known.provider == STATEMENT and transfer.provider != MANUAL and transfer.reference is None


def _is_of_one_day(known: Payment, transfer: Transfer) -> bool:
    if known.provider == STATEMENT and known.happened_at is not None:
        told = transfer.happened_at
        return told is None or abs(told - known.happened_at) <= 2 * likeness.DAY
    return likeness.is_near(known, transfer.happened_at)


def _with_text(connection: Connection, transfer: Transfer, order_id: int | None) -> Iterator[Payment]:
    """Yield the rows without a name, or of a transfer without one, that have its text, amount and day."""
    is_line = transfer.provider == STATEMENT
    if not is_line and (order_id is not None or transfer.provider == MANUAL):
        return
    yield from (
        known
        for known in _of_those_days(connection, transfer, order_id)
        if _may_be(known, transfer)
        and _is_unnamed(known, transfer)
        and _is_of_one_day(known, transfer)
        and likeness.have_one_text(known.content, transfer.content)
    )


def _of_those_days(connection: Connection, transfer: Transfer, order_id: int | None) -> Iterable[Payment]:
    """Return the rows that were told within days; the database leaves out what cannot be meant."""
    booked, days = transfer.happened_at, 2 * likeness.DAY
    since = database.utc_now(-days.total_seconds()) if booked is None else booked - days
    until = None if booked is None else booked + 2 * days
    p, conditions = payments.c, [payments.c.amount == transfer.amount, payments.c.content.is_not(None)]
    conditions.append(p.provider != STATEMENT if transfer.provider == STATEMENT else p.provider == STATEMENT)
    if order_id is not None:
        conditions.append(p.order_id.is_(None))
    if transfer.provider == STATEMENT and likeness.names_of(transfer):
        conditions += [p.reference.is_(None), p.provider_id.like(f"{ledger.UNNAMED}%")]
    return ledger.told_between(connection, since, until, *conditions)
