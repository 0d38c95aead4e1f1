"""The cache: a value is computed once for all requests that need it."""

from __future__ import annotations

import asyncio

import pytest

from orderctl.errors import OrderNotFound
from orderctl.relay.api.cache import Cache
from orderctl.relay.api.threads import Late
from tests.relay.conftest import SOON, play


def test_a_value_is_made_once_for_all_who_ask():
    made = []

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0.01)
        return len(made)

    async def scenario():
        cache = Cache(make, 60)
        values = await asyncio.gather(*[cache.get(SOON) for _ in range(20)])
        return [*values, await cache.get(SOON)]

    assert play(scenario()) == [1] * 21


def test_an_old_value_is_made_anew():
    made = []

    async def make() -> int:
        made.append(1)
        return len(made)

    async def scenario():
        cache = Cache(make, 0)
        return [await cache.get(SOON), await cache.get(SOON)]

    assert play(scenario()) == [1, 2]


def test_a_failure_is_not_kept():
    answers = [OrderNotFound(), "good"]

    async def make() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario():
        cache = Cache(make, 60)
        with pytest.raises(OrderNotFound):
            await cache.get(SOON)
        return await cache.get(SOON)

    assert play(scenario()) == "good"


def test_who_cannot_wait_leaves_it_to_the_next():
    ready = asyncio.Event()

    async def make() -> str:
        await ready.wait()
        return "good"

    async def scenario():
        cache = Cache(make, 60)
        with pytest.raises(Late):
            await cache.get(0.01)
        ready.set()
        return await cache.get(SOON)

    assert play(scenario()) == "good"
