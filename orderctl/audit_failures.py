"""One line for one failure: the events of the audit log that tell of the same one are merged.

A task that fails for good ends a failure: ``download_failed`` with the severity ``error``. With it belong the warnings of
its tries before it, and the ``order_failed`` of the order that it ended. Warnings of a task that is tried again belong
together, too, and the newest of them is shown. Any other event, such as a mail that was given up, is a failure of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from orderctl.audit import Event
from orderctl.states import EventType, Severity

#: Orders and tasks that are remembered, the last ones.
_MOST: Final = 10_000
_FINAL: Final = (Severity.ERROR, Severity.CRITICAL)
_NAMES: Final = tuple(one.name for one in fields(Event))


@dataclass(frozen=True, slots=True)
class Failure(Event):
    """The event that tells most of a failure.

    Attributes:
        event_ids: The ids of all events that tell of it, lowest first.
    """

    event_ids: Sequence[int] = ()


@dataclass(slots=True)
class Merging:
    """Merges events that come a few at a time, in the order in which they were written.

    Attributes:
        each: Merge nothing: each event is one failure.
    """

    each: bool = False
    _ended: dict[int, _Group] = field(default_factory=dict)
    _tries: dict[int, _Group] = field(default_factory=dict)

    def add(self, events: Iterable[Event]) -> list[Failure]:
        """Return the failures of some events; what belongs to a failure that was returned before is left out."""
        fresh: dict[_Group, None] = {}  # in the order of the events that are shown
        for event in events:
            group = None if self.each else self._group(event)
            if group is None:
                group = _Group()
            elif event.event_type == EventType.ORDER_FAILED:
                group.add(event)
                continue
            fresh.pop(group, None)  # tries move to where the newest of them is
            fresh[group] = None
            self._remember(event, group)
            group.add(event)
        found = [group.failure() for group in fresh]
        for group in fresh:
            group.close()
        return found

    def _group(self, event: Event) -> _Group | None:
        """Return the failure to which an event belongs, if there is one."""
        if event.event_type == EventType.ORDER_FAILED:
            return self._ended.pop(event.order_id, None)
        if event.event_type != EventType.DOWNLOAD_FAILED or event.task_id is None:
            return None
        group = self._tries.get(event.task_id)
        return group if group is not None and group.is_fresh else None

    def _remember(self, event: Event, group: _Group) -> None:
        if self.each or event.event_type != EventType.DOWNLOAD_FAILED or event.task_id is None:
            return
        if event.severity in _FINAL:
            self._tries.pop(event.task_id, None)
            _put(self._ended, event.order_id, group)
        else:
            _put(self._tries, event.task_id, group)


def _put(groups: dict[int, _Group], key: int, group: _Group) -> None:
    groups.pop(key, None)
    groups[key] = group
    if len(groups) > _MOST:
        groups.pop(next(iter(groups)))


class _Group:
    """The events of one failure."""

    def __init__(self) -> None:
        self.is_fresh = True
        self.shown_at: Event | None = None
        self._ids: list[int] = []

    def add(self, event: Event) -> None:
        if event.event_type != EventType.ORDER_FAILED or self.shown_at is None:
            self.shown_at = event
        self._ids.append(event.id)

    def failure(self) -> Failure:
        event = self.shown_at
        values: dict[str, Any] = {name: getattr(event, name) for name in _NAMES}
        return Failure(**values, event_ids=tuple(sorted(self._ids)))

    def close(self) -> None:
        """Note that it was returned, and forget its events."""
        self.is_fresh, self._ids, self.shown_at = False, [], None


def newest_first(events: Sequence[Event], *, each: bool = False) -> list[Failure]:
    """Return the failures of some events, both newest first."""
    return Merging(each).add(reversed(events))[::-1]
