"""Measure the relay's API with a million orders: dashboards that ask again and again, beside two writers.

    python bench/dashboards.py [--url DATABASE] [--dashboards N] [--every SECONDS] [--seconds N] [--rate N]

Without ``--url`` it fills a small MySQL database of its own. With it, the database has to be migrated and filled (see
bench/queries); the orders that the writers add are deleted at the end. Each dashboard asks what the shop's dashboard
and orderctl's own page ask. Goal: p99 of each kind of request at most 20 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Engine, delete, func, select

from orderctl import database, embedded, leases, migrate, orders
from orderctl.audit import Origin
from orderctl.orders import NewCourse, NewOrder
from orderctl.payments import intake
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.schema import download_tasks, order_audit_logs, outbox, payments
from orderctl.schema import orders as orders_table
from orderctl.states import Source
from tests import rows
from tests.servers.mysql import MysqlServer, find_mysql
from tests.shop import RULES

GOAL = 20  # ms
ORDERS = 2_000
TASKS = 3
#: By this address the writers' orders are known.
EMAIL = "bench-dashboards@example.com"
ORDERS_PATH = "/api/admin/orders/paid?limit="
#: What is asked each time, in this order; logs are those of an order on the page.
REQUESTS = {
    "stats": "/api/admin/dashboard/stats",
    "page of 20": f"{ORDERS_PATH}20",
    "page of 100": f"{ORDERS_PATH}100",
    "failed orders": f"{ORDERS_PATH}20&status=failed",
    "logs": "/api/admin/orders/{}/logs?limit=50",
    "one order": "/api/admin/orders/{}",
    "payments that wait": "/api/admin/payments?open=1&limit=1",
    "errors": "/api/admin/errors?limit=50",
}


class Dashboard(threading.Thread):
    """Asks every few seconds, with its requests spread over that time.

    Args:
        port: The relay's port.
        begin: When it starts, on the monotonic clock.
        every: Seconds between two equal requests.
        seconds: How long it asks.
    """

    def __init__(self, port: int, begin: float, every: float, seconds: float) -> None:
        super().__init__(daemon=True)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._begin, self._every, self._end = begin, every, begin + seconds
        self._relay = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._order = 1

    def run(self) -> None:
        due = self._begin
        while max(due, time.monotonic()) < self._end:
            for kind, path in REQUESTS.items():
                time.sleep(max(0, due - time.monotonic()))
                self._ask(kind, path.format(self._order))
                due += self._every / len(REQUESTS)

    def _ask(self, kind: str, path: str) -> None:
        began = time.perf_counter()
        try:
            self._relay.request("GET", path)
            with self._relay.getresponse() as answer:
                data = json.load(answer)
                status = answer.status
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._relay.close()
            status, data = 0, {"error": repr(error)}
        self.times[kind].append((time.perf_counter() - began) * 1000)
        if status != 200:
            self.errors.append(f"{kind}: {status} {data.get('error')}")
        elif kind == "page of 20" and data["data"]:
            self._order = data["data"][-1]["id"]


def write(url: str, writer: int, rate: float, stop) -> None:
    """Add, pay and carry out orders at a rate, in orders a second."""
    engine = database.connect(url, pool_size=1)
    number, due = 0, time.monotonic()
    while not stop.wait(max(0, due - time.monotonic())):
        code = f"BENCH{os.getpid()}{writer}{number}"
        for task_id in database.transact(engine, lambda c, code=code: _add(c, code)):
            claim = database.transact(
                engine, lambda c, one=task_id: leases.claim(c, one, worker="bench", lease_seconds=60)
            )
            for step in (_enrolled, leases.started, _complete):
                database.transact(engine, lambda c, step=step, claim=claim: step(c, claim))
        number += 1
        due += 1 / rate
    engine.dispose()


def _add(connection, code: str) -> list[int]:
    courses = [NewCourse(f"http://courses.example/{number}") for number in range(TASKS)]
    order = orders.add(connection, NewOrder(code, EMAIL, Decimal(1), courses), max_attempts=3, actor="bench")
    intake.pay(connection, code, Transfer(MANUAL, Decimal(1)), RULES, Origin(Source.CLI, "bench"))
    ids = select(download_tasks.c.id).where(download_tasks.c.order_id == order)
    return list(connection.execute(ids).scalars())


def _enrolled(connection, claim) -> None:
    leases.enrolled(connection, claim, title="A course", details={"files": 3})


def _complete(connection, claim) -> None:
    leases.complete(connection, claim, folder_name="DH/1", drive_link=None, details={"files": 3})


def clean(engine: Engine, last_message: int) -> int:
    """Delete the writers' orders, and return their number."""
    with engine.begin() as connection:
        ids = set(
            connection.execute(select(orders_table.c.id).where(orders_table.c.user_email == EMAIL)).scalars()
        )
        keys = select(outbox.c.id, outbox.c.dedup_key).where(
            outbox.c.id > last_message
        )  # order:ID:round:0:summary
        mine = {f"order:{order_id}:round" for order_id in ids}
        messages = [row.id for row in connection.execute(keys) if row.dedup_key.rpartition(":0:")[0] in mine]
        connection.execute(delete(outbox).where(outbox.c.id.in_(messages)))
        for table in (order_audit_logs, download_tasks, payments):
            connection.execute(delete(table).where(table.c.order_id.in_(ids)))
        connection.execute(delete(orders_table).where(orders_table.c.id.in_(ids)))
    return len(ids)


@contextmanager
def relay(url: str) -> Iterator[int]:
    """Start a relay with a Redis of its own; return its port."""
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        state = Path(folder) / "state"
        env = os.environ | {"ORDERCTL_REDIS_URL": embedded.ensure(state), "ORDERCTL_DATABASE_URL": url}
        command = [str(Path(sys.executable).parent / "orderctl"), "relay", "start", "--port", "0"]
        process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if line.startswith("Listening on"))
            yield int(line.split()[2].rstrip("/").rpartition(":")[2])
        finally:
            process.terminate()
            process.communicate()
            embedded.stop(state)


def measure(url: str, options: argparse.Namespace) -> bool:
    engine = database.connect(url)
    with database.reading(engine) as connection:
        last_message = connection.execute(select(func.max(outbox.c.id))).scalar() or 0
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writers = [context.Process(target=write, args=(url, number, options.rate, stop)) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        with relay(url) as port:
            began = time.monotonic() + 1
            spaces = [options.every * number / options.dashboards for number in range(options.dashboards)]
            dashboards = [Dashboard(port, began + space, options.every, options.seconds) for space in spaces]
            for dashboard in dashboards:
                dashboard.start()
            for dashboard in dashboards:
                dashboard.join()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        engine.dispose()
        written = clean(engine, last_message)
        engine.dispose()
    print(
        f"  {options.dashboards} dashboards, each every {options.every:g} s, for {options.seconds:g} s;",
        end=" ",
    )
    print(f"2 writers: {written} orders")
    return report(dashboards)


def report(dashboards: list[Dashboard]) -> bool:
    reached = True
    for kind in REQUESTS:
        times = [one for dashboard in dashboards for one in dashboard.times[kind]]
        cuts = statistics.quantiles(times, n=100)
        reached = reached and cuts[98] <= GOAL
        print(
            f"  {kind:20} {len(times):5}   p50 {cuts[49]:7.1f}   p99 {cuts[98]:7.1f}   max {max(times):7.1f} ms"
        )
    errors = [error for dashboard in dashboards for error in dashboard.errors]
    print(f"  errors: {len(errors)} {errors[:3] or ''}")
    print(f"  goal p99 <= {GOAL} ms, no errors: {'reached' if reached and not errors else 'MISSED'}")
    return not errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="a migrated and filled database")
    parser.add_argument("--dashboards", type=int, default=20)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=0, help="default: 10, or 60 with --url")
    parser.add_argument(
        "--rate", type=float, default=2, help="orders a second that each writer adds and carries out"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the writers' orders are deleted
    options.seconds = options.seconds or (60 if options.url else 10)
    if options.url:
        sys.exit(not measure(options.url, options))
    server = MysqlServer(find_mysql())
    try:
        server.start()
        url = server.create_database("shop")
        engine = database.connect(url)
        migrate.up(engine)
        rows.fill(engine, ORDERS)
        rows.fill_payments(engine, ORDERS)
        rows.analyze(engine)
        engine.dispose()
        good = measure(url, options)
    finally:
        server.close()
    sys.exit(not good)


if __name__ == "__main__":
    main()
