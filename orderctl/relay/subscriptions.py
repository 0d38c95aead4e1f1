"""What one client is subscribed to, as far as its present token allows it. No sockets.

A client can get another token while it is connected, and the database may have to be asked for the order of a
task. So a subscription begins by what the token allows when the answer is there, and a new token ends what it
does not allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from orderctl.errors import OrderctlError
from orderctl.relay.access import Access, Unauthorized
from orderctl.relay.codecs.calls import SUBSCRIBE, Call, Topic, action_of
from orderctl.relay.exchange import Exchange, Line
from orderctl.relay.rooms import Member


class Subscriber(Protocol):
    """A client: its token, and the answers in its dialect."""

    @property
    def access(self) -> Access | None:
        """What its present token allows."""

    def answer(self, call: Call, topic: Topic) -> None:
        """Answer that a call was carried out."""

    def refuse(self, call: Call, why: str) -> None:
        """Answer that a call was not carried out, and why."""

    def ended(self, topic: Topic, why: str) -> None:
        """Tell that a subscription has ended, and why."""


class Subscriptions:
    """The subscriptions of one client.

    Args:
        client: The client.
        exchange: Delivers the messages.
        line: Its connection.
        member: Its place in the rooms.
    """

    def __init__(self, client: Subscriber, exchange: Exchange, line: Line, member: Member) -> None:
        self._client = client
        self._exchange = exchange
        self._line = line
        self._member = member
        #: Tasks whose order is being looked up, each with what waits for it: calls, or None for a subscription
        #: that the client had before.
        self._asked: dict[Topic, list[Call | None]] = {}

    def act(self, call: Call) -> None:
        """Carry out a subscription or an unsubscription, and answer.

        Raises:
            InvalidCall: When it is neither of them.
        """
        action, topic = action_of(call)
        if action == SUBSCRIBE:
            self._begin([topic], call)
            return
        for waiting in self._asked.pop(topic, ()):
            if waiting is not None:
                self._client.refuse(waiting, "unsubscribed before the subscription began")
        self._exchange.hub.quit(self._member, topic)
        self._client.answer(call, topic)

    def restore(self, topics: Iterable[Topic]) -> None:
        """Subscribe a client that comes back to what it was subscribed to."""
        self._begin(topics, None)

    def narrow(self) -> None:
        """End what the present token, which is new, does not allow.

        A subscription for which the database has to be asked is interrupted until the answer is there.
        """
        unknown = []
        for room in list(self._member.rooms):
            allowed = self._allows(room.topic)
            if allowed:
                continue
            left = room in self._member.leaving
            self._exchange.hub.drop(self._member, room)
            if allowed is None and not left:
                unknown.append(room.topic)
            elif not left:
                self._client.ended(room.topic, _refusal(room.topic))
        self._begin(unknown, None)

    def _allows(self, topic: Topic) -> bool | None:
        access = self._client.access
        return False if access is None else self._exchange.allows(access, topic)

    def _begin(self, topics: Iterable[Topic], call: Call | None) -> None:
        unknown = {}
        for topic in topics:
            if topic in self._asked:
                self._asked[topic].append(call)
            elif self._allows(topic) is None:
                self._asked[topic] = unknown[topic] = [call]
            else:
                self._subscribe(topic, call)
        if unknown:
            self._line.spawn(self._ask(unknown))

    async def _ask(self, waiting: Mapping[Topic, list[Call | None]]) -> None:
        """Look the orders of tasks up, and subscribe to those that the token allows by then."""
        for topic, calls in waiting.items():
            if self._asked.get(topic) is not calls:
                continue  # the client has unsubscribed in the meantime
            failure = None
            try:
                await self._exchange.look_up(topic)
            except OrderctlError as error:
                failure = error
            if self._asked.get(topic) is calls:
                del self._asked[topic]
                for call in calls:
                    self._subscribe(topic, call, failure)

    def _subscribe(self, topic: Topic, call: Call | None, failure: OrderctlError | None = None) -> None:
        try:
            if failure is not None:
                raise failure
            if not self._allows(topic):
                raise Unauthorized(_refusal(topic))
            room = self._exchange.join(self._member, topic)
        except OrderctlError as error:
            if call is None:
                self._client.ended(topic, str(error))
            else:
                self._client.refuse(call, str(error))
            return
        if call is not None:
            self._client.answer(call, topic)
        if room is not None:
            self._exchange.read_snapshot(self._member, room)


def _refusal(topic: Topic) -> str:
    return f"the token does not allow {topic.scope} {topic.id}"
