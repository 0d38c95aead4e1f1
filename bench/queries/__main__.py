"""Measure the queries of the commands with 10,000, 100,000 and 1,000,000 orders, beside those written by hand.

Usage: python -m bench.queries [--server mysql|mariadb|sqlite] [--orders N,N] [--rounds N] [--keep FOLDER]
       [--from FOLDER] [--growth N] [--markdown PAGE]

Each shop has as many abandoned orders beside these, three tasks and 14 events for each order, and the worst case of
each query (see shop.py). Writing a million orders on two idle cores takes 5 to 10 minutes and 12 GB of disk, so ``make
bench`` does not run this benchmark; ``make bench-queries`` does. SQLite has at most 200,000 orders.

Goals: with the most orders a page takes at most 10 ms, and at most twice its time with the fewest;
statistics 50 ms, status 100 ms, the summary of the audit log 10 ms, what a supervisor asks each second 5 ms.

Without --server, on each server after the other. With --keep the databases stay in a folder, and with --from they are
used again (sizes that are missing are written). With --markdown the tables of docs/performance.md are written anew.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.queries import growth, report
from bench.queries.measuring import LIMIT_SECONDS, measure
from bench.queries.report import Result
from bench.queries.shop import Shop
from bench.queries.stores import ServerStore, SqliteStore, Store

SIZES = {"mysql": "10000,100000,1000000", "mariadb": "10000,100000,1000000", "sqlite": "10000,100000,200000"}
#: Most seconds for writing the largest shop.
GOAL_WRITING = 600
LIMIT_MS = LIMIT_SECONDS * 1000
PER_YEAR = 365_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=tuple(SIZES), help="only this one")
    parser.add_argument("--orders", help="numbers of orders, from the fewest to the most")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the databases there")
    parser.add_argument("--from", type=Path, metavar="FOLDER", dest="there", help="use the databases there")
    parser.add_argument("--growth", type=int, default=50_000, metavar="ORDERS", help="0: do not measure it")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the tables into this page")
    options = parser.parse_args()
    reached = [_measure(kind, options) for kind in ([options.server] if options.server else SIZES)]
    sys.exit(not all(reached))


def _measure(kind: str, options: argparse.Namespace) -> bool:
    sizes = [int(word) for word in (options.orders or SIZES[kind]).split(",")]
    with TemporaryDirectory(prefix="orderctl-bench-") as temporary:
        folder = options.there or options.keep or Path(temporary)
        store = _open(folder / kind, kind)
        try:
            return run(store, sizes, options)
        finally:
            store.close()


def _open(folder: Path, kind: str) -> Store:
    return SqliteStore(folder) if kind == "sqlite" else ServerStore(folder, kind)


def run(store: Store, sizes: list[int], options: argparse.Namespace) -> bool:
    """Measure everything, print it, and return whether all goals are reached."""
    print(store.version, flush=True)
    results: dict[str, Result] = {}
    for count in sizes:
        is_there = str(count) in store.written
        engine = store.engine(count)
        seconds = store.written[str(count)]
        print(f"  {count:,} orders written in {seconds:.0f} s{' before' * is_there}", flush=True)
        measure(store, engine, Shop(count, store.words), options.rounds, results)
        engine.dispose()
    found = list(results.values())
    print(report.table(found, sizes, LIMIT_MS), flush=True)
    parts = {f"queries: {store.kind}": f"{store.version}\n\n{report.markdown(found, sizes, LIMIT_MS)}"}
    if options.growth:
        rows = growth.measure(store, options.growth)
        print(report.aligned_growth(rows, PER_YEAR), flush=True)
        parts[f"growth: {store.kind}"] = report.markdown_growth(rows, PER_YEAR)
    if options.markdown:
        report.replace(options.markdown, parts)
    well = store.written[str(sizes[-1])] <= GOAL_WRITING
    print(f"writing {sizes[-1]:,} orders, goal {GOAL_WRITING} s: {'reached' if well else 'MISSED'}")
    return well and all(result.is_reached for result in found)


if __name__ == "__main__":
    main()
