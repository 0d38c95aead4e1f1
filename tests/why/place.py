"""A shop with both stores, in which the causes of the table are planted, asked about and repaired."""

import json
import os
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.serializers import JSONSerializer

from orderctl import broker, channels, doorbell, reconcile
from orderctl.cli.app import App
from orderctl.cli.main import run
from orderctl.settings import Settings, load
from orderctl.states import ENDED_ORDER
from orderctl.worker.queue import GuardedQueue
from tests.servers import prefork
from tests.servers.course import CourseServer
from tests.servers.redis import RedisServer
from tests.shop import Shop
from tests.waiting import eventually

SIGN = "s1"


@dataclass
class Place:
    """A shop, and what runs in it.

    Attributes:
        environment: The settings of all commands.
        is_real: Whether `worker start` runs the program; by default this process does what its supervisor and workers do.
    """

    shop: Shop
    state: Path
    server: RedisServer
    environment: dict[str, str]
    courses: CourseServer
    capsys: pytest.CaptureFixture[str]
    make_redis: Callable[..., RedisServer]
    is_real: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return load(environ=self.environment)

    @property
    def client(self) -> redis.Redis:
        """A client that may do anything, of the server of the settings at the beginning."""
        if "client" not in self.more:
            self.more["client"] = broker.brisk(self.server.url)
        return self.more["client"]

    @property
    def queue(self) -> str:
        return "rq:queue:orderctl"

    # --- Planting

    def paid(self, code: str = "DH1", courses: int = 1) -> list[int]:
        return self.shop.paid(code, [self.course] * courses)

    @property
    def course(self) -> str:
        return self.courses.add_course("/go", {"a.bin": 1000}, title="Go")

    def sign(self, name: str = SIGN, **more: Any) -> None:
        """Let a supervisor send its heartbeat."""
        sign = {"name": name, "queue": "orderctl", "concurrency": 1, "started": 1} | more
        self.client.set(broker.key(self.client, channels.supervisor(name)), json.dumps(sign))

    def ring(self) -> None:
        """Let a keeper ring for what is due."""
        reconcile.run(self.shop.engine, self.client, self.settings)

    def sql(self, statement: str, **values: Any) -> None:
        self.shop.execute(statement, **values)

    # --- Asking and repairing

    def ask(self, *subject: str) -> dict[str, Any]:
        status, out, err = self.run("why", *subject, "-o", "json")
        assert status in {0, 1}, err
        found = json.loads(out)
        assert status == (1 if found["state"] in {"broken", "unknown"} else 0)
        return found

    def run(self, *words: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        status = run(words, App(environ=self.environment))
        out, err = self.capsys.readouterr()
        return status, out, err

    def carry_out(self, line: str) -> None:
        """Run what was printed, as a shell would."""
        for command in line.split(" && "):
            program, *words = shlex.split(command)
            if program == "redis-cli":
                self.client.execute_command(*(words[2:] if words[0] == "-p" else words))
                continue
            assert program == "orderctl"
            if words[:2] == ["worker", "start"]:
                self.start_workers(words)
                continue
            if words[:2] == ["payments", "match"]:
                words.append("--yes")  # it asks on a terminal, and here is none
            status, out, err = self.run(*words)
            assert status == 0, f"{command}: {out}{err}"

    def start_workers(self, words: list[str]) -> None:
        """Run a supervisor until every order has ended."""
        assert words == ["worker", "start"]
        if not self.is_real:
            self.ring()
            self.work()
            return
        environment = os.environ | self.environment
        started = prefork.start(words, environment)
        try:
            eventually(self.all_have_ended, "the end of all orders")
        finally:
            started.send_signal(signal.SIGTERM)
            _, said = started.communicate()
        assert "Traceback" not in said, said

    def all_have_ended(self) -> bool:
        rows = self.shop.order_rows()
        time.sleep(0.05)
        return all(row.order_status in ENDED_ORDER for row in rows if row.payment_status == "paid")

    def work(self) -> None:
        """Let the workers carry out what the queue gives them, by the code of orderctl's own workers."""
        doorbell.load_rq("")
        queue = GuardedQueue(self.settings.worker.queue, connection=self.client, serializer=JSONSerializer)
        while (found := GuardedQueue.dequeue_any([queue], None, connection=self.client)) is not None:
            task_id = found[0].args[0]
            claim = self.shop.claim(task_id, worker=f"{SIGN}.worker-1.1")
            if claim is not None:
                self.shop.start(claim)
                self.shop.complete(claim)

    def is_completed(self, code: str = "DH1") -> bool:
        return self.shop.order(code).order_status == "completed"
