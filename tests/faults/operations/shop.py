"""A shop with many failed tasks, whose retries end as the test wants it."""

from datetime import datetime, timedelta
from itertools import pairwise
from threading import Event, Thread
from typing import NamedTuple, Self

from sqlalchemy import Engine, text

from orderctl import database

#: Tasks of each order.
COURSES = 10
#: A longer time without a retry is an outage that a kill has caused.
OUTAGE = timedelta(seconds=1)
#: What is made up for after an outage comes within this time.
MADE_UP = timedelta(seconds=1)


class Pace(NamedTuple):
    """How fast tasks were retried, in tasks per second, outside outages."""

    mean: float
    outages: int
    seconds: float


class FailedShop:
    """Paid orders whose tasks have failed.

    Args:
        engine: The database.
        number: The number of tasks.
    """

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.number = number
        now = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - as the database has it
        orders = [
            {"id": one, "code": f"DH{one}", "at": now}
            for one in range(1, (number + COURSES - 1) // COURSES + 1)
        ]
        tasks = [
            {"id": one + 1, "order": one // COURSES + 1, "url": f"https://c.example/{one}.zip", "at": now}
            for one in range(number)
        ]
        with engine.begin() as connection:
            connection.execute(text(_ORDER), orders)
            connection.execute(text(_TASK), tasks)

    def end(self, status: str, *, most: int = 2000) -> int:
        """End tasks that wait, as workers would; return how many."""
        statement = (
            f"UPDATE download_tasks SET status = '{status}', ready = 0 WHERE status = 'pending' AND id IN"
        )
        ids = f"SELECT id FROM (SELECT id FROM download_tasks WHERE status = 'pending' ORDER BY id LIMIT {most}) AS some"
        work = text(f"{statement} ({ids})")
        return database.transact(self.engine, lambda c: c.execute(work).rowcount)

    def fail_again(self) -> None:
        """Let all tasks have failed once more."""
        work = text("UPDATE download_tasks SET status = 'failed', attempt = attempt + 1, ready = 0")
        database.transact(self.engine, lambda c: c.execute(work))

    def one(self, statement: str) -> int:
        """Return the number that a query finds."""
        with database.reading(self.engine) as connection:
            return int(connection.execute(text(statement)).scalar() or 0)

    def retries(self) -> tuple[int, int, int]:
        """Return how many retries the audit log tells of, of how many tasks, and the most of one task."""
        one = "SELECT COUNT(*) AS n FROM order_audit_logs WHERE event_type = 'task_retried' GROUP BY task_id"
        counts = f"FROM ({one}) AS counts"
        return (
            self.one(f"SELECT SUM(n) {counts}"),
            self.one(f"SELECT COUNT(*) {counts}"),
            self.one(f"SELECT MAX(n) {counts}"),
        )

    def pace(self, operation: str) -> Pace:
        """Return the pace of an operation, by the times of its tasks' changes."""
        query = text(
            "SELECT item.changed_at FROM orderctl_operation_tasks AS item JOIN orderctl_operations AS operation"
            " ON operation.id = item.operation_id WHERE operation.name = :name AND item.changed_at IS NOT NULL"
            " ORDER BY item.changed_at"
        )
        with database.reading(self.engine) as connection:
            found = [row[0] for row in connection.execute(query, {"name": operation})]
        times = [one if isinstance(one, datetime) else datetime.fromisoformat(one) for one in found]
        breaks = [index for index, (one, other) in enumerate(pairwise(times), 1) if other - one > OUTAGE]
        retried, seconds = 0, 0.0
        for begin, end in pairwise([0, *breaks, len(times)]):
            part = times[begin:end]
            counted = [one for one in part if one > part[0] + MADE_UP]
            if counted and (length := (counted[-1] - part[0] - MADE_UP).total_seconds()) > 1:
                retried, seconds = retried + len(counted), seconds + length
        return Pace(retried / seconds if seconds else 0.0, len(breaks), seconds)


class Finisher:
    """Completes what was retried, ten times a second.

    Args:
        shop: The shop.
        status: What becomes of the tasks.
    """

    def __init__(self, shop: FailedShop, status: str = "completed") -> None:
        self.status = status
        self._shop = shop
        self._over = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            self._shop.end(self.status)


_ORDER = (
    "INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, paid_at,"
    " completed_at, round) VALUES (:id, :code, 'a@example.com', 'failed', 'paid', 300000, :at, :at, :at, 0)"
)
_TASK = (
    "INSERT INTO download_tasks (id, order_id, course_url, status, created_at, updated_at, managed, attempt,"
    " max_attempts, error_type, error_log, ready)"
    " VALUES (:id, :order, :url, 'failed', :at, :at, 1, 3, 3, 'NETWORK', 'connection refused', 0)"
)
