"""Servers that only look like Redis, and a node of a Redis Cluster. A plugin, loaded by ``tests/conftest.py``."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.process import free_port
from tests.servers.redis import RedisServer, find_redis


class FakeRedis:
    """A TCP server that answers what the test sets, and records what it receives.

    Args:
        answer: Called with the lines of each command; None closes the connection.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self.connections = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client:
            while told := client.recv(65536):
                self.heard.append(told)
                answer = self.answer(told)
                if answer is None:
                    return
                client.sendall(answer)


@pytest.fixture
def fake_redis() -> Iterator[Callable[..., FakeRedis]]:
    """``fake_redis(answer)`` starts a server that pretends to be Redis."""
    made: list[FakeRedis] = []

    def make(answer: Callable[[bytes], bytes | None]) -> FakeRedis:
        made.append(FakeRedis(answer))
        return made[-1]

    yield make
    for server in made:
        server.close()


class ClusterServer(RedisServer):
    """A node of a Redis Cluster. Its bus port is not 10,000 above its port, where clients get their ports."""

    def __init__(self, program: Path) -> None:
        super().__init__(program)
        self.bus_port = free_port()

    def command(self) -> list[str]:
        return [*super().command(), "--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)]


@pytest.fixture
def cluster() -> Iterator[RedisServer]:
    server = ClusterServer(find_redis())
    try:
        server.databases = 1
        yield server.start()
    finally:
        server.close()
