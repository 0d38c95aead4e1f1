"""Compares the database after the run with what must be true, whatever was killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, func, select

from orderctl import database
from orderctl.schema import download_tasks, order_audit_logs, outbox, payments
from orderctl.schema import orders as orders_table
from orderctl.states import Category, EventType, PaymentOutcome
from tests.faults.payments.book import Book, Kind, Ordered, Told

PAID, MISMATCH, SURPLUS = PaymentOutcome.PAID, PaymentOutcome.MISMATCH, PaymentOutcome.SURPLUS


@dataclass
class Verdict:
    """What is wrong, in words, and what happened.

    Attributes:
        lost: Transfers that a bank was told are taken, and that are not in the ledger.
        doubled: What counts more than once.
        wrongly_paid: Orders that nothing should have paid.
        missed: Orders that were not paid, although the money came.
        other: Whatever else is wrong.
        told: What happened, by its name.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrongly_paid: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    told: list[tuple[str, object]] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Every fault, in words."""
        return [
            f"{name}: {text}"
            for name in ("lost", "doubled", "wrongly_paid", "missed", "other")
            for text in getattr(self, name)
        ]

    @property
    def summary(self) -> str:
        """The line that says it all."""
        return (
            f"lost {len(self.lost)}, doubled {len(self.doubled)}, wrongly paid {len(self.wrongly_paid)},"
            f" missed {len(self.missed)}, other faults {len(self.other)}"
        )


def judge(engine: Engine, book: Book, taken: Collection[Told]) -> Verdict:
    """Compare.

    Args:
        engine: The database after the run.
        book: What happened.
        taken: The transfers of the deliveries that got a 2xx.
    """
    verdict = Verdict()
    with database.reading(engine) as connection:
        named = connection.execute(select(orders_table.c.id, orders_table.c.order_code))
        codes = {row.id: row.order_code for row in named}
        rows = _recognise(connection, book, codes, verdict)
        _judge_ledger(book, taken, rows, verdict)
        _judge_orders(connection, book, rows, verdict)
        _judge_the_rest(connection, verdict)
    return verdict


def _recognise(
    connection: Connection, book: Book, codes: Mapping[int, str], verdict: Verdict
) -> dict[Told, list[Row[Any]]]:
    """Return the ledger's rows of each transfer, in the order in which they were written."""
    by_name = {name: told for told in book.told for name in told.names}
    found: dict[Told, list[Row[Any]]] = {}
    for row in connection.execute(select(payments).order_by(payments.c.id)):
        code = codes.get(row.order_id)
        names = [
            (row.provider, row.provider_id),
            (row.provider, row.bank, row.reference),
            (row.provider, None, code, row.amount),
        ]
        told = next((by_name[name] for name in names if name in by_name), None)
        if told is None:
            verdict.doubled.append(f"the ledger's row {row.id} is of no transfer: {row.outcome}, {names}")
            continue
        found.setdefault(told, []).append(row)
        if row.order_id is not None and code != told.code:
            verdict.other.append(f"{told} belongs to order {code}")
    return found


def _judge_ledger(
    book: Book, taken: Collection[Told], rows: Mapping[Told, list[Row[Any]]], verdict: Verdict
) -> None:
    for told in book.told:
        count = len(rows.get(told, []))
        if not count and told in taken:
            verdict.lost.append(str(told))
        if count > 1:
            verdict.doubled.append(f"{count} rows of {told}")
    fixed = {Kind.STRANGE: PaymentOutcome.UNMATCHED, Kind.IGNORED: PaymentOutcome.IGNORED}
    for told, [row, *_] in rows.items():
        wanted = fixed.get(told.kind)
        if wanted and (row.outcome, row.order_id) != (wanted, None):
            verdict.other.append(
                f"{told} is {row.outcome} of order {row.order_id}, not {wanted}: {row.reason}"
            )


def _judge_orders(
    connection: Connection, book: Book, rows: Mapping[Told, list[Row[Any]]], verdict: Verdict
) -> None:
    stored = {row.order_code: row for row in connection.execute(select(orders_table))}
    events = _payment_events(connection)
    for order in book.orders:
        row = stored[order.code]
        must, paid = book.must_be_paid(order), row.payment_status == "paid" != order.payment_status
        if paid and not must:
            verdict.wrongly_paid.append(order.code)
        if must and not paid:
            verdict.missed.append(order.code)
        if not must and not paid and row.payment_status != order.payment_status:
            verdict.other.append(f"{order.code} is {row.payment_status}")
        if row.order_status != order.order_status:
            verdict.other.append(f"{order.code} is {row.order_status}")
        mine = sorted((r, told) for told in book.of(order) for r in [*rows.get(told, [])])
        _judge_order(order, mine, events.get(row.id, Counter()), verdict)


def _judge_order(
    order: Ordered, rows: list[tuple[Row[Any], Told]], events: Counter[str], verdict: Verdict
) -> None:
    """Take the order's transfers in the order of the ledger again, and compare outcomes and events."""
    wanted: Counter[str] = Counter()
    is_open = order.is_open
    will_be_paid = is_open and any(told.kind is Kind.RIGHT for _, told in rows)
    for row, told in rows:
        if not is_open:
            outcomes: tuple[PaymentOutcome, ...] = (SURPLUS,)
        elif told.kind is Kind.RIGHT:
            outcomes, is_open = (PAID,), False
            wanted[EventType.PAYMENT_RECEIVED] += 1
        else:  # told again after the order was paid, it is judged again
            outcomes = (MISMATCH, SURPLUS) if will_be_paid else (MISMATCH,)
            wanted[EventType.PAYMENT_MISMATCH] += 1
        wanted[EventType.PAYMENT_SURPLUS] += row.outcome == SURPLUS
        if row.outcome not in outcomes:
            verdict.other.append(f"{told} is {row.outcome}, not {' or '.join(outcomes)}: {row.reason}")
    if events[EventType.PAYMENT_RECEIVED] > 1:
        verdict.doubled.append(f"{order.code} was paid {events[EventType.PAYMENT_RECEIVED]} times")
    if events != +wanted:
        verdict.other.append(f"{order.code} has the events {dict(events)}, not {dict(+wanted)}")


def _payment_events(connection: Connection) -> dict[int, Counter[str]]:
    log = order_audit_logs.c
    query = select(log.order_id, log.event_type).where(log.event_category == Category.PAYMENT)
    events: dict[int, Counter[str]] = {}
    for order_id, event_type in connection.execute(query):
        events.setdefault(order_id, Counter())[event_type] += 1
    return events


def _judge_the_rest(connection: Connection, verdict: Verdict) -> None:
    """Nothing else was changed: no task, no other event, no message but an alert or two."""
    log = order_audit_logs.c
    others = _count(connection, order_audit_logs, log.event_category != Category.PAYMENT)
    if others:
        verdict.other.append(f"{others} events that tell of no payment")
    moved = _count(connection, download_tasks, download_tasks.c.status != "pending")
    if moved:
        verdict.other.append(f"{moved} tasks have moved")
    alerts = connection.execute(select(outbox.c.kind, outbox.c.dedup_key)).all()
    if len(alerts) > 2 or any(alert.kind != "alert" for alert in alerts):
        verdict.other.append(f"the outbox contains {alerts[:5]}")


def _count(connection: Connection, table: Table, *conditions: Any) -> int:
    query: Any = select(func.count()).select_from(table).where(*conditions)
    return int(connection.execute(query).scalar_one())


def lines(verdict: Verdict) -> Iterable[str]:
    """Return what happened and what is wrong, for people."""
    yield from (f"{name:<28}{value}" for name, value in verdict.told)
    yield from (f"WRONG: {text}" for text in verdict.faults[:40])
    yield verdict.summary
