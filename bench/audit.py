"""Measure how many audit rows per second are written: many in one statement, and one by one.

Usage: python bench/audit.py [--rows N] [--rounds N] [--server mysql|mariadb]

The server is durable, with its binary log where that can be switched on: it syncs its logs at each commit. Each round
writes the same events both ways in transactions of 1,000 rows: so the ratio shows what the batch saves, and not what
fewer commits save. Goal: 8,000 rows per second in batches.
"""

import argparse
import sys
import time
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Engine

from bench.events import DURABLE
from orderctl import audit, database, migrate, orders
from orderctl.audit import NewEvent, Origin
from orderctl.orders import NewCourse, NewOrder
from orderctl.states import EventType, Source
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql

GOAL = 8_000
TRANSACTION = 1_000


def prepare(engine: Engine) -> int:
    new = NewOrder("DH1", "a@example.com", Decimal(1), [NewCourse("http://courses.example/1")])
    return database.transact(engine, lambda c: orders.add(c, new, max_attempts=3, actor="bench"))


def events(order_id: int, name: str, count: int) -> list[NewEvent]:
    return [
        NewEvent(
            EventType.DOWNLOAD_COMPLETED,
            order_id,
            Origin(Source.WORKER, "worker-1"),
            1,
            words={"name": f"Course {number}"},
            details={"folderName": f"DH1/{number}", "driveLink": None, "files": 3, "bytes": 123_456_789},
            previous_status="downloading",
            new_status="completed",
            dedup_key=f"{name}:{number}",
        )
        for number in range(count)
    ]


def rate(engine: Engine, write, new: list[NewEvent]) -> float:
    began = time.monotonic()
    for begin in range(0, len(new), TRANSACTION):
        part = new[begin : begin + TRANSACTION]
        database.transact(engine, lambda c, part=part: write(c, part))
    return len(new) / (time.monotonic() - began)


def one_by_one(connection, new: list[NewEvent]) -> None:
    for event in new:
        audit.record(connection, event)


def measure(url: str, rows: int, rounds: int) -> bool:
    engine = database.connect(url)
    migrate.up(engine)
    order_id = prepare(engine)
    found: dict[str, list[float]] = {"batch": [], "one by one": []}
    for number in range(rounds):
        for name, write, count in (
            ("batch", audit.record_all, rows),
            ("one by one", one_by_one, max(TRANSACTION, rows // 10)),
        ):
            found[name].append(rate(engine, write, events(order_id, f"{name}:{number}", count)))
    engine.dispose()
    best = {name: max(rates) for name, rates in found.items()}
    for name, rates in found.items():
        print(f"  {name:10}  {best[name]:7,.0f} rows/s (of {', '.join(f'{one:,.0f}' for one in rates)})")
    reached = best["batch"] >= GOAL
    print(f"  ratio {best['batch'] / best['one by one']:.1f}")
    print(f"  goal {GOAL:,} rows/s in batches: {'reached' if reached else 'MISSED'}")
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=("mysql", "mariadb"), default="mysql")
    options = parser.parse_args()
    find = find_mysql if options.server == "mysql" else find_mariadb
    server = MysqlServer(find(), *DURABLE)
    try:
        server.start()
        print(server.program.version.partition(" for ")[0].rpartition("/")[2], "durable")
        reached = measure(server.create_database("shop"), options.rows, options.rounds)
    finally:
        server.close()
    sys.exit(not reached)


if __name__ == "__main__":
    main()
