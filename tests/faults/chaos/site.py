"""One shop of the run: its supervisors, its relay, its customers, and its own programs on the same Redis."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import func, select

from orderctl import database
from orderctl.errors import OrderctlError
from orderctl.schema import download_tasks
from tests.faults.chaos.customers import COURSES, Customers
from tests.faults.chaos.dashboard import Dashboard
from tests.faults.chaos.foreign import Foreign
from tests.faults.chaos.history import History, Weather
from tests.faults.chaos.hosts import Host
from tests.faults.chaos.ledger import SHOP_QUEUE
from tests.faults.world import ROOT, SIZE, World
from tests.script import SCRIPT
from tests.servers.process import free_port

#: A traceback up to its last line, which begins with the name of the exception.
TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ ].*\n)*(.*)$", re.MULTILINE)
#: The log of the shop's own worker, which is not orderctl's.
SHOP_LOG = "rq.log"
LEASE = 3
WORKERS = 2
RATE = 60_000.0  # bytes/s: a course takes half a second


class Site:
    """A shop.

    Args:
        name: Its name, which begins the codes of its orders.
        world: The shop, with the servers' own addresses.
        outside: The same, with the addresses of the proxies.
        weather: Where its dead are recorded.
        hosts: The number of its supervisors.
        seed: Of what its customers and its own programs do.
    """

    def __init__(
        self, name: str, world: World, outside: World, weather: Weather, *, hosts: int, seed: int
    ) -> None:
        self.name = name
        self.world = world
        self.history = History(name, weather)
        self._names = [f"host-{number}" for number in range(hosts)]
        self.hosts = [
            self._host(name, world if number else outside) for number, name in enumerate(self._names)
        ]
        port = free_port()
        self.relay = self._relay(outside, port)
        self.dashboard = Dashboard(port, lambda: len(self.history.orders))
        self.shop_worker = self._shop_worker()
        self._customers = Customers(world, outside, self.history, seed=seed)
        self.foreign = Foreign(
            world.redis_url,
            world.settings.redis.prefix,
            world.settings.worker.queue,
            shop=name,
            ran=world.state / "ran",
            newest_task=self._newest_task,
            seed=seed,
        )
        world.courses.rate = RATE
        for number in range(COURSES):
            world.courses.add_course(f"/course{number}", {world.file: SIZE}, title=f"Course {number}")

    @property
    def processes(self) -> list[Host]:
        return [*self.hosts, self.relay, self.shop_worker]

    def open(self) -> None:
        """Start everything."""
        self.foreign.start()
        self.revive()
        self.dashboard.start()
        self._customers.start()

    def revive(self) -> None:
        """Start the processes that have ended."""
        for host in self.processes:
            host.start()

    def leave(self) -> None:
        """Let the customers and the shop's own programs go."""
        self._customers.leave()
        self.dashboard.leave()
        self.foreign.leave()

    def stop(self) -> None:
        """Stop the processes as an admin would."""
        self.world.courses.rate = None
        with ThreadPoolExecutor() as pool:
            ended = list(pool.map(Host.stop, self.processes))
        for _ in range(ended.count(False)):
            self.history.weather.kill("supervisor", self.name)
            self.history.weather.other["killed because it would not end"] += 1

    def settle(self) -> None:
        """Let an hour pass, and the rest of the work be done."""
        self.foreign.ledger.outlast()
        for _ in range(3):  # what a dead worker had taken is first noticed, then rejected
            self.world.recover()
            if not self.foreign.ledger.in_transit():
                break
        self.foreign.ledger.compare(settled=True)

    def crashes(self) -> list[str]:
        """Return the last line of each traceback in the logs of orderctl."""
        logs = [self._log(name).read_text() for name in ("relay", *self._names)]
        return [error for log in logs for error in TRACEBACK.findall(log)]

    def _newest_task(self) -> int | None:
        try:
            with database.reading(self.world.engine) as connection:
                return connection.execute(select(func.max(download_tasks.c.id))).scalar_one() or 0
        except OrderctlError:
            return None

    # --- Processes

    def _host(self, name: str, world: World) -> Host:
        arguments = ("worker", "start", "--concurrency", str(WORKERS), "--lease", str(LEASE))
        return Host(self._environment(name, world), self._log(name), *arguments)

    def _relay(self, world: World, port: int) -> Host:
        arguments = ("relay", "start", "--port", str(port))
        return Host(self._environment("relay", world), self._log("relay"), *arguments)

    def _shop_worker(self) -> Host:
        """The shop's own worker, which knows nothing of orderctl."""
        world = self.world
        environment = world.environment | {"RQ_KEY_PREFIX": f"{world.settings.redis.prefix}rq"}
        arguments = ("worker", "--url", world.redis_url, "--path", str(ROOT), SHOP_QUEUE)
        return Host(environment, world.state / SHOP_LOG, *arguments, program=SCRIPT.with_name("rq"))

    def _environment(self, name: str, world: World) -> dict[str, str]:
        state = self.world.state / name
        state.mkdir()
        return world.environment | {"ORDERCTL_STATE_DIR": str(state)}

    def _log(self, name: str) -> Path:
        return self.world.state / f"{name}.log"
