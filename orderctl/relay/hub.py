"""The hub: rooms, their members, and the delivery of publications. No sockets: a member has a ``write``.

A publication is validated once and encoded once for each dialect. The publications of one read from Redis are
collected, and :meth:`Hub.flush` joins them and writes once to each member. A write costs about 5 us of kernel
time regardless of its size, so the number of writes decides the cost. Under load one read has several
publications.

A member whose socket is full is *paused*: its messages are held until it reads again or its connection is
closed. Of the ``progress`` messages of a channel only the newest is held.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice, repeat
from typing import Final, Protocol

from orderctl import channels, messages
from orderctl.channels import MessageKind
from orderctl.errors import InvalidMessage, OrderctlError
from orderctl.neighbours import Neighbours
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.rooms import FORMS, HeldKey, Member, Publication, Room

#: An unsubscription takes effect after this time, in seconds, unless the client subscribes again. The shop's
#: dashboard unsubscribes and subscribes all its tasks after every message.
LINGER: Final = 0.25
#: Most writes in one turn of the event loop; 2,000 take about 10 ms.
SLICE: Final = 2000
#: A member that does not read is given up when more than ``BACKLOG`` bytes wait for ``PATIENCE`` seconds, or
#: when its socket takes nothing for that time. With a check each second its connection ends within 10 s.
BACKLOG: Final = 1 << 20
PATIENCE: Final = 9.0
#: A member is given up at once when more bytes than this wait for it.
_HARD_BACKLOG: Final = 4 * BACKLOG

_PROGRESS: Final = MessageKind.PROGRESS.encode()


class TooManySubscriptions(OrderctlError):
    """One connection asks for more subscriptions than it may have."""


class EventLoop(Protocol):
    """The part of an event loop that the hub uses."""

    def time(self) -> float:
        """Return the monotonic time, in seconds."""

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Call a function in the next turn."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> object:
        """Call a function after ``delay`` seconds."""


@dataclass(slots=True)
class Counts:
    """The hub's counters, for ``/metrics``."""

    publications: int = 0
    invalid: int = 0
    overtaken: int = 0
    coalesced: int = 0
    frames: int = 0
    bytes: int = 0
    subscriptions: int = 0


class Hub:
    """The rooms, and the delivery of publications to their members.

    Args:
        clock: An event loop, or a fake one in a test.
        max_subscriptions: Most subscriptions of one member.
    """

    def __init__(self, clock: EventLoop, *, max_subscriptions: int) -> None:
        self.counts = Counts()
        #: The subjects of messages without a subscriber: they may be another shop's.
        self.neighbours = Neighbours()
        self.rooms: dict[bytes, Room] = {}
        self.paused: dict[Member, None] = {}
        self._clock = clock
        self._max_subscriptions = max_subscriptions
        self._pending: dict[Room, list[Publication]] = {}
        self._jobs: deque[Iterator[tuple[Member, bytes]]] = deque()
        self._lingering: deque[tuple[float, Member, Room]] = deque()
        self._flushed = 0
        self._keys = count()

    # Subscriptions.

    def join(self, member: Member, topic: Topic) -> Room | None:
        """Subscribe a member to an order or a task.

        Returns:
            The room, if the member is new in it and needs the snapshot; None if it was subscribed already.

        Raises:
            TooManySubscriptions: When it has the maximum number of subscriptions already.
        """
        name = channels.room(topic.scope, topic.id)
        room = self.rooms.get(name)
        if room is not None and room in member.rooms:
            member.leaving.pop(room, None)
            return None
        if len(member.rooms) - len(member.leaving) >= self._max_subscriptions:
            raise TooManySubscriptions(
                f"too many subscriptions: one connection may have {self._max_subscriptions} (relay.max_subscriptions)"
            )
        if room is None:
            room = self.rooms[name] = Room(topic)
        room.members[member.form][member] = None
        member.rooms[room] = self._flushed
        self.counts.subscriptions += 1
        member.changed()
        return room

    def quit(self, member: Member, topic: Topic) -> None:
        """Unsubscribe a member after :data:`LINGER` seconds, unless it joins again until then."""
        room = self.rooms.get(channels.room(topic.scope, topic.id))
        if room is None or room not in member.rooms:
            return
        deadline = self._clock.time() + LINGER
        member.leaving[room] = deadline
        self._lingering.append((deadline, member, room))
        if len(self._lingering) == 1:
            self._clock.call_later(LINGER, self._expire)

    def drop(self, member: Member, room: Room) -> None:
        """Unsubscribe a member at once, because its token does not allow the room."""
        del member.rooms[room]
        member.leaving.pop(room, None)
        for key in [key for key in member.held if key[0] is room]:
            member.held_bytes -= len(member.held.pop(key))
        self._remove(member, room)
        member.changed()

    def hide_addresses(self, member: Member, *, hides: bool) -> None:
        """Send a member its messages without, or with, the addresses of customers from now on."""
        if member.hides_addresses is hides:
            return
        for room in member.rooms:
            del room.members[member.form][member]
        member.hides_addresses = hides
        for room in member.rooms:
            room.members[member.form][member] = None

    def leave(self, member: Member) -> None:
        """Remove a member from all rooms."""
        for room in member.rooms:
            self._remove(member, room)
        member.rooms.clear()
        member.leaving.clear()
        member.held.clear()
        member.held_bytes = 0
        self.paused.pop(member, None)

    def _expire(self) -> None:
        now = self._clock.time()
        while self._lingering and self._lingering[0][0] <= now:
            deadline, member, room = self._lingering.popleft()
            if member.leaving.get(room) == deadline:
                del member.leaving[room], member.rooms[room]
                self._remove(member, room)
                member.changed()
        if self._lingering:
            self._clock.call_later(self._lingering[0][0] - now, self._expire)

    def _remove(self, member: Member, room: Room) -> None:
        del room.members[member.form][member]
        self.counts.subscriptions -= 1
        if room.empty:
            del self.rooms[channels.room(room.topic.scope, room.topic.id)]

    # Publications.

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Take a publication, which the next :meth:`flush` sends. An invalid one is counted and dropped."""
        self.counts.publications += 1
        name, _, kind = channel.rpartition(b":")
        room = self.rooms.get(name)
        try:
            if room is None:
                self._check(channel, payload)
            else:
                self._take(room, room.read(kind, payload, self.counts.publications))
        except (InvalidMessage, KeyError):
            self.counts.invalid += 1

    def _check(self, channel: bytes, payload: bytes) -> None:
        known = channels.parse(channel.decode("ascii", "replace"))
        if known is None:
            raise InvalidMessage("unknown channel")
        messages.validate(known, payload)
        self.neighbours.note(known.scope, known.id)

    def _take(self, room: Room, message: Publication) -> None:
        if message.kind == _PROGRESS and "seq" in message.data:
            last = room.last.get(_PROGRESS)
            if last is not None and messages.is_overtaken(message.data, by=last.data):
                self.counts.overtaken += 1
                return
        room.last[message.kind] = message
        batch = self._pending.get(room)
        if batch is None:
            self._pending[room] = [message]
        else:
            batch.append(message)

    def flush(self) -> None:
        """Send what was published since the last flush, with one write for each member."""
        if self._jobs or not self._pending:
            return
        pending, self._pending = self._pending, {}
        self._flushed = self.counts.publications
        if len(pending) == 1:
            self._plan_one(*pending.popitem())
        else:
            self._plan_many(pending)
        self._run()

    def _plan_one(self, room: Room, batch: list[Publication]) -> None:
        for form in FORMS:
            members = self._listening(room, form, batch)
            if members:
                data = self._join(batch, form, len(members))
                if len(members) > SLICE:
                    self._jobs.append(zip(members, repeat(data)))
                else:
                    for member in members:
                        self._write(member, data)

    def _plan_many(self, pending: dict[Room, list[Publication]]) -> None:
        parts: defaultdict[Member, list[bytes]] = defaultdict(list)
        for room, batch in pending.items():
            for form in FORMS:
                members = self._listening(room, form, batch)
                if not members:
                    continue
                data = self._join(batch, form, len(members))
                for member in members:
                    parts[member].append(data)
        self._jobs.append(zip(parts, map(b"".join, parts.values()), strict=True))

    def _listening(self, room: Room, form: int, batch: list[Publication]) -> list[Member]:
        members = room.members[form]
        if not self.paused:
            return list(members)
        for member in [member for member in members if member in self.paused]:
            self._hold(member, room, batch)
        return [member for member in members if member not in self.paused]

    def _join(self, batch: list[Publication], form: int, members: int) -> bytes:
        data = b"".join([message.frame(form) for message in batch])
        self.counts.frames += len(batch) * members
        self.counts.bytes += len(data) * members
        return data

    def _run(self) -> None:
        left = SLICE
        while self._jobs:
            written = 0
            for member, data in islice(self._jobs[0], left):
                written += 1
                try:
                    member.write(data)
                except RuntimeError:  # a close is under way
                    self.leave(member)
            left -= written
            if left == 0:
                self._clock.call_soon(self._run)
                return
            self._jobs.popleft()
        self.flush()

    def _write(self, member: Member, data: bytes) -> None:
        try:
            member.write(data)
        except RuntimeError:  # a close is under way
            self.leave(member)

    # Snapshots.

    def snapshot(self, member: Member, room: Room, payloads: Iterable[bytes | None]) -> None:
        """Send a new member the last messages of its room's channels.

        Args:
            member: The member that has joined.
            room: The room that :meth:`join` returned.
            payloads: Values of the snapshot keys, in the order of ``room.channels``, read after the join.
        """
        joined = member.rooms.get(room)
        if joined is None:
            return
        for kind, payload in zip(room.channels, payloads, strict=True):
            kept, live = self._read_kept(room, kind, payload), room.last.get(kind)
            if live is None or (kept is not None and messages.is_newer(kept.data, live.data)):
                chosen = kept
            elif live.number > joined:
                continue  # the member has received this one, or gets it with the next flush
            else:
                chosen = live if kept is None or messages.is_newer(live.data, kept.data) else kept
            if chosen is not None:
                self.send(member, chosen.frame(member.form), room)

    def resume_room(self, room: Room, payloads: Iterable[bytes | None]) -> None:
        """Send a room what it missed while Redis was away: the last message of each channel, if it is new."""
        for kind, payload in zip(room.channels, payloads, strict=True):
            kept, live = self._read_kept(room, kind, payload), room.last.get(kind)
            if kept is None:
                continue
            if live is None or not (kept.data == live.data or messages.is_newer(live.data, kept.data)):
                self._take(room, kept)

    def _read_kept(self, room: Room, kind: bytes, payload: bytes | None) -> Publication | None:
        if payload is None:
            return None
        try:
            return room.read(kind, payload, self.counts.publications)
        except InvalidMessage:
            self.counts.invalid += 1
            return None

    # Members that do not read.

    def send(self, member: Member, frame: bytes, room: Room | None = None) -> None:
        """Send one frame, of a room or of none, to one member, after the frames that are held for it."""
        if member in self.paused:
            self._keep(member, (room, next(self._keys)), frame)
        else:
            self._write(member, frame)

    def pause(self, member: Member) -> None:
        """Hold a member's messages, because its socket is full."""
        self.paused[member] = None
        member.drained_at = self._clock.time()
        member.buffered = _HARD_BACKLOG

    def resume(self, member: Member) -> None:
        """Send a member its held messages, because it reads again."""
        if self.paused.pop(member, self) is self:
            return
        data = b"".join(member.held.values())
        member.held.clear()
        member.held_bytes = 0
        if len(data) <= BACKLOG:
            member.over_since = None
        if data:
            self._write(member, data)

    def _hold(self, member: Member, room: Room, batch: list[Publication]) -> None:
        for message in batch:
            key = (room, message.kind if message.kind == _PROGRESS else next(self._keys))
            replaced = member.held.pop(key, None)
            if replaced is not None:
                member.held_bytes -= len(replaced)
                self.counts.coalesced += 1
            self._keep(member, key, message.frame(member.form))

    def _keep(self, member: Member, key: HeldKey, frame: bytes) -> None:
        member.held[key] = frame
        member.held_bytes += len(frame)

    def is_stalled(self, member: Member, buffered: int) -> bool:
        """Whether to give up a paused member.

        Args:
            member: A member of ``paused``.
            buffered: Bytes in its transport's write buffer.
        """
        now = self._clock.time()
        if buffered < member.buffered:
            member.drained_at = now
        member.buffered = buffered
        backlog = buffered + member.held_bytes
        if backlog <= BACKLOG:
            member.over_since = None
        elif member.over_since is None:
            member.over_since = now
        return (
            backlog > _HARD_BACKLOG
            or now - member.drained_at >= PATIENCE
            or (member.over_since is not None and now - member.over_since >= PATIENCE)
        )
