"""Fixtures for the doctor's tests: its checks of a shop, and its repairs carried out."""

import json
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from orderctl.cli.main import run
from orderctl.doctor import pubsub
from tests.shop import Shop


@dataclass(frozen=True)
class Examined:
    """What the doctor has found."""

    status: int
    checks: list[dict[str, Any]]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [check for check in self.checks if check["name"] == name]

    def unwell(self) -> set[str]:
        """The names of the checks that found something wrong."""
        return {check["name"] for check in self.checks if check["verdict"] in {"warning", "fault"}}


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a message takes longer than its target; the test of that sets it again."""
    monkeypatch.setattr(pubsub, "TARGET", 1000.0)


@pytest.fixture
def shop(shop: Shop, migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with an empty Redis, and settings that name both stores."""
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", migrated_url)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    return shop


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """``call(*words)`` runs the program in this process, and returns its exit code and its output."""

    def program(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = run(words)
        return status, capsys.readouterr().out

    return program


@pytest.fixture
def doctor(call: Callable[..., tuple[int, str]]) -> Callable[..., Examined]:
    """``doctor(*options)`` runs the command in this process."""

    def examine(*options: str) -> Examined:
        status, out = call("doctor", "-o", "json", "--listen", "0.1s", *options)
        return Examined(status, json.loads(out))

    return examine


@pytest.fixture
def carry_out(call: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """``carry_out(repair)`` does what a repair says: runs the command, or makes the setting."""

    def do(repair: str) -> int:
        words = shlex.split(repair)
        if words[0] == "orderctl":
            return call(*words[1:])[0]
        name, equals, value = words[-1].partition("=")
        assert (words[:-1], equals, name[:9]) == (["export"], "=", "ORDERCTL_"), repair
        monkeypatch.setenv(name, value)
        return 0

    return do


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
