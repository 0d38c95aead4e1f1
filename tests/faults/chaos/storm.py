"""The run: customers order and pay, while one victim at a time is killed or stopped."""

import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select

from orderctl import broker, database, doorbell, orders, payments, tasks
from orderctl.errors import Conflict, DatabaseUnavailable, OrderctlError
from orderctl.orders import NewCourse, NewOrder
from orderctl.schema import orders as orders_table
from orderctl.states import ENDED_ORDER, TaskStatus
from tests.faults.chaos.history import Answer, Asked, History
from tests.faults.chaos.hosts import Host, send
from tests.faults.chaos.proxy import Proxy
from tests.faults.world import SIZE, World
from tests.servers.mysql import MysqlServer
from tests.servers.process import free_port
from tests.servers.redis import RedisServer
from tests.shop import AMOUNT

LEASE = 3
WORKERS = 2
#: Most orders that are open at a time.
OPEN = 8
COURSES = 4
#: The fraction of orders of which a failed task is retried.
RETRIES = 0.15
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
        self._over = threading.Event()
        self._redis_proxy = Proxy(redis.port).start()
        self._database_proxy = Proxy(server.port).start() if server else None
        self._customers = threading.Thread(target=self._order_on, daemon=True)
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
            self._over.set()
            self._customers.join()
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

    # --- Customers

    def _order_on(self) -> None:
        chance = random.Random(self.plan.seed + 1)
        number = 0
        engine = database.connect(self._database_url(lied_to=True), pool_size=1)
        client = broker.brisk(self._redis_url(lied_to=True))
        while not self._over.wait(0.1):
            if self._open_orders() >= OPEN:
                continue
            number += 1
            good, bad = chance.randint(1, 2), chance.randint(0, 4) // 4
            asked = self.history.orders[f"DH{number}"] = Asked(f"DH{number}", good, bad)
            asked.added = self._add(engine, asked, chance)
            asked.paid = self._pay(engine, asked)
            if asked.paid is Answer.OK:
                self._ring(engine, client, asked)
            if chance.random() < RETRIES:
                self._retry(engine, chance)
        engine.dispose()
        client.close()

    def _retry(self, engine: Engine, chance: random.Random) -> None:
        """Retry a failed task as an admin; it fails again, and its order ends another time."""
        try:
            with database.reading(engine) as connection:
                failed = tasks.select_tasks(connection, tasks.TaskFilter(statuses=[TaskStatus.FAILED]))
            if not failed:
                return
            task = chance.choice(failed)
            database.transact(engine, lambda c: tasks.retry(c, task.id, max_attempts=10_000, actor="shop"))
        except OrderctlError:
            self.history.other["retry without an answer"] += 1
        else:
            self.history.retried[task.id] = max(self.history.retried.get(task.id, 0), task.attempt)

    def _add(self, engine: Engine, asked: Asked, chance: random.Random) -> Answer:
        base = self.world.courses.url
        urls = [f"{base}/course{chance.randrange(COURSES)}/course.json" for _ in range(asked.good)]
        urls += [f"{base}/missing/course.json"] * asked.bad
        new = NewOrder(asked.code, f"{asked.code}@example.com", AMOUNT, [NewCourse(url) for url in urls])
        return self._ask(engine, lambda c: orders.add(c, new, max_attempts=10_000, actor="customer"))

    def _pay(self, engine: Engine, asked: Asked) -> Answer:
        """Send a bank's payment until it is answered, at most three times."""
        payment = payments.Payment(asked.code, AMOUNT, "ACB", f"T-{asked.code}")
        answer = Answer.UNKNOWN
        for _ in range(3):
            answer = self._ask(engine, lambda c: payments.receive(c, payment, actor="bank"))
            if answer is not Answer.UNKNOWN:
                break
        return answer

    def _ask(self, engine: Engine, work: Callable[[object], object]) -> Answer:
        try:
            database.transact(engine, work)
        except DatabaseUnavailable:
            return Answer.UNKNOWN
        except Conflict:
            return Answer.OK  # the previous payment, whose answer was lost
        except OrderctlError:
            return Answer.FAILED
        return Answer.OK

    def _ring(self, engine: Engine, client: object, asked: Asked) -> None:
        """Send doorbells as ``orders pay`` does; a keeper sends the ones that are lost."""
        try:
            with database.reading(engine) as connection:
                order = orders.find(connection, asked.code)
                found = [(task.id, task.attempt) for task in tasks.of_orders(connection, [order.id])]
            doorbell.ring(client, self.world.settings.worker.queue, found)
        except OrderctlError:
            self.history.other["not rung by the customer"] += 1

    def _open_orders(self) -> int:
        try:
            with database.reading(self.world.engine) as connection:
                query = select(func.count()).where(orders_table.c.order_status.not_in(ENDED_ORDER))
                return connection.execute(query).scalar_one()
        except OrderctlError:
            return OPEN

    # --- Victims

    def _strike(self) -> None:
        blows: list[Callable[[], None]] = [
            *[self._kill_horse] * 4, *[self._kill_worker] * 3, *[self._kill_child] * 2,
            *[self._kill_supervisor] * 2, self._kill_relay, *[self._kill_redis] * 2,
            self._stop_horse, self._stop_redis, self._lie_about_redis,
        ]  # fmt: skip
        if self.server:
            blows += [self._kill_database, self._kill_database, self._stop_database, self._lie_about_database]
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
