"""A private Redis with a relay for the long runs, and a client that checks its messages all the time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import redis
import websockets

from tests.script import SCRIPT
from tests.servers.redis import RedisServer, find_redis
from tests.waiting import eventually

PLAIN, SOCKETIO = b"/ws", b"/socket.io/?EIO=4&transport=websocket"


@dataclass(frozen=True)
class Footprint:
    """Memory, open files, sockets among them, and threads of a process."""

    rss_kib: int
    files: int
    sockets: int
    threads: int


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except FileNotFoundError:  # it was closed in the meantime
        return ""


class Relay:
    """A running relay."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, store: RedisServer, said: Path) -> None:
        self.process = process
        self.said = said
        self.port = port
        self.store = store
        self.redis_url = store.url

    def footprint(self) -> Footprint:
        place = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        files = [_target(file) for file in (place / "fd").iterdir()]
        sockets = sum(file.startswith("socket:") for file in files)
        return Footprint(int(status["VmRSS"].split()[0]), len(files), sockets, int(status["Threads"]))

    def stop(self) -> str:
        """Stop the relay; return its stderr, and its exit code if that is not 0."""
        self.process.terminate()
        self.process.wait(timeout=15)
        said = self.said.read_text().partition("Listening on")[2]
        return said if self.process.returncode == 0 else f"exit {self.process.returncode}: {said}"


@contextmanager
def running_relay(*arguments: str, migrate: bool = False, **env: str) -> Iterator[Relay]:
    """Run a relay; with ``migrate`` its database has the tables, so that the API answers."""
    store = RedisServer(find_redis()).start()
    folder = tempfile.TemporaryDirectory(prefix="orderctl-long.")
    env = os.environ | {"ORDERCTL_REDIS_URL": store.url, "ORDERCTL_STATE_DIR": folder.name} | env
    if migrate:
        subprocess.run([str(SCRIPT), "migrate", "up"], env=env, check=True, capture_output=True)
    said = Path(folder.name, "stderr")  # not a pipe: a relay that says much would wait for its reader
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [str(SCRIPT), "relay", "start", "--port", "0", *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield Relay(process, _port(process, said), store, said)
    finally:
        process.kill()
        process.wait()
        store.close()
        folder.cleanup()


def _port(process: subprocess.Popen[bytes], said: Path) -> int:
    def find() -> re.Match[str] | None:
        assert process.poll() is None, f"the relay has ended: {said.read_text()}"
        return re.search(r"^Listening on .*:(\d+)$", said.read_text(), re.MULTILINE)

    found = eventually(find, "the relay")
    assert found is not None
    return int(found[1])


class Bystander:
    """A client that must receive every message, even if other clients misbehave."""

    TASK = 424_242

    def __init__(self, socket: websockets.ClientConnection, store: redis.Redis) -> None:
        self.socket = socket
        self.store = store
        self.said = 0

    @classmethod
    async def connect(cls, relay: Relay, token: str | None = None) -> Self:
        url, headers = (
            f"ws://127.0.0.1:{relay.port}/ws",
            {"Authorization": f"Bearer {token}"} if token else {},
        )
        socket = await websockets.connect(url, proxy=None, compression=None, additional_headers=headers)
        await socket.send(json.dumps({"event": "subscribe:task", "data": {"taskId": cls.TASK}}))
        await socket.recv()
        return cls(socket, redis.Redis.from_url(relay.redis_url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        self.store.close()

    async def check(self) -> None:
        """Publish a message and check that it is the next to arrive."""
        self.said += 1
        self.store.publish(f"task:{self.TASK}:status", json.dumps({"newStatus": str(self.said)}))
        heard = json.loads(await self.socket.recv())
        assert heard["data"]["data"]["newStatus"] == str(self.said), heard
