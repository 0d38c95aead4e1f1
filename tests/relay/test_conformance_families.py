"""The families of the Autobahn test suite, against the whole relay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from tests.relay.conftest import RunningRelay, play
from tests.relay.families import EACH, Case, call, cases, read
from tests.relay.raw import CLOSE, TEXT, RawClient, frame

FAMILIES = cases()


@pytest.fixture(scope="module")
def relay(lasting_redis) -> Iterator[RunningRelay]:
    """One relay for all tests: none of them may damage it."""
    relay = RunningRelay(lasting_redis.revive().url, "--max-connections-per-address", "0").start()
    yield relay
    assert relay.stop() == 0
    assert relay.close() == ""


async def answers(relay: RunningRelay, case: Case) -> list[object]:
    """Send a case; return what comes, until as much has come as is wanted, or until the close."""
    client = await RawClient.connect(relay.port)
    heard: list[object] = []

    async def hear() -> None:
        heard.append(read(await client.get()))
        if isinstance(heard[-1], int):
            client.send(frame(CLOSE, b"\x03\xe8"))
            await client.end()  # nothing but the end may follow a close

    for piece in pieces(case):
        client.send(piece)
        await asyncio.sleep(0)
        if case.chop == EACH and not isinstance(case.wanted[len(heard)], int):
            await hear()
    while len(heard) < len(case.wanted) and not any(isinstance(one, int) for one in heard):
        await hear()
    await client.close()
    return heard


def pieces(case: Case) -> Iterable[bytes]:
    if case.chop == EACH:
        return case.frames
    data = b"".join(case.frames)
    size = case.chop or len(data)
    return [data[place : place + size] for place in range(0, len(data), size)]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_case_is_answered(relay: RunningRelay, family: str):
    async def scenario() -> list[tuple[Case, list[object]]]:
        return [(case, await answers(relay, case)) for case in FAMILIES[family]]

    wrong = [(heard, case) for case, heard in play(scenario()) if not case.allows(heard)]

    assert wrong == []


@pytest.mark.parametrize("size", [0, 64, 256])
def test_1000_messages_at_once_are_answered_in_order(relay: RunningRelay, size: int):
    """The families 9.7 and 9.8."""

    async def scenario() -> list[object]:
        client = await RawClient.connect(relay.port)
        client.send(*[frame(TEXT, call(str(number), size)) for number in range(1000)])
        heard = [read(await client.get()) for _ in range(1000)]
        await client.close()
        return heard

    assert play(scenario()) == [str(number) for number in range(1000)]
