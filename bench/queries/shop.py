"""Write a shop that is years old, with the worst case of each query, by statements of the database itself.

Of ``count`` orders 80 % are paid; of 100 orders 2 are pending and paid, 2 failed, 1 processing and 20 unpaid. Each has
three tasks and the 14 events that a completed order writes. Beside them are as many abandoned orders: unpaid, with one
pending task and its event. An order is 86 seconds younger than the previous one: a thousand a day.

The worst cases: all failures happened in one second, the last one; three paid orders, near the oldest, are cancelled,
and no others; one customer has 5,000 orders, spread over all years; one order has 20,000 events.
"""

from dataclasses import dataclass

CHUNK = 10_000
UNIT = 100
TASKS, EVENTS = 3, 14
LONG_EVENTS = 20_000
OF_CUSTOMER = 5_000
CUSTOMER = "reseller@example.com"
APART_SECONDS = 86
UNMATCHED = 20

_DIGITS = "(" + " UNION ALL ".join(f"SELECT {digit}{' AS d' * (digit == 0)}" for digit in range(10)) + ")"
_PENDING = "n % 100 < 2"
_FAILED = "n % 100 IN (2, 3)"
_CANCELLED = "n IN (150, 250, 350)"
_KIND = (
    "k", "t", "type", "category", "message", "ending", "details", "tail", "previous", "new_", "source", "actor",
    "head", "foot",
)  # fmt: skip
_URL = "https://courses.example.com/course/"


@dataclass(frozen=True)
class Words:
    """The words of SQL in which the databases differ.

    Attributes:
        join: A join that reads its tables in the order in which they stand.
        moment: A time, by the number of seconds since the shop opened.
    """

    join: str
    moment: str

    def at(self, seconds: str) -> str:
        return self.moment.format(seconds)


MYSQL = Words(" STRAIGHT_JOIN ", "TIMESTAMPADD(SECOND, {}, '2023-01-01 00:00:00')")
SQLITE = Words(" CROSS JOIN ", "strftime('%Y-%m-%d %H:%M:%f000', '2023-01-01', '+' || ({}) || ' seconds')")


@dataclass(frozen=True)
class Shop:
    """The statements that write a shop of ``count`` orders.

    Rows are written in the order of their ids, an order's events among those of the
    99 others of its time, as they would be in use.
    """

    count: int
    words: Words

    def chunk(self, begin: int) -> list[str]:
        """Return the statements for the orders from ``begin`` on, at most CHUNK of them."""
        tasks = [f"SELECT {number} AS t" for number in range(TASKS - 1, -1, -1)]
        numbers = self._numbers(begin)
        return [
            self._orders(numbers),
            self._abandoned(numbers),
            self._tasks(self._numbers(begin, f"({' UNION ALL '.join(tasks)}) tasks")),
            self._abandoned_tasks(numbers),
            self._events(self._numbers(begin, self._kinds(), units_last=True)),
            self._sent(numbers),
            self._payments(numbers),
        ]

    def ending(self) -> list[str]:
        """Return the statements for what stands once in the shop."""
        return [self._long(begin) for begin in range(0, LONG_EVENTS, CHUNK)] + [self._unmatched()]

    @property
    def long_order(self) -> int:
        return self.count // 2

    @property
    def _end(self) -> str:
        return str(APART_SECONDS * (self.count + 2) + 3600)

    def _numbers(self, begin: int, further: str = "", *, units_last: bool = False, last: int = 0) -> str:
        """Return a subquery of the numbers ``n`` from ``begin`` on, at most CHUNK of them.

        Args:
            begin: The first number.
            further: Another table: each number comes with each of its rows.
            units_last: 100 numbers come with the other table's first row, then the same with its second row.
            last: The last number; by default that of the orders.
        """
        digits = [f"{_DIGITS} {name}" for name in "abcd"]
        place = 2 if units_last else 4
        tables = digits[:place] + ([further] if further else []) + digits[place:]
        number = f"{begin} + 1000 * a.d + 100 * b.d + 10 * c.d + d.d"
        columns = f"{number} AS n" + (f", {further.rpartition(' ')[2]}.*" if further else "")
        joined = self.words.join.join(tables)
        return f"FROM (SELECT {columns} FROM {joined} WHERE {number} <= {last or self.count}) numbers"

    def _orders(self, numbers: str) -> str:
        every = max(2, self.count // OF_CUSTOMER)
        at = self.words.at(f"{APART_SECONDS} * n")
        return f"""
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, paid_at,
 completed_at, round)
SELECT n, 'DH' || n,
 CASE WHEN n % {every} = 0 THEN '{CUSTOMER}' ELSE 'customer' || (n % {self.count // 5}) || '@example.com' END,
 CASE WHEN n % 100 >= 80 OR {_PENDING} THEN 'pending' WHEN {_FAILED} THEN 'failed'
  WHEN n % 100 = 4 THEN 'processing' WHEN {_CANCELLED} THEN 'cancelled' ELSE 'completed' END,
 CASE WHEN n % 100 < 80 THEN 'paid' ELSE 'pending' END, 300000, {at},
 CASE WHEN n % 100 < 80 THEN {at} END, CASE WHEN n % 100 BETWEEN 5 AND 79 THEN {at} END, 0 {numbers}"""

    def _abandoned(self, numbers: str) -> str:
        return f"""
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, round)
SELECT {self.count} + n, 'AB' || n, 'visitor' || n || '@example.com', 'pending', 'pending', 300000,
 {self.words.at(f"{APART_SECONDS} * n + 43")}, 0 {numbers}"""

    def _tasks(self, numbers: str) -> str:
        at = self.words.at(f"{APART_SECONDS} * n")
        failed = f"{_FAILED} AND t = 0"
        waits = f"({_PENDING} OR n % 100 = 4 AND t = 0)"
        return f"""
INSERT INTO download_tasks (id, order_id, course_url, title, status, created_at, updated_at, managed, attempt,
 max_attempts, available_at, worker, error_type, error_log, error_fingerprint, ready)
SELECT {TASKS} * n - t, n, '{_URL}' || n || '-introduction', 'Introduction to course ' || n,
 CASE WHEN n % 100 >= 80 OR {waits} THEN 'pending' WHEN {failed} THEN 'failed'
  WHEN {_CANCELLED} THEN 'cancelled' ELSE 'completed' END,
 {at}, CASE WHEN {failed} THEN {self.words.at(self._end)} ELSE {at} END, 1,
 CASE WHEN n % 100 >= 80 OR {waits} THEN 0 ELSE 1 END, 3, {at},
 CASE WHEN n % 100 BETWEEN 5 AND 79 THEN 'host-1234-abcd.worker-1.1' END,
 CASE WHEN {failed} THEN CASE WHEN n % 100 = 2 THEN 'NETWORK' ELSE 'HTTP_404' END END,
 CASE WHEN {failed} THEN 'NETWORK: connection reset by peer' END,
 CASE WHEN {failed} THEN 'f' || ((n - n % 100) % 2500) END,
 CASE WHEN {waits} THEN 1 ELSE 0 END {numbers}"""

    def _abandoned_tasks(self, numbers: str) -> str:
        at = self.words.at(f"{APART_SECONDS} * n + 43")
        return f"""
INSERT INTO download_tasks (id, order_id, course_url, title, status, created_at, updated_at, managed, attempt,
 max_attempts, available_at)
SELECT {TASKS * self.count} + n, {self.count} + n, '{_URL}' || n || '-introduction',
 'Introduction to course ' || n, 'pending', {at}, {at}, 1, 0, 3, {at} {numbers}"""

    def _events(self, numbers: str) -> str:
        failure = f"{_FAILED} AND k = 12"
        critical = "n % 1000 = 5 AND k = 9"
        moment = self.words.at(
            f"CASE WHEN {failure} OR {critical} THEN {self._end} ELSE {APART_SECONDS} * n + 120 * k END"
        )
        task = f"CASE WHEN t < 0 THEN NULL WHEN k = {EVENTS} THEN {TASKS * self.count} + n ELSE {TASKS} * n - t END"
        subject = f"(CASE WHEN t < 0 THEN n WHEN k = {EVENTS} THEN {TASKS * self.count} + n ELSE {TASKS} * n - t END)"
        return f"""
INSERT INTO order_audit_logs (id, order_id, task_id, event_type, event_category, severity, message, details,
 previous_status, new_status, source, actor, created_at, dedup_key)
SELECT {EVENTS + 1} * (n - 1 - (n - 1) % {UNIT}) + {UNIT} * k + (n - 1) % {UNIT} + 1,
 CASE WHEN k = {EVENTS} THEN {self.count} + n ELSE n END, {task},
 CASE WHEN {failure} THEN 'download_failed' ELSE type END, category,
 CASE WHEN {failure} THEN 'error' WHEN {critical} THEN 'critical'
  WHEN n % 100 = 3 AND k = 7 THEN 'warning' ELSE 'info' END,
 message || n || ending, details || n || tail, previous, new_, source, actor, {moment},
 head || {subject} || foot {numbers}"""

    @staticmethod
    def _kinds() -> str:
        created = (
            "task_created", "task", f"Task created: {_URL}", "-introduction", f'{{"courseUrl": "{_URL}',
            '-introduction"}', None, "pending", "orderctl_cli", "shop@host", "task:", ":created",
        )  # fmt: skip
        worker = "host-1234-abcd.worker-1.1"
        enrolled = (
            "enrollment_success", "enrollment", "Enrolled: Introduction to course ", "",
            '{"files": 3, "course": ', "}", "pending", "enrolled", "orderctl_worker", worker, "task:",
            ":attempt:1:enrolled",
        )  # fmt: skip
        started = (
            "download_started", "download", f"Download started: {_URL}", "-introduction",
            f'{{"attempt": 1, "worker": "{worker}", "course": ', "}", "enrolled", "downloading",
            "orderctl_worker", worker, "task:", ":attempt:1:downloading",
        )  # fmt: skip
        completed = (
            "download_completed", "download", "Download completed: Introduction to course ", "",
            '{"folderName": "DH', '/1", "driveLink": null, "files": 3, "bytes": 123456789}', "downloading",
            "completed", "orderctl_worker", worker, "task:", ":attempt:1:completed",
        )  # fmt: skip
        paid = (
            "payment_received", "payment", "Payment of 300000 received for order DH", "",
            '{"amount": 300000.0, "bank": "ACB", "transactionId": "FT', '"}', "pending", "paid",
            "orderctl_relay", None, "ledger:", ":paid",
        )  # fmt: skip
        ended = (
            "order_completed", "system", "Order completed: 3 of 3 tasks of DH", "",
            '{"completedCount": 3, "failedCount": 0, "totalCount": 3, "order": ', "}", "processing",
            "completed", "orderctl_worker", None, "order:", ":round:0",
        )  # fmt: skip
        kinds = [(2, *created), (1, *created), (0, *created), (-1, *paid)]
        kinds += [(number, *what) for what in (enrolled, started, completed) for number in (2, 1, 0)]
        kinds += [(-1, *ended), (0, *created)]
        rows = []
        for number, kind in enumerate(kinds):
            values = ["NULL" if value is None else repr(value) for value in (number, *kind)]
            rows.append(
                "SELECT " + ", ".join(f"{value} AS {name}" for value, name in zip(values, _KIND, strict=True))
            )
        return f"({' UNION ALL '.join(rows)}) kinds"

    def _sent(self, numbers: str) -> str:
        at = self.words.at(f"{APART_SECONDS} * n + 1800")
        return f"""
INSERT INTO orderctl_outbox (id, kind, dedup_key, payload, created_at, due_at, attempts, sent_at)
SELECT n, 'completion', 'order:' || n || ':round:0:completion',
 '{{"orderId": ' || n || ', "totalTasks": 3, "completedTasks": 3, "failedTasks": 0, "timestamp": 1796040474245}}',
 {at}, {at}, 1, {at} {numbers} WHERE n % 100 < 80"""

    def _payments(self, numbers: str) -> str:
        return f"""
INSERT INTO orderctl_payments (id, provider, provider_id, order_id, amount, direction, told_at, outcome)
SELECT n, 'sepay', 'FT' || n, n, 300000, 'in', {self.words.at(f"{APART_SECONDS} * n")}, 'paid' {numbers}
WHERE n % 100 < 80"""

    def _unmatched(self) -> str:
        return f"""
INSERT INTO orderctl_payments (id, provider, provider_id, amount, direction, told_at, outcome)
SELECT {self.count} + n, 'sepay', 'UN' || n, 300000, 'in', {self.words.at("n")}, 'unmatched'
{self._numbers(1, last=UNMATCHED)}"""

    def _long(self, begin: int) -> str:
        return f"""
INSERT INTO order_audit_logs (id, order_id, event_type, event_category, severity, message, details, previous_status,
 new_status, source, created_at)
SELECT {(EVENTS + 1) * (self.count + UNIT)} + n, {self.long_order}, 'download_failed', 'download', 'info',
 'Attempt ' || n, '{{"error_message": "connection reset", "attempt": 7}}', 'pending', 'pending',
 'python_worker', {self.words.at(f"{APART_SECONDS} * {self.long_order} + n")} {self._numbers(begin, last=LONG_EVENTS - 1)}"""
