"""A shop with a few orders, for tests of commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from sqlalchemy import Connection, Engine, update

from orderctl import audit, database, lifecycle, orders, payments, schema, tasks
from orderctl.audit import Origin
from orderctl.orders import NewCourse, NewOrder
from orderctl.payments import Payment
from orderctl.states import Category, Severity, Source

URL = "https://example.com/{}.zip"


class Shop:
    """Writes into a database what other programs would write."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = database.connect(url)

    def order(
        self, code: str, *, courses: int = 2, paid: bool = True, amount: int = 300_000, email: str = "a@b.vn"
    ) -> int:
        """Add an order, pay it, and return its id."""
        titles = [
            NewCourse(URL.format(f"{code}-{number}"), f"Course {number}") for number in range(1, courses + 1)
        ]
        new = NewOrder(code, email, Decimal(amount), titles)
        order_id = self.do(lambda connection: orders.add(connection, new, max_attempts=3, actor="test"))
        if paid:
            payment = Payment(code, Decimal(amount), "ACB", f"T-{code}")
            self.do(lambda connection: payments.receive(connection, payment, actor="test"))
        return order_id

    def fail(
        self,
        task_id: int,
        kind: str = "NETWORK",
        log: str = "connection refused",
        fingerprint: str = "abc123",
    ) -> None:
        """Mark a task as failed."""
        values = {
            "status": "failed",
            "error_type": kind,
            "error_log": log,
            "error_fingerprint": fingerprint,
            "attempt": 3,
        }
        self._set(task_id, **values)

    def complete(self, *task_ids: int) -> None:
        """Mark tasks as completed, and end their order if all of its tasks have ended."""
        for task_id in task_ids:
            self._set(task_id, status="completed", attempt=1)
            self.do(lambda connection, task_id=task_id: self._end(connection, task_id))

    def event(
        self, order_id: int, message: str, severity: Severity = Severity.INFO, task_id: int | None = None
    ) -> None:
        """Write an event."""
        self.do(
            lambda connection: connection.execute(
                schema.order_audit_logs.insert().values(
                    order_id=order_id,
                    task_id=task_id,
                    event_type="test_event",
                    event_category=Category.SYSTEM,
                    severity=severity,
                    message=message,
                    source=Source.CLI,
                    created_at=database.utc_now(),
                )
            )
        )

    def task(self, task_id: int) -> tasks.Task:
        """Return a task's present row."""
        with database.reading(self.engine) as connection:
            return tasks.find(connection, task_id)

    def find(self, code: str) -> orders.Order:
        """Return an order's present row."""
        with database.reading(self.engine) as connection:
            return orders.find(connection, code)

    def events(self, code: str) -> list[audit.Event]:
        """Return the events of an order, oldest first."""
        with database.reading(self.engine) as connection:
            return audit.search(connection, orders.find(connection, code).id)[::-1]

    def do(self, work):
        """Run a function in a transaction."""
        return database.transact(self.engine, work)

    def _set(self, task_id: int, **values: object) -> None:
        task = schema.download_tasks
        self.do(
            lambda connection: connection.execute(update(task).where(task.c.id == task_id).values(values))
        )

    def _end(self, connection: Connection, task_id: int) -> None:
        order = orders.lock(connection, tasks.find(connection, task_id).order_id)
        lifecycle.end(connection, order, Origin(Source.WORKER))


@contextmanager
def opened(url: str) -> Iterator[Shop]:
    """Return a shop on this database."""
    shop = Shop(url)
    yield shop
    shop.engine.dispose()
