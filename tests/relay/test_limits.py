"""Limits and pings, each tested alone; and a relay that is flooded."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.relay.assembly import most_clients
from orderctl.relay.codecs.frames import PING_INTERVAL, PING_TIMEOUT
from orderctl.relay.limits import CROWD, MOST_WAITING, Door, Lobby, Patience, Wheel
from orderctl.relay.metrics import Tally
from orderctl.relay.throttle import Throttle
from tests.relay.conftest import Plain, RunningRelay, StartRelay, play
from tests.relay.held import HeldRelay, play_held
from tests.relay.members import FakeClock


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
    def test_the_number_of_clients_is_limited_in_all_and_by_address(self):
        tally = Tally()
        door = Door(tally, FakeClock().time, most=3, most_per_address=2)

        assert [door.admit(address) for address in ("a", "a", "a", "b", "c")] == [
            None,
            None,
            "address",
            None,
            "connections",
        ]
        door.release("a")
        assert door.admit("c") is None
        assert tally.refused == {"address": 1, "connections": 1}

    def test_no_limit_for_one_address(self):
        door = Door(Tally(), FakeClock().time, most=1000, most_per_address=0)

        assert all(door.admit("a") is None for _ in range(1000))

    def test_a_refusal_is_logged_once_a_minute_for_each_address(self, caplog: pytest.LogCaptureFixture):
        clock = FakeClock()
        door = Door(Tally(), clock.time, most=3, most_per_address=1)
        for _ in range(3):
            for address in "aabbcde":
                door.admit(address)
            clock.pass_time(59)
        assert len(caplog.messages) == 4
        assert "relay.max_connections_per_address" in caplog.messages[0]
        assert "at a:" in caplog.messages[0]
        assert "relay.max_connections or the limit of open files allows" in caplog.messages[2]


PATIENCE = Patience(10, 2)


class Visitor:
    """Records its end, and leaves then."""

    def __init__(self, lobby: Lobby, address: str = "a") -> None:
        self.address = address
        self.ended = False
        self._lobby = lobby

    def expire(self) -> None:
        """End like a connection that lingers: it waits once more, for its client to close it."""
        self.ended = True
        self._lobby.enter(self, Patience(2, 2))

    def abort(self) -> None:
        self.ended = True


class TestLobby:
    def wait(self, number: int, *addresses: str) -> tuple[Lobby, FakeClock, list[Visitor]]:
        clock = FakeClock()
        lobby = Lobby(clock.time)
        visitors = [Visitor(lobby, address) for address in addresses for _ in range(number)]
        for visitor in visitors:
            lobby.enter(visitor, PATIENCE)
        return lobby, clock, visitors

    def test_a_connection_may_wait_for_as_long_as_it_was_given(self):
        lobby, clock, [one] = self.wait(1, "a")
        clock.pass_time(9)
        lobby.turn()
        assert not one.ended
        lobby.enter(one, PATIENCE)
        clock.pass_time(9)
        lobby.turn()
        assert not one.ended
        clock.pass_time(2)
        lobby.turn()
        assert one.ended

    def test_in_a_crowd_from_one_address_each_waits_only_shortly(self):
        lobby, clock, visitors = self.wait(CROWD + 10, "crowd")
        other = Visitor(lobby, "other")
        lobby.enter(other, PATIENCE)
        clock.pass_time(1)
        lobby.turn()
        assert not any(visitor.ended for visitor in visitors)
        clock.pass_time(2)
        lobby.turn()

        assert all(visitor.ended for visitor in visitors)
        assert not other.ended

    def test_of_too_many_the_oldest_ends(self):
        lobby, _, visitors = self.wait(MOST_WAITING + 3, "a")

        assert [number for number, visitor in enumerate(visitors) if visitor.ended] == [0, 1, 2]
        assert len(lobby) == MOST_WAITING


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


class TestOpenFiles:
    @pytest.mark.parametrize(
        ("files", "wanted", "most"),
        [
            (20_000, 10_000, 10_000),
            (12_100, 10_000, 10_000),
            (12_099, 10_000, 9_999),
            (1024, 10_000, 768),
            (64, 10_000, 32),
            (64, 20, 20),
            (16, 20, 1),
        ],
    )
    def test_there_are_never_more_clients_than_files(
        self, caplog: pytest.LogCaptureFixture, files: int, wanted: int, most: int
    ):
        assert most_clients(wanted, files) == most
        assert [f"is {files}: at most {most} clients" in line for line in caplog.messages] == [True] * (
            most < wanted
        )

    def test_when_there_are_none_left_silent_connections_make_room(self, start_relay: StartRelay):
        relay = start_relay()
        used = len(list(Path(f"/proc/{relay.process.pid}/fd").iterdir()))
        resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, (used + 16, used + 16))

        with ExitStack() as stack:
            for _ in range(24):
                stack.enter_context(socket.create_connection(("127.0.0.1", relay.port)))
            answer = relay.ask("/healthz")

        assert answer.status == 200
        assert relay.stop() == 0
        [line] = [line for line in relay.close().splitlines() if "LimitNOFILE" in line]
        assert "WARNING clients cannot connect: Too many open files" in line
        assert "Traceback" not in relay.close()
