"""Measure the queries at 10,000 and at 1,000,000 orders, with three tasks and 14 events each.

Usage: python bench/queries.py [--orders N,N] [--rounds N] [--server mysql|mariadb]

Goals: each takes at most 10 ms at a million orders, and at most twice its time at ten thousand; the
dashboard's statistics take at most 50 ms. Writing a million orders takes about half an hour and 10 GB of
disk, so ``make bench`` does not run this benchmark; ``make bench-queries`` does.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Connection, Engine

from orderctl import audit, database, listing, migrate, order_stats, orders, reconcile, settings, tasks
from orderctl.listing import OrderFilter
from orderctl.relay.api import queries as relay
from orderctl.tasks import TaskFilter
from tests import rows
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql

LONG_EVENTS = 20_000
GOAL_MS, GOAL_STATS_MS, GOAL_RATIO = 10, 50, 2
#: Times up to this are not compared by ratio, which would measure noise.
FLOOR_MS = 1.0
OPTIONS = ("--innodb-buffer-pool-size=4G", "--innodb-log-buffer-size=64M", "--innodb-doublewrite=OFF")

Query = Callable[[Connection], object]


def build(engine: Engine, count: int) -> None:
    began = time.monotonic()
    migrate.up(engine)
    rows.fill(engine, count)
    rows.fill_events(engine, count // 2, LONG_EVENTS)
    rows.analyze(engine)
    print(f"  {count:,} orders written in {time.monotonic() - began:.0f} s", flush=True)


def chosen(engine: Engine, count: int) -> tuple[dict[str, Query], dict[str, Query]]:
    """Return queries by name: first those with goals, then those that read many rows by design."""
    load = settings.load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"})

    def cursor(order_id: int) -> str:
        with database.reading(engine) as connection:
            order = orders.get(connection, order_id)
        return f"{order.created_at:%Y%m%dT%H%M%S%f}-{order.id}"

    middle, end = cursor(count // 2), cursor(200)
    paid = OrderFilter(paid=True)
    some = list(range(count // 2, count // 2 + 50))
    return {
        "page of paid orders, first": partial(listing.page, wanted=paid, limit=50),
        "page of paid orders, middle": partial(listing.page, wanted=paid, limit=50, after=middle),
        "page of paid orders, last": partial(listing.page, wanted=paid, limit=50, after=end),
        "page of all orders, middle": partial(listing.page, wanted=OrderFilter(), limit=50, after=middle),
        "events of an order of 20,000": partial(audit.search, order_id=count // 2, limit=100),
        "error summary": partial(audit.errors, limit=50),
        "latest event of 50 orders": partial(audit.latest, order_ids=some),
        "statistics, counted to 10,000": order_stats.count,
        "order by code": partial(orders.find, reference=f"DH{count // 3}"),
        "orders of a customer": partial(listing.page, wanted=OrderFilter(email="7@example.com"), limit=50),
        "orders of a rare status, paid": partial(
            listing.page, wanted=OrderFilter(paid=True, statuses=["processing"]), limit=50
        ),
        "failed tasks, newest 50": partial(
            tasks.select_tasks, wanted=TaskFilter(statuses=["failed"]), limit=50
        ),
        "relay: page of paid orders": partial(relay.paid_orders, wanted=relay.Wanted(limit=20)),
        "reconcile: expired leases": reconcile._expired,  # noqa: SLF001
    }, {
        "statistics, exact": partial(order_stats.count, exact=True),
        "audit summary": audit.summary,
        "error groups": partial(tasks.group_errors, wanted=TaskFilter()),
        "reconcile: due tasks": partial(reconcile._due, settings=load),  # noqa: SLF001
    }


def measure(engine: Engine, query: Query, rounds: int) -> float:
    """Return the median time of a query in ms."""
    spans = []
    with database.reading(engine) as connection:
        query(connection)
        for _ in range(rounds):
            began = time.perf_counter()
            query(connection)
            spans.append(time.perf_counter() - began)
    return statistics.median(spans) * 1000


def goal_of(name: str) -> float:
    return GOAL_STATS_MS if name.startswith("statistics") else GOAL_MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--orders", default="10000,1000000")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--server", choices=("mysql", "mariadb"), default="mysql")
    options = parser.parse_args()
    small, large = (int(word) for word in options.orders.split(","))
    server = MysqlServer(find_mysql() if options.server == "mysql" else find_mariadb(), *OPTIONS)
    try:
        server.start()
        print(server.program.version)
        reached = compare(server, small, large, options.rounds)
    finally:
        server.close()
    sys.exit(not reached)


def compare(server: MysqlServer, small: int, large: int, rounds: int) -> bool:
    found: dict[int, dict[str, float]] = {}
    for count in (small, large):
        engine = database.connect(server.create_database(f"shop{count}"), answer_timeout=3600)
        build(engine, count)
        goals, others = chosen(engine, count)
        found[count] = {name: measure(engine, query, rounds) for name, query in goals.items()}
        found[count] |= {name: measure(engine, query, 3) for name, query in others.items()}
        engine.dispose()
    missed = 0
    print(f"\n{'median, ms':36} {small:>10,} {large:>10,}  ratio  goal")
    for name in found[small]:
        before, after = found[small][name], found[large][name]
        line = f"{name:36} {before:10.2f} {after:10.2f} {after / before:6.1f}"
        if name in others:
            print(line, " -")
            continue
        well = after <= goal_of(name) and (after <= FLOOR_MS or after / before <= GOAL_RATIO)
        missed += not well
        print(line, f" {goal_of(name):.0f} ms, {GOAL_RATIO}x: {'reached' if well else 'MISSED'}")
    return not missed


if __name__ == "__main__":
    main()
