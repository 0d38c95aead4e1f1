"""Commands for the Redis of the settings that can be pasted; none has a password."""

from __future__ import annotations

import shlex

from orderctl import broker, redis_urls
from orderctl.settings import Settings


def command(settings: Settings, *words: str) -> str:
    """Return a command for the server of the settings that can be pasted; it has no password."""
    url = broker.running_url(settings)
    where = () if url is None else redis_urls.arguments(broker.endpoint(url))
    return shlex.join(["redis-cli", *where, *words])


def grant(settings: Settings, *rules: str) -> str:
    """Return the command that gives our account rights."""
    return command(settings, "ACL", "SETUSER", _user(settings), *rules)


def _user(settings: Settings) -> str:
    url = broker.running_url(settings)
    return (broker.endpoint(url).username if url else None) or "default"
