"""A shop that keeps writing while its database is migrated."""

import threading
import time
from dataclasses import dataclass, field
from typing import Self

import pymysql
from sqlalchemy import Engine

from tests.migrate.gallery import STYLES
from tests.waiting import eventually

STYLE = STYLES["sequelize_audit"]
ORDER = (
    "INSERT INTO orders (order_code, user_email, user_id, total_amount, created_at, updated_at)"
    " VALUES (%s, 'w@example.com', 1, 1000, NOW(), NOW())"
)
TASK = (
    "INSERT INTO download_tasks (order_id, course_url, title, created_at, updated_at)"
    " VALUES (%s, 'https://courses.example.com/w', 'w', NOW(), NOW())"
)
EVENT = (
    "INSERT INTO order_audit_logs (order_id, event_type, event_category, severity, message, details, source,"
    " ip_address, channel, weight, context, remark, created_at, updated_at) VALUES (%s, 'payment_received',"
    " 'payment', 'info', 'paid', '{\"amount\": 1000}', 'webhook_handler', '', 'web', 1, '{}', '', NOW(), NOW())"
)


def fill(engine: Engine, events: int) -> None:
    """Insert many rows: ``events`` events, a tenth of that number of orders, and a third of it of tasks."""
    STYLE.load(engine)
    driver = engine.raw_connection()
    cursor = driver.cursor()
    cursor.executemany(ORDER.replace("%s", "CONCAT('B', %s)"), [(number,) for number in range(1000)])
    cursor.executemany(TASK, [(3 + number,) for number in range(1000)])
    cursor.executemany(EVENT, [(3 + number,) for number in range(1000)])
    driver.commit()
    _double(cursor, "orders", "order_code", "UUID()", events // 10)
    _double(cursor, "download_tasks", None, "", events // 3)
    _double(cursor, "order_audit_logs", None, "", events)
    driver.commit()
    driver.close()


def _double(cursor: pymysql.cursors.Cursor, table: str, unique: str | None, anew: str, wanted: int) -> None:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        f" AND table_name = '{table}' AND column_name <> 'id'"
    )
    names = [row[0] for row in cursor.fetchall()]
    values = ", ".join(anew if name == unique else name for name in names)
    while True:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        missing = wanted - cursor.fetchone()[0]
        if missing <= 0:
            return
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} LIMIT {missing}"
        )


@dataclass
class Writer:
    """Writes orders with tasks and events in a thread, with two transactions for each order.

    Attributes:
        spans: Begin and end of each statement.
        transactions: Number of committed pairs.
        repeated: Number of transactions repeated after a deadlock.
        errors: All other errors.
    """

    engine: Engine
    number: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    transactions: int = 0
    repeated: int = 0
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        eventually(lambda: self.spans or self.errors, "the first statement")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, begin: float, end: float) -> list[tuple[float, float]]:
        return [span for span in self.spans if begin <= span[0] and span[1] <= end]

    @property
    def longest(self) -> float:
        return max(end - begin for begin, end in self.spans)

    def _run(self) -> None:
        url = self.engine.url
        try:
            connection = pymysql.connect(
                host=url.host, port=url.port, user=url.username, database=url.database
            )
            with connection, connection.cursor() as cursor:
                while not self._stop.is_set():
                    self._write(connection, cursor)
        except pymysql.err.MySQLError as error:
            self.errors.append(error)

    def _write(self, connection: pymysql.Connection, cursor: pymysql.cursors.Cursor) -> None:
        try:
            self._transact(connection, cursor)
            self.transactions += 1
        except pymysql.err.OperationalError as error:
            if error.args[0] != pymysql.constants.ER.LOCK_DEADLOCK:
                raise
            connection.rollback()
            self.repeated += 1

    def _transact(self, connection: pymysql.Connection, cursor: pymysql.cursors.Cursor) -> None:
        self._timed(cursor, ORDER, f"W{self.number}-{len(self.spans)}")
        order = cursor.lastrowid
        self._timed(cursor, TASK, order)
        self._timed(cursor, EVENT, order)
        connection.commit()
        # Also a statement that goes from the child table to the parent table.
        self._timed(cursor, EVENT, order)
        self._timed(cursor, "UPDATE orders SET order_status = 'processing' WHERE id = %s", order)
        connection.commit()

    def _timed(self, cursor: pymysql.cursors.Cursor, statement: str, argument: object) -> None:
        begin = time.monotonic()
        cursor.execute(statement, (argument,))
        self.spans.append((begin, time.monotonic()))
