"""A relay in the test's own event loop, whose clock the test moves on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from orderctl.relay import assembly
from orderctl.relay.server import RelayServer
from orderctl.settings import load
from tests.relay.conftest import Plain

T = TypeVar("T")


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock the test moves on; by itself it goes on by a millisecond whenever it is looked at.

    So waits of milliseconds end, and how busy the machine is changes nothing.
    """

    now = 1000.0

    def time(self) -> float:
        self.now += 0.001
        return self.now


@dataclass
class HeldRelay:
    """The relay, and the time."""

    port: int
    loop: HeldLoop

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def pass_time(self, seconds: float) -> None:
        """Let the time pass; when this returns, the relay has done what was due by then."""
        await self.settle()
        self.loop.now += seconds
        await self.settle()

    async def settle(self) -> None:
        """Ask the relay something else: what it was about to do before is done after that."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()


def play_held(scenario: Callable[[HeldRelay], Awaitable[T]], redis_url: str, **settings: str) -> T:
    """Run a scenario with a relay under a held clock.

    Args:
        scenario: Takes the relay.
        redis_url: Where publications come from.
        settings: Of the relay, by the name in its section.
    """
    level = logging.getLogger("asyncio").level
    try:
        with asyncio.Runner(loop_factory=HeldLoop) as runner:
            return runner.run(_whole(scenario, redis_url, settings))
    finally:
        logging.getLogger("asyncio").setLevel(level)


async def _whole(
    scenario: Callable[[HeldRelay], Awaitable[T]], redis_url: str, settings: dict[str, str]
) -> T:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HeldLoop)
    chosen = load({f"relay.{name}": text for name, text in settings.items()}, environ={})
    server = assembly.build(chosen, redis_url, "sqlite://", actions=False)
    listening: asyncio.Future[str] = loop.create_future()
    running = loop.create_task(server.run("127.0.0.1", 0, reuse_port=False, ready=listening.set_result))
    try:
        await asyncio.wait([listening, running], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        return await scenario(HeldRelay(int(listening.result().rpartition(":")[2]), loop))
    finally:
        await _end(server, running, loop)


async def _end(server: RelayServer, running: asyncio.Task[None], loop: HeldLoop) -> None:
    while Plain.opened:
        Plain.opened.pop().socket.transport.abort()
    server.stop()
    while not running.done():
        loop.now += 0.1
        await asyncio.wait([running], timeout=0)
    running.result()
