"""A shop's database for tests: short ways to create orders, payments and claims, and to read the results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, create_engine, select, text, update

from orderctl import audit, database, failures, leases, lifecycle, orders, shape, tasks
from orderctl.audit import Origin
from orderctl.failures import Failure
from orderctl.leases import Claim
from orderctl.lifecycle import Moved
from orderctl.orders import NewCourse, NewOrder, Order
from orderctl.payments import intake, ledger
from orderctl.payments.amounts import Rules
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.schema import download_tasks, order_audit_logs, outbox
from orderctl.states import Category, ErrorType, Severity, Source
from orderctl.tasks import Task

T = TypeVar("T")

COURSE = "http://courses.example/one"
AMOUNT = Decimal(300_000)
RULES = Rules("exact", Decimal(0), None, ("pending", "failed"), "VND")
TESTER = Origin(Source.CLI, "tester")


@dataclass
class Shop:
    """Functions of the domain, each in its own transaction, with defaults for rare arguments.

    Attributes:
        engine: The engine of the shop's database.
        max_attempts: Attempts of the tasks of new orders, unless a test gives another number.
    """

    engine: Engine
    max_attempts: int = 3

    def transact(self, work: Callable[[Connection], T]) -> T:
        return database.transact(self.engine, work)

    def read(self, query: Callable[[Connection], T]) -> T:
        with database.reading(self.engine) as connection:
            return query(connection)

    def execute(self, statement: str, **values: Any) -> None:
        """Run plain SQL, as the shop's own system would."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def add(
        self,
        code: str = "DH1",
        courses: int | Sequence[str | NewCourse] = 1,
        *,
        email: str = "customer@example.com",
        amount: str | Decimal = AMOUNT,
        max_attempts: int | None = None,
        titled: bool = False,
    ) -> int:
        """Add an order and return its id; ``titled`` courses are called "Course 1", "Course 2" ..."""
        new = NewOrder(code, email, Decimal(amount), _courses(courses, titled=titled))
        attempts = max_attempts or self.max_attempts
        return self.transact(lambda c: orders.add(c, new, max_attempts=attempts, actor="tester"))

    def pay(
        self, code: str = "DH1", amount: str | None = None, *, transaction: str | None = None
    ) -> intake.Receipt:
        """Record a payment as a person types it; by default of the order's amount."""
        amount = str(self.read(lambda c: orders.find(c, code)).total_amount) if amount is None else amount
        transfer = Transfer(MANUAL, Decimal(amount), provider_id=transaction, code=code, bank="ACB")
        return self.transact(lambda c: intake.pay(c, code, transfer, RULES, TESTER))

    def receive(self, *transfers: Transfer, rules: Rules = RULES) -> list[intake.Receipt]:
        """Take in what a provider tells."""
        return self.transact(lambda c: intake.receive(c, transfers, rules, TESTER))

    def ledger(self) -> list[Payment]:
        """Return all payments, oldest first."""
        return self.read(lambda c: ledger.page(c, ledger.Filter(), limit=100_000)).payments[::-1]

    def paid(self, code: str = "DH1", courses: int | Sequence[str | NewCourse] = 1, **more: Any) -> list[int]:
        """Add and pay an order; return the ids of its tasks."""
        order_id = self.add(code, courses, **more)
        self.pay(code)
        return [task.id for task in self.tasks(order_id)]

    def order(self, reference: str | int = "DH1") -> Order:
        return self.read(lambda c: orders.find(c, str(reference)))

    def task(self, task_id: int) -> Task:
        return self.read(lambda c: tasks.find(c, task_id))

    def tasks(self, order_id: int) -> list[Task]:
        return self.read(lambda c: tasks.of_orders(c, [order_id]))

    def order_rows(self) -> list[Row[Any]]:
        """Return all columns of all orders."""
        return self.read(lambda c: list(c.execute(select(orders.orders).order_by(orders.orders.c.id))))

    def task_rows(self) -> list[Row[Any]]:
        """Return all columns of all tasks."""
        return self.read(lambda c: list(c.execute(select(download_tasks).order_by(download_tasks.c.id))))

    def task_row(self, task_id: int) -> Row[Any]:
        """Return all columns, also those that no query of orderctl selects."""
        query = select(download_tasks).where(download_tasks.c.id == task_id)
        return self.read(lambda c: c.execute(query).one())

    def claim(self, task_id: int, *, worker: str = "worker", **more: Any) -> Claim | None:
        more = {"lease_seconds": 30} | more
        return self.transact(lambda c: leases.claim(c, task_id, worker=worker, **more))

    def claimed(self, task_id: int, *, worker: str = "worker") -> Claim:
        claim = self.claim(task_id, worker=worker)
        assert claim is not None
        return claim

    def start(self, claim: Claim) -> None:
        """Take a claimed task to the status downloading."""
        self.transact(lambda c: leases.enrolled(c, claim, title=None, details={}))
        self.transact(lambda c: leases.started(c, claim))

    def complete(self, claim: Claim) -> Moved:
        return self.transact(
            lambda c: leases.complete(c, claim, folder_name="f", drive_link=None, details={})
        )

    def carry_out(self, task_id: int) -> Moved:
        """Claim, start and complete a task."""
        claim = self.claimed(task_id)
        self.start(claim)
        return self.complete(claim)

    def fail(
        self,
        task_id: int,
        error_type: ErrorType = ErrorType.NETWORK,
        message: str = "connection refused",
        *,
        fingerprint: str = "abc123",
        again: bool = False,
    ) -> Moved:
        """Claim a task and let this attempt fail, as its last unless it is to be tried again."""
        claim = self.claimed(task_id)
        failure = Failure(error_type, message, fingerprint)
        return self.transact(lambda c: failures.fail(c, claim, failure, retry_transient=again))

    def end(self, order_id: int) -> Moved:
        """End an order if all its tasks have ended."""
        origin = Origin(Source.RECONCILE)
        return self.transact(lambda c: lifecycle.end(c, orders.lock(c, order_id), origin))

    def expire(self, task_id: int, seconds: int = 3600) -> None:
        """Let a lease end, as if its worker had sent no heartbeat, for an hour or as long as given."""
        late = {"lease_until": database.utc_now(-seconds)}
        leased = (_is(task_id), download_tasks.c.lease_token.is_not(None))
        self.transact(lambda c: c.execute(update(download_tasks).where(*leased).values(late)))

    def orphan(self, task_id: int, order_id: int = 999_999) -> None:
        """Leave a task and its events without their order, as a shop without foreign keys can."""
        without_keys = create_engine(self.engine.url)  # by default SQLite checks no foreign keys
        with without_keys.begin() as connection:
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql("SET foreign_key_checks = 0")
            for table, column in (("download_tasks", "id"), ("order_audit_logs", "task_id")):
                statement = f"UPDATE {table} SET order_id = :order WHERE {column} = :task"
                connection.execute(text(statement), {"order": order_id, "task": task_id})
        without_keys.dispose()

    def soft_delete(self, table: str, row_id: int) -> None:
        """Let the shop delete a row of a table, which gets a column for that if it has none."""
        if shape.of(self.engine.dialect).column(table, "deleted_at") is None:
            self.execute(f"ALTER TABLE {table} ADD COLUMN deleted_at DATETIME NULL")
            shape.forget(self.engine.dialect)
        self.execute(f"UPDATE {table} SET deleted_at = '2026-11-29 10:00:00' WHERE id = {row_id}")
        self.read(lambda _: None)  # reads the shape again if the column is new

    def make_due(self, task_id: int) -> None:
        """End the pause before a task's next attempt."""
        due = {"available_at": database.utc_now(-1)}
        self.transact(lambda c: c.execute(update(download_tasks).where(_is(task_id)).values(due)))

    def record(
        self, order_id: int, event_type: str = "note", severity: Severity = Severity.INFO, **more: Any
    ) -> None:
        """Add an event of the shop's own, of any type; ``audit.record`` writes orderctl's."""
        values = {
            "order_id": order_id,
            "event_type": event_type,
            "event_category": more.pop("category", Category.SYSTEM),
            "severity": severity,
            "message": event_type,
            "source": "shop",
            "created_at": database.utc_now(),
        } | more
        self.transact(lambda c: c.execute(order_audit_logs.insert().values(values)))

    def events(self, order: str | int, **wanted: Any) -> list[audit.Event]:
        """Return the events of an order, given its code or id, oldest first."""
        order_id = order if isinstance(order, int) else self.order(order).id
        search = audit.Search(oldest_first=True, **wanted)
        return self.read(lambda c: audit.search(c, order_id, search, limit=100_000))

    def event_types(self, order: str | int, **wanted: Any) -> list[str]:
        return [event.event_type for event in self.events(order, **wanted)]

    def event(self, order: str | int, event_type: str) -> audit.Event:
        """Return the only event of that type."""
        [event] = [event for event in self.events(order) if event.event_type == event_type]
        return event

    def now(self) -> datetime:
        """Return the database's time."""
        return self.read(lambda c: c.execute(select(database.utc_now())).scalar_one())

    def log_size(self) -> int:
        return len(self.read(lambda c: c.execute(select(order_audit_logs.c.id)).all()))

    def outbox(self) -> list[Row[Any]]:
        return list(self.read(lambda c: c.execute(select(outbox).order_by(outbox.c.id)).all()))


def _courses(courses: int | Sequence[str | NewCourse], *, titled: bool) -> list[NewCourse]:
    if isinstance(courses, int):
        return [NewCourse(f"{COURSE}/{n}", f"Course {n + 1}" if titled else None) for n in range(courses)]
    return [course if isinstance(course, NewCourse) else NewCourse(course) for course in courses]


def _is(task_id: int) -> Any:
    return download_tasks.c.id == task_id
