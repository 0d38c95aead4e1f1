"""Migrate random shops on a server, and print what became of them. Exit 1 if one is broken."""

import argparse
import random
import re
import sys
import time
from collections import Counter

from tests.migrate.fuzz.quirks import harmless, hostile, make
from tests.migrate.fuzz.trial import Outcome, Result, attempt
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql

FINDERS = {"mysql": find_mysql, "mariadb": find_mariadb}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.migrate.fuzz", description=__doc__)
    parser.add_argument("--database", choices=tuple(FINDERS), action="append")
    parser.add_argument("--schemas", type=int, default=300, help="the number of shops on each server")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the first shop")
    parser.add_argument(
        "--show", action="store_true", help="print the statements of each shop, and run nothing"
    )
    given = parser.parse_args()
    broken = 0
    for kind in given.database or FINDERS:
        seeds = range(given.seed, given.seed + given.schemas)
        if given.show:
            for seed in seeds:
                print(*make(seed, kind).statements(), sep=";\n", end=";\n\n")
        else:
            broken += fuzz(kind, seeds)
    return 1 if broken else 0


def fuzz(kind: str, seeds: range) -> int:
    """Try the shops of these seeds, print the figures, and return the number of those that are broken."""
    began = time.monotonic()
    server = MysqlServer(FINDERS[kind]()).start()
    try:
        results = []
        for seed in seeds:
            results.append(attempt(server, kind, seed))
            if results[-1].outcome is Outcome.BROKEN:
                show(kind, results[-1])
    finally:
        server.close()
    outcomes = Counter(result.outcome for result in results)
    figures = ", ".join(f"{outcome.value} {outcomes[outcome]}" for outcome in Outcome)
    print(
        f"{kind}: tried {len(results)} (seeds from {seeds[0]}), {figures}, {time.monotonic() - began:.0f} s"
    )
    summarise(results)
    return outcomes[Outcome.BROKEN]


def show(kind: str, result: Result) -> None:
    print(f"broken: --database {kind} --seed {result.seed} --schemas 1 ({', '.join(result.shop.features)})")
    print(*result.reasons, *result.shop.statements(), sep="\n", end="\n\n", flush=True)


def summarise(results: list[Result]) -> None:
    """Print how often each reason and each feature occurred."""
    for outcome in (Outcome.REFUSED, Outcome.IMPOSSIBLE):
        reasons = Counter(
            without_names(reason)
            for result in results
            if result.outcome is outcome
            for reason in result.reasons
        )
        for reason, number in reasons.most_common():
            print(f"  {number:4} {outcome.value}: {reason}")
    features = Counter(
        feature
        for result in results
        if result.outcome is not Outcome.IMPOSSIBLE
        for feature in result.shop.features
    )
    adopted = Counter(
        feature for result in results if result.outcome is Outcome.ADOPTED for feature in result.shop.features
    )
    for quirk in harmless + hostile:
        print(f"  {features[quirk.__name__]:4} {quirk.__name__}, adopted {adopted[quirk.__name__]}")


def without_names(reason: str) -> str:
    """Return the kind of a reason: without what differs from shop to shop."""
    kind = re.sub(r"(?<=writes: ).*|: ALTER.*|: RENAME.*|'[^']*'|\d+|enum\(.*?\)", "", reason)
    return re.sub(r"\b(orders|download_tasks|order_audit_logs)\b\.?\w*", "T", kind)[:100]


sys.exit(main())
