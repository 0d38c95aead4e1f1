"""The relay's server in this process, with parts in place of its own."""

import asyncio
import logging
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from orderctl.relay.server import RelayServer


async def nothing(*_: object) -> None:
    pass


async def forever(*_: object) -> None:
    await asyncio.sleep(60)


async def broken(*_: object) -> None:
    raise ZeroDivisionError("canary")


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


@pytest.mark.parametrize("part", ["lookout", "keep", "retire"])
def test_a_relay_goes_on_without_a_part_beside_it_and_logs_that_once(part: str, caplog):
    presence = SimpleNamespace(**{"keep": forever, "retire": nothing, part: broken})
    ends: list[bool] = []

    async def scenario() -> None:
        relay = server(
            presence=presence,
            lookout=broken if part == "lookout" else forever,
            at_end=lambda: ends.append(True),
        )
        running = asyncio.create_task(
            relay.run("127.0.0.1", 0, reuse_port=False, ready=lambda _: stop_soon(relay))
        )
        await asyncio.wait_for(running, 10)

    def stop_soon(relay: RelayServer) -> None:
        asyncio.get_running_loop().call_later(0.05, relay.stop)

    with caplog.at_level(logging.ERROR, "orderctl.relay.server"):
        asyncio.run(scenario())

    [record] = [one for one in caplog.records if one.name == "orderctl.relay.server"]
    assert "the relay goes on without it" in record.getMessage()
    assert ends == [True]
