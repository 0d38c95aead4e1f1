"""Blocking work in threads: its results and its limits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from orderctl.errors import OrderNotFound
from orderctl.relay.api.threads import Late, Overloaded, Threads
from tests.relay.conftest import SOON, play


def test_results_and_errors_come_back():
    async def scenario():
        threads = Threads(2)
        with pytest.raises(OrderNotFound):
            await threads.run(fail, deadline=SOON)
        return await asyncio.gather(*[threads.run(lambda n=n: n * n, deadline=SOON) for n in range(50)])

    assert play(scenario()) == [n * n for n in range(50)]


def fail() -> None:
    raise OrderNotFound


def test_what_takes_too_long_is_given_up_and_does_not_block_the_end():
    free = threading.Event()

    async def scenario():
        threads = Threads(1)
        with pytest.raises(Late):
            await threads.run(free.wait, deadline=0.05)
        with pytest.raises(Late):
            await threads.run(lambda: None, deadline=0.05)  # the only thread is busy
        free.set()
        return await threads.run(lambda: "again", deadline=SOON)

    assert play(scenario()) == "again"


def test_too_much_is_refused_at_once():
    free = threading.Event()

    async def scenario():
        threads = Threads(1)
        waiting = [asyncio.create_task(threads.run(free.wait, deadline=SOON)) for _ in range(300)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        with pytest.raises(Overloaded):
            next(iter(done)).result()
        free.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = play(scenario())
    assert {type(result) for result in results} == {bool, Overloaded}
