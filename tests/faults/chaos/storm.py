"""The run: customers order and pay in each shop, while one victim at a time is killed or stopped."""

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tests.faults.chaos import trouble
from tests.faults.chaos.history import Weather
from tests.faults.chaos.hosts import Host, send
from tests.faults.chaos.proxy import Proxy
from tests.faults.chaos.site import LEASE, Site
from tests.faults.world import World
from tests.servers.mysql import MysqlServer
from tests.servers.redis import RedisServer

#: The names of the shops, with which the codes of their orders begin.
NAMES = ("DH", "XK")


@dataclass(frozen=True)
class Plan:
    """How long the run lasts, and who takes part.

    Attributes:
        kills: It ends after this number of kills.
        seconds: It ends after this time at the latest.
        shops: The number of shops on the one Redis server.
        hosts: The number of supervisors of each shop.
    """

    seed: int
    kills: int
    seconds: float
    shops: int = 2
    hosts: int = 2


class Storm:
    """One run.

    Args:
        worlds: The shops, with the servers' own addresses.
        redis: Their Redis.
        server: Their database server, None for SQLite.
        plan: How long the run lasts.
    """

    def __init__(
        self, worlds: Sequence[World], redis: RedisServer, server: MysqlServer | None, plan: Plan
    ) -> None:
        self.redis = redis
        self.server = server
        self.plan = plan
        self.weather = Weather()
        self._random = random.Random(plan.seed)
        self._redis_proxy = Proxy(redis.port).start()
        self._database_proxy = Proxy(server.port).start() if server else None
        self.sites = [
            Site(name, world, self._behind_proxies(world), self.weather, hosts=plan.hosts, seed=plan.seed + number)
            for number, (name, world) in enumerate(zip(NAMES, worlds, strict=False), 1)
        ]  # fmt: skip

    def run(self) -> None:
        """Run until the plan is fulfilled; afterwards wait until everything has ended."""
        for site in self.sites:
            site.open()
        deadline = time.monotonic() + self.plan.seconds
        try:
            while len(self.weather.kills) < self.plan.kills and time.monotonic() < deadline:
                time.sleep(self._random.uniform(0.2, 1.0))
                self._strike()
                for site in self.sites:
                    site.revive()
        finally:
            for site in self.sites:
                site.leave()
            self._calm()

    def close(self) -> None:
        for site in self.sites:
            site.foreign.close()

    def _calm(self) -> None:
        """Stop everything; then let an hour pass, and the remaining work be done."""
        for proxy in filter(None, (self._redis_proxy, self._database_proxy)):
            proxy.be_honest()
        with ThreadPoolExecutor() as pool:
            list(pool.map(Site.stop, self.sites))
            for proxy in filter(None, (self._redis_proxy, self._database_proxy)):
                proxy.close()
            list(pool.map(Site.settle, self.sites))

    # --- Victims

    def _strike(self) -> None:
        blows: list[Callable[[], None]] = [
            *[self._kill_horse] * 4, *[self._kill_worker] * 3, *[self._kill_child] * 2,
            *[self._kill_supervisor] * 2, self._kill_relay, *[self._kill_redis] * 2,
            self._stop_horse, self._stop_redis, self._lie_about_redis,
            self._fill_redis, self._empty_redis, self._take_rights,
        ]  # fmt: skip
        if self.server:
            blows += [*[self._kill_database] * 2, self._stop_database, self._lie_about_database]
            blows += [*[self._demote_database] * 3, self._restart_database, self._crowd_database]
        else:
            blows += [self._lock_database] * 2
        self._random.choice(blows)()

    def _kill(self, pids: list[tuple[int, str]], victim: str) -> None:
        if not pids:
            return
        pid, shop = self._random.choice(sorted(pids))
        if send(pid, signal.SIGKILL):
            self.weather.kill(victim, shop)

    def _pids(self, kind: Callable[[Host], list[int]]) -> list[tuple[int, str]]:
        """Return processes of all supervisors, each with the name of its shop."""
        return [(pid, site.name) for site in self.sites for host in site.hosts for pid in kind(host)]

    def _kill_horse(self) -> None:
        self._kill(self._pids(Host.horses), "work-horse")

    def _kill_worker(self) -> None:
        self._kill(self._pids(Host.workers), "worker")

    def _kill_child(self) -> None:
        """Kill a worker, a keeper or a courier."""
        self._kill(self._pids(Host.children), "worker, keeper or courier")

    def _kill_supervisor(self) -> None:
        site = self._random.choice(self.sites)
        self._random.choice(site.hosts).kill()
        self.weather.kill("supervisor", site.name)

    def _kill_relay(self) -> None:
        site = self._random.choice(self.sites)
        site.relay.kill()
        self.weather.kill("relay", site.name)

    def _kill_redis(self) -> None:
        with ExitStack() as stack:
            if not self.redis.persistent:
                stack.enter_context(self._losing())
            stack.enter_context(self.weather.outage("redis"))
            self.redis.kill()
            self.weather.kill("redis")
            time.sleep(self._random.uniform(0, 1.5))
            self.redis.start()

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """Redis loses its data in this block, also those of the shops' own programs."""
        with ExitStack() as stack:
            for site in self.sites:
                stack.enter_context(site.foreign.losing())
            yield

    def _empty_redis(self) -> None:
        self.weather.other["redis emptied"] += 1
        with self._losing(), self.weather.outage("redis"):
            self.redis.flush()

    def _fill_redis(self) -> None:
        with trouble.full(self.redis):
            self._trouble("redis full", 4, "redis")

    def _take_rights(self) -> None:
        """Take away rights, as an administrator does by mistake."""
        rights = self._random.choice(trouble.RIGHTS)
        with trouble.without_rights(self.redis, rights):
            self._trouble(f"redis: {rights}", 3, "redis")

    def _kill_database(self) -> None:
        assert self.server is not None
        with self.weather.outage("database"):
            self.server.kill()
            self.weather.kill("database")
            time.sleep(self._random.uniform(0, 1.5))
            self.server.start()

    def _stop_horse(self) -> None:
        """Stop a work-horse; it continues after its lease was taken over."""
        pids = self._pids(Host.horses)
        if not pids:
            return
        pid, _ = self._random.choice(sorted(pids))
        if send(pid, signal.SIGSTOP):
            self.weather.other["work-horse stopped past its lease"] += 1
            time.sleep(LEASE + 1.5)
            send(pid, signal.SIGCONT)

    def _stop_redis(self) -> None:
        self.weather.other["redis stopped"] += 1
        with self.weather.outage("redis"):
            self.redis.pause()
            time.sleep(self._random.uniform(0.5, 4))
            self.redis.resume()

    def _stop_database(self) -> None:
        assert self.server is not None
        self.weather.other["database stopped"] += 1
        with self.weather.outage("database"):
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
        self.weather.other["database restarted"] += 1
        with self.weather.outage("database"):
            self.server.restart()

    def _lock_database(self) -> None:
        """Lock the file, sometimes for longer than orderctl waits for a lock (10 s)."""
        with trouble.locked(self._random.choice(self.sites).world.database_url):
            self._trouble("database locked", 14)

    def _trouble(self, name: str, longest: float, server: str = "database") -> None:
        self.weather.other[name] += 1
        with self.weather.outage(server):
            time.sleep(self._random.uniform(0.5, longest))

    def _lie_about_redis(self) -> None:
        self._lie(self._redis_proxy, "redis")

    def _lie_about_database(self) -> None:
        assert self._database_proxy is not None
        self._lie(self._database_proxy, "database")

    def _lie(self, proxy: Proxy, name: str) -> None:
        lie = self._random.choice(["delayed", "cut", "swallowed"])
        self.weather.other[f"{name}: answers {lie}"] += 1
        if lie == "delayed":
            proxy.delay = self._random.uniform(0.05, 0.5)
        elif lie == "cut":
            proxy.cut_after = self._random.randrange(2000)
        else:
            proxy.swallow = True
        with self.weather.outage(name):
            time.sleep(self._random.uniform(0.5, 3))
            proxy.be_honest()

    def _behind_proxies(self, world: World) -> World:
        url = world.database_url
        if self._database_proxy is not None:
            url = url.replace(f":{urlsplit(url).port}/", f":{self._database_proxy.port}/")
        redis_url = world.redis_url.replace(f":{self.redis.port}/", f":{self._redis_proxy.port}/")
        return replace(world, database_url=url, redis_url=redis_url)
