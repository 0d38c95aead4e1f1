"""The clocks of this host, and the text form of a time.

Times that are compared between hosts come from the database's clock (``database.utc_now``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

#: Maximum time between two checks of the condition in :func:`rest`, in seconds.
LOOK_SECONDS: Final = 0.1


def milliseconds() -> int:
    """Return the current time in ms since the epoch, as in messages."""
    return time.time_ns() // 1_000_000


def as_milliseconds(moment: datetime | None) -> int | None:
    """Return a time in ms since the epoch, as in messages; None for None."""
    return None if moment is None else round(moment.timestamp() * 1000)


def elapsed() -> float:
    """Return the seconds on a clock that never jumps and also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def iso(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with Z; a naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def second(moment: datetime) -> str:
    """Return a time for a sentence: as :func:`iso`, without the parts of a second."""
    return iso(moment.replace(microsecond=0))


def rest(seconds: float, over: Callable[[], bool]) -> None:
    """Sleep for this number of seconds, or until ``over`` returns True.

    ``time.sleep`` alone would continue after a signal, although its handler has changed the condition.
    """
    end = elapsed() + seconds
    while not over() and (left := end - elapsed()) > 0:
        time.sleep(min(LOOK_SECONDS, left))
