"""Send thousands of a bank's deliveries to a relay, while it and the database are killed.

Exit 1 if a transfer was lost or counted twice, an order was paid that should not be, or one was missed.
"""

import argparse
import random
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.faults.chaos.__main__ import forget_settings
from tests.faults.payments.storm import Place, Plan, run
from tests.faults.payments.verdict import Verdict, lines
from tests.servers.databases import migrate_up, sqlite_url
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql
from tests.servers.process import short_folder
from tests.servers.redis import RedisServer, find_redis

SERVERS = {"mariadb": find_mariadb, "mysql": find_mysql}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.payments", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "mariadb", "mysql"), default="sqlite")
    parser.add_argument("--deliveries", type=int, default=10_000, help="repeats included")
    parser.add_argument("--kills", type=int, default=30, help="of the relay and of the database")
    parser.add_argument("--connections", type=int, default=8, help="of the bank at a time")
    parser.add_argument("--unit", type=float, default=1.0, help="seconds before the bank's first retry")
    parser.add_argument("--minutes", type=float, default=60.0, help="end after this time at the latest")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", action="store_true", help="leave the relay's log, and the file of SQLite")
    given = parser.parse_args()
    forget_settings()
    plan = Plan(
        given.deliveries,
        given.kills,
        unit=given.unit,
        seconds=given.minutes * 60,
        connections=given.connections,
        seed=given.seed,
    )
    folder = Path(tempfile.mkdtemp(prefix="oc-")) if given.keep else short_folder()
    print(f"database {given.database}, seed {given.seed}", flush=True)
    try:
        verdict = weather(folder, given.database, plan)
    finally:
        if given.keep:
            print(f"left in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for line in lines(verdict):
        print(line)
    return 1 if verdict.faults else 0


def weather(folder: Path, kind: str, plan: Plan) -> Verdict:
    """Run once, on servers that only this run uses."""
    with ExitStack() as stack:
        redis = RedisServer(find_redis()).start()
        stack.callback(redis.close)
        server = MysqlServer(SERVERS[kind]()).start() if kind in SERVERS else None
        if server:
            stack.callback(server.close)
        url = server.create_database("shop") if server else sqlite_url(folder / "shop.db")
        migrate_up(url)
        return run(Place(folder, url, redis.url, server), plan)


if __name__ == "__main__":
    sys.exit(main())
