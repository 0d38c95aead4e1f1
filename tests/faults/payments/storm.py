"""The run: a bank sends all deliveries, while the relay and the database are killed."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, insert

from orderctl import database
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from tests.faults.chaos.hosts import Host
from tests.faults.payments import banks, book, verdict
from tests.faults.payments.book import Book, Ordered
from tests.faults.payments.sender import Sender
from tests.faults.payments.verdict import Verdict
from tests.script import SCRIPT
from tests.servers.mysql import MysqlServer
from tests.servers.process import free_port

BATCH = 500


@dataclass(frozen=True)
class Plan:
    """How long the run is, and who is killed.

    Attributes:
        deliveries: How many the bank sends, repeats included.
        kills: How often the relay or the database is killed; these are spread over the deliveries.
        unit: The first pause of the sender before it tries again, in seconds.
        outage: How long a killed relay or database is away, in seconds.
        seconds: The run ends after this time at the latest.
        connections: The sender's.
        seed: Of what the bank sends.
    """

    deliveries: int
    kills: int
    unit: float = 1.0
    outage: float = 0.5
    seconds: float = 3600.0
    connections: int = 8
    seed: int = 1


@dataclass
class Place:
    """Where the run takes place.

    Attributes:
        folder: Of the relay's state and log.
        database_url: Of a migrated database without an order.
        redis_url: Of an empty Redis.
        server: The database's server; None for SQLite.
        program: What is run with ``relay start``.
    """

    folder: Path
    database_url: str
    redis_url: str
    server: MysqlServer | None = None
    program: Sequence[str] = field(default_factory=lambda: [str(SCRIPT)])

    @property
    def log(self) -> Path:
        return self.folder / "relay.log"

    def relay(self, port: int) -> Host:
        """Return a relay that is not started yet."""
        environment = {
            **os.environ,
            "ORDERCTL_STATE_DIR": str(self.folder),
            "ORDERCTL_DATABASE_URL": self.database_url,
            "ORDERCTL_REDIS_URL": self.redis_url,
            "ORDERCTL_MAIL_ADMIN": "admin@example.com",
            **banks.SETTINGS,
        }
        program, *arguments = self.program
        arguments += ["relay", "start", "--port", str(port), "--accept-payments"]
        return Host(environment, self.log, *arguments, program=Path(program))


def run(place: Place, plan: Plan) -> Verdict:
    """Send everything, and compare the database with what must be true."""
    written = book.write(plan.deliveries, plan.seed)
    engine = database.connect(place.database_url)
    try:
        database.transact(engine, lambda connection: _open_shop(connection, written.orders))
        sender, killed, seconds = _send(place, plan, written)
        found = verdict.judge(engine, written, sender.taken)
    finally:
        engine.dispose()
    found.other += [*sender.wrong[:10], *_errors(place.log.read_text())[:10]]
    if sender.left:
        found.other.append(f"{sender.left} deliveries were not taken in {plan.seconds:.0f} s")
    found.told = _told(plan, written, sender, killed, seconds)
    return found


def _send(place: Place, plan: Plan, written: Book) -> tuple[Sender, Counter[str], float]:
    port = free_port()
    relay = place.relay(port)
    sender = Sender(port, written.deliveries, unit=plan.unit, connections=plan.connections, seed=plan.seed)
    killed: Counter[str] = Counter()
    began = time.monotonic()
    deadline = began + plan.seconds
    relay.start()
    try:
        sender.start()
        for number, victim in enumerate(_victims(place, plan), 1):
            if not _await(sender, relay, number / (plan.kills + 1), deadline):
                break
            killed[victim] += 1
            _strike(victim, place, relay, plan.outage)
        _await(sender, relay, 1, deadline)
    finally:
        relay.stop()
    return sender, killed, time.monotonic() - began


def _await(sender: Sender, relay: Host, share: float, deadline: float) -> bool:
    """Wait until this share of the deliveries was taken; return False if it is too late, or the relay has ended."""
    while not sender.await_taken(share, min(deadline, time.monotonic() + 1)):
        if time.monotonic() > deadline or not relay.is_running:
            return False
    return True


def _errors(said: str) -> list[str]:
    """Return what the relay has logged as an error, and its tracebacks."""
    return [line for line in said.splitlines() if " ERROR " in line or line.startswith("Traceback")]


def _victims(place: Place, plan: Plan) -> Iterator[str]:
    kinds = ["relay", "database", "relay", "database paused"] if place.server else ["relay"]
    return itertools.islice(itertools.cycle(kinds), plan.kills)


def _strike(victim: str, place: Place, relay: Host, outage: float) -> None:
    if victim == "relay":
        relay.kill()
        time.sleep(outage)
        relay.start()
        return
    assert place.server is not None
    if victim == "database":
        place.server.kill()
        time.sleep(outage)
        place.server.start()
        return
    place.server.pause()
    time.sleep(outage + 4)  # longer than the relay waits for an answer
    place.server.resume()


def _open_shop(connection: Connection, orders: Iterable[Ordered]) -> None:
    """Write the orders, each with a task, as a shop would."""
    numbered = list(enumerate(orders, 1))
    now = database.utc_now()
    for begin in range(0, len(numbered), BATCH):
        batch = numbered[begin : begin + BATCH]
        rows = [
            {
                "id": number, "order_code": order.code, "user_email": "a@example.com",
                "order_status": order.order_status, "payment_status": order.payment_status,
                "total_amount": order.amount, "round": 0,
            }
            for number, order in batch
        ]  # fmt: skip
        connection.execute(insert(orders_table).values(created_at=now), rows)
        tasks = [
            {
                "order_id": number, "course_url": "http://courses.example/1", "status": "pending",
                "managed": 1, "attempt": 0, "max_attempts": 3,
            }
            for number, _ in batch
        ]  # fmt: skip
        connection.execute(
            insert(download_tasks).values(created_at=now, updated_at=now, available_at=now), tasks
        )


def _told(
    plan: Plan, written: Book, sender: Sender, killed: Counter[str], seconds: float
) -> list[tuple[str, object]]:
    answers = ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(sender.answers.items()))
    return [
        ("orders", len(written.orders)),
        ("transfers", len(written.told)),
        ("deliveries", f"{len(written.deliveries)} over {plan.connections} connections"),
        ("requests by their answer", answers),
        ("killed", ", ".join(f"{victim} {count}" for victim, count in killed.items()) or "none"),
        ("seconds", f"{seconds:.1f}, {len(written.deliveries) / seconds:.0f} deliveries/s"),
    ]
