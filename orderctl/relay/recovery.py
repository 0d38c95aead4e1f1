"""Recovery of a Socket.IO client's subscriptions after a reconnect, by the ``pid`` that it sends again.

The shop's dashboard subscribes when it opens a view, and not again after a reconnect. Its subscriptions are
kept in Redis, so that the restarted relay or another one can restore them. The pid is a secret: a client that
has it learns the subscriptions of another (but receives only what its own token allows). So the key in Redis
has its digest.
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

#: How long a client may be disconnected, in seconds.
AWAY: Final = 120
#: How long a session is kept while its client is connected, in seconds. Each ping renews it.
_PRESENT: Final = AWAY + 30
#: How long a reconnecting client waits for Redis, in seconds.
_PATIENCE: Final = 3.0

_MAX_PID: Final = 64


@dataclass(frozen=True, slots=True)
class Session:
    """The identity of a client over several connections.

    Attributes:
        sid: Its public id.
        pid: The secret by which the relay recognises it.
    """

    sid: str
    pid: str


def begin() -> Session:
    """Return a session for a new client."""
    return Session(secrets.token_urlsafe(15), secrets.token_urlsafe(24))


class Recovery:
    """Keeps sessions in Redis.

    Args:
        feed: The connection to Redis.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def save(self, session: Session, topics: Iterable[Topic]) -> None:
        """Save a client's subscriptions; do nothing while Redis is away."""
        rooms = [[str(topic.scope), topic.id] for topic in topics]
        if rooms:
            value = json.dumps({"sid": session.sid, "rooms": rooms}, separators=(",", ":"))
            self._send("SET", self._key(session.pid), value, "EX", _PRESENT)
        else:
            self.forget(session)

    def renew(self, session: Session) -> None:
        """Extend the session of a client that is still connected."""
        self._send("EXPIRE", self._key(session.pid), _PRESENT)

    def part(self, session: Session) -> None:
        """Start the time limit for a client that has disconnected and may come back."""
        self._send("EXPIRE", self._key(session.pid), AWAY)

    def forget(self, session: Session) -> None:
        """Delete the session of a client that has disconnected on purpose."""
        self._send("DEL", self._key(session.pid))

    async def find(self, pid: object) -> tuple[Session, list[Topic]] | None:
        """Return the session of a client that reconnects; None when there is none.

        Raises:
            RedisUnavailable: When Redis does not answer.
        """
        if not isinstance(pid, str) or not 0 < len(pid) <= _MAX_PID:
            return None
        await self._feed.wait_up(_PATIENCE)
        value = await self._feed.ask("GET", self._key(pid))
        return None if value is None else _read(pid, value)

    def _key(self, pid: str) -> str:
        return self._feed.key(channels.session(hashlib.sha256(pid.encode()).hexdigest()))

    def _send(self, *command: str | int) -> None:
        try:
            answer = self._feed.ask(*command)
        except RedisUnavailable:
            return
        # An error is ignored: live progress works without the session.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())


def _read(pid: str, value: bytes) -> tuple[Session, list[Topic]] | None:
    try:
        kept: Any = json.loads(value)
        topics = [Topic(Scope(scope), number) for scope, number in kept["rooms"]]
        valid = all(isinstance(topic.id, int) and 0 < topic.id <= MAX_ID for topic in topics)
        return (Session(str(kept["sid"]), pid), topics) if valid else None
    except (ValueError, KeyError, TypeError):
        return None
