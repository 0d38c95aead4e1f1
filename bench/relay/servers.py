"""A private Redis with a relay for the long runs, and a client that checks its messages all the time."""

from __future__ import annotations

import json
import os
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

PLAIN, SOCKETIO = b"/ws", b"/socket.io/?EIO=4&transport=websocket"


@dataclass(frozen=True)
class Footprint:
    """Memory, open files and threads of a process."""

    rss_kib: int
    files: int
    threads: int


class Relay:
    """A running relay."""

    def __init__(self, process: subprocess.Popen[str], port: int, store: RedisServer) -> None:
        self.process = process
        self.port = port
        self.store = store
        self.redis_url = store.url

    def footprint(self) -> Footprint:
        place = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        files = len(list((place / "fd").iterdir()))
        return Footprint(int(status["VmRSS"].split()[0]), files, int(status["Threads"]))

    def stop(self) -> str:
        """Stop the relay; return its stderr, and its exit code if that is not 0."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=15)
        return said if self.process.returncode == 0 else f"exit {self.process.returncode}: {said}"


@contextmanager
def running_relay(*arguments: str, **env: str) -> Iterator[Relay]:
    store = RedisServer(find_redis()).start()
    folder = tempfile.TemporaryDirectory(prefix="orderctl-long.")
    process = subprocess.Popen(
        [str(SCRIPT), "relay", "start", "--port", "0", *arguments],
        env=os.environ | {"ORDERCTL_REDIS_URL": store.url, "ORDERCTL_STATE_DIR": folder.name} | env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("Listening on"):
            assert line, "the relay has ended"
        yield Relay(process, int(line.rpartition(":")[2]), store)
    finally:
        process.kill()
        process.communicate()
        store.close()
        folder.cleanup()


class Bystander:
    """A client that must receive every message, even if other clients misbehave."""

    TASK = 424_242

    def __init__(self, socket: websockets.ClientConnection, store: redis.Redis) -> None:
        self.socket = socket
        self.store = store
        self.said = 0

    @classmethod
    async def connect(cls, relay: Relay) -> Self:
        socket = await websockets.connect(f"ws://127.0.0.1:{relay.port}/ws", proxy=None, compression=None)
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
