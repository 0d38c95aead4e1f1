"""The relay's server in this process, with parts in place of its own."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from orderctl.relay.server import RelayServer


async def nothing(*_: object) -> None:
    pass


async def forever(*_: object) -> None:
    await asyncio.sleep(60)


def server(**parts: Any) -> RelayServer:
    feed = SimpleNamespace(run=forever, wait_tried=nothing)
    exchange: Any = SimpleNamespace(feed=feed, members={}, hub=SimpleNamespace(paused=()))
    stub: Any = SimpleNamespace()
    presence = SimpleNamespace(keep=forever, retire=nothing)
    chosen: dict[str, Any] = {"presence": presence, "lookout": forever, **parts}
    return RelayServer(exchange, stub, stub, stub, max_rate=1, **chosen)


def test_a_host_that_is_no_name_cannot_be_listened_on():
    async def scenario() -> None:
        await server().run("a..b", 0, reuse_port=False, ready=lambda _: None)

    with pytest.raises(socket.gaierror, match="not the name of a host"):
        asyncio.run(scenario())
