"""The URL of Redis."""

from __future__ import annotations

from typing import Self


class Prefixed(str):
    """A URL of Redis with the prefix of all names there.

    Pub/Sub knows no database numbers: without a prefix, ``redis://host/0`` and ``redis://host/5`` have the same
    channels.

    Attributes:
        prefix: As ``settings.redis.prefix``.
    """

    __slots__ = ("prefix",)

    prefix: str

    def __new__(cls, url: str, prefix: str) -> Self:
        """Return the URL."""
        made = super().__new__(cls, url)
        made.prefix = prefix
        return made
