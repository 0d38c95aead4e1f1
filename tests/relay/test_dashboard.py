"""A dashboard like the shop's, with the real socket.io-client under Node.js."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from orderctl import publications
from orderctl.channels import order_complete, task_progress, task_status
from tests.relay.conftest import SOON, RunningRelay, StartRelay, progress
from tests.servers.availability import needed
from tests.servers.node import node_modules
from tests.servers.programs import find
from tests.shop import Shop

PROGRAM = Path(__file__).with_name("dashboard.cjs")


class Dashboard:
    """The program, and what it prints."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[Any] = queue.Queue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def tell(self, what: str, condition: Callable[[Any], object] = lambda _: True) -> Any:
        """Return the next line of that kind; lines before it are skipped."""
        while True:
            line = self._lines.get(timeout=SOON)
            if line["what"] == what and condition(line):
                return line

    def tell_each(self, *kinds: str) -> dict[str, Any]:
        """Return the next line of each kind, in any order."""
        told: dict[str, Any] = {}
        while told.keys() != set(kinds):
            line = self._lines.get(timeout=SOON)
            if line["what"] in kinds:
                told.setdefault(line["what"], line)
        return told

    def close(self) -> None:
        self.process.communicate(timeout=SOON)
        self._reading.join()


@pytest.fixture(scope="module")
def command() -> list[str]:
    """The command line of Node.js and the program."""
    with needed():
        return [str(find("node")), str(PROGRAM)]


@pytest.fixture(scope="module")
def modules() -> Path:
    with needed():
        return node_modules("socket.io-client@4.8")


StartDashboard = Callable[[RunningRelay], Dashboard]


@pytest.fixture
def start_dashboard(command: list[str], modules: Path) -> Iterator[StartDashboard]:
    started: list[Dashboard] = []

    def start(relay: RunningRelay) -> Dashboard:
        started.append(Dashboard([*command, relay.url], os.environ | {"NODE_PATH": str(modules)}))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.mark.databases("sqlite")
def test_the_dashboard_works_unchanged(
    start_dashboard: StartDashboard,
    start_relay: StartRelay,
    migrated_url: str,
    shop: Shop,
    store: redis.Redis,
):
    relay = start_relay("--origin", "https://shop.example", database_url=migrated_url)
    first, second = shop.paid("DH123456", 2)
    order = shop.order("DH123456").id
    publications.publish(
        store, task_progress(first), {"percent": 7, "currentFile": "a", "speed": 1, "timestamp": 1}
    )

    dashboard = start_dashboard(relay)
    assert dashboard.tell("connect")["recovered"] is False
    told = dashboard.tell_each("listed", "progress")
    listed, snapshot = told["listed"], told["progress"]
    assert listed["orders"][0]["order_code"] == "DH123456"
    assert listed["orders"][0]["tasks"][0]["currentProgress"] == 7
    assert listed["stats"]["orders"]["total"] == 1
    assert listed["logs"] == 3
    assert listed["answer"]["ok"] is True
    assert snapshot["message"]["id"] == first
    assert snapshot["more"] == []

    for percent in range(10, 60, 10):
        store.publish(f"task:{second}:progress", progress(percent, second))
        heard = dashboard.tell("progress")["message"]
        assert (heard["scope"], heard["id"], heard["type"]) == ("task", second, "progress")
        assert heard["data"]["percent"] == percent
        assert heard["data"]["currentFile"] == "01.mp4"
        assert heard["data"]["speed"] == 1_000_000
    publications.publish(store, task_status(second), {"newStatus": "completed", "timestamp": 2})
    assert dashboard.tell("status")["message"]["data"]["newStatus"] == "completed"

    session = restart(relay, dashboard, signal.SIGTERM)
    store.publish(f"task:{first}:progress", progress(88, first))
    assert dashboard.tell("progress", lambda line: line["message"]["data"]["percent"] == 88)

    assert restart(relay, dashboard, signal.SIGKILL) == session
    publications.publish(
        store,
        order_complete(order),
        {"orderId": order, "totalTasks": 2, "completedTasks": 2, "failedTasks": 0, "timestamp": 3},
    )
    assert dashboard.tell("complete")["message"]["data"]["completedTasks"] == 2


def restart(relay: RunningRelay, dashboard: Dashboard, number: signal.Signals) -> str:
    """Restart the relay in the middle; the dashboard reconnects and gets its own subscriptions back."""
    relay.stop(number)
    relay.close()
    assert dashboard.tell("disconnect")["reason"] == "transport close"
    relay.start()
    again = dashboard.tell("connect")
    assert again["recovered"] is True
    return again["id"]
