"""Members that read slowly or not at all, and rooms that are written to in slices."""

from __future__ import annotations

import pytest

from orderctl.channels import Scope
from orderctl.relay import hub as hub_module
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.hub import BACKLOG, PATIENCE, Hub
from orderctl.relay.rooms import Dialect
from tests.relay.members import FakeClock, Socket, join, progress, publish, status


class TestSlowMembers:
    def test_progress_is_coalesced_and_status_never(self, hub: Hub, plain: Socket) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        for socket in (slow, plain):
            join(hub, socket)
            join(hub, socket, Topic(Scope.TASK, 7))

        publish(hub, progress(1))
        for percent in (2, 3):
            publish(hub, progress(percent))
            publish(hub, progress(percent + 100 - 90), channel=b"task:7:progress")
            publish(hub, status(f"s{percent}"), channel=b"task:456:status")
        assert slow.percents == [1]
        slow.drain()

        assert slow.percents == [1, "s2", 3, 13, "s3"]
        assert len(slow.writes) == 2
        assert plain.percents == [1, 2, 12, "s2", 3, 13, "s3"]
        assert hub.counts.coalesced == 2

    def test_direct_frames_keep_their_place(self, hub: Hub) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        join(hub, slow)
        publish(hub, progress(1), progress(2))
        publish(hub, progress(3))
        hub.send(slow.member, b"\x81\x02{}")
        publish(hub, status("failed"), channel=b"task:456:status")
        assert len(slow.writes) == 1

        slow.drain()

        assert slow.heard[3] == {}
        assert [message["event"] for message in slow.heard if message][-1] == "status"

    def test_draining_while_nothing_is_held_writes_nothing(self, hub: Hub) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        join(hub, slow)
        publish(hub, progress(1))

        slow.drain()
        hub.resume(slow.member)

        assert len(slow.writes) == 1

    def test_nothing_drained_for_a_while_is_a_stall(self, hub: Hub, clock: FakeClock) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        join(hub, slow)
        publish(hub, progress(1))

        assert not hub.is_stalled(slow.member, 100)
        clock.pass_time(PATIENCE - 1)
        assert not hub.is_stalled(slow.member, 99)
        clock.pass_time(PATIENCE - 1)
        assert not hub.is_stalled(slow.member, 99)
        clock.pass_time(1)
        assert hub.is_stalled(slow.member, 99)

    def test_more_than_1_mib_for_a_while_is_a_stall_even_while_it_trickles(
        self, hub: Hub, clock: FakeClock
    ) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        join(hub, slow)
        publish(hub, progress(1))
        for _ in range(80):
            publish(hub, status("x" * 15_000), channel=b"task:456:status")
        assert slow.member.held_bytes > BACKLOG

        stalled = []
        for second in range(int(PATIENCE) + 1):
            stalled.append(hub.is_stalled(slow.member, 10_000 - second))
            clock.pass_time(1)

        assert stalled == [False] * int(PATIENCE) + [True]

    def test_4_mib_are_never_held(self, hub: Hub) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        join(hub, slow)
        publish(hub, progress(1))

        assert not hub.is_stalled(slow.member, 3 << 20)
        assert hub.is_stalled(slow.member, (4 << 20) + 1)

    def test_a_paused_member_that_leaves_is_forgotten(self, hub: Hub) -> None:
        slow = Socket(hub, Dialect.PLAIN, room_for=1)
        join(hub, slow)
        publish(hub, progress(1))
        publish(hub, progress(2))

        hub.leave(slow.member)
        hub.resume(slow.member)

        assert hub.paused == {}
        assert slow.percents == [1]
        assert slow.member.held_bytes == 0


class TestSlices:
    def test_a_big_room_is_written_to_in_slices_and_in_order(
        self, hub: Hub, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub_module, "SLICE", 4)
        sockets = [Socket(hub, Dialect.PLAIN) for _ in range(10)]
        for socket in sockets:
            join(hub, socket)

        publish(hub, progress(1))
        assert [len(socket.writes) for socket in sockets] == [1] * 4 + [0] * 6
        publish(hub, progress(2))
        publish(hub, progress(3))
        hub.leave(sockets[9].member)
        turns = 0
        while clock.due:
            clock.turn()
            turns += 1

        assert turns >= 4
        assert all(socket.percents == [1, 2, 3] for socket in sockets[:9])
        assert all(len(socket.writes) == 2 for socket in sockets[:9])
        assert sockets[9].percents in ([], [1])
