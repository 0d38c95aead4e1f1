"""What a Socket.IO client gets back after a reconnect: its subscriptions, by the ``pid`` that it sends again.

The shop's dashboard subscribes when it opens a view and never again. What it listens to is kept in Redis,
so that a relay that has restarted, or another one, can go on where the first was cut off. The pid is a
secret: whoever has it learns which tasks somebody listens to (but hears only what their own token allows),
so its digest is the key.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from orderctl import channels
from orderctl.channels import Scope
from orderctl.errors import RedisUnavailable
from orderctl.relay.codecs.calls import MAX_ID, Topic
from orderctl.relay.feed import Feed

#: How long a client may be away, in seconds.
AWAY: Final = 120
#: How long a session is kept while its client is there; it is renewed with each ping.
_PRESENT: Final = AWAY + 30
#: How long a reconnecting client waits for Redis, in seconds.
_PATIENCE: Final = 3.0

_MAX_PID: Final = 64


@dataclass(frozen=True, slots=True)
class Session:
    """Who a client is across its connections.

    Attributes:
        sid: What it is called.
        pid: The secret by which it is known again.
    """

    sid: str
    pid: str


def begin() -> Session:
    """A session of a new client."""
    return Session(secrets.token_urlsafe(15), secrets.token_urlsafe(24))


class Recovery:
    """Keeps sessions in Redis.

    Args:
        feed: The way there.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def save(self, session: Session, topics: Iterable[Topic]) -> None:
        """Remember what a client listens to; nothing happens while Redis is away."""
        rooms = [[str(topic.scope), topic.id] for topic in topics]
        if rooms:
            value = json.dumps({"sid": session.sid, "rooms": rooms}, separators=(",", ":"))
            self._send("SET", _key(session.pid), value, "EX", _PRESENT)
        else:
            self.forget(session)

    def renew(self, session: Session) -> None:
        """The client is still there."""
        self._send("EXPIRE", _key(session.pid), _PRESENT)

    def part(self, session: Session) -> None:
        """The client is gone, perhaps for a moment only."""
        self._send("EXPIRE", _key(session.pid), AWAY)

    def forget(self, session: Session) -> None:
        """The client has said goodbye."""
        self._send("DEL", _key(session.pid))

    async def find(self, pid: object) -> tuple[Session, list[Topic]] | None:
        """The session of a client that has come back; None when there is none.

        Raises:
            RedisUnavailable: When Redis does not answer.
        """
        if not isinstance(pid, str) or not 0 < len(pid) <= _MAX_PID:
            return None
        await self._feed.wait_up(_PATIENCE)
        value = await self._feed.ask("GET", _key(pid))
        return None if value is None else _read(pid, value)

    def _send(self, *command: str | int) -> None:
        try:
            answer = self._feed.ask(*command)
        except RedisUnavailable:
            return
        # Progress matters more than this: a refusal is no reason to say anything.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())


def _key(pid: str) -> str:
    return channels.session(hashlib.sha256(pid.encode()).hexdigest())


def _read(pid: str, value: bytes) -> tuple[Session, list[Topic]] | None:
    try:
        kept: Any = json.loads(value)
        topics = [Topic(Scope(scope), number) for scope, number in kept["rooms"]]
        valid = all(isinstance(topic.id, int) and 0 < topic.id <= MAX_ID for topic in topics)
        return (Session(str(kept["sid"]), pid), topics) if valid else None
    except (ValueError, KeyError, TypeError):
        return None
