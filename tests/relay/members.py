"""A hub's members and clock for tests without sockets."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.frames import Frame
from websockets.streams import StreamReader

from orderctl.channels import Scope
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.hub import Hub
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


def join(hub: Hub, socket: Socket, topic: Topic = TASK) -> Room:
    room = hub.join(socket.member, topic)
    assert room is not None
    return room


def publish(hub: Hub, *payloads: bytes, channel: bytes = b"task:456:progress") -> None:
    for payload in payloads:
        hub.publish(channel, payload)
    hub.flush()
