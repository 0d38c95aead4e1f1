"""This host's clocks, and how a moment is written.

What has to agree between hosts is the database's clock (``database.utc_now``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

#: How often a wait is looked up from, in seconds.
LOOK_SECONDS: Final = 0.1


def milliseconds() -> int:
    """Now, in ms since the epoch, as messages carry it."""
    return time.time_ns() // 1_000_000


def elapsed() -> float:
    """Seconds on a clock that never jumps and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def iso(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 with Z; a naive one is UTC already."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def rest(seconds: float, over: Callable[[], bool]) -> None:
    """Sleep, for so long or until ``over`` says so: a sleep goes on after a signal."""
    end = elapsed() + seconds
    while not over() and (left := end - elapsed()) > 0:
        time.sleep(min(LOOK_SECONDS, left))
