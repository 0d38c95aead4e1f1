"""Rooms, their members, and publications."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from orderctl import channels, messages
from orderctl.channels import Channel
from orderctl.relay.codecs import frames, plain, socketio
from orderctl.relay.codecs.calls import Topic


class Dialect(IntEnum):
    """The protocol of a member."""

    PLAIN = 0
    SOCKETIO = 1


#: A tuple, because iterating over an enum takes a microsecond.
DIALECTS: Final = tuple(Dialect)

_ENCODE: Final = (plain.message, socketio.message)


class Publication:
    """A validated publication, which is encoded when the first member of a dialect needs it."""

    __slots__ = ("_frames", "data", "envelope", "kind", "number")

    def __init__(self, kind: bytes, data: messages.Data, envelope: bytes, number: int) -> None:
        self.kind = kind
        self.data = data
        self.envelope = envelope
        self.number = number
        self._frames: list[bytes | None] = [None, None]

    def frame(self, dialect: Dialect) -> bytes:
        """Return the WebSocket frame for members of that dialect."""
        frame = self._frames[dialect]
        if frame is None:
            frame = self._frames[dialect] = frames.text(_ENCODE[dialect](self.kind, self.envelope))
        return frame


class Room:
    """The members that are subscribed to one order or task."""

    __slots__ = ("_heads", "channels", "last", "members", "topic")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.channels = {str(c.kind).encode(): c for c in channels.of_subject(topic.scope, topic.id)}
        self.members: tuple[dict[Member, None], dict[Member, None]] = ({}, {})
        self.last: dict[bytes, Publication] = {}
        self._heads = {kind: _head(channel) for kind, channel in self.channels.items()}

    def read(self, kind: bytes, payload: bytes, number: int) -> Publication:
        """Validate a payload of one of this room's channels.

        Raises:
            InvalidMessage: When it is not a valid message.
        """
        data, raw = messages.validate(self.channels[kind], payload)
        return Publication(kind, data, b"%b%b}" % (self._heads[kind], raw), number)

    @property
    def empty(self) -> bool:
        """Whether it has no members."""
        return not self.members[0] and not self.members[1]


def _head(channel: Channel) -> bytes:
    return b'{"scope":"%b","id":%d,"type":"%b","data":' % (
        channel.scope.encode(),
        channel.id,
        channel.kind.encode(),
    )


#: Names a frame that is held for a member: its room, or None, and what tells it from the others of this room.
HeldKey = tuple[Room | None, bytes | int]


@dataclass(slots=True, eq=False)
class Member:
    """One connection, from the hub's view.

    Attributes:
        dialect: Its protocol.
        write: Sends bytes, without blocking.
        changed: Called when its rooms have changed.
        rooms: Its rooms, each with the number of the last publication before it joined.
        leaving: Rooms that it has asked to leave, each with the time at which it leaves.
    """

    dialect: Dialect
    write: Callable[[bytes], object]
    changed: Callable[[], object] = lambda: None
    rooms: dict[Room, int] = field(default_factory=dict)
    leaving: dict[Room, float] = field(default_factory=dict)
    held: dict[HeldKey, bytes] = field(default_factory=dict)
    held_bytes: int = 0
    over_since: float | None = None
    drained_at: float = 0.0
    buffered: int = 0
