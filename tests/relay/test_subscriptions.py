"""What a client is subscribed to when its token changes, and while the database is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from orderctl.channels import Scope
from orderctl.errors import DatabaseUnavailable
from orderctl.relay.access import Access, Unauthorized
from orderctl.relay.clients import PlainClient, SocketIoClient
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.exchange import Exchange
from orderctl.relay.hub import Hub
from orderctl.relay.rooms import Dialect
from tests.relay.conftest import play
from tests.relay.members import FakeClock, Socket, publish

#: The tokens, by what a client sends.
TOKENS = {
    "admin": Access("a", admin=True, expires=100.0),
    "one": Access("c", orders=frozenset({1}), expires=50.0),
    "two": Access("d", orders=frozenset({2})),
}


@dataclass
class Line:
    """A client's connection."""

    socket: Socket
    work: list[asyncio.Task[None]] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.socket.write(data)

    def hang_up(self, code: int, reason: str) -> None:
        self.ended.append((code, reason))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.work.append(asyncio.get_running_loop().create_task(work))

    def later(self, _delay: float, callback: Callable[[], object]) -> None:
        callback()

    def authorized(self, access: Access) -> None:
        self.accesses.append(access)


class Desk:
    """A client of ``/ws``, and a database that answers when the test lets it. Task n0 belongs to order n."""

    def __init__(self, hub: Hub, *, access: str | None = None) -> None:
        self.hub = hub
        self.lookups: dict[int, asyncio.Future[int | None]] = {}
        self.exchange = Exchange(hub, "redis://127.0.0.1:1", self._find_order)
        self.socket = Socket(hub, Dialect.PLAIN)
        self.line = Line(self.socket)
        self.client = PlainClient(self.exchange, self.line, self._verify, TOKENS[access] if access else None)
        self.socket.member = self.client.member
        self.client.open()
        self._said = 0

    async def _find_order(self, task_id: int) -> int | None:
        self.lookups[task_id] = asyncio.get_running_loop().create_future()
        return await self.lookups[task_id]

    @staticmethod
    def _verify(token: str) -> Access:
        if token not in TOKENS:
            raise Unauthorized("the token is not valid")
        return TOKENS[token]

    def say(self, event: str, **data: Any) -> list[Any]:
        """Send a call; return the frames that came since the last one, without what every frame of its kind has."""
        self._said += 1
        self.client.receive(json.dumps({"event": event, "data": data, "id": self._said}))
        return self.heard()

    def heard(self) -> list[Any]:
        heard = self.socket.heard
        self.socket.writes.clear()
        return [
            (
                frame["event"],
                frame.get("id") or frame["data"]["id"],
                *([frame["error"]] if "error" in frame else ()),
            )
            for frame in heard
        ]

    async def answer(self, task_id: int, *, fails: bool = False) -> list[Any]:
        """Let the database answer; return the frames that came."""
        await asyncio.sleep(0)
        if fails:
            self.lookups.pop(task_id).set_exception(DatabaseUnavailable("the database does not answer"))
        else:
            self.lookups.pop(task_id).set_result(task_id // 10 or None)
        for _ in range(5):
            await asyncio.sleep(0)
        return self.heard()

    def hears(self, task_id: int) -> bool:
        """Whether the client hears a publication of a task, now."""
        publish(
            self.hub,
            json.dumps({"taskId": task_id, "percent": 1}).encode(),
            channel=b"task:%d:progress" % task_id,
        )
        return self.heard() != []


def refusal(task_id: int) -> str:
    return f"the token does not allow task {task_id}"


def test_a_lesser_token_ends_what_it_does_not_allow(hub: Hub):
    async def scenario():
        desk = Desk(hub, access="admin")
        for event, data in (("order", {"orderId": 1}), ("order", {"orderId": 2}), ("task", {"taskId": 20})):
            desk.say(f"subscribe:{event}", **data)
        told = desk.say("auth", token="one")
        interrupted = not desk.hears(20)
        later = await desk.answer(20)
        return told, interrupted, later, desk

    told, interrupted, later, desk = play(scenario())

    assert told == [("relay:unsubscribed", 2), ("ack", 4)]
    assert interrupted
    assert later == [("relay:unsubscribed", 20)]
    assert [room.topic for room in desk.client.member.rooms] == [Topic(Scope.ORDER, 1)]
    assert not desk.hears(20)
    assert hub.counts.subscriptions == 1
    assert desk.line.accesses[-1].expires == 50.0


def test_it_goes_on_with_the_tasks_of_its_orders(hub: Hub):
    async def scenario():
        desk = Desk(hub, access="admin")
        desk.say("subscribe:task", taskId=10)
        return desk.say("auth", token="one"), await desk.answer(10), desk.hears(10)

    assert play(scenario()) == ([("ack", 2)], [], True)


def test_a_refused_token_changes_nothing(hub: Hub):
    desk = Desk(hub, access="admin")
    desk.say("subscribe:task", taskId=10)

    for token in ("wrong", 7):
        [(event, _, _)] = desk.say("auth", token=token)
        assert event == "error"

    assert desk.hears(10)
    assert [access.subject for access in desk.line.accesses] == ["a"]


def test_a_question_of_the_old_token_is_answered_by_the_new_one(hub: Hub):
    async def scenario():
        desk = Desk(hub, access="one")
        desk.say("subscribe:task", taskId=10)
        desk.say("auth", token="two")
        lesser = await desk.answer(10), desk.hears(10)
        desk.say("subscribe:task", taskId=11)
        await asyncio.sleep(0)
        desk.say("auth", token="admin")
        return lesser, await desk.answer(11), desk.hears(11)

    lesser, greater, hears = play(scenario())

    assert lesser == ([("error", 1, refusal(10))], False)
    assert (greater, hears) == ([("ack", 3)], True)


def test_a_database_that_does_not_answer_ends_the_subscription(hub: Hub):
    async def scenario():
        desk = Desk(hub, access="admin")
        desk.say("subscribe:task", taskId=10)
        desk.say("auth", token="one")
        return await desk.answer(10, fails=True), desk.hears(10)

    assert play(scenario()) == ([("relay:unsubscribed", 10)], False)


@pytest.mark.parametrize(
    ("calls", "at_once", "at_last", "hears"),
    [
        ("s", [], [("ack", 1)], True),
        ("ss", [], [("ack", 1), ("ack", 2)], True),
        ("su", [("error", 1, "unsubscribed before the subscription began"), ("ack", 2)], [], False),
        ("sus", [("error", 1, "unsubscribed before the subscription began"), ("ack", 2)], [("ack", 3)], True),
    ],
)
def test_every_call_is_answered_while_the_database_is_asked(hub: Hub, calls, at_once, at_last, hears):
    async def scenario():
        desk = Desk(hub, access="one")
        said = []
        for call in calls:
            said += desk.say("subscribe:task" if call == "s" else "unsubscribe:task", taskId=10)
            await asyncio.sleep(0)
        return said, await desk.answer(10), desk.hears(10)

    assert play(scenario()) == (at_once, at_last, hears)


def test_an_unsubscription_ends_what_the_new_token_is_asked_about(hub: Hub):
    async def scenario():
        desk = Desk(hub, access="admin")
        desk.say("subscribe:task", taskId=10)
        desk.say("auth", token="one")
        await asyncio.sleep(0)
        desk.say("unsubscribe:task", taskId=10)
        return await desk.answer(10), desk.hears(10)

    assert play(scenario()) == ([], False)


def test_what_it_is_leaving_ends_at_once_and_is_not_told(hub: Hub, clock: FakeClock):
    async def scenario():
        desk = Desk(hub, access="admin")
        for subject in ({"orderId": 2}, {"taskId": 20}):
            for action in ("subscribe", "unsubscribe"):
                desk.say(f"{action}:{'order' if 'orderId' in subject else 'task'}", **subject)
        told = desk.say("auth", token="one")
        clock.pass_time(1)
        return told, desk.lookups, desk.client.member.rooms

    assert play(scenario()) == ([("ack", 5)], {}, {})


def test_what_is_held_for_it_ends_with_the_subscription(hub: Hub):
    desk = Desk(hub, access="admin")
    for order in (1, 2):
        desk.say("subscribe:order", orderId=order)
    hub.pause(desk.client.member)
    for order in (1, 2):
        publish(hub, b'{"orderId":%d,"percent":5}' % order, channel=b"order:%d:progress" % order)
        publish(hub, b'{"orderId":%d,"newStatus":"failed"}' % order, channel=b"order:%d:status" % order)
    desk.say("auth", token="one")
    hub.resume(desk.client.member)

    assert desk.heard() == [("progress", 1), ("status", 1), ("relay:unsubscribed", 2), ("ack", 3)]
    assert desk.client.member.held_bytes == 0


def test_a_second_connect_of_socket_io_closes_the_connection(hub: Hub):
    exchange = Exchange(hub, "redis://127.0.0.1:1", Desk(hub)._find_order)
    line = Line(Socket(hub, Dialect.SOCKETIO))
    client = SocketIoClient(exchange, line, Desk._verify, None)
    client.open()

    client.receive('40{"token":"admin"}')
    assert line.ended == []
    client.receive('40{"token":"one"}')

    assert line.ended == [(1008, "already connected")]
