"""The cache: a value is computed once for all requests that need it, and renewed while they get the last one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from orderctl.errors import OrderNotFound
from orderctl.relay.api.cache import Cache
from orderctl.relay.api.threads import Late
from tests.relay.conftest import SOON, play


class Numbers:
    """Computes 1, 2, 3 ..., each when it may; and the clock of a cache that keeps them."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.made = 0
        self.now = 0.0
        self.takes = 0.0
        self.failure: Exception | None = None
        self.ready = asyncio.Event()
        if at_once:
            self.ready.set()
        self.cache = Cache(self.make, age=30, too_old=300, now=lambda: self.now)

    async def make(self) -> int:
        await self.ready.wait()
        self.now += self.takes
        self.made += 1
        if self.failure is not None:
            raise self.failure
        return self.made

    async def get(self, patience: float = SOON) -> int:
        return (await self.cache.get(patience)).value

    async def get_later(self, seconds: float) -> list[int]:
        """Ask when some time has passed, and again when what that began has ended."""
        self.now += seconds
        first = await self.get()
        await _idle()
        return [first, await self.get()]


async def _idle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def scenario(play_with: Callable[[], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        return await play_with()

    return play(whole())


def test_a_value_is_made_once_for_all_who_ask():
    async def run():
        numbers = Numbers()
        values = await asyncio.gather(*[numbers.get() for _ in range(20)])
        return [*values, await numbers.get()]

    assert scenario(run) == [1] * 21


def test_an_old_value_is_given_at_once_and_renewed_behind_it():
    async def run():
        numbers = Numbers()
        await numbers.get()
        numbers.ready.clear()
        numbers.now = 31
        during = [await numbers.get(0) for _ in range(3)]
        await _idle()
        numbers.ready.set()
        await _idle()
        return [*during, await numbers.get(0), numbers.made]

    assert scenario(run) == [1, 1, 1, 2, 2]


def test_at_most_a_tenth_of_the_time_is_spent_on_it():
    async def run():
        numbers = Numbers()
        numbers.takes = 4
        await numbers.get()
        return [*await numbers.get_later(31), *await numbers.get_later(5)]

    assert scenario(run) == [1, 1, 1, 2]


def test_a_value_that_is_too_old_is_not_given():
    async def run():
        numbers = Numbers()
        before = await numbers.cache.get(SOON)
        numbers.now = 301
        after = await numbers.cache.get(SOON)
        return before.value, after.value, before.made_at <= after.made_at <= datetime.now(UTC)

    assert scenario(run) == (1, 2, True)


def test_a_failure_is_not_kept():
    async def run():
        numbers = Numbers()
        numbers.failure = OrderNotFound()
        with pytest.raises(OrderNotFound):
            await numbers.get()
        numbers.failure = None
        return await numbers.get()

    assert scenario(run) == 2


def test_a_failure_leaves_the_last_value_until_that_is_too_old():
    async def run():
        numbers = Numbers()
        await numbers.get()
        numbers.failure = OrderNotFound()
        values = await numbers.get_later(31) + await numbers.get_later(200)
        numbers.now = 301
        with pytest.raises(OrderNotFound):
            await numbers.get()
        numbers.failure = None
        return values, await numbers.get() > 1

    assert scenario(run) == ([1] * 4, True)


def test_who_cannot_wait_leaves_it_to_the_next():
    async def run():
        numbers = Numbers(at_once=False)
        with pytest.raises(Late, match="counting did not end"):
            await numbers.get(0.01)
        numbers.ready.set()
        return await numbers.get()

    assert scenario(run) == 1
