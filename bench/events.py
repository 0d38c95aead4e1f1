"""Measure event transactions per second: lock the order, compare and set, audit, commit.

Usage: python bench/events.py [--workers N] [--orders N] [--durable] [--server mysql|mariadb]

Each worker is a process. It moves tasks through their states (claimed, enrolled, started, completed) without
a download. The tasks of an order are spread over the workers, so that these compete for the order's row.
Goals: 400 transactions per second with 8 workers on MySQL, and every order completed exactly once.

With ``--durable`` the server syncs its log at each commit, as in production. That measures mostly the disk,
so it is not the default.
"""

import argparse
import multiprocessing
import sys
import time
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Engine, func, select

from orderctl import database, leases, migrate, orders
from orderctl.audit import Origin
from orderctl.orders import NewCourse, NewOrder
from orderctl.payments import intake
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.schema import download_tasks, order_audit_logs, outbox
from orderctl.schema import orders as orders_table
from orderctl.states import Source
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql
from tests.shop import RULES

GOAL = 400
TASKS = 3
#: What a server does by default, and the binary log with it.
DURABLE = (
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-flush-method=fsync",
    "--log-bin=binlog",
    "--sync-binlog=1",
)
#: Transactions with lock, compare-and-set and audit in the life of a task; the claim has no audit event.
EVENTS = 3


def prepare(engine: Engine, count: int) -> None:
    courses = [NewCourse(f"http://courses.example/{number}") for number in range(TASKS)]

    def add(connection, number):
        code = f"DH{number}"
        orders.add(
            connection, NewOrder(code, "a@example.com", Decimal(1), courses), max_attempts=3, actor="bench"
        )
        intake.pay(connection, code, Transfer(MANUAL, Decimal(1)), RULES, Origin(Source.CLI, "bench"))

    for begin in range(0, count, 50):
        numbers = range(begin, min(begin + 50, count))
        database.transact(engine, lambda c, numbers=numbers: [add(c, number) for number in numbers])


def work(url: str, worker: int, task_ids: list[int], start, spans) -> None:
    engine = database.connect(url, pool_size=1)
    with database.reading(engine) as connection:
        connection.execute(select(1))
    start.wait()
    began = time.monotonic()
    for task_id in task_ids:
        claim = database.transact(
            engine,
            lambda c, task_id=task_id: leases.claim(c, task_id, worker=f"w{worker}", lease_seconds=60),
        )
        assert claim is not None
        for step in (_enrolled, leases.started, _complete):
            database.transact(engine, lambda c, step=step, claim=claim: step(c, claim))
    spans.put((began, time.monotonic()))


def _enrolled(connection, claim):
    leases.enrolled(connection, claim, title="A course", details={"files": 3})


def _complete(connection, claim):
    leases.complete(connection, claim, folder_name="DH/1", drive_link=None, details={"files": 3})


def measure(url: str, workers: int, count: int) -> bool:
    engine = database.connect(url)
    migrate.up(engine)
    prepare(engine, count)
    with database.reading(engine) as connection:
        task_ids = list(
            connection.execute(select(download_tasks.c.id).order_by(download_tasks.c.id)).scalars()
        )
    engine.dispose()
    context = multiprocessing.get_context("spawn")
    start, spans = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=work, args=(url, number, task_ids[number::workers], start, spans))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    received = [spans.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    seconds = max(end for _, end in received) - min(begin for begin, _ in received)
    rate = len(task_ids) * EVENTS / seconds
    print(f"  {len(task_ids)} tasks of {count} orders by {workers} workers in {seconds:.1f} s")
    print(f"  {rate:.0f} event transactions/s, besides {len(task_ids) / seconds:.0f} claims/s")
    wrong = verify(engine, count)
    engine.dispose()
    reached = rate >= GOAL and not wrong
    print(f"  goal {GOAL}/s, none missed or doubled: {'reached' if reached else 'MISSED'}")
    return reached


def verify(engine: Engine, count: int) -> bool:
    log, box = order_audit_logs.c, outbox.c
    with database.reading(engine) as connection:
        ended = connection.execute(
            select(func.count()).where(orders_table.c.order_status == "completed")
        ).scalar_one()
        events = connection.execute(
            select(func.count()).where(log.event_type == "order_completed")
        ).scalar_one()
        messages = connection.execute(select(func.count()).where(box.kind == "completion")).scalar_one()
    print(f"  orders completed {ended}, missed {count - ended}, doubled {max(events, messages) - count}")
    return (ended, events, messages) != (count, count, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--durable", action="store_true")
    parser.add_argument("--server", choices=("mysql", "mariadb"), default="mysql")
    options = parser.parse_args()
    find = find_mysql if options.server == "mysql" else find_mariadb
    server = MysqlServer(find(), *(DURABLE if options.durable else ()))
    try:
        server.start()
        print(server.program.version.partition(" for ")[0].rpartition("/")[2], "durable" * options.durable)
        reached = measure(server.create_database("shop"), options.workers, options.orders)
    finally:
        server.close()
    sys.exit(not reached)


if __name__ == "__main__":
    main()
