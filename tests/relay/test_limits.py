"""Limits and pings, each tested alone; and a relay that is flooded."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.relay.codecs.frames import PING_INTERVAL, PING_TIMEOUT
from orderctl.relay.limits import Door, Wheel
from orderctl.relay.metrics import Tally
from orderctl.relay.throttle import Throttle
from tests.relay.conftest import Plain, RunningRelay, StartRelay, play
from tests.relay.held import HeldRelay, play_held


class TestThrottle:
    def test_what_is_within_the_rate_is_never_held_up(self):
        throttle = Throttle(100, now=0)

        assert all(throttle.spend(10, 0, now=tick / 10) == 0 for tick in range(1000))

    def test_a_burst_is_let_through_and_paid_for_later(self):
        throttle = Throttle(100, now=0)

        assert throttle.spend(100, 0, now=0) == 0
        assert throttle.spend(50, 0, now=0) == pytest.approx(0.5)
        assert throttle.spend(1, 0, now=1) == 0

    def test_size_counts_too(self):
        assert Throttle(10, now=0).spend(1, 64 * 1024, now=0) > 5

    @given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=1))
    def test_no_client_gets_more_than_the_rate_and_one_burst(self, steps: list[tuple[int, float]]):
        rate, now, taken = 20.0, 0.0, 0
        throttle = Throttle(rate, now)
        for frames, waits in steps:
            now += waits
            taken += frames
            now += throttle.spend(frames, 0, now)
            assert taken <= rate + rate * now + 1e-6


class TestDoor:
    def test_the_number_of_waiting_calls_is_limited(self):
        tally = Tally()
        door = Door(tally, most=3, most_per_address=2)

        assert [door.admit(address) for address in ("a", "a", "a", "b", "c")] == [
            True,
            True,
            False,
            True,
            False,
        ]
        door.release("a")
        assert door.admit("c")
        assert tally.refused == {"address": 1, "connections": 1}
        assert (tally.connections, tally.accepted) == (3, 4)

    def test_no_limit_for_one_address(self):
        door = Door(Tally(), most=1000, most_per_address=0)

        assert all(door.admit("a") for _ in range(1000))


class Ticker:
    """Records when it is pinged and when its answer is checked."""

    def __init__(self) -> None:
        self.second = 0
        self.knocks: list[int] = []
        self.looks: list[int] = []

    def send_ping(self) -> None:
        self.knocks.append(self.second)

    def check_pong(self) -> None:
        self.looks.append(self.second)


@pytest.mark.parametrize("joined", [0, 1, 7, PING_INTERVAL - 1])
def test_each_is_asked_in_its_turn_and_looked_at_later(joined: int):
    wheel, one, gone = Wheel(), Ticker(), Ticker()
    for second in range(200):
        if second == joined:
            wheel.add(one)
            wheel.add(gone)
            wheel.remove(gone)
        one.second = second
        wheel.turn()

    first = joined + PING_INTERVAL - 1
    assert one.knocks[:3] == [first, first + PING_INTERVAL, first + 2 * PING_INTERVAL]
    assert {
        (look - knock) for knock, look in zip(one.knocks, one.looks[-len(one.knocks) :], strict=False)
    } <= {
        PING_TIMEOUT,
        PING_TIMEOUT - PING_INTERVAL,
    }
    assert gone.knocks == []


class TestFlooding:
    def test_a_client_that_floods_is_slowed_down_and_no_other(self, redis_url: str):
        """At one frame or KiB a second, the end of 40 KiB is read after as many seconds, whatever others do."""

        async def scenario(relay: HeldRelay) -> tuple[int, float]:
            flooding, other = [await Plain.connect(relay, ping_interval=None) for _ in range(2)]
            began = relay.loop.now
            await flooding.say("x", "y" * 40 * 1024)
            answer = asyncio.create_task(flooding.hear())
            answered = (await other.call("x"))["id"]
            while not answer.done() and relay.loop.now < began + 100:
                await relay.pass_time(0.5)
            answer.cancel()
            return answered, relay.loop.now - began

        answered, seconds = play_held(scenario, redis_url, max_messages_per_second="1")

        assert answered == 1
        assert 38 < seconds < 43

    def test_a_flood_is_answered_in_order_and_without_a_gap(self, start_relay: StartRelay):
        relay: RunningRelay = start_relay(relay_max_messages_per_second="100")

        async def scenario():
            flooding = await Plain.connect(relay)
            for number in range(300):
                await flooding.socket.send(json.dumps({"event": "x", "id": number}))
            return [(await flooding.hear())["id"] for _ in range(300)]

        assert play(scenario()) == list(range(300))
