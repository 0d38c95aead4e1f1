"""The run: customers order and pay, while one victim at a time is killed or stopped."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.chaos import trouble
from tests.faults.chaos.customers import COURSES, Customers
from tests.faults.chaos.history import History
from tests.faults.chaos.hosts import Host, send
from tests.faults.chaos.proxy import Proxy
from tests.faults.world import SIZE, World
from tests.servers.mysql import MysqlServer
from tests.servers.process import free_port
from tests.servers.redis import RedisServer

LEASE = 3
WORKERS = 2
RATE = 60_000.0  # bytes/s: a course takes half a second


@dataclass(frozen=True)
class Plan:
    """How long the run lasts.

    Attributes:
        kills: It ends after this number of kills.
        seconds: It ends after this time at the latest.
    """

    seed: int
    kills: int
    seconds: float


class Storm:
    """One run.

    Args:
        world: The shop, with the servers' own addresses.
        redis: Its Redis.
        server: Its database server, None for SQLite.
        plan: How long the run lasts.
    """

    def __init__(self, world: World, redis: RedisServer, server: MysqlServer | None, plan: Plan) -> None:
        self.world = world
        self.redis = redis
        self.server = server
        self.plan = plan
        self.history = History()
        self._random = random.Random(plan.seed)
        self._redis_proxy = Proxy(redis.port).start()
        self._database_proxy = Proxy(server.port).start() if server else None
        self._customers = Customers(
            world,
            self.history,
            self._database_url(lied_to=True),
            self._redis_url(lied_to=True),
            seed=plan.seed + 1,
        )
        self.hosts = [self._host("one", lied_to=True), self._host("two", lied_to=False)]
        self.relay = self._make_relay()
        world.courses.rate = RATE
        for number in range(COURSES):
            world.courses.add_course(f"/course{number}", {"lesson.bin": SIZE}, title=f"Course {number}")

    def run(self) -> None:
        """Run until the plan is fulfilled; afterwards wait until everything has ended."""
        for host in (*self.hosts, self.relay):
            host.start()
        self._customers.start()
        deadline = time.monotonic() + self.plan.seconds
        try:
            while len(self.history.kills) < self.plan.kills and time.monotonic() < deadline:
                time.sleep(self._random.uniform(0.2, 1.0))
                self._strike()
                for host in (*self.hosts, self.relay):
                    host.start()
        finally:
            self._customers.leave()
            self._calm()

    def _calm(self) -> None:
        """Start everything again, let it finish the remaining work, stop it; then let an hour pass."""
        for proxy in filter(None, (self._redis_proxy, self._database_proxy)):
            proxy.be_honest()
        self.world.courses.rate = None
        for host in (*self.hosts, self.relay):
            if not host.stop():
                self.history.kills.append((time.monotonic(), "supervisor"))
                self.history.other["killed because it would not end"] += 1
        for proxy in filter(None, (self._redis_proxy, self._database_proxy)):
            proxy.close()
        self.world.recover()

    # --- Victims

    def _strike(self) -> None:
        blows: list[Callable[[], None]] = [
            *[self._kill_horse] * 4, *[self._kill_worker] * 3, *[self._kill_child] * 2,
            *[self._kill_supervisor] * 2, self._kill_relay, *[self._kill_redis] * 2,
            self._stop_horse, self._stop_redis, self._lie_about_redis,
        ]  # fmt: skip
        if self.server:
            blows += [*[self._kill_database] * 2, self._stop_database, self._lie_about_database]
            blows += [*[self._demote_database] * 3, self._restart_database, self._crowd_database]
        else:
            blows += [self._lock_database] * 2
        self._random.choice(blows)()

    def _kill(self, pids: list[int], victim: str) -> None:
        if pids and send(self._random.choice(sorted(pids)), signal.SIGKILL):
            self.history.kills.append((time.monotonic(), victim))

    def _kill_horse(self) -> None:
        self._kill([pid for host in self.hosts for pid in host.horses()], "work-horse")

    def _kill_worker(self) -> None:
        self._kill([pid for host in self.hosts for pid in host.workers()], "worker")

    def _kill_child(self) -> None:
        """Kill a worker, a keeper or a courier."""
        self._kill([pid for host in self.hosts for pid in host.children()], "worker, keeper or courier")

    def _kill_supervisor(self) -> None:
        self._random.choice(self.hosts).kill()
        self.history.kills.append((time.monotonic(), "supervisor"))

    def _kill_relay(self) -> None:
        self.relay.kill()
        self.history.kills.append((time.monotonic(), "relay"))

    def _kill_redis(self) -> None:
        with self.history.outage("redis"):
            self.redis.kill()
            self.history.kills.append((time.monotonic(), "redis"))
            time.sleep(self._random.uniform(0, 1.5))
            self.redis.start()

    def _kill_database(self) -> None:
        assert self.server is not None
        with self.history.outage("database"):
            self.server.kill()
            self.history.kills.append((time.monotonic(), "database"))
            time.sleep(self._random.uniform(0, 1.5))
            self.server.start()

    def _stop_horse(self) -> None:
        """Stop a work-horse; it continues after its lease was taken over."""
        pids = [pid for host in self.hosts for pid in host.horses()]
        if not pids:
            return
        pid = self._random.choice(sorted(pids))
        if send(pid, signal.SIGSTOP):
            self.history.other["work-horse stopped past its lease"] += 1
            time.sleep(LEASE + 1.5)
            send(pid, signal.SIGCONT)

    def _stop_redis(self) -> None:
        self.history.other["redis stopped"] += 1
        with self.history.outage("redis"):
            self.redis.pause()
            time.sleep(self._random.uniform(0.5, 4))
            self.redis.resume()

    def _stop_database(self) -> None:
        assert self.server is not None
        self.history.other["database stopped"] += 1
        with self.history.outage("database"):
            self.server.pause()
            time.sleep(self._random.uniform(0.5, LEASE + 2))
            self.server.resume()

    def _demote_database(self) -> None:
        """Make the server read-only, for longer than a lease in about half of the cases."""
        assert self.server is not None
        strictly = self._random.random() < 0.5
        with trouble.read_only(self.server, strictly=strictly):
            self._trouble("database read-only", 2 * LEASE)

    def _crowd_database(self) -> None:
        assert self.server is not None
        with trouble.crowded(self.server):
            self._trouble("database out of connections", LEASE)

    def _restart_database(self) -> None:
        assert self.server is not None
        self.history.other["database restarted"] += 1
        with self.history.outage("database"):
            self.server.restart()

    def _lock_database(self) -> None:
        """Lock the file, sometimes for longer than orderctl waits for a lock (10 s)."""
        with trouble.locked(self.world.database_url):
            self._trouble("database locked", 14)

    def _trouble(self, name: str, longest: float) -> None:
        self.history.other[name] += 1
        with self.history.outage("database"):
            time.sleep(self._random.uniform(0.5, longest))

    def _lie_about_redis(self) -> None:
        self._lie(self._redis_proxy, "redis")

    def _lie_about_database(self) -> None:
        assert self._database_proxy is not None
        self._lie(self._database_proxy, "database")

    def _lie(self, proxy: Proxy, name: str) -> None:
        lie = self._random.choice(["delayed", "cut", "swallowed"])
        self.history.other[f"{name}: answers {lie}"] += 1
        if lie == "delayed":
            proxy.delay = self._random.uniform(0.05, 0.5)
        elif lie == "cut":
            proxy.cut_after = self._random.randrange(2000)
        else:
            proxy.swallow = True
        with self.history.outage(name):
            time.sleep(self._random.uniform(0.5, 3))
            proxy.be_honest()

    # --- Addresses

    def _redis_url(self, *, lied_to: bool) -> str:
        return f"redis://127.0.0.1:{self._redis_proxy.port}/0" if lied_to else self.redis.url

    def _database_url(self, *, lied_to: bool) -> str:
        url = self.world.database_url
        if not lied_to or self._database_proxy is None:
            return url
        return url.replace(f":{urlsplit(url).port}/", f":{self._database_proxy.port}/")

    def _host(self, name: str, *, lied_to: bool) -> Host:
        state = self.world.state / name
        state.mkdir()
        return Host(
            self._environment(state, lied_to=lied_to),
            self.world.state / f"{name}.log",
            *("worker", "start", "--concurrency", str(WORKERS), "--lease", str(LEASE)),
        )

    def _make_relay(self) -> Host:
        state = self.world.state / "relay"
        state.mkdir()
        environment = self._environment(state, lied_to=True)
        return Host(environment, self.world.state / "relay.log", "relay", "start", "--port", str(free_port()))

    def _environment(self, state: Path, *, lied_to: bool) -> dict[str, str]:
        world = replace(
            self.world,
            database_url=self._database_url(lied_to=lied_to),
            redis_url=self._redis_url(lied_to=lied_to),
        )
        return world.environment | {"ORDERCTL_STATE_DIR": str(state)}
