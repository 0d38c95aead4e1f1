"""Measure how long a shop's INSERTs wait while its database is migrated.

Usage: python bench/migrate.py [EVENTS]

On MariaDB and on MySQL: a shop's own tables with many rows, two writers that insert orders, tasks and events
all the time, and ``migrate up`` at the same time. Goal: no INSERT takes longer than a second.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from orderctl import database, migrate
from tests.migrate.writers import Writer, fill
from tests.servers.availability import UnavailableError
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql

GOAL = 1.0


def measure(server: MysqlServer, events: int) -> bool:
    engine = database.connect(server.create_database("shop"))
    fill(engine, events)
    steps: list[tuple[float, str]] = []
    with Writer(engine, 1) as first, Writer(engine, 2) as second:
        time.sleep(3)
        began = time.monotonic()
        migrate.up(engine, on_step=lambda step: steps.append((time.monotonic(), step.what)))
        ended = time.monotonic()
    alone = [span for writer in (first, second) for span in writer.between(0, began)]
    beside = [span for writer in (first, second) for span in writer.spans if span[1] > began]
    slowest = max(beside, key=lambda span: span[1] - span[0])
    step = next(what for at, what in reversed(steps) if at < slowest[1])
    engine.dispose()
    print(f"  migrate up of {events:,} events: {ended - began:.1f} s, {len(steps)} steps")
    repeated, all_ = (first.repeated + second.repeated, first.transactions + second.transactions)
    print(f"  longest INSERT alone:  {longest(alone):6.0f} ms of {len(alone):,}")
    print(f"  longest INSERT beside: {longest(beside):6.0f} ms of {len(beside):,} (during: {step})")
    print(f"  transactions repeated for a deadlock with the migration: {repeated} of {all_:,}")
    reached = longest(beside) <= GOAL * 1000 and not first.errors and not second.errors
    print(f"  goal {GOAL * 1000:.0f} ms: {'reached' if reached else 'MISSED'}", *first.errors, *second.errors)
    return reached


def longest(spans: list[tuple[float, float]]) -> float:
    return max(end - begin for begin, end in spans) * 1000


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for find in (find_mariadb, find_mysql):
        try:
            server = MysqlServer(find(), "--innodb-buffer-pool-size=256M")
        except UnavailableError as error:
            print(f"skipped: {error}")
            continue
        try:
            server.start()
            print(server.program.version)
            measure(server, events)
        finally:
            server.close()


if __name__ == "__main__":
    main()
