"""A relay in a separate process, and clients that wait for its messages."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

import pytest
import redis
import websockets

from orderctl.relay import tokens
from orderctl.relay.hub import Hub
from orderctl.relay.rooms import Dialect
from tests.relay.members import FakeClock, Socket
from tests.script import SCRIPT
from tests.servers import prefork
from tests.servers.process import free_port
from tests.servers.strict import complaints
from tests.waiting import eventually_async

SECRET = "a secret of sixty-four characters, as openssl rand -hex 32 makes one"
#: Longest wait for a message that must arrive, in seconds.
SOON = 60.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RunningRelay:
    """The real program, ``orderctl relay start``, in a process of its own.

    Args:
        redis_url: The Redis that it reads.
        arguments: Further arguments.
        installed: Start the installed program, and not a fork of a process that has imported the same.
        settings: Settings by ``section.key``, passed by the environment.
    """

    def __init__(self, redis_url: str, *arguments: str, installed: bool = False, **settings: str) -> None:
        self.port = int(settings.pop("port", "0")) or free_port()
        self.redis_url = redis_url
        self._arguments = arguments
        self._installed = installed
        self._env = {f"ORDERCTL_{name.upper()}": text for name, text in settings.items()}
        self.process: prefork.Forked | subprocess.Popen[str]

    def start(self) -> Self:
        arguments = ["relay", "start", "--port", str(self.port), *self._arguments]
        environment = os.environ | {"ORDERCTL_REDIS_URL": self.redis_url} | self._env
        if self._installed:
            self.process = subprocess.Popen(
                [str(SCRIPT), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        else:
            self.process = prefork.start(arguments, environment)
        assert self.process.stderr is not None
        self._said = ""
        while not (line := self.process.stderr.readline()).startswith("Listening on"):
            self._said += line
            assert line, f"it has ended: {self._said}"
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = SOON) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def close(self) -> str:
        """Stop it; return what it wrote to stderr since its start."""
        if not self.process.stderr.closed:
            self.process.kill()
            self._said += self.process.communicate()[1]
        return self._said

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send one HTTP request; an underscore in the name of a header becomes a dash."""
        asked = urllib.request.Request(self.url + path, body, method=method)
        for name, value in headers.items():
            asked.add_header(name.replace("_", "-"), value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asked, timeout=SOON) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def metric(self, name: str, **labels: str) -> float:
        """Return one value of ``/metrics``; 0 if it does not exist."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        prefix = f"orderctl_relay_{name}{{{wanted}}} " if labels else f"orderctl_relay_{name} "
        for line in self.ask("/metrics").body.decode().splitlines():
            if line.startswith(prefix):
                return float(line.removeprefix(prefix))
        return 0.0

    async def until(self, name: str, condition: Callable[[float], bool], **labels: str) -> float:
        """Wait until a metric meets the condition."""
        values: list[float] = []

        async def holds() -> bool:
            values.append(await asyncio.to_thread(self.metric, name, **labels))
            return condition(values[-1])

        await eventually_async(holds, f"the metric {name}", SOON)
        return values[-1]


StartRelay = Callable[..., RunningRelay]


@pytest.fixture
def start_relay(redis_url: str) -> Iterator[StartRelay]:
    """``start_relay(*arguments, redis_url=None, installed=False, **settings)`` starts a relay for this test."""
    started: list[RunningRelay] = []

    def start(*arguments: str, redis_url: str = redis_url, **settings: Any) -> RunningRelay:
        started.append(RunningRelay(redis_url, *arguments, **settings))
        return started[-1].start()

    yield start
    assert [complaints(relay.close()) for relay in started] == [[] for _ in started]


@pytest.fixture
def relay(start_relay: StartRelay) -> RunningRelay:
    """A relay on loopback with default settings."""
    return start_relay()


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """The Redis behind the relay."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


T = TypeVar("T")


def play(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario for at most three minutes; close all clients that it leaves open."""

    async def whole() -> T:
        try:
            async with asyncio.timeout(180):
                return await scenario
        finally:
            while Plain.opened:
                client = Plain.opened.pop()
                client.socket.transport.abort()
                await client.socket.wait_closed()

    return asyncio.run(whole())


class Plain:
    """A client of ``/ws``."""

    opened: ClassVar[list[Plain | SocketIo]] = []

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.opened.append(self)
        self._calls = 0

    @classmethod
    async def connect(cls, relay: RunningRelay, **options: Any) -> Self:
        return cls(await websockets.connect(relay.socket_url, proxy=None, compression=None, **options))

    async def say(self, event: str, data: Any = None) -> None:
        await self.socket.send(json.dumps({"event": event, "data": data}))

    async def hear(self) -> Any:
        async with asyncio.timeout(SOON):
            return json.loads(await self.socket.recv())

    async def call(self, event: str, data: Any = None) -> Any:
        """Send a call and return its answer; messages before the answer are dropped."""
        self._calls += 1
        await self.socket.send(json.dumps({"event": event, "data": data, "id": self._calls}))
        while (answer := await self.hear()).get("id") != self._calls:
            pass
        return answer

    async def subscribe(self, **subject: int) -> Any:
        ((key, value),) = subject.items()
        return await self.call(f"subscribe:{key}", {f"{key}Id": value})

    async def closed(self) -> int:
        """Return the code with which the relay closes the connection."""
        async with asyncio.timeout(SOON):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code


class SocketIo:
    """A Socket.IO client that gives access to each packet."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        Plain.opened.append(self)
        self.session: dict[str, Any] = {}

    @classmethod
    async def open(cls, relay: RunningRelay, **options: Any) -> Self:
        """Connect at the level of Engine.IO only."""
        url = f"ws://127.0.0.1:{relay.port}/socket.io/?EIO=4&transport=websocket"
        client = cls(await websockets.connect(url, proxy=None, compression=None, **options))
        assert (await client.packet()).startswith("0")
        return client

    @classmethod
    async def connect(cls, relay: RunningRelay, auth: dict[str, Any] | None = None, **options: Any) -> Self:
        client = await cls.open(relay, **options)
        answer = await client.say("40" + (json.dumps(auth) if auth else ""))
        assert answer.startswith("40"), answer
        client.session = json.loads(answer[2:])
        return client

    async def say(self, packet: str) -> str:
        """Send a packet and return the next one that arrives."""
        await self.socket.send(packet)
        return await self.packet()

    async def packet(self) -> str:
        async with asyncio.timeout(SOON):
            packet = await self.socket.recv()
        assert isinstance(packet, str)
        return packet

    async def hear(self) -> Any:
        """Return the next event: its name and argument."""
        while not (packet := await self.packet()).startswith("42"):
            pass
        return json.loads(packet[2:])

    async def call(self, event: str, data: Any) -> Any:
        while not (packet := await self.say(f"421{json.dumps([event, data])}")).startswith("431"):
            pass
        return json.loads(packet[3:])[0]

    async def subscribe(self, **subject: int) -> Any:
        ((key, value),) = subject.items()
        return await self.call(f"subscribe:{key}", {f"{key}Id": value})

    async def closed(self) -> int:
        async with asyncio.timeout(SOON):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code


def progress(percent: float, task_id: int = 456, **more: Any) -> str:
    """Return a task's progress as a worker publishes it."""
    data = {"taskId": task_id, "percent": percent, "currentFile": "01.mp4", "speed": 1_000_000, **more}
    return json.dumps({"timestamp": int(time.time() * 1000), **data})


def mint(*scopes: str, ttl: int = 3600, secret: str = SECRET, subject: str = "tester") -> str:
    """Make a token that is issued now."""
    return tokens.mint(secret, scopes=scopes, subject=subject, issued=int(time.time()), ttl=ttl)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hub(clock: FakeClock) -> Hub:
    return Hub(clock, max_subscriptions=3)


@pytest.fixture
def plain(hub: Hub) -> Socket:
    return Socket(hub, Dialect.PLAIN)
