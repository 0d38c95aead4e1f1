"""Rooms, their members, and publications."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from orderctl import addresses, channels, messages
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
#: How a message is written: by dialect, and then the same without the addresses of customers.
FORMS: Final = tuple(range(2 * len(DIALECTS)))


class Publication:
    """A validated publication, which is encoded when the first member of a form needs it.

    ``head`` is what stands before the data in its envelope.
    """

    __slots__ = ("_frames", "data", "envelope", "head", "kind", "number")

    def __init__(
        self, kind: bytes, data: messages.Data, envelope: bytes, number: int, head: bytes = b""
    ) -> None:
        self.kind = kind
        self.data = data
        self.envelope = envelope
        self.number = number
        self.head = head
        self._frames: list[bytes | None] = [None] * len(FORMS)

    def frame(self, form: int) -> bytes:
        """Return the WebSocket frame for members of that form."""
        frame = self._frames[form]
        if frame is None:
            hides, dialect = divmod(form, len(DIALECTS))
            envelope = self._discreet() if hides else self.envelope
            frame = self._frames[form] = frames.text(_ENCODE[dialect](self.kind, envelope))
        return frame

    def _discreet(self) -> bytes:
        """Return the envelope without addresses."""
        return b"%b%b}" % (self.head, messages.encode(addresses.hidden(self.data)).encode())


class Room:
    """The members that are subscribed to one order or task."""

    __slots__ = ("_heads", "channels", "last", "members", "topic")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.channels = {str(c.kind).encode(): c for c in channels.of_subject(topic.scope, topic.id)}
        self.members: tuple[dict[Member, None], ...] = tuple({} for _ in FORMS)
        self.last: dict[bytes, Publication] = {}
        self._heads = {kind: _head(channel) for kind, channel in self.channels.items()}

    def read(self, kind: bytes, payload: bytes, number: int) -> Publication:
        """Validate a payload of one of this room's channels.

        Raises:
            InvalidMessage: When it is not a valid message.
        """
        data, raw = messages.validate(self.channels[kind], payload)
        head = self._heads[kind]
        return Publication(kind, data, b"%b%b}" % (head, raw), number, head)

    @property
    def empty(self) -> bool:
        """Whether it has no members."""
        return not any(self.members)


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
        hides_addresses: Whether it gets messages without the addresses of customers; see :meth:`Hub.hide_addresses`.
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
    hides_addresses: bool = False

    @property
    def form(self) -> int:
        """How messages are written for it: one of :data:`FORMS`."""
        return self.dialect + len(DIALECTS) * self.hides_addresses
