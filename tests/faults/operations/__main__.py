"""Retry many failed tasks as one operation, and kill supervisors, operators and the command line at random.

Exit 1 unless each task was retried exactly once, the pace was held within 10 % (outside outages that kills have caused),
and a canary that fails has stopped a second operation.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import text as sql

from orderctl import database
from orderctl.operations import reading
from orderctl.operations.rates import Rate
from orderctl.operations.records import Operation, OperationNotFound, State
from tests.faults.chaos.__main__ import forget_settings
from tests.faults.chaos.hosts import Host
from tests.faults.operations.shop import FailedShop, Finisher
from tests.script import SCRIPT
from tests.servers.databases import migrate_up, sqlite_url
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql
from tests.servers.process import short_folder
from tests.servers.redis import RedisServer, find_redis

ROOT = Path(__file__).parents[3]
CANARY = 3
NAME = "storm"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.operations", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "mariadb", "mysql"), default="mariadb")
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", default="4500/m")
    parser.add_argument("--supervisors", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--log", type=Path, help="append the supervisors' log to this file")
    given = parser.parse_args()
    forget_settings()
    folder = short_folder()
    try:
        with ExitStack() as stack:
            return Storm(stack, folder, given).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Storm:
    """One run, on servers of its own."""

    def __init__(self, stack: ExitStack, folder: Path, given: argparse.Namespace) -> None:
        self.given = given
        self.random = random.Random(given.seed)
        self.wrong: list[str] = []
        self.killed: dict[str, int] = {}
        self.bag: list[str] = []
        redis = RedisServer(find_redis()).start()
        stack.callback(redis.close)
        find = {"mariadb": find_mariadb, "mysql": find_mysql}.get(given.database)
        url = sqlite_url(folder / "storm.db")
        if find:
            server = MysqlServer(find()).start()
            stack.callback(server.close)
            url = server.create_database("storm")
        migrate_up(url)
        engine = database.connect(url)
        stack.callback(engine.dispose)
        self.shop = FailedShop(engine, given.tasks)
        self.environment = {
            **os.environ,
            "ORDERCTL_STATE_DIR": str(folder),
            "ORDERCTL_DATABASE_URL": url,
            "ORDERCTL_REDIS_URL": redis.url,
            "PYTHONPATH": str(ROOT),
        }
        log = given.log or folder / "log"
        command = ("-m", "tests.faults.operations.supervisor")
        self.hosts = [
            Host(self.environment, log, *command, program=Path(sys.executable))
            for _ in range(given.supervisors)
        ]
        for host in self.hosts:
            stack.callback(host.kill)

    def run(self) -> int:
        """Run, print what was seen, and return the exit code."""
        print(f"seed {self.given.seed}, {self.given.database}, {self.given.tasks} tasks at {self.given.rate}")
        for host in self.hosts:
            host.start()
        self.kill_makers()
        with Finisher(self.shop):
            self.retry_all()
        self.bad_canary()
        for text in self.wrong:
            print(f"WRONG: {text}")
        return 1 if self.wrong else 0

    def check(self, fact: bool, text: str) -> None:
        """Note what is wrong."""
        if not fact:
            self.wrong.append(text)

    def now(self, name: str = NAME) -> Operation | None:
        """Return the operation, if there is one."""
        try:
            with database.reading(self.shop.engine) as connection:
                return reading.find(connection, name)
        except OperationNotFound:
            return None

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [str(SCRIPT), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill_makers(self) -> None:
        """Kill commands while they write the tasks of an operation: nothing of it is carried out."""
        seen = 0
        for number in range(10):
            name = f"half{number}"
            maker = self.command("tasks", "retry", "--failed", "--rate", "1/h", "--name", name, "--yes")
            while maker.poll() is None and self.now(name) is None:
                time.sleep(0.005)
            time.sleep(self.random.uniform(0, 0.3))
            maker.kill()
            maker.communicate()
            found = self.now(name)
            if found is not None and found.state == State.PREPARING:
                seen += 1
                late = "UPDATE orderctl_operations SET lease_until = '2026-01-01' WHERE name = :name"
                self.write(late, name=name)
                self.wait(lambda name=name: self.now(name) is None, f"the removal of {name}", 60)
            elif found is not None:  # it was faster: one task of it may be retried, which is put back
                self.command("ops", "stop", name).communicate()
                self.write("DELETE FROM order_audit_logs WHERE event_type = 'task_retried'")
                self.write("UPDATE download_tasks SET status = 'failed', ready = 0 WHERE status = 'pending'")
            if seen == 3:
                break
        left = self.shop.one("SELECT COUNT(*) FROM order_audit_logs WHERE event_type = 'task_retried'")
        print(f"{seen} commands killed while they made an operation; {left} tasks retried")
        self.check(left == 0, f"{left} tasks of operations that were not complete were retried")

    def write(self, statement: str, **values: str) -> None:
        """Write into the database."""
        database.transact(self.shop.engine, lambda c: c.execute(sql(statement), values))

    def retry_all(self) -> None:
        """Retry all tasks, and kill what carries it out and what watches it."""
        began = time.monotonic()
        options = ("--canary", str(CANARY), "--rate", self.given.rate, "--name", NAME, "--yes", "--wait")
        watcher = self.command("tasks", "retry", "--failed", *options)
        self.wait(
            lambda: (now := self.now()) is not None and now.state != State.PREPARING, "the operation", 120
        )
        print(f"made after {time.monotonic() - began:.1f} s")
        per_second = Rate.parse(self.given.rate).per_hour / 3600
        pause = self.given.tasks / per_second / (self.given.kills + 1)
        left, next_kill = self.given.kills, time.monotonic() + pause
        limit = time.monotonic() + 120 + self.given.kills * 15 + 4 * self.given.tasks / per_second
        while (now := self.now()) is not None and now.state not in {State.FINISHED, State.STOPPED}:
            if left and now.waiting and time.monotonic() > next_kill:
                watcher = self.kill(watcher)
                left, next_kill = left - 1, time.monotonic() + self.random.uniform(0.5, 1.5) * pause
            for host in self.hosts:
                host.start()
            if time.monotonic() > limit:
                self.wrong.append("it does not end")
                break
            time.sleep(0.1)
        watcher.communicate(timeout=60)
        self.judge(watcher.returncode, time.monotonic() - began)

    def kill(self, watcher: subprocess.Popen[str]) -> subprocess.Popen[str]:
        """Kill a supervisor, all of them, an operator, or the command that watches; return who watches now."""
        if not self.bag:  # so that each kind comes
            self.bag = ["supervisor", "supervisors", "operator", "command"]
            self.random.shuffle(self.bag)
        what = self.bag.pop()
        self.killed[what] = self.killed.get(what, 0) + 1
        if what == "command":
            watcher.kill()
            watcher.communicate()
            return self.command("ops", "wait", NAME)
        if what == "operator":
            host = self.random.choice([host for host in self.hosts if host.is_running])
            for pid in host.children()[-1:]:
                os.kill(pid, 9)
        for host in self.hosts if what == "supervisors" else [self.random.choice(self.hosts)]:
            if what != "operator":
                host.kill()
        return watcher

    def judge(self, status: int | None, seconds: float) -> None:
        """Check what has become of the tasks."""
        now, (retries, tasks, most) = self.now(), self.shop.retries()
        number, per_second = self.given.tasks, Rate.parse(self.given.rate).per_hour / 3600
        pace = self.shop.pace(NAME)
        print(f"killed: {self.killed}; {seconds:.0f} s")
        print(f"{retries} retries of {tasks} tasks, at most {most} of one; command ended with {status}")
        print(
            f"pace {pace.mean:.1f}/s of {per_second:.1f}/s in {pace.seconds:.0f} s outside {pace.outages} outages"
        )
        self.check((retries, tasks, most) == (number, number, 1), "not each task was retried exactly once")
        self.check(abs(pace.mean / per_second - 1) <= 0.1, "the pace was not held within 10 %")
        self.check(now is not None and now.state == State.FINISHED, f"it ended as {now and now.state}")
        counts = now and (now.changed, now.completed, now.unchanged, now.refused)
        self.check(counts == (number, number, 0, 0), f"its counts are {counts}")
        self.check(status == 0, f"the command that waited ended with {status}")

    def bad_canary(self) -> None:
        """Make a second operation, whose canary fails."""
        self.shop.fail_again()
        for host in self.hosts:
            host.start()
        before = self.shop.retries()[0]
        with Finisher(self.shop, "failed"):
            watcher = self.command(
                "tasks", "retry", "--failed", "--canary", str(CANARY), "--rate", self.given.rate, "--name", "bad",
                "--yes", "--wait",
            )  # fmt: skip
            said, _ = watcher.communicate(timeout=120)
        retried = self.shop.retries()[0] - before
        now = self.now("bad")
        print(f"a bad canary: {retried} tasks retried, {now and now.state}: {now and now.why}")
        self.check(retried <= CANARY, f"{retried} tasks were retried although the canary failed")
        self.check(now is not None and now.state in {State.STOPPING, State.STOPPED}, "it was not stopped")
        self.check(watcher.returncode == 1, f"the command ended with {watcher.returncode}: {said}")

    def wait(self, fact: Callable[[], bool], text: str, seconds: float) -> None:
        """Wait for a fact."""
        end = time.monotonic() + seconds
        while not fact():
            if time.monotonic() > end:
                raise TimeoutError(text)
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
