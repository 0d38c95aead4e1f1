"""Kill processes of a running shop at random. Exit 1 if anything was lost or doubled."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.chaos.storm import Plan, Storm
from tests.faults.chaos.verdict import Verdict, judge
from tests.faults.receivers import Listener, PostOffice, Receiver
from tests.faults.stage import Stage
from tests.faults.world import World
from tests.servers.course import CourseServer
from tests.servers.databases import migrate_up, sqlite_url
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql
from tests.servers.process import short_folder
from tests.servers.redis import RedisServer, find_redis


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "mariadb", "mysql"), default="sqlite")
    parser.add_argument("--redis-persistence", choices=("none", "aof"), default="none")
    parser.add_argument("--kills", type=int, default=50, help="end after this number of kills")
    parser.add_argument("--minutes", type=float, default=60.0, help="end after this time at the latest")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", action="store_true", help="leave the logs and the database")
    given = parser.parse_args()
    forget_settings()
    plan = Plan(given.seed, given.kills, given.minutes * 60)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="oc-")) if given.keep else short_folder()
    try:
        verdict = weather(folder, given.database, plan, persistent=given.redis_persistence == "aof")
    finally:
        if given.keep:
            print(f"left in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(
        f"\ndatabase {given.database}, Redis persistence {given.redis_persistence}, seed {given.seed},"
        f" {time.monotonic() - began:.0f} s"
    )
    show(verdict)
    return 0 if verdict.good else 1


def forget_settings() -> None:
    """Remove the developer's own settings from the environment of everything that is started."""
    for name in [name for name in os.environ if name.startswith("ORDERCTL_")]:
        if not name.startswith("ORDERCTL_TEST_"):
            del os.environ[name]
    os.environ["ORDERCTL_CONFIG_ALONE"] = "1"


def weather(folder: Path, kind: str, plan: Plan, *, persistent: bool) -> Verdict:
    """Run once, on servers that only this run uses."""
    with ExitStack() as stack:
        redis = RedisServer(find_redis(), persistent=persistent).start()
        stack.callback(redis.close)
        server = {"mariadb": find_mariadb, "mysql": find_mysql}.get(kind)
        database = MysqlServer(server()).start() if server else None
        if database:
            stack.callback(database.close)
        url = database.create_database("storm") if database else sqlite_url(folder / "storm.db")
        migrate_up(url)
        world = stack.enter_context(make_world(folder, url, redis.url))
        storm = Storm(world, redis, database, plan)
        storm.run()
        return judge(world, storm.history)


@contextmanager
def make_world(folder: Path, database_url: str, redis_url: str) -> Iterator[World]:
    with ExitStack() as stack:
        servers = [CourseServer(), PostOffice(), Receiver(), Listener(redis_url)]
        for server in servers:
            server.start()
            stack.callback(server.close)
        courses, post, receiver, listener = servers
        stage = stack.enter_context(Stage())
        world = World(folder, database_url, redis_url, courses, post, receiver, listener, stage)
        stack.callback(world.close)
        yield world


def show(verdict: Verdict) -> None:
    """Print the table, then each fault."""
    for name, value in verdict.rows:
        print(f"{name:<55} {value:>8}")
    for text in (*verdict.lost, *verdict.doubled):
        print(f"WRONG: {text}")


if __name__ == "__main__":
    sys.exit(main())
