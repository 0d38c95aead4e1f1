"""Fill the ledger of payments from the audit log, which told of them before there was a ledger.

The log may have millions of rows and no index on their type, and the shop writes into it. So it is walked by ranges of
its ids in short transactions. A row of the ledger names the event that it comes from: a walk that was killed goes on
at the last one, and no event is filled in twice.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from orderctl import capacity, clock, database_errors, foreign, moments, primary, texts
from orderctl.counting import counted
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Plan
from orderctl.schema import order_audit_logs, orders, payments

_LOG: Final = "order_audit_logs"
_WHAT: Final = "payments of the audit log"
_NEEDS: Final = (
    ("SELECT", _LOG),
    ("SELECT", "orders"),
    ("SELECT", "orderctl_payments"),
    ("INSERT", "orderctl_payments"),
)
_RECEIVED: Final = "payment_received"
_MISMATCH: Final = "payment_mismatch"
_PAID: Final = "paid"
_DECIDED_BY: Final = "migration"
_DECISION: Final = "the order was paid before there was a ledger"

#: How many events one transaction looks at.
BATCH: Final = 10_000
#: How many ids a walk begins before the last one: events whose transactions ended late have lower ids.
_BACK: Final = 10_000
_TELL_SECONDS: Final = 5.0
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.1

_LIMITS: Final = capacity.Limits(Decimal("9" * 26 + ".9999"), 4)
_HIGHEST_ID: Final = 2**63 - 1
_KEY: Final = re.compile(r" audit (\d+) ")
_UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def require(plan: Plan, provider: str) -> None:
    """Require the rows of the ledger that tell of the audit log's payments.

    Once the revision is applied they are filled in by each ``migrate up``, but nothing is missing without them: the
    shop's own handler may go on writing payments into the log.

    Args:
        plan: The plan, in which the ledger is required already.
        provider: The provider of these rows.
    """
    step = Step((_WHAT,), (), _NEEDS, optional=not plan.is_pending, work=Filling(provider))
    if not plan.is_pending:
        plan.again.append(step)
    elif _LOG in plan.found:
        plan.emit(step)


@dataclass(frozen=True)
class Filling:
    """The work of the step. It can run again, and goes on where it was killed."""

    provider: str

    def __call__(self, connection: Connection, tell: Callable[[str], None]) -> tuple[str, ...]:
        """Fill in what is missing.

        Args:
            connection: A connection to the database. What it has written is committed, but not on SQLite, where
                the whole migration is one transaction.
            tell: Called with the progress, from time to time.

        Returns:
            What was added, as text; nothing if nothing was.
        """
        _commit(connection)
        last = connection.execute(select(func.max(order_audit_logs.c.id))).scalar() or 0
        after, told, filled, looked_at = self._begin(connection), clock.elapsed(), 0, BATCH
        while looked_at == BATCH:
            bound, looked_at = _bound(connection, after)
            if bound is not None:
                filled += self._fill(connection, after, bound)
                after = bound
            if clock.elapsed() - told >= _TELL_SECONDS:
                told = clock.elapsed()
                tell(f"{_WHAT}, to event {after:,} of {last:,}")
        return (f"{counted(filled, 'payment')} of the audit log",) if filled else ()

    def _begin(self, connection: Connection) -> int | None:
        """Return the id of the event behind which to begin; None for the first one."""
        highest = select(func.max(payments.c.provider_id)).where(payments.c.provider == self.provider)
        key = foreign.text(connection.execute(highest).scalar()) or ""
        known = _KEY.match(key)
        if known is None:
            return None
        number = int(known[1])
        there = connection.execute(select(_WRITTEN).where(order_audit_logs.c.id == number)).first()
        # Otherwise the log was emptied, and its ids may have begun anew.
        return number - _BACK if there is not None and _key(number, there.written) == key else None

    def _fill(self, connection: Connection, after: int | None, bound: int) -> int:
        """Fill in a range of the log in one transaction; run it again where another client was in the way."""
        for attempt in range(_TRIES):
            primary.require_still(connection)  # a long log takes minutes
            try:
                filled = self._fill_once(connection, after, bound)
            except DBAPIError as error:
                is_last = attempt == _TRIES - 1 or _is_sqlite(connection)
                if is_last or not database_errors.is_worth_rerunning(error):
                    raise
                connection.rollback()
                time.sleep(_PAUSE_SECONDS)
            else:
                _commit(connection)
                return filled
        raise AssertionError("unreachable")

    def _fill_once(self, connection: Connection, after: int | None, bound: int) -> int:
        found = self._found(connection, after, bound)
        if not found:
            return 0
        known = _known(connection, {event.order_id for event in found.values()})
        now = connection.execute(select(moments.utc_now())).scalar_one()
        new = []
        for key, event in found.items():
            told = Told.of(event)
            if told.is_new(known):
                known[told.order_id].append(told.entry)
                new.append({"provider": self.provider, "provider_id": key} | told.values(now))
        if new:
            connection.execute(insert(payments), new)
        return len(new)

    def _found(self, connection: Connection, after: int | None, bound: int) -> dict[str, Row[Any]]:
        """Return the events of a range that were not filled in before, each with what it is known by."""
        events = connection.execute(_in_range(_EVENTS, after, bound))
        found = {_key(event.id, event.written): event for event in events}
        if found:
            key, ours = payments.c.provider_id, payments.c.provider == self.provider
            there = select(key).where(ours, key.between(min(found), max(found)))
            for known in connection.execute(there).scalars():
                found.pop(known, None)
        return found


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a row of the ledger is known by, on its order."""

    names: frozenset[str]
    amount: Decimal | None
    is_paid: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A payment as an event tells of it. Others write events, too: what cannot be read is None."""

    order_id: int | None
    amount: Decimal | None
    bank: str | None
    reference: str | None
    told_at: datetime
    reason: str
    is_paid: bool
    is_order_paid: bool

    @classmethod
    def of(cls, event: Row[Any]) -> Told:
        """Read an event."""
        details = event.details if isinstance(event.details, dict) else {}
        amount = foreign.amount(details.get("amount"))
        reason = "from the audit log" + (f", written by {event.source}" if event.source else "")
        return cls(
            order_id=event.order_id if event.order_id is not None and event.order_id <= _HIGHEST_ID else None,
            amount=amount if amount is not None and _LIMITS.holds(amount) else None,
            bank=texts.line(_text(details.get("bank")), 120),
            reference=texts.identifier(_text(details.get("transactionId"))),
            told_at=event.created_at or _UNKNOWN_TIME,
            reason=texts.line(reason if event.created_at else f"{reason} at an unknown time", 500) or "",
            is_paid=event.event_type == _RECEIVED,
            is_order_paid=event.payment_status == _PAID,
        )

    @property
    def entry(self) -> _Entry:
        """What it is known by once it is in the ledger."""
        names = frozenset() if self.reference is None else frozenset({self.reference})
        return _Entry(names, self.amount, self.is_paid)

    def is_new(self, known: dict[int | None, list[_Entry]]) -> bool:
        """Whether no row of the ledger tells of it: one of its order with its reference, else with its amount.

        Orderctl writes an event of each payment that it writes into the ledger; the shop's handler may write one for
        each time that the bank told it. That a transfer pays counts, whatever was recorded of it before.
        """
        same = [entry for entry in known[self.order_id] if entry.is_paid or not self.is_paid]
        if self.order_id is None:
            return True
        if self.reference is None:
            return not any(entry.amount == self.amount for entry in same)
        return not any(self.reference in entry.names for entry in same)

    def values(self, now: datetime) -> dict[str, Any]:
        """Return the row of the ledger. Nobody has to decide on a wrong amount for an order that is paid."""
        is_decided = not self.is_paid and self.is_order_paid
        return {
            "order_id": self.order_id,
            "amount": self.amount,
            "direction": "in",
            "bank": self.bank,
            "reference": self.reference,
            "told_at": self.told_at,
            "outcome": _PAID if self.is_paid else "refused" if is_decided else "mismatch",
            "reason": self.reason,
            "decided_by": _DECIDED_BY if is_decided else None,
            "decided_at": now if is_decided else None,
            "decision": _DECISION if is_decided else None,
        }


#: The time as it stands in the row: part of what an event is known by, whatever zone the settings name.
_WRITTEN: Final = type_coerce(order_audit_logs.c.created_at, NullType()).label("written")
_EVENTS: Final = (
    select(
        order_audit_logs.c.id,
        order_audit_logs.c.order_id,
        order_audit_logs.c.event_type,
        order_audit_logs.c.details,
        order_audit_logs.c.source,
        order_audit_logs.c.created_at,
        _WRITTEN,
        orders.c.payment_status,
    )
    .select_from(order_audit_logs.outerjoin(orders, orders.c.id == order_audit_logs.c.order_id))
    .where(
        order_audit_logs.c.event_type.in_((_RECEIVED, _MISMATCH)),
        # What the ledger itself has written into the log.
        or_(order_audit_logs.c.dedup_key.is_(None), order_audit_logs.c.dedup_key.not_like("ledger:%")),
    )
    .order_by(order_audit_logs.c.id)
)


def _bound(connection: Connection, after: int | None) -> tuple[int | None, int]:
    """Return the highest id of the next events, and their number."""
    ids = (
        _in_range(select(order_audit_logs.c.id), after)
        .order_by(order_audit_logs.c.id)
        .limit(BATCH)
        .subquery()
    )
    found = connection.execute(select(func.max(ids.c.id), func.count())).one()
    return found[0], found[1]


def _in_range(query: Any, after: int | None, bound: int | None = None) -> Any:
    log = order_audit_logs.c
    query = query if after is None else query.where(log.id > after)
    return query if bound is None else query.where(log.id <= bound)


def _known(connection: Connection, order_ids: Iterable[int | None]) -> dict[int | None, list[_Entry]]:
    """Return what the ledger has of these orders, whoever told of it."""
    p, known = payments.c, defaultdict(list)
    query = select(p.order_id, p.provider_id, p.reference, p.amount, p.outcome).where(
        p.order_id.in_(order_ids)
    )
    for row in connection.execute(query):
        names = frozenset({row.provider_id, row.reference} - {None})
        known[row.order_id].append(_Entry(names, row.amount, row.outcome == _PAID))
    return known


def _key(number: int, written: object) -> str:
    """Return what an event is known by. A blank at the beginning: the provider gave no id of its own.

    The time belongs to it: the ids of a log that was emptied with TRUNCATE begin anew.
    """
    return f" audit {number:020d} {foreign.text(written)}"[:191]


def _text(value: object) -> str | None:
    """Return a text or a whole number of an event's details as text."""
    if isinstance(value, str):
        return value
    number = (
        None if isinstance(value, bool) else foreign.whole(value) if isinstance(value, int | float) else None
    )
    return None if number is None else str(number)


def _commit(connection: Connection) -> None:
    if not _is_sqlite(connection):
        connection.commit()


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
