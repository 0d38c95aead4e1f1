"""Measure how long a bank waits for its answer: from its request to the 2xx, commit and ring included.

    python bench/payments.py [--payments N] [--database sqlite|mariadb|mysql] [--durable]

A bank's POSTs come one after the other, each on a new connection, first alone, then beside a busy worker: a real
``orderctl worker start`` that downloads the courses of the orders that were paid before. Goal: 50 ms at the median.

With ``--durable`` MySQL and MariaDB sync their log at each commit, as in production. That measures mostly the disk,
so it is not the default.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Engine, func, select

from orderctl import database, migrate, orders
from orderctl.orders import NewCourse, NewOrder
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from tests.script import SCRIPT
from tests.servers.course import CourseServer
from tests.servers.databases import sqlite_url
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql
from tests.servers.process import free_port, short_folder
from tests.servers.redis import RedisServer, find_redis

GOAL = 50.0
AMOUNT = 300_000
KEY = "62af72ba5e95aeaf348c16885dae2dcd6d28f463"
#: A course of one file; on loopback it is there in no time, so that the worker writes all the more to the database.
SIZE = 2_000_000
#: Between two requests, in seconds.
PAUSE = 0.01
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync")
FINDERS = {"mariadb": find_mariadb, "mysql": find_mysql}


def serve_course(address: multiprocessing.Queue) -> None:
    server = CourseServer().start()
    address.put(server.add_course("/go", {"lesson.bin": SIZE}, title="Go"))
    time.sleep(24 * 3600)


@contextmanager
def course() -> Iterator[str]:
    """Serve a course in a process of its own; yield its URL."""
    context = multiprocessing.get_context("spawn")
    address = context.Queue()
    process = context.Process(target=serve_course, args=(address,), daemon=True)
    process.start()
    try:
        yield address.get(timeout=60)
    finally:
        process.kill()
        process.join()


@contextmanager
def running(environment: dict[str, str], log: Path, *arguments: str) -> Iterator[None]:
    """Run ``orderctl`` with these arguments."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(SCRIPT), *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def add_orders(engine: Engine, codes: list[str], url: str) -> None:
    def add(connection, chosen):
        for code in chosen:
            new = NewOrder(code, "a@example.com", Decimal(AMOUNT), [NewCourse(url)])
            orders.add(connection, new, max_attempts=3, actor="bench")

    for begin in range(0, len(codes), 50):
        database.transact(engine, lambda c, chosen=codes[begin : begin + 50]: add(c, chosen))


def pay(port: int, number: int, code: str) -> float:
    """Send one of SePay's deliveries; return the milliseconds until its answer."""
    document = {
        "id": number, "gateway": "ACB", "transactionDate": "2026-11-29 10:00:00", "accountNumber": "0123499999",
        "subAccount": None, "code": None, "content": f"MBVCB.{number} an ck {code} hoc phi", "transferType": "in",
        "transferAmount": AMOUNT, "accumulated": 0, "referenceCode": f"FT{number}", "description": "",
    }  # fmt: skip
    headers = {"Content-Type": "application/json", "Authorization": f"Apikey {KEY}"}
    body = json.dumps(document).encode()
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/payment/webhook", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{answer.status}: {text.decode()}")
    return seconds * 1000


def pay_all(port: int, codes: list[str]) -> list[float]:
    times = []
    for code in codes:
        times.append(pay(port, int(code.removeprefix("DH")), code))
        time.sleep(PAUSE)
    return times


def count(engine: Engine, *conditions) -> int:
    with database.reading(engine) as connection:
        return connection.execute(select(func.count()).where(*conditions)).scalar_one()


def completed(engine: Engine) -> int:
    return count(engine, download_tasks.c.status == "completed")


def await_listening(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().read():
                return connection.close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the relay does not listen")


def await_busy(engine: Engine) -> None:
    deadline = time.monotonic() + 60
    while completed(engine) < 4:
        if time.monotonic() > deadline:
            raise SystemExit("the worker does not work")
        time.sleep(0.05)


def measure(name: str, url: str, redis_url: str, course_url: str, payments: int) -> None:
    folder = short_folder()
    engine = database.connect(url)
    migrate.up(engine)
    codes = [f"DH{number}" for number in range(1, 2 * payments + 21)]
    add_orders(engine, codes, course_url)
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERCTL_")} | {
        "ORDERCTL_CONFIG_ALONE": "1",
        "ORDERCTL_STATE_DIR": str(folder),
        "ORDERCTL_DATABASE_URL": url,
        "ORDERCTL_REDIS_URL": redis_url,
        "ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS": "1",
        "ORDERCTL_PAYMENTS_PROVIDERS": "sepay",
        "ORDERCTL_PAYMENTS_SEPAY_API_KEY": KEY,
    }
    log = folder / "log"
    try:
        with running(environment, log, "relay", "start", "--port", str(port), "--accept-payments"):
            await_listening(port)
            pay_all(port, codes[:20])  # warms everything up
            show(name, "alone", pay_all(port, codes[20 : 20 + payments]))
            with running(environment, log, "worker", "start"):
                await_busy(engine)
                done, began = completed(engine), time.monotonic()
                times = pay_all(port, codes[20 + payments :])
                rate = (completed(engine) - done) / (time.monotonic() - began)
            show(name, "beside a busy worker", times, f"   ({rate:.1f} downloads/s)")
        unpaid = count(engine, orders_table.c.payment_status != "paid")
        if unpaid:
            raise SystemExit(f"{unpaid} orders are not paid")
        print(f"{name:8} goal {GOAL:.0f} ms: {'reached' if statistics.median(times) <= GOAL else 'MISSED'}")
    finally:
        engine.dispose()
        shutil.rmtree(folder, ignore_errors=True)


def show(name: str, what: str, times: list[float], more: str = "") -> None:
    p95 = statistics.quantiles(times, n=20)[18]
    print(
        f"{name:8} {what:22} median {statistics.median(times):6.1f} ms   p95 {p95:6.1f} ms{more}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--payments", type=int, default=300, help="in each of the two measurements")
    parser.add_argument("--database", choices=("sqlite", *FINDERS), help="default: all, one after the other")
    parser.add_argument("--durable", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        course_url = stack.enter_context(course())
        for name in [options.database] if options.database else ["sqlite", *FINDERS]:
            with ExitStack() as servers:
                redis = RedisServer(find_redis()).start()
                servers.callback(redis.close)
                if name in FINDERS:
                    server = MysqlServer(FINDERS[name](), *(DURABLE if options.durable else ())).start()
                    servers.callback(server.close)
                    url = server.create_database("shop")
                else:
                    folder = short_folder()
                    servers.callback(shutil.rmtree, folder, ignore_errors=True)
                    url = sqlite_url(folder / "shop.db")
                measure(name, url, redis.url, course_url, options.payments)


if __name__ == "__main__":
    main()
