"""The pace of an operation: 50/m, 2/s or 600/h, by the clock of the database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

_RATE: Final = re.compile(r"([1-9][0-9]{0,6})/([smh])")
_PER_HOUR: Final = {"s": 3600, "m": 60, "h": 1}
#: The fastest pace, in tasks per second: no database keeps up with more.
MOST_PER_SECOND: Final = 1000
#: After an outage no more is made up for than this time is worth.
_BURST: Final = timedelta(seconds=1)
#: How late a task of a slow pace may be without making all later ones late, too.
_SLACK: Final = timedelta(seconds=0.25)


@dataclass(frozen=True, slots=True)
class Rate:
    """A pace, as it was given and in tasks per hour."""

    text: str
    per_hour: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pace such as ``50/m``.

        Raises:
            ValueError: It is not valid; says what is.
        """
        found = _RATE.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError("needs a rate in tasks per second, minute or hour, such as 2/s, 50/m or 600/h")
        per_hour = int(found[1]) * _PER_HOUR[found[2]]
        if per_hour > MOST_PER_SECOND * 3600:
            raise ValueError(f"the fastest rate is {MOST_PER_SECOND}/s; without --rate there is no limit")
        return cls(found[0], per_hour)


def interval(per_hour: int) -> timedelta:
    """Return the time between two tasks."""
    return timedelta(seconds=3600 / per_hour)


def due(next_at: datetime | None, now: datetime, per_hour: int) -> int:
    """Return how many tasks are due.

    Args:
        next_at: When the next one is due; None: now.
        now: The database's clock.
        per_hour: The pace.
    """
    first = _first(next_at, now, per_hour)
    return 0 if first > now else (now - first) // interval(per_hour) + 1


def after(next_at: datetime | None, now: datetime, per_hour: int, number: int) -> datetime:
    """Return when the next task is due after this number of them."""
    return _first(next_at, now, per_hour) + number * interval(per_hour)


def _first(next_at: datetime | None, now: datetime, per_hour: int) -> datetime:
    """Return when the next task is due, at the earliest so long ago that no burst comes of it."""
    step = interval(per_hour)
    late = max(_BURST - step, min(_SLACK, step / 2))
    return max(next_at or now, now - late)
