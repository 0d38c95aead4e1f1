"""Measure how long a shop's statements wait while its database is migrated.

Usage: python bench/migrate.py [EVENTS]
       python bench/migrate.py --earlier ORDERS [--server mysql|mariadb] [--from FOLDER]

On MariaDB and on MySQL: a shop's own tables with many rows, two writers that insert orders, tasks and events
all the time, and ``migrate up`` at the same time. Goal: no INSERT takes longer than a second.

With --earlier the database is one that the version before the newest revision migrated, with ORDERS orders (see
bench/queries/shop.py); with --from the one that ``make bench-queries`` has kept there, which is used up.
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pymysql
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.queries.stores import ServerStore
from orderctl import database, migrate
from tests.migrate.writers import Writer, fill
from tests.servers.availability import UnavailableError
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql

GOAL = 1.0
NEWEST = importlib.import_module("migrations.versions.0006_scale")
#: What the newest revision has changed in the shop's tables, taken back.
BACK = {
    "orders": (
        "DROP INDEX ix_orderctl_orders_payment_status_order_status_created_at_id",
        "DROP INDEX ix_orderctl_orders_user_email_created_at_id",
        "ADD INDEX ix_orderctl_orders_payment_status_order_status (payment_status, order_status)",
        "ADD INDEX ix_orderctl_orders_user_email_id (user_email, id)",
    ),
    "download_tasks": (
        "DROP INDEX ix_orderctl_download_tasks_ready_available_at_id",
        "DROP INDEX ix_orderctl_download_tasks_status_id",
        "DROP INDEX ix_orderctl_download_tasks_status_error_type_error_fingerprint",
        "DROP COLUMN ready",
        "ADD INDEX ix_orderctl_download_tasks_status_updated_at_id (status, updated_at, id)",
    ),
}


class ShopWriter(Writer):
    """Writes into tables that orderctl made: an order with a task and an event, and a lease of that task."""

    def _transact(self, connection: pymysql.Connection, cursor: pymysql.cursors.Cursor) -> None:
        code = f"W{self.number}-{len(self.spans)}-{time.time()}"
        order = "(order_code, user_email, total_amount) VALUES (%s, 'w@example.com', 1000)"
        self._timed(cursor, f"INSERT INTO orders {order}", code)
        number = cursor.lastrowid
        task = "(order_id, course_url, title) VALUES (%s, 'https://courses.example.com/w', 'w')"
        self._timed(cursor, f"INSERT INTO download_tasks {task}", number)
        taken = cursor.lastrowid
        event = "(order_id, event_type, message, details) VALUES (%s, 'task_created', 'x', '{}')"
        self._timed(cursor, f"INSERT INTO order_audit_logs {event}", number)
        connection.commit()
        self._timed(cursor, "UPDATE download_tasks SET lease_until = NOW(6) WHERE id = %s", taken)
        self._timed(cursor, "UPDATE orders SET payment_status = 'paid' WHERE id = %s", number)
        connection.commit()
        time.sleep(0.002)  # a shop that writes, not one that the machine is too slow for


def take_back(engine: Engine) -> None:
    """Make a database what it was before the newest revision."""
    with engine.begin() as connection:
        for table, changes in BACK.items():
            connection.exec_driver_sql(f"ALTER TABLE {table} {', '.join(changes)}")
        for table in NEWEST.metadata.tables:
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql(f"DELETE FROM orderctl_migrations WHERE revision = '{NEWEST.revision}'")


def measure(engine: Engine, writer: type[Writer]) -> bool:
    """Migrate beside two writers; return whether no statement of theirs took longer than the goal."""
    steps: list[tuple[float, str]] = []
    with writer(engine, 1) as first, writer(engine, 2) as second:
        time.sleep(3)
        began = time.monotonic()
        migrate.up(engine, on_step=lambda step: steps.append((time.monotonic(), step.what)))
        ended = time.monotonic()
    alone = [span for writer in (first, second) for span in writer.between(0, began)]
    beside = [span for writer in (first, second) for span in writer.spans if span[1] > began]
    print(f"  migrate up: {ended - began:.1f} s, {len(steps)} steps")
    told = [f"{at - began:.1f} s {what[:100]}" for at, what in steps if "to event" not in what]
    print("   ", "\n    ".join(told))
    repeated, all_ = (first.repeated + second.repeated, first.transactions + second.transactions)
    print(f"  longest statement alone:  {longest(alone):6.0f} ms of {len(alone):,}")
    print(
        f"  longest statement beside: {longest(beside):6.0f} ms of {len(beside):,} ({during(beside, steps)})"
    )
    print(f"  transactions repeated for a deadlock with the migration: {repeated} of {all_:,}")
    reached = longest(beside) <= GOAL * 1000 and not first.errors and not second.errors
    print(f"  goal {GOAL * 1000:.0f} ms: {'reached' if reached else 'MISSED'}", *first.errors, *second.errors)
    return reached


def longest(spans: Sequence[tuple[float, float]]) -> float:
    return max(end - begin for begin, end in spans) * 1000


def during(spans: Sequence[tuple[float, float]], steps: Sequence[tuple[float, str]]) -> str:
    """Return during which step the longest statement ended; each step is told when it begins."""
    slowest = max(spans, key=lambda span: span[1] - span[0])
    told = [what for at, what in steps if at < slowest[1]]
    return f"during: {told[-1][:100]}" if told else "before the first step"


def adopt(events: int) -> None:
    """Measure the adoption of a shop's own tables, on each server."""
    for find in (find_mariadb, find_mysql):
        try:
            server = MysqlServer(find(), "--innodb-buffer-pool-size=256M")
        except UnavailableError as error:
            print(f"skipped: {error}")
            continue
        try:
            server.start()
            print(server.program.version)
            engine = database.connect(server.create_database("shop"))
            fill(engine, events)
            print(f"  a shop's own tables with {events:,} events")
            measure(engine, Writer)
            engine.dispose()
        finally:
            server.close()


def upgrade(kind: str, count: int, folder: Path) -> bool:
    """Measure the newest revision alone, in a database with many orders."""
    store = ServerStore(folder / kind, kind)
    try:
        print(f"{store.version}, {count:,} orders")
        engine = store.engine(count)
        store.forget(count)
        take_back(engine)
        engine.dispose()
        engine = database.connect(store.server.url(f"shop{count}"), answer_timeout=3600)
        reached = measure(engine, ShopWriter)
        engine.dispose()
        return reached
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("events", type=int, nargs="?", default=200_000)
    parser.add_argument("--earlier", type=int, metavar="ORDERS")
    parser.add_argument("--server", choices=("mysql", "mariadb"), default="mysql")
    parser.add_argument("--from", type=Path, dest="there", metavar="FOLDER")
    options = parser.parse_args()
    if not options.earlier:
        adopt(options.events)
        return
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as temporary:
        sys.exit(not upgrade(options.server, options.earlier, options.there or Path(temporary)))


if __name__ == "__main__":
    main()
