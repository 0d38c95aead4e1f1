"""What a new member of a room gets first: the last messages, each once, none older than what it heard."""

from __future__ import annotations

from orderctl.relay.hub import Hub
from orderctl.relay.rooms import Dialect
from tests.relay.members import Socket, join, progress, publish, status


class TestSnapshot:
    def test_a_new_member_gets_the_last_messages(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        hub.snapshot(plain.member, room, [progress(40, seq=4), status("downloading"), None])

        assert plain.percents == [40, "downloading"]

    def test_a_snapshot_that_live_messages_have_overtaken_is_dropped(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        publish(hub, progress(50, seq=5))
        hub.snapshot(plain.member, room, [progress(40, seq=4), None, None])
        hub.snapshot(plain.member, room, [progress(50, seq=5), None, None])

        assert plain.percents == [50]

    def test_a_message_that_waits_for_its_flush_overtakes_too(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        hub.publish(b"task:456:progress", progress(50, seq=5))
        hub.snapshot(plain.member, room, [progress(50, seq=5), None, None])
        hub.flush()

        assert plain.percents == [50]

    def test_a_snapshot_newer_than_what_came_live_is_given(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        publish(hub, progress(50, seq=5))
        hub.snapshot(plain.member, room, [progress(60, seq=6), None, None])

        assert plain.percents == [50, 60]

    def test_a_later_member_gets_what_was_heard_before_where_nothing_is_kept(
        self, hub: Hub, plain: Socket
    ) -> None:
        join(hub, plain)
        publish(hub, progress(50))
        late = Socket(hub, Dialect.SOCKETIO)
        room = join(hub, late)

        hub.snapshot(late.member, room, [None, None, None])

        assert [message[1]["data"]["percent"] for message in late.heard] == [50]

    def test_the_newer_of_kept_and_heard_is_given_once(self, hub: Hub, plain: Socket) -> None:
        join(hub, plain)
        publish(hub, progress(50, seq=5))
        late = Socket(hub, Dialect.PLAIN)
        room = join(hub, late)

        hub.snapshot(late.member, room, [progress(40, seq=4), None, None])

        assert late.percents == [50]

    def test_junk_in_the_store_is_counted_and_dropped(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)

        hub.snapshot(plain.member, room, [b"{", status("failed"), None])

        assert plain.percents == ["failed"]
        assert hub.counts.invalid == 1

    def test_who_has_left_gets_none(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)
        hub.leave(plain.member)

        hub.snapshot(plain.member, room, [progress(1), None, None])

        assert plain.writes == []

    def test_after_an_outage_a_room_hears_what_it_missed(self, hub: Hub, plain: Socket) -> None:
        room = join(hub, plain)
        publish(hub, progress(50, seq=5), progress(60, seq=6))
        publish(hub, status("downloading", 1), channel=b"task:456:status")

        hub.resume_room(room, [progress(60, seq=6), status("completed", 2), None])
        hub.flush()
        hub.resume_room(room, [progress(55, seq=5), status("completed", 2), None])
        hub.flush()

        assert plain.percents == [50, 60, "downloading", "completed"]
