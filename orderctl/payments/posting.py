"""Writes into the ledger: a transfer once, what becomes of it when it is told again, and an admin's decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError

from orderctl import database, database_errors, money
from orderctl.payments import ledger
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import AUDIT_LOG, MANUAL, STATEMENT, Transfer, dump
from orderctl.schema import payments
from orderctl.states import PaymentOutcome

_MOST_REASON: Final = 500
#: Columns that say what became of a transfer.
_JUDGED: Final = frozenset({"order_id", "amount", "outcome", "reason"})


def key_of(transfer: Transfer, order_id: int | None) -> str:
    """Return what a transfer is known by, within its provider.

    That is the provider's id; without one the bank's reference and the amount; without both the order and the amount: then a second
    transfer of the same amount for the same order cannot be told from a repetition. What has no order either is known
    by all that was told.
    """
    if transfer.provider_id is not None:
        return transfer.provider_id
    amount = None if transfer.amount is None else money.shown(transfer.amount)
    if transfer.reference is not None:
        return _unnamed("reference", (transfer.bank or "").casefold(), transfer.reference, amount)
    if order_id is not None:
        return _unnamed("order", order_id, amount)
    # What else was told, such as a balance, may differ when it is told again.
    return _unnamed("text", transfer.ignored, amount, transfer.code, transfer.content, transfer.happened_at)


def _unnamed(*parts: object) -> str:
    text = json.dumps([str(part) for part in parts])
    return f"{ledger.UNNAMED}{parts[0]} {hashlib.sha256(text.encode()).hexdigest()}"


def add(
    connection: Connection, transfer: Transfer, order_id: int | None, outcome: str, reason: str | None
) -> Payment | None:
    """Write a transfer into the ledger; None if it is there already: another process was faster.

    Args:
        connection: In the transaction that acts on it.
        transfer: The transfer, checked.
        order_id: Its order.
        outcome: What becomes of it.
        reason: Why.
    """
    key = key_of(transfer, order_id)
    values = {
        "provider": transfer.provider,
        "provider_id": key,
        **_facts(transfer, order_id, outcome, reason),
        "told_at": database.utc_now(),
        "raw": dump(transfer.raw) if transfer.raw else None,
        "raw_since": database.utc_now() if transfer.raw else None,
    }
    try:
        connection.execute(payments.insert().values(values))
    except IntegrityError as error:
        # SQLite, MySQL and MariaDB roll back only the statement: the transaction continues.
        if not database_errors.is_duplicate(error):
            raise
        return None
    return ledger.find_by_key(connection, transfer.provider, key)


def _facts(transfer: Transfer, order_id: int | None, outcome: str, reason: str | None) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "amount": transfer.amount,
        "currency": transfer.currency,
        "direction": transfer.direction.value,
        "bank": transfer.bank,
        "account": transfer.account,
        "reference": _reference(transfer),
        "code": transfer.code,
        "content": transfer.content,
        "happened_at": transfer.happened_at,
        "outcome": str(outcome),
        "reason": _shortened(reason),
    }


def _reference(transfer: Transfer) -> str | None:
    """Return the bank's reference; of a line of a statement, whose id it is as well, its other name."""
    is_id = transfer.provider == STATEMENT and transfer.reference == transfer.provider_id
    return transfer.alias if is_id and transfer.alias else transfer.reference


def _shortened(text: str | None) -> str | None:
    return None if text is None else text[:_MOST_REASON]


def judge_again(
    connection: Connection,
    known: Payment,
    transfer: Transfer,
    order_id: int | None,
    outcome: str,
    reason: str | None,
) -> bool:
    """Write what a transfer is now that it was told again; False if another process has decided it meanwhile.

    Args:
        connection: In the transaction that acts on it.
        known: Its row, which was undecided.
        transfer: The transfer as it was told now.
        order_id: Its order.
        outcome: What becomes of it.
        reason: Why.
    """
    told = {
        name: value
        for name, value in _facts(transfer, order_id, outcome, reason).items()
        if value is not None
    }
    if transfer.provider == STATEMENT != known.provider:  # the provider itself tells more exactly
        told = {
            name: value for name, value in told.items() if name in _JUDGED or getattr(known, name) is None
        }
    # What is known by its amount, which was wrong, is known by another one now.
    is_retyped = transfer.provider_id is None and known.provider == transfer.provider == MANUAL
    key = {"provider_id": key_of(transfer, order_id)} if is_retyped else _named(known, transfer)
    return _change(connection, known, {**told, **key, "reason": _shortened(reason)})


def complete(connection: Connection, known: Payment, transfer: Transfer) -> None:
    """Add what was told now and is missing in a transfer's row, such as the bank's reference."""
    facts = _facts(transfer, known.order_id, known.outcome, known.reason)
    # What was called its id at first may be called its reference now.
    names = [transfer.reference, None if transfer.provider == STATEMENT else transfer.provider_id]
    others = (name for name in names if name not in {None, known.provider_id})
    facts["reference"] = next(others, None)
    missing = {
        name: value for name, value in facts.items() if value is not None and getattr(known, name) is None
    }
    if values := {**missing, **_named(known, transfer)}:
        _change(connection, known, values)


def _named(known: Payment, transfer: Transfer) -> dict[str, Any]:
    """Return the provider's id with its provider, if only now it is known: the row may be one of the audit log's."""
    is_its_own = known.provider in {transfer.provider, AUDIT_LOG} and transfer.provider != STATEMENT
    if known.provider_id or not transfer.provider_id or not is_its_own:
        return {}
    return {"provider": transfer.provider, "provider_id": transfer.provider_id}


def decide(
    connection: Connection, known: Payment, *, actor: str | None, decision: str | None, **values: Any
) -> bool:
    """Write an admin's decision about a payment; False if another process has decided it meanwhile.

    Args:
        connection: In the transaction that acts on it.
        known: The payment as it was read.
        actor: Who decides.
        decision: Why.
        values: Further columns: ``outcome``, ``order_id``, ``reason``.
    """
    by = {"decided_by": actor, "decided_at": database.utc_now(), "decision": _shortened(decision)}
    return _change(connection, known, {**values, **by})


def settle_parts(connection: Connection, order_id: int) -> None:
    """Mark the part payments of an order as what paid it."""
    p = payments.c
    parts = update(payments).where(p.order_id == order_id, p.outcome == PaymentOutcome.PARTIAL.value)
    connection.execute(parts.values(outcome=PaymentOutcome.PAID.value, reason=None))


def _change(connection: Connection, known: Payment, values: Mapping[str, Any]) -> bool:
    """Change a row that still has the outcome and the order with which it was read."""
    p = payments.c
    same = (p.outcome == known.outcome, p.order_id.is_not_distinct_from(known.order_id))
    still = update(payments).where(p.id == known.id, *same)
    try:
        return connection.execute(still.values(dict(values))).rowcount == 1
    except IntegrityError as error:
        if not database_errors.is_duplicate(error):
            raise
        return False  # told at the same time under its id
