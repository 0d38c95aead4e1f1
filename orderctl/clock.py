"""This host's clocks. What has to agree between hosts is the database's (``database.utc_now``)."""

from __future__ import annotations

import time


def milliseconds() -> int:
    """Now, in ms since the epoch, as messages carry it."""
    return time.time_ns() // 1_000_000


def elapsed() -> float:
    """Seconds on a clock that never jumps and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
