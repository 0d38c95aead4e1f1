"""The link between the hub and Redis: snapshots for new members, and for all rooms after an outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, Protocol

from orderctl.errors import Misconfigured, OrderctlError, RedisUnavailable
from orderctl.relay.access import Access
from orderctl.relay.closing import UNAUTHORIZED
from orderctl.relay.codecs import frames, plain
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.feed import CommandRefused, Feed
from orderctl.relay.hub import Hub
from orderctl.relay.recovery import Recovery
from orderctl.relay.revocations import Revocations
from orderctl.relay.rooms import Dialect, Member, Room

_log = logging.getLogger(__name__)

DEGRADED: Final = "relay:degraded"
RESTORED: Final = "relay:restored"

#: Number of rooms whose snapshots are read by one command after an outage.
_AT_ONCE: Final = 200
#: Number of tasks whose orders are cached. A task never changes its order.
_REMEMBERED: Final = 10_000


class Line(Protocol):
    """The client's connection."""

    def write(self, data: bytes) -> object:
        """Send bytes, without blocking."""

    def hang_up(self, code: int, reason: str) -> None:
        """Close the connection. Nothing is written to it from now on."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task, which is cancelled when the connection ends."""

    def later(self, delay: float, callback: Callable[[], object]) -> None:
        """Call a function after ``delay`` seconds."""

    def authorized(self, access: Access) -> None:
        """Note the client's token: stop the timer for sending one, start the timer for its expiry."""


class Exchange:
    """The connected clients, their subscriptions, and the feed of messages from Redis.

    Args:
        hub: Delivers messages to the members of rooms.
        url: URL of Redis.
        find_order: Returns the id of a task's order from the database, None when there is no such task.
        revocations: The revoked tokens.
    """

    def __init__(
        self,
        hub: Hub,
        url: str,
        find_order: Callable[[int], Awaitable[int | None]],
        revocations: Revocations | None = None,
    ) -> None:
        self.hub = hub
        self.revocations = revocations or Revocations()
        self.feed = Feed(url, hub, went_up=self._went_up, went_down=self._went_down)
        self.recovery = Recovery(self.feed)
        self.members: dict[Member, Line] = {}
        self._accesses: dict[Member, Access] = {}
        self._find_order = find_order
        self._orders: dict[int, int] = {}
        self._degraded = False
        self._refused = False
        self._snapshots_refused = False

    @property
    def degraded(self) -> bool:
        """Whether Redis is away and clients have been notified."""
        return self._degraded

    # Members.

    def enter(self, member: Member, line: Line) -> None:
        """Add a member; notify it if Redis is away."""
        self.members[member] = line
        if self._degraded and member.dialect is Dialect.PLAIN:
            self.hub.send(member, frames.text(plain.event(DEGRADED)))

    def leave(self, member: Member) -> None:
        """Remove a member. Nothing is written to it from now on."""
        self.members.pop(member, None)
        self._accesses.pop(member, None)
        self.hub.leave(member)

    def hold(self, member: Member, access: Access) -> None:
        """Note which token a member has now; close its connection if the token is revoked, or when it will be."""
        if member in self.members:
            self._accesses[member] = access
            if access.token_id in self.revocations.known:
                self.end_revoked()

    def end_revoked(self) -> int:
        """Close the connections of revoked tokens; return their number."""
        known = self.revocations.known
        return self._end(lambda access: access.token_id in known, UNAUTHORIZED, "the token has been revoked")

    def end_session(self, session: str, code: int) -> None:
        """Close the connections that began with the cookie of a session, which has ended."""
        if session:
            self._end(lambda access: access.session == session, code, "the session has ended")

    def _end(self, concerns: Callable[[Access], bool], code: int, reason: str) -> int:
        found = [member for member, access in self._accesses.items() if concerns(access)]
        for member in found:
            self.members[member].hang_up(code, reason)
        return len(found)

    def allows(self, access: Access, topic: Topic) -> bool | None:
        """Whether a token allows an order or a task; None when :meth:`look_up` has to ask the database."""
        allowed = access.allows(topic)
        if allowed is None and topic.id in self._orders:
            return self._orders[topic.id] in access.orders
        return allowed

    async def look_up(self, topic: Topic) -> None:
        """Ask the database for a task's order, and remember it for :meth:`allows`, if there is such a task.

        It takes no token: the client may have another one when the answer is there.

        Raises:
            DatabaseUnavailable: When the database does not answer.
        """
        order_id = await self._find_order(topic.id)
        if order_id is None:
            return
        if len(self._orders) >= _REMEMBERED:
            self._orders.clear()
        self._orders[topic.id] = order_id

    def join(self, member: Member, topic: Topic) -> Room | None:
        """Subscribe a member like :meth:`Hub.join`; do nothing if the member has left.

        Raises:
            TooManySubscriptions: When it has the maximum number of subscriptions already.
        """
        return self.hub.join(member, topic) if member in self.members else None

    def read_snapshot(self, member: Member, room: Room) -> None:
        """Read the last messages of a room and send them to its new member."""
        try:
            answer = self.feed.read(room.channels.values())
        except RedisUnavailable:
            self.hub.snapshot(member, room, [None] * len(room.channels))
        else:
            answer.add_done_callback(partial(self._give_snapshot, member, room))

    def _give_snapshot(self, member: Member, room: Room, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self._snapshots_refused = False
            self.hub.snapshot(member, room, answer.result())
        elif isinstance(error, CommandRefused):
            if not self._snapshots_refused:
                _log.warning("Redis refuses to return the last messages: %s", error)
            self._snapshots_refused = True
            self.hub.snapshot(member, room, [None] * len(room.channels))
        # If the connection to Redis was lost, the whole room gets its snapshot after the reconnect.

    # Outages of Redis.

    def _went_up(self) -> Awaitable[None]:
        # Here and not in a task, so that clients receive no message before this event.
        if self._degraded:
            self._degraded = self._refused = False
            _log.warning("Redis answers again")
            self._announce(RESTORED)
        return self._catch_up()

    async def _catch_up(self) -> None:
        rooms = list(self.hub.rooms.values())
        for start in range(0, len(rooms), _AT_ONCE):
            await self._resume(rooms[start : start + _AT_ONCE])
        for member in list(self.members):
            if member.rooms:
                member.changed()  # save the session again: Redis may have lost its data

    async def _resume(self, rooms: Iterable[Room]) -> None:
        chosen = list(rooms)
        wanted = [channel for room in chosen for channel in room.channels.values()]
        values = iter(await self.feed.read(wanted))
        for room in chosen:
            self.hub.resume_room(room, [next(values) for _ in room.channels])
        self.hub.flush()

    def _went_down(self, why: OrderctlError) -> None:
        refused = isinstance(why, Misconfigured)
        if not self._degraded or (refused and not self._refused):
            _log.warning("%s; trying again", why)
        self._refused = refused
        if not self._degraded:
            self._degraded = True
            self._announce(DEGRADED)

    def _announce(self, event: str) -> None:
        frame = frames.text(plain.event(event))
        for member in [member for member in self.members if member.dialect is Dialect.PLAIN]:
            self.hub.send(member, frame)
