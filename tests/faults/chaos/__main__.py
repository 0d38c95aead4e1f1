"""Kill processes of running shops at random, which share a Redis with each other and with other programs.

Exit 1 if anything was lost, doubled, led astray, damaged or left in Redis.
"""

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

#: The shops on the one Redis server: ``redis.prefix``, and the name of the file that each course has.
SHOPS = {"": "lesson.bin", "shop2:": "chapter.bin"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "mariadb", "mysql"), default="sqlite")
    parser.add_argument("--redis-persistence", choices=("none", "aof"), default="none")
    parser.add_argument("--kills", type=int, default=50, help="end after this number of kills")
    parser.add_argument("--shops", type=int, choices=(1, 2), default=2, help="shops on the one Redis server")
    parser.add_argument("--minutes", type=float, default=60.0, help="end after this time at the latest")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", action="store_true", help="leave the logs and the database")
    given = parser.parse_args()
    forget_settings()
    plan = Plan(given.seed, given.kills, given.minutes * 60, shops=given.shops)
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
    return 1 if verdict.faults else 0


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
        worlds = []
        for prefix, file in list(SHOPS.items())[: plan.shops]:
            state = folder / f"shop{len(worlds)}"
            state.mkdir()
            name = f"storm{len(worlds)}"
            url = database.create_database(name) if database else sqlite_url(state / "storm.db")
            migrate_up(url)
            worlds.append(stack.enter_context(make_world(state, url, redis.url, prefix, file)))
        storm = Storm(worlds, redis, database, plan)
        storm.run()
        verdict = judge(storm.sites, storm.weather)
        storm.close()
        return verdict


@contextmanager
def make_world(
    folder: Path, database_url: str, redis_url: str, prefix: str = "", file: str = "lesson.bin"
) -> Iterator[World]:
    with ExitStack() as stack:
        servers = [CourseServer(), PostOffice(), Receiver(), Listener(redis_url, prefix)]
        for server in servers:
            server.start()
            stack.callback(server.close)
        courses, post, receiver, listener = servers
        stage = stack.enter_context(Stage(prefix))
        more = {"ORDERCTL_REDIS_PREFIX": prefix} if prefix else {}
        world = World(folder, database_url, redis_url, courses, post, receiver, listener, stage, more, file)
        stack.callback(world.close)
        yield world


def show(verdict: Verdict) -> None:
    """Print the table, then each fault."""
    for name, values in verdict.rows:
        print(f"{name:<55}", *(f"{value:>8}" for value in values))
    for text in verdict.faults:
        print(f"WRONG: {text}")


if __name__ == "__main__":
    sys.exit(main())
