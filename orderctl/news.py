"""New events of the audit log of some orders and tasks, looked for in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine

from orderctl import audit, database
from orderctl.audit import Event, Search
from orderctl.channels import Scope
from orderctl.errors import OrderctlError
from orderctl.inquiries import Inquiry
from orderctl.subjects import Subject

#: Time between two looks, in seconds.
_LOOK_SECONDS: Final = 1.0
#: An event may be committed after one with a higher id, so as many events are read again.
_OVERLAP: Final = 50
#: Longest time for which the end waits for a look that has begun, in seconds: two at once would find an event twice.
_LAST_SECONDS: Final = 2.0
#: Most new events of an order in one look.
_PAGE: Final = 200


class News:
    """New events of subjects: those that are written from :meth:`begin` on.

    Args:
        engine: The database.
        watched: The subjects; of an order the events of its tasks, too.
    """

    def __init__(self, engine: Engine, watched: Sequence[Subject]) -> None:
        self._engine = engine
        self._tasks: dict[int, set[int]] = {one.order_id: set() for one in watched}
        for one in watched:
            if one.scope is Scope.TASK:
                self._tasks[one.order_id].add(one.id)
        self._whole = {one.id for one in watched if one.scope is Scope.ORDER}
        self._seen: dict[int, set[int]] = {}
        self._inquiry = Inquiry(self._look, _LOOK_SECONDS)

    def begin(self) -> None:
        """Look for what is there already."""
        self._look()

    def poll(self) -> list[Event]:
        """Return the events that the last look has found, oldest first."""
        return self._inquiry.poll() or []

    def last(self) -> list[Event]:
        """Look once more, now; without the database there is nothing."""
        found = self._inquiry.finish(_LAST_SECONDS) or []
        try:
            return found + self._look()
        except OrderctlError:
            return found

    def _look(self) -> list[Event]:
        with database.reading(self._engine) as connection:
            fresh = [event for order_id in self._tasks for event in self._fresh(connection, order_id)]
        return sorted(fresh, key=lambda event: event.id)

    def _fresh(self, connection: Connection, order_id: int) -> list[Event]:
        seen = self._seen.get(order_id)
        if seen is None:
            newest = audit.search(connection, order_id, limit=_OVERLAP)
            self._seen[order_id] = {event.id for event in newest}
            return []
        wanted = Search(after_id=min(seen, default=0), oldest_first=True)
        found = audit.search(connection, order_id, wanted, limit=_OVERLAP + _PAGE)
        fresh = [event for event in found if event.id not in seen]
        self._seen[order_id] = set(sorted(seen | {event.id for event in fresh})[-_OVERLAP:])
        return [event for event in fresh if self._is_wanted(event)]

    def _is_wanted(self, event: Event) -> bool:
        return event.order_id in self._whole or event.task_id in self._tasks[event.order_id]
