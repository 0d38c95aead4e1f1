"""Rows of a shop that is years old, written by the database itself, which is fast."""

from sqlalchemy import Connection, Engine, text

CHUNK = 10_000
TASKS = 3  # for each order

_DIGITS = " UNION ALL ".join(f"SELECT {digit}{' AS d' * (digit == 0)}" for digit in range(10))
_NUMBERS = (
    "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM"
    f" ({_DIGITS}) a, ({_DIGITS}) b, ({_DIGITS}) c, ({_DIGITS}) e) numbers"
)


def fill(engine: Engine, orders: int, *, first: int = 1) -> None:
    """Write orders with three tasks, 14 events and one sent message each.

    80 % of the orders are paid; 95 % of those are completed, 2 % failed, 1 % processing and 2 % pending. Each
    order is 30 seconds younger than the previous one.

    Args:
        engine: A migrated database.
        orders: Number of orders.
        first: Id of the first one.
    """
    for begin in range(first, first + orders, CHUNK):
        count = min(CHUNK, first + orders - begin)
        with engine.begin() as connection:
            for statement in (_ORDERS, *_TASKS, *_EVENTS, _SENT):
                _run(connection, statement, begin, count)


def fill_orders(engine: Engine, orders: int, *, first: int = 1) -> None:
    """Write orders without tasks and events; see :func:`fill`."""
    for begin in range(first, first + orders, CHUNK):
        with engine.begin() as connection:
            _run(connection, _ORDERS, begin, min(CHUNK, first + orders - begin))


def fill_events(engine: Engine, order_id: int, events: int) -> None:
    """Add many events to one order."""
    for begin in range(0, events, CHUNK):
        with engine.begin() as connection:
            _run(connection, _MANY.replace(":order", str(order_id)), begin, min(CHUNK, events - begin))


def fill_payments(engine: Engine, payments: int) -> None:
    """Write payments, of which the 20 oldest wait for a decision and the others have paid the order of their number."""
    for begin in range(1, payments + 1, CHUNK):
        with engine.begin() as connection:
            _run(connection, _PAYMENTS, begin, min(CHUNK, payments + 1 - begin))


def analyze(engine: Engine) -> None:
    """Update the optimizer's statistics."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
        else:
            connection.exec_driver_sql(
                "ANALYZE TABLE orders, download_tasks, order_audit_logs, orderctl_outbox, orderctl_payments"
            )


def _run(connection: Connection, statement: str, begin: int, count: int) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    moment = (
        "strftime('%Y-%m-%d %H:%M:%f000', '2024-01-01', '+' || (30 * (:begin + n)) || ' seconds')"
        if on_sqlite
        else "TIMESTAMPADD(SECOND, 30 * (:begin + n), '2024-01-01 00:00:00')"
    )
    join = "({0}) || ({1})" if on_sqlite else "CONCAT({0}, {1})"
    statement = statement.replace("$moment", moment).replace("$numbers", f"FROM {_NUMBERS} WHERE n < :count")
    while "$join(" in statement:
        head, _, rest = statement.partition("$join(")
        words, _, tail = rest.partition(")")
        statement = head + join.format(*words.split(",", 1)) + tail
    connection.execute(text(statement.replace("$id", "(:begin + n)")), {"begin": begin, "count": count})


_ORDERS = """
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, paid_at,
 round)
SELECT $id, $join('DH',$id), $join($id % 1000,'@example.com'),
 CASE WHEN n % 100 >= 80 OR n % 100 < 2 THEN 'pending' WHEN n % 100 < 4 THEN 'failed'
  WHEN n % 100 = 4 THEN 'processing' ELSE 'completed' END,
 CASE WHEN n % 100 < 80 THEN 'paid' ELSE 'pending' END, 300000, $moment, $moment, 0 $numbers
"""

_TASKS = [
    f"""
INSERT INTO download_tasks (id, order_id, course_url, title, status, created_at, updated_at, managed, attempt,
 max_attempts, error_type, error_log, error_fingerprint)
SELECT {TASKS} * $id - {number}, $id, $join('https://courses.example/',$id), $join('Course ',$id),
 CASE WHEN n % 100 >= 80 OR n % 100 < 2 THEN 'pending' WHEN n % 100 < 4 AND {number} = 0 THEN 'failed'
  WHEN n % 100 = 4 AND {number} = 0 THEN 'pending' ELSE 'completed' END,
 $moment, $moment, 1, 1, 3,
 CASE WHEN n % 100 IN (2, 3) AND {number} = 0 THEN 'NETWORK' END,
 CASE WHEN n % 100 IN (2, 3) AND {number} = 0 THEN 'NETWORK: connection reset by peer' END,
 CASE WHEN n % 100 IN (2, 3) AND {number} = 0 THEN $join('f',n % 7) END $numbers
"""
    for number in range(TASKS)
]

_COLUMNS = (
    "INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, severity, message, details,"
    " new_status, source, created_at, dedup_key)"
)
_OF_TASKS = ("task_created", "enrollment_success", "download_started", "download_completed")
_EVENTS = [
    (
        f"{_COLUMNS} SELECT $id, NULL, 'payment_received', 'payment', 'info', $join('Payment received for DH',$id),"
        """ '{"amount": 300000, "bank": "ACB"}', 'paid', 'webhook_handler', $moment, $join('payment:DH',$id)"""
        " $numbers"
    ),
    *(
        f"{_COLUMNS} SELECT $id, {TASKS} * $id - {number}, '{name}', 'download',"
        f" CASE WHEN n % 100 = 2 AND '{name}' = 'download_completed' THEN 'error'"
        f"  WHEN n % 100 = 3 AND '{name}' = 'download_started' THEN 'warning'"
        f"  WHEN n % 1000 = 5 AND '{name}' = 'download_started' THEN 'critical' ELSE 'info' END,"
        f" $join('Something happened to course ',$id),"
        """ '{"attempt": 1, "folderName": "DH1/1", "worker": "host-1234-abcd.worker-1.1"}',"""
        f" 'completed', 'orderctl_worker', $moment, $join('task:attempt:1:{name}:{number}:',$id) $numbers"
        for name in _OF_TASKS
        for number in range(TASKS)
    ),
    (
        f"{_COLUMNS} SELECT $id, NULL, 'order_completed', 'system', 'info', $join('Order completed: DH',$id),"
        """ '{"completedCount": 3, "failedCount": 0, "totalCount": 3}', 'completed', 'orderctl_worker', $moment,"""
        " $join('order:round:0:',$id) $numbers"
    ),
]
_SENT = """
INSERT INTO orderctl_outbox (kind, dedup_key, payload, created_at, due_at, attempts, sent_at)
SELECT 'completion', $join('order:completion:',$id), '{"orderId": 1, "totalTasks": 3}', $moment, $moment, 1, $moment
 $numbers
"""
_MANY = f"""
{_COLUMNS} SELECT :order, NULL, 'download_failed', 'download', 'info', $join('Attempt ',$id),
 '{{"error_message": "connection reset", "attempt": 7}}', 'pending', 'python_worker', $moment, NULL $numbers
"""

_PAYMENTS = """
INSERT INTO orderctl_payments (provider, provider_id, order_id, amount, direction, told_at, outcome)
SELECT 'sepay', :begin + n, CASE WHEN :begin + n > 20 THEN :begin + n END, 300000, 'in', $moment,
       CASE WHEN :begin + n > 20 THEN 'paid' WHEN n % 2 = 0 THEN 'unmatched' ELSE 'surplus' END
$numbers ORDER BY n
"""
