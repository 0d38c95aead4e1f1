"""The names of orders and tasks that messages are of, which are looked for in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine

from orderctl import channels, clock, database
from orderctl.inquiries import Inquiry
from orderctl.subscription import Message
from orderctl.watched import Found, Key, Standing

T = TypeVar("T")

#: Time between two looks, in seconds, and most orders and tasks in one look.
_SECONDS, _MOST = 0.3, 100
#: Time after which it is asked again for the title of a task that had none, in seconds.
_AGAIN: Final = 5.0
#: Most orders and tasks that are remembered: everything may be watched for months.
_REMEMBERED: Final = 10_000


class Names:
    """Names; a task gets its title only when it is enrolled, so that it is asked for again.

    Args:
        engine: The database.
        find: Returns what the database says of these, such as ``subjects.name``.
        only: Of whom it is asked; None: of all.
    """

    def __init__(
        self,
        engine: Engine,
        find: Callable[[Connection, Collection[Key]], Sequence[Standing]],
        only: Collection[Key] | None = None,
    ) -> None:
        self._engine = engine
        self._find = find
        self._only = only
        self._wanted: dict[Key, None] = {}
        self._untitled: dict[Key, float] = {}  # when it was asked for them
        self._known: dict[Key, None] = {}
        self._lock = threading.Lock()
        self._inquiry = Inquiry(self._look, _SECONDS)

    def know(self, standings: Iterable[Standing]) -> None:
        """Note names that were found."""
        for one in standings:
            if one.titled:
                _remember(self._known, one.key, None)

    def note(self, message: Message) -> None:
        """Note of whom a message is."""
        key = message.channel.scope, message.channel.id
        if self._only is not None and key not in self._only:
            return
        with self._lock:
            asked = self._untitled.get(key)
            is_due = asked is None or clock.elapsed() - asked >= _AGAIN
            if key not in self._known and is_due and key[1] <= channels.MAX_ID:
                _remember(self._wanted, key, None)

    def poll(self) -> Found | None:
        """Return names that have been found since the last call, or None."""
        return self._inquiry.poll(ask=bool(self._wanted))

    def _look(self) -> Found:
        with self._lock:
            keys = list(self._wanted)[-_MOST:]  # the newest first: they are on the screen
        with database.reading(self._engine) as connection:
            found = self._find(connection, keys)
        with self._lock:
            self._answered(keys, {one.key for one in found if not one.titled})
        return Found(tuple(found))

    def _answered(self, keys: Iterable[Key], untitled: Collection[Key]) -> None:
        for key in keys:
            if key in untitled:
                _remember(self._untitled, key, clock.elapsed())
            else:
                _remember(self._known, key, None)
                self._untitled.pop(key, None)
            self._wanted.pop(key, None)


def _remember(of: dict[Key, T], key: Key, value: T) -> None:
    """Note a key as the newest; the oldest one is forgotten when there are too many."""
    of.pop(key, None)
    of[key] = value
    if len(of) > _REMEMBERED:
        of.pop(next(iter(of)), None)
