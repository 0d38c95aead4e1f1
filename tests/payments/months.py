"""A shop's month with a bank's statement of it, and errors of each kind, of which it is known which ones they are."""

import csv
import io
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine

from orderctl.payments.statements.line import Line, Statement
from orderctl.payments.transfer import Direction
from orderctl.schema import order_audit_logs, orders, payments

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 30
OUTAGE = BEGIN + timedelta(days=13, hours=7)
OUTAGE_HOURS = 12
ACCOUNT = "0071000123456"
LOCAL = timezone(timedelta(hours=7))
AMOUNTS = (199_000, 299_000, 300_000, 499_000, 1_200_000)
TEXTS = (
    "{code}",
    "MBVCB.3278.{number} {code} hoc phi",
    "thanh toan don hang {spaced}",
    "NGUYEN VAN A chuyen tien {lower}. CT tu 0011",
    "{code}-GD 9134{number}",
)


def day_of(at: datetime) -> datetime:
    """Return when the day of a time begins at the bank."""
    return at.astimezone(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


#: What is to be found: the kind, the number of the line, the order's code, the outcome.
Planted = tuple[str, int | None, str | None, str | None]


@dataclass
class Order:
    """An order of the month."""

    id: int
    code: str
    amount: int
    at: datetime
    payment_status: str = "pending"
    order_status: str = "pending"
    paid_at: datetime | None = None


@dataclass
class Month:
    """A generated month.

    Attributes:
        size: The number of orders.
        seed: Of the random numbers.
        lines: The statement's lines.
        planted: The differences.
        after: The differences when all missing lines are recorded.
    """

    size: int
    seed: int = 7
    lines: list[Line] = field(default_factory=list)
    planted: set[Planted] = field(default_factory=set)
    after: set[Planted] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.orders: list[Order] = []
        self.rows: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.number = 0
        # One of each, and then mostly what is in order.
        kinds = [getattr(self, name) for name in sorted(dir(type(self))) if name.startswith("one_")]
        step = timedelta(days=DAYS) / self.size
        for place in range(self.size):
            at = BEGIN + timedelta(minutes=5) + step * place
            order = Order(place + 1, f"DH{100_000 + place}", self.random.choice(AMOUNTS), at)
            self.orders.append(order)
            if self.is_outage(at) and self.random.random() < 0.8:
                self.lost(order)
            elif place % 3 == 0 and place // 3 < 3 * len(kinds) and place > 2:
                kinds[place // 3 % len(kinds)](order)
            elif self.random.random() < 0.9:
                self.paid(order)

    @property
    def statement(self) -> Statement:
        """The lines in the order of their times."""
        return Statement(tuple(sorted(self.lines, key=lambda line: (line.begin, line.number))), (), (), ())

    def csv(self) -> str:
        """The statement as a bank writes it; each line is at its number."""
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["Date", "Reference", "Amount", "Description", "Account"])
        for line in sorted(self.lines, key=lambda line: line.number):
            sign = "-" if line.direction is Direction.OUT else ""
            name = line.names[0] if line.names else ""
            is_day = line.end - line.begin == timedelta(days=1)
            time = f"{line.begin.astimezone(LOCAL):{'%Y-%m-%d' if is_day else '%Y-%m-%d %H:%M:%S'}}"
            table.writerow([time, name, f"{sign}{line.amount}", line.content, line.account])
        return file.getvalue()

    def write(self, engine: Engine) -> None:
        """Write the orders, the ledger and the events into a migrated database."""
        with engine.begin() as connection:
            self._write(connection)

    def _write(self, connection: Connection) -> None:
        values = [
            {
                "id": order.id, "order_code": order.code, "user_email": f"c{order.id}@example.com",
                "order_status": order.order_status, "payment_status": order.payment_status,
                "total_amount": Decimal(order.amount), "created_at": order.at, "paid_at": order.paid_at, "round": 0,
            }
            for order in self.orders
        ]  # fmt: skip
        connection.execute(orders.insert(), values)
        connection.execute(payments.insert(), self.rows)
        connection.execute(order_audit_logs.insert(), self.events)

    # --- parts of an order's story ---

    @staticmethod
    def is_outage(at: datetime) -> bool:
        return OUTAGE <= at < OUTAGE + timedelta(hours=OUTAGE_HOURS)

    def name(self) -> str:
        self.number += 1
        return f"FT26{self.number:06d}{self.random.choice('ABCDEF')}"

    def text(self, order: Order) -> str:
        spaced = f"{order.code[:2]} {order.code[2:]}"
        return self.random.choice(TEXTS).format(
            code=order.code, spaced=spaced, lower=order.code.lower(), number=self.random.randrange(10**6)
        )

    def line(self, order: Order, name: str | None = "", **more: Any) -> Line:
        """Add a line a minute after the order; ``""``: with a new name, None: without one."""
        minutes = more.pop("minutes", 1)
        begin = (order.at + timedelta(minutes=minutes)).replace(microsecond=0)
        name = self.name() if name == "" else name
        names = () if name is None else (name,)
        values: dict[str, Any] = {
            "number": len(self.lines) + 2, "direction": Direction.IN, "amount": Decimal(order.amount), "begin": begin,
            "end": begin + timedelta(seconds=1), "names": names, "content": self.text(order), "code": None,
            "currency": None, "account": ACCOUNT, "bank": None, "balance": None,
            "key": name or f"sha256:{len(self.lines)}",
        }  # fmt: skip
        line = Line(**{**values, **more})
        self.lines.append(line)
        return line

    def row(self, order: Order | None, line: Line | None, outcome: str = "paid", **more: Any) -> None:
        """Add a row of the ledger, as SePay tells of a line: three seconds later."""
        at = line.begin if line else more.pop("at")
        values: dict[str, Any] = {
            "provider": "sepay", "provider_id": str(7_000_000 + len(self.rows)),
            "order_id": order.id if order else None, "amount": line.amount if line else Decimal(order.amount),
            "currency": None, "direction": "in", "bank": "MBBank", "account": ACCOUNT,
            "reference": line.names[0] if line and line.names else None, "code": None,
            "content": line.content if line else None, "told_at": at + timedelta(seconds=3), "happened_at": at,
            "outcome": outcome, "reason": None, "decided_by": None, "decided_at": None, "decision": None,
        }  # fmt: skip
        self.rows.append({**values, **more})

    def typed(self, order: Order, at: datetime, transaction: str | None = None, **more: Any) -> None:
        """Add a row that a person typed."""
        values = {
            "provider": "manual", "provider_id": transaction or f" order {order.id}", "reference": None, "content": None,
            "code": order.code, "bank": None, "account": None, "happened_at": None, "told_at": at, "at": at,
        }  # fmt: skip
        self.row(order, None, **{**values, **more})

    def settle(self, order: Order, at: datetime | None = None) -> None:
        order.payment_status, order.paid_at = "paid", at or order.at + timedelta(minutes=2)

    def expect(
        self, kind: str, line: Line | None, order: Order | None, outcome: str | None, then: str | None = None
    ) -> None:
        """Note what is to be found, and as what when it is recorded."""
        number, code = line.number if line else None, order.code if order else None
        self.planted.add((kind, number, code, outcome))
        if kind != "missing":
            self.after.add((kind, number, code, outcome))
        elif then is not None:
            self.after.add((then, number, code, outcome))

    # --- what is in order ---

    def paid(self, order: Order, **more: Any) -> Line:
        line = self.line(order, **more)
        self.row(order, line)
        self.settle(order)
        return line

    def one_added_name(self, order: Order) -> None:
        name = self.name()
        line = self.line(
            order, self.random.choice([f"{name}\\BNK", f"{name}/1", name.lower(), f"{name[:5]} {name[5:]}"])
        )
        self.row(order, line, reference=name)
        self.settle(order)

    def one_no_name(self, order: Order) -> None:
        line = self.line(order, None)
        self.row(order, line, reference=self.name())
        self.settle(order)

    def one_almost_late(self, order: Order) -> None:
        line = self.line(order)
        self.row(order, line, told_at=line.begin + timedelta(minutes=59))
        self.settle(order)

    def one_day_only(self, order: Order) -> None:
        begin = day_of(order.at)
        line = self.line(order, begin=begin, end=begin + timedelta(days=1))
        self.row(order, line, told_at=line.end + timedelta(minutes=30), happened_at=None)
        self.settle(order)

    def one_typed(self, order: Order) -> None:
        line = self.line(order)
        self.typed(order, line.begin + timedelta(minutes=30))
        self.settle(order)

    def one_typed_wrongly(self, order: Order) -> None:
        line = self.line(order)
        self.typed(order, line.begin + timedelta(minutes=30), f"{line.names[0]}x7")
        self.settle(order)

    def one_by_shop(self, order: Order) -> None:
        line = self.line(order)
        self.event(order, line.names[0])
        self.settle(order)

    def one_by_shop_without_code(self, order: Order) -> None:
        line = self.line(order, content="hoc phi")
        self.event(order, line.names[0])
        self.settle(order)

    def event(self, order: Order, transaction: str | None) -> None:
        self.events.append(
            {
                "order_id": order.id, "event_type": "payment_received", "event_category": "payment",
                "severity": "info", "message": "paid", "source": "webhook_handler",
                "details": {"amount": order.amount, "bank": "ACB", "transactionId": transaction},
                "created_at": order.at + timedelta(minutes=2),
            }
        )  # fmt: skip

    def one_from_log(self, order: Order) -> None:
        line = self.line(order)
        key = f" audit {order.id:020d} x"
        self.row(
            order, line, provider="audit_log", provider_id=key, happened_at=None, account=None, content=None
        )
        self.settle(order)

    def one_accepted(self, order: Order) -> None:
        line = self.line(order, amount=Decimal(order.amount - 5000))
        late = line.end + timedelta(hours=2)
        self.row(order, line, told_at=late, decided_by="admin", decided_at=late, reason="5000 is missing")
        self.settle(order)

    def one_refused(self, order: Order) -> None:
        self.paid(order)
        line = self.line(order, minutes=9)
        self.row(order, line, "refused", decided_by="admin", reason="the order is paid already")

    def one_typed_and_told(self, order: Order) -> None:
        line = self.line(order)
        self.typed(order, line.begin + timedelta(minutes=1))
        self.row(order, line, "refused", decided_by="admin", reason="the order is paid already")
        self.settle(order)

    def one_two_parts(self, order: Order) -> None:
        for minutes, amount in ((1, order.amount - 100_000), (5, 100_000)):
            self.row(order, self.line(order, minutes=minutes, amount=Decimal(amount)))
        self.settle(order)

    def one_unmatched(self, order: Order) -> None:
        self.row(
            None, self.line(order, content="chuyen tien hoc phi thang nay"), "unmatched", reason="no code"
        )

    def one_without_line(self, order: Order) -> None:
        self.row(order, None, "mismatch", at=order.at, reference=self.name(), reason="1000 is missing")

    def one_outgoing(self, order: Order) -> None:
        line = self.line(order, direction=Direction.OUT)
        self.row(order, line, "ignored", direction="out", order_id=None)

    def one_other_account(self, order: Order) -> None:
        self.row(order, None, at=order.at, account="0099", reference=self.name())
        self.settle(order)

    def one_free(self, order: Order) -> None:
        order.amount = 0
        self.settle(order)

    # --- what is to be found ---

    def lost(self, order: Order) -> None:
        """A transfer during the outage."""
        self.expect("missing", self.line(order), order, "paid")

    def one_missing_no_name(self, order: Order) -> None:
        self.expect("missing", self.line(order, None), order, "paid")

    def one_missing_twice(self, order: Order) -> None:
        self.expect("missing", self.line(order), order, "paid")
        self.expect("missing", self.line(order, minutes=3), order, "surplus", "double")

    def one_missing_second(self, order: Order) -> None:
        line = self.paid(order)
        self.expect("missing", self.line(order, minutes=4, content=line.content), order, "surplus", "double")

    def one_missing_second_without_names(self, order: Order) -> None:
        line = self.line(order, None)
        self.row(order, line, reference=self.name())
        self.settle(order)
        self.expect(
            "missing", self.line(order, None, minutes=40, content=line.content), order, "surplus", "double"
        )

    def one_missing_mismatch(self, order: Order) -> None:
        line = self.line(order, amount=Decimal(order.amount - 1000))
        self.expect("missing", line, order, "mismatch", "wrong-amount")

    def one_missing_without_order(self, order: Order) -> None:
        self.expect("missing", self.line(order, content="tien hoc"), None, "unmatched")

    def one_missing_cancelled(self, order: Order) -> None:
        order.order_status = "cancelled"
        self.expect("missing", self.line(order), order, "surplus", "late")

    def one_double(self, order: Order) -> None:
        self.paid(order)
        line = self.line(order, minutes=9)
        self.row(order, line, "surplus", reason="the order is paid already")
        self.expect("double", line, order, "surplus")

    def one_double_in_ledger(self, order: Order) -> None:
        line = self.line(order)
        self.typed(order, line.begin + timedelta(minutes=1))
        self.row(
            order,
            line,
            "surplus",
            reason="the order is paid already",
            told_at=line.begin + timedelta(hours=5),
        )
        self.settle(order)
        self.expect("double", line, order, "surplus")

    def one_double_by_name(self, order: Order) -> None:
        line = self.line(order)
        self.row(order, line)
        self.typed(
            order,
            line.begin + timedelta(minutes=5),
            line.names[0],
            outcome="surplus",
            reason="is paid already",
        )
        self.settle(order)
        self.expect("double", line, order, "surplus")

    def one_mismatch(self, order: Order) -> None:
        line = self.line(order, amount=Decimal(order.amount + 2000))
        self.row(order, line, "mismatch", reason="2000 too much")
        self.expect("wrong-amount", line, order, "mismatch")

    def one_mistyped_amount(self, order: Order) -> None:
        line = self.line(order)
        self.typed(
            order, line.begin + timedelta(minutes=5), line.names[0], amount=Decimal(order.amount - 90_000)
        )
        self.settle(order)
        self.expect("wrong-amount", line, order, "paid")

    def one_partial(self, order: Order) -> None:
        line = self.line(order, amount=Decimal(order.amount - 100_000))
        self.row(order, line, "partial", reason="100000 is missing")
        self.expect("wrong-amount", line, order, "partial")

    def one_late(self, order: Order) -> None:
        line = self.line(order)
        self.row(order, line, told_at=line.begin + timedelta(minutes=62))
        self.settle(order)
        self.expect("late", line, order, "paid")

    def one_late_typed(self, order: Order) -> None:
        line = self.line(order)
        self.typed(order, line.begin + timedelta(days=3))
        self.settle(order)
        self.expect("late", line, order, "paid")

    def one_late_day(self, order: Order) -> None:
        begin = day_of(order.at)
        line = self.line(order, begin=begin, end=begin + timedelta(days=1))
        self.row(order, line, told_at=line.end + timedelta(minutes=61), happened_at=None)
        self.settle(order)
        self.expect("late", line, order, "paid")

    def one_late_exact(self, order: Order) -> None:
        begin = day_of(order.at)
        line = self.line(order, begin=begin, end=begin + timedelta(days=1))
        booked = begin + timedelta(hours=1)
        self.row(order, line, happened_at=booked, told_at=booked + timedelta(hours=2))
        self.settle(order)
        self.expect("late", line, order, "paid")

    def one_cancelled(self, order: Order) -> None:
        order.order_status = "cancelled"
        line = self.line(order)
        self.row(order, line, "surplus", reason="the order is cancelled")
        self.expect("late", line, order, "surplus")

    def one_never_transferred(self, order: Order) -> None:
        self.typed(order, order.at + timedelta(hours=1), self.name())
        self.settle(order)
        self.expect("without-transfer", None, order, "paid")

    def one_forged(self, order: Order) -> None:
        self.row(order, None, at=order.at + timedelta(minutes=1), reference=self.name(), content=order.code)
        self.settle(order)
        self.expect("without-transfer", None, order, "paid")

    def one_paid_by_nothing(self, order: Order) -> None:
        self.settle(order)
        self.expect("without-transfer", None, order, None)

    def one_paid_by_an_event(self, order: Order) -> None:
        order.payment_status = "paid"
        self.event(order, self.name())
        self.expect("without-transfer", None, order, None)
