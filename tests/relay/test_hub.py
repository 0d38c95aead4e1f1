"""Which client gets which messages, tested without sockets."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.frames import Frame
from websockets.streams import StreamReader

from orderctl.channels import Scope
from orderctl.relay import hub as hub_module
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.hub import BACKLOG, LINGER, PATIENCE, Hub, TooManySubscriptions
from orderctl.relay.rooms import Dialect, Member, Room

TASK = Topic(Scope.TASK, 456)
ORDER = Topic(Scope.ORDER, 123)


@dataclass
class FakeClock:
    """An event loop whose time the test advances."""

    now: float = 0.0
    due: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.call_later(0, callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        heapq.heappush(self.due, (self.now + delay, next(self.numbers), callback))

    def turn(self) -> None:
        """Run what is due now, but nothing that it schedules."""
        ready = [heapq.heappop(self.due) for _ in list(self.due) if self.due[0][0] <= self.now]
        for _, _, callback in ready:
            callback()

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due and self.due[0][0] <= end:
            self.now = max(self.now, self.due[0][0])
            heapq.heappop(self.due)[2]()
        self.now = end


class Socket:
    """The socket of a member: accepts everything, or pauses after a number of bytes."""

    def __init__(self, hub: Hub, dialect: Dialect, *, room_for: float = float("inf")) -> None:
        self.hub = hub
        self.writes: list[bytes] = []
        self.room_for = room_for
        self.closed = False
        self.member = Member(dialect, self.write)

    def write(self, data: bytes) -> None:
        if self.closed:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.writes.append(data)
        self.room_for -= len(data)
        if self.room_for <= 0 and self.member not in self.hub.paused:
            self.hub.pause(self.member)

    def drain(self) -> None:
        self.room_for = float("inf")
        self.hub.resume(self.member)

    @property
    def texts(self) -> list[str]:
        reader, texts = StreamReader(), []
        reader.feed_data(b"".join(self.writes))
        reader.feed_eof()
        while not _run(reader.at_eof()):
            texts.append(_run(Frame.parse(reader.read_exact, mask=False, max_size=None)).data.decode())
        return texts

    @property
    def heard(self) -> list[Any]:
        return [json.loads(text.removeprefix("42")) for text in self.texts]

    @property
    def percents(self) -> list[float]:
        """From messages of the plain protocol: the percentages, and the new status of status messages."""
        inner = [message["data"]["data"] for message in self.heard]
        return [data["percent"] if "percent" in data else data["newStatus"] for data in inner]


def _run(parsing: Any) -> Any:
    try:
        next(parsing)
    except StopIteration as done:
        return done.value
    raise AssertionError("an incomplete frame")


def progress(percent: float, seq: int | None = None, **more: Any) -> bytes:
    order = {} if seq is None else {"attempt": 1, "seq": seq}
    return json.dumps({"taskId": 456, "percent": percent, "timestamp": 1, **order, **more}).encode()


def status(name: str, timestamp: int = 1) -> bytes:
    return json.dumps({"taskId": 456, "newStatus": name, "timestamp": timestamp}).encode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hub(clock: FakeClock) -> Hub:
    return Hub(clock, max_subscriptions=3)


@pytest.fixture
def plain(hub: Hub) -> Socket:
    return Socket(hub, Dialect.PLAIN)


def join(hub: Hub, socket: Socket, topic: Topic = TASK) -> Room:
    room = hub.join(socket.member, topic)
    assert room is not None
    return room


def publish(hub: Hub, *payloads: bytes, channel: bytes = b"task:456:progress") -> None:
    for payload in payloads:
        hub.publish(channel, payload)
    hub.flush()


def test_each_dialect_hears_the_envelope_in_its_own_frame(hub: Hub, plain: Socket) -> None:
    socketio = Socket(hub, Dialect.SOCKETIO)
    join(hub, plain)
    join(hub, socketio)

    publish(hub, progress(42))

    envelope = {"scope": "task", "id": 456, "type": "progress", "data": json.loads(progress(42))}
    assert plain.heard == [{"event": "progress", "data": envelope}]
    assert socketio.texts[0].startswith("42")
    assert socketio.heard == [["progress", envelope]]


def test_only_the_room_hears(hub: Hub, plain: Socket) -> None:
    other = Socket(hub, Dialect.PLAIN)
    join(hub, plain)
    join(hub, other, Topic(Scope.TASK, 45))

    publish(hub, progress(1))
    publish(hub, progress(2), channel=b"order:456:progress")
    publish(hub, progress(3), channel=b"task:4567:progress")

    assert plain.percents == [1]
    assert other.writes == []


def test_an_order_hears_its_three_channels(hub: Hub, plain: Socket) -> None:
    join(hub, plain, ORDER)

    publish(hub, progress(50), channel=b"order:123:progress")
    publish(hub, status("processing"), channel=b"order:123:status")
    publish(
        hub,
        b'{"orderId":123,"totalTasks":1,"completedTasks":1,"failedTasks":0}',
        channel=b"order:123:complete",
    )

    assert [message["event"] for message in plain.heard] == ["progress", "status", "complete"]


def test_what_comes_in_one_read_goes_out_in_one_write(hub: Hub, plain: Socket) -> None:
    join(hub, plain)
    join(hub, plain, Topic(Scope.TASK, 7))

    hub.publish(b"task:456:progress", progress(1))
    hub.publish(b"task:456:status", status("downloading"))
    hub.publish(b"task:7:progress", progress(3))
    assert plain.writes == []
    hub.flush()

    assert len(plain.writes) == 1
    assert plain.percents == [1, "downloading", 3]


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        (b"task:456:progress", b"[" * 200_000),
        (b"task:456:progress", b'{"percent":"1"}'),
        (b"task:456:complete", b"{}"),
        (b"task:456:", progress(1)),
        (b"task:0:progress", progress(1)),
        (b"nonsense", progress(1)),
        (b"\xff\xfe", progress(1)),
        (b"task:9:progress", b"junk for nobody"),
    ],
)
def test_junk_is_counted_and_the_next_message_arrives(
    hub: Hub, plain: Socket, channel: bytes, payload: bytes
) -> None:
    join(hub, plain)

    publish(hub, payload, channel=channel)
    publish(hub, progress(1))

    assert hub.counts.invalid == 1
    assert hub.counts.publications == 2
    assert plain.percents == [1]


def test_progress_of_an_earlier_attempt_is_dropped_and_its_status_is_not(hub: Hub, plain: Socket) -> None:
    join(hub, plain)

    publish(hub, progress(50, seq=5), progress(40, seq=4), progress(50, seq=5), progress(60))
    publish(hub, status("b", timestamp=2), status("a", timestamp=1), channel=b"task:456:status")

    assert plain.percents == [50, 50, 60, "b", "a"]
    assert hub.counts.overtaken == 1


def test_a_closed_member_hurts_nobody(hub: Hub, plain: Socket) -> None:
    closed = Socket(hub, Dialect.PLAIN)
    join(hub, closed)
    join(hub, plain)
    closed.closed = True

    publish(hub, progress(1))

    assert plain.percents == [1]
    assert closed.member.rooms == {}


def test_who_leaves_hears_nothing_and_leaves_nothing_behind(hub: Hub, plain: Socket) -> None:
    join(hub, plain)
    join(hub, plain, ORDER)

    hub.leave(plain.member)
    publish(hub, progress(1))

    assert plain.writes == []
    assert hub.rooms == {}
    assert hub.counts.subscriptions == 0


class TestLinger:
    def test_an_unsubscription_takes_effect_after_a_while(
        self, hub: Hub, plain: Socket, clock: FakeClock
    ) -> None:
        changes = []
        plain.member.changed = lambda: changes.append(len(plain.member.rooms))
        join(hub, plain)

        hub.quit(plain.member, TASK)
        clock.pass_time(LINGER * 0.9)
        publish(hub, progress(1))
        clock.pass_time(LINGER * 0.2)
        publish(hub, progress(2))

        assert plain.percents == [1]
        assert hub.rooms == {}
        assert changes == [1, 0]

    def test_taking_it_back_in_time_undoes_it_without_another_snapshot(
        self, hub: Hub, plain: Socket, clock: FakeClock
    ) -> None:
        join(hub, plain)

        for _ in range(20):
            hub.quit(plain.member, TASK)
            clock.pass_time(LINGER * 0.3)
            assert hub.join(plain.member, TASK) is None
        clock.pass_time(10)
        publish(hub, progress(1))

        assert plain.percents == [1]
        assert hub.counts.subscriptions == 1

    def test_the_last_unsubscription_counts(self, hub: Hub, plain: Socket, clock: FakeClock) -> None:
        join(hub, plain)
        hub.quit(plain.member, TASK)
        hub.join(plain.member, TASK)
        clock.pass_time(LINGER * 0.8)
        hub.quit(plain.member, TASK)
        clock.pass_time(LINGER * 0.8)
        assert hub.rooms
        clock.pass_time(LINGER)
        assert not hub.rooms

    def test_a_foreign_unsubscription_is_nothing(self, hub: Hub, plain: Socket, clock: FakeClock) -> None:
        hub.quit(plain.member, TASK)
        clock.pass_time(1)
        assert plain.member.leaving == {}


class TestLimit:
    def test_subscriptions_are_limited(self, hub: Hub, plain: Socket) -> None:
        for task_id in (1, 2, 3):
            join(hub, plain, Topic(Scope.TASK, task_id))

        with pytest.raises(TooManySubscriptions):
            hub.join(plain.member, Topic(Scope.TASK, 4))
        assert hub.join(plain.member, Topic(Scope.TASK, 3)) is None

    def test_what_is_being_left_does_not_count(self, hub: Hub, plain: Socket) -> None:
        for task_id in (1, 2, 3):
            join(hub, plain, Topic(Scope.TASK, task_id))
            hub.quit(plain.member, Topic(Scope.TASK, task_id))

        for task_id in (4, 5, 6):
            join(hub, plain, Topic(Scope.TASK, task_id))


class TestSnapshot:
    def test_a_new_member_gets_the_last_messages(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        hub.snapshot(plain.member, room, [progress(40, seq=4), status("downloading")])

        assert plain.percents == [40, "downloading"]

    def test_a_snapshot_that_live_messages_have_overtaken_is_dropped(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        publish(hub, progress(50, seq=5))
        hub.snapshot(plain.member, room, [progress(40, seq=4), None])
        hub.snapshot(plain.member, room, [progress(50, seq=5), None])

        assert plain.percents == [50]

    def test_a_message_that_waits_for_its_flush_overtakes_too(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        hub.publish(b"task:456:progress", progress(50, seq=5))
        hub.snapshot(plain.member, room, [progress(50, seq=5), None])
        hub.flush()

        assert plain.percents == [50]

    def test_a_snapshot_newer_than_what_came_live_is_given(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        publish(hub, progress(50, seq=5))
        hub.snapshot(plain.member, room, [progress(60, seq=6), None])

        assert plain.percents == [50, 60]

    def test_a_later_member_gets_what_was_heard_before_where_nothing_is_kept(
        self, hub: Hub, plain: Socket
    ) -> None:
        join(hub, plain)
        publish(hub, progress(50))
        late = Socket(hub, Dialect.SOCKETIO)
        room = join(hub, late)

        hub.snapshot(late.member, room, [None, None])

        assert [message[1]["data"]["percent"] for message in late.heard] == [50]

    def test_the_newer_of_kept_and_heard_is_given_once(self, hub: Hub, plain: Socket) -> None:
        join(hub, plain)
        publish(hub, progress(50, seq=5))
        late = Socket(hub, Dialect.PLAIN)
        room = join(hub, late)

        hub.snapshot(late.member, room, [progress(40, seq=4), None])

        assert late.percents == [50]

    def test_junk_in_the_store_is_counted_and_dropped(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        hub.snapshot(plain.member, room, [b"{", status("failed")])

        assert plain.percents == ["failed"]
        assert hub.counts.invalid == 1

    def test_who_has_left_gets_none(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)
        hub.leave(plain.member)

        hub.snapshot(plain.member, room, [progress(1), None])

        assert plain.writes == []

    def test_after_an_outage_a_room_hears_what_it_missed(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)
        publish(hub, progress(50, seq=5), progress(60, seq=6))
        publish(hub, status("downloading", 1), channel=b"task:456:status")

        hub.resume_room(room, [progress(60, seq=6), status("completed", 2)])
        hub.flush()
        hub.resume_room(room, [progress(55, seq=5), status("completed", 2)])
        hub.flush()

        assert plain.percents == [50, 60, "downloading", "completed"]


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


def test_frames_and_bytes_are_counted(hub: Hub, plain: Socket) -> None:
    socketio = Socket(hub, Dialect.SOCKETIO)
    join(hub, plain)
    join(hub, socketio)

    publish(hub, progress(1), progress(2))

    assert hub.counts.frames == 4
    assert hub.counts.bytes == sum(map(len, plain.writes + socketio.writes))
