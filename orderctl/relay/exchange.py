"""Joins the hub to Redis: snapshots for new members, what was missed for all after an outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, Protocol

from orderctl.errors import RedisUnavailable
from orderctl.relay.access import Access
from orderctl.relay.codecs import frames, plain
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.feed import Feed
from orderctl.relay.hub import Hub
from orderctl.relay.recovery import Recovery
from orderctl.relay.rooms import Dialect, Member, Room

_log = logging.getLogger(__name__)

DEGRADED: Final = "relay:degraded"
RESTORED: Final = "relay:restored"

#: Rooms whose snapshots are read at once after an outage.
_AT_ONCE: Final = 200
#: Tasks whose orders are remembered; a task never changes its order.
_REMEMBERED: Final = 10_000


class Line(Protocol):
    """The client's connection."""

    def write(self, data: bytes) -> object:
        """Send bytes; never blocks."""

    def hang_up(self, code: int, reason: str) -> None:
        """End the connection; nothing is written from now on."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what has to wait; it ends with the connection."""

    def later(self, delay: float, callback: Callable[[], object]) -> None:
        """Call back after that many seconds."""

    def authorized(self, access: Access) -> None:
        """The client has said who it is: its time to do so is over, its token's begins."""


class Exchange:
    """Who is connected, what they hear, and where it comes from.

    Args:
        hub: Tells who hears what.
        url: Redis.
        find_order: The order of a task, None when there is no such task; asks the database.
    """

    def __init__(self, hub: Hub, url: str, find_order: Callable[[int], Awaitable[int | None]]) -> None:
        self.hub = hub
        self.feed = Feed(url, hub, went_up=self._went_up, went_down=self._went_down)
        self.recovery = Recovery(self.feed)
        self.members: dict[Member, Line] = {}
        self._find_order = find_order
        self._orders: dict[int, int] = {}
        self._degraded = False

    @property
    def degraded(self) -> bool:
        """Whether Redis is away, and clients have been told."""
        return self._degraded

    # Members.

    def enter(self, member: Member, line: Line) -> None:
        """Take a member in."""
        self.members[member] = line
        if self._degraded and member.dialect is Dialect.PLAIN:
            self.hub.send(member, frames.text(plain.event(DEGRADED)))

    def leave(self, member: Member) -> None:
        """Forget a member; nothing is written to it from now on."""
        self.members.pop(member, None)
        self.hub.leave(member)

    def allows(self, access: Access, topic: Topic) -> bool | None:
        """Whether a token allows an order or a task; None where the database has to be asked."""
        allowed = access.allows(topic)
        if allowed is None and topic.id in self._orders:
            return self._orders[topic.id] in access.orders
        return allowed

    async def ask_whether_allowed(self, access: Access, topic: Topic) -> bool:
        """Whether a token allows a task, by the task's order.

        Raises:
            DatabaseUnavailable: When the database does not tell.
        """
        order_id = await self._find_order(topic.id)
        if order_id is None:
            return False
        if len(self._orders) >= _REMEMBERED:
            self._orders.clear()
        self._orders[topic.id] = order_id
        return order_id in access.orders

    def join(self, member: Member, topic: Topic) -> Room | None:
        """Let a member hear a topic; as :meth:`Hub.join`, but nothing happens once it has gone.

        Raises:
            TooManySubscriptions: When it hears as many as it may.
        """
        return self.hub.join(member, topic) if member in self.members else None

    def read_snapshot(self, member: Member, room: Room) -> None:
        """Give a new member of a room its last messages."""
        try:
            answer = self.feed.ask("MGET", *map(str, room.channels.values()))
        except RedisUnavailable:
            self.hub.snapshot(member, room, [None] * len(room.channels))
        else:
            answer.add_done_callback(partial(self._give_snapshot, member, room))

    def _give_snapshot(self, member: Member, room: Room, answer: asyncio.Future[Any]) -> None:
        # Where the connection was lost meanwhile, the whole room gets its snapshot when it is back.
        if not answer.cancelled() and answer.exception() is None:
            self.hub.snapshot(member, room, answer.result())

    # Redis comes and goes.

    def _went_up(self) -> Awaitable[None]:
        # At once, and not in a task: whoever is told hears nothing before.
        if self._degraded:
            self._degraded = False
            _log.warning("Redis answers again")
            self._announce(RESTORED)
        return self._catch_up()

    async def _catch_up(self) -> None:
        rooms = list(self.hub.rooms.values())
        for start in range(0, len(rooms), _AT_ONCE):
            await self._resume(rooms[start : start + _AT_ONCE])
        for member in list(self.members):
            if member.rooms:
                member.changed()  # a store that has lost its data has lost the session, too

    async def _resume(self, rooms: Iterable[Room]) -> None:
        chosen = list(rooms)
        values = iter(
            await self.feed.ask("MGET", *(str(c) for room in chosen for c in room.channels.values()))
        )
        for room in chosen:
            self.hub.resume_room(room, [next(values) for _ in room.channels])
        self.hub.flush()

    def _went_down(self, why: str) -> None:
        if self._degraded:
            return
        self._degraded = True
        _log.warning("Redis does not answer, trying again: %s", why)
        self._announce(DEGRADED)

    def _announce(self, event: str) -> None:
        frame = frames.text(plain.event(event))
        for member in [member for member in self.members if member.dialect is Dialect.PLAIN]:
            self.hub.send(member, frame)
