"""Which client gets which messages, tested without sockets."""

from __future__ import annotations

import json

import pytest

from orderctl.channels import Scope
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.hub import LINGER, Hub, TooManySubscriptions
from orderctl.relay.rooms import Dialect
from tests.relay.members import ORDER, TASK, FakeClock, Socket, join, progress, publish, status


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


def test_a_task_hears_its_completion_by_another_program(hub: Hub, plain: Socket) -> None:
    join(hub, plain)

    publish(hub, b'{"taskId":456,"driveLink":"x"}', channel=b"task:456:complete")

    [heard] = plain.heard
    assert (heard["event"], heard["data"]["data"]) == ("complete", {"taskId": 456, "driveLink": "x"})


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
        (b"task:456:complete", b"[]"),
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


def test_a_closed_member_does_not_affect_the_others(hub: Hub, plain: Socket) -> None:
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


def test_frames_and_bytes_are_counted(hub: Hub, plain: Socket) -> None:
    socketio = Socket(hub, Dialect.SOCKETIO)
    join(hub, plain)
    join(hub, socketio)

    publish(hub, progress(1), progress(2))

    assert hub.counts.frames == 4
    assert hub.counts.bytes == sum(map(len, plain.writes + socketio.writes))
