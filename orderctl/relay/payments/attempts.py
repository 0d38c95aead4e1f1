"""Limits how often requests without a valid authentication are answered, and how often the log tells of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

#: Failed requests from all addresses that are answered in each minute: behind a proxy all have the same address.
MOST: Final = 30
MINUTE: Final = 60.0

Later = Callable[[float, Callable[[], object]], object]


class Attempts:
    """Counts failed requests by the minute. One that is authentic is never counted.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = -math.inf
        self._count = 0

    def fail(self) -> int:
        """Count a failed request; return in how many seconds the next may be tried, 0 if it may at once."""
        now = self._clock()
        if now - self._began >= MINUTE:
            self._began, self._count = now, 0
        self._count += 1
        return 0 if self._count <= MOST else max(1, math.ceil(self._began + MINUTE - now))


class Repeated:
    """Tells the log of what may happen often: the first time at once, then once a minute, with the number.

    Args:
        later: Calls a function after some seconds.
        log: Logs a line.
        what: What happened, as the line with the number says: ``requests were refused``.
    """

    def __init__(self, later: Later, log: Callable[[str], object], what: str) -> None:
        self._later = later
        self._log = log
        self._what = what
        self._count: int | None = None

    def note(self, line: str) -> None:
        """Note that it has happened; the line is logged if it has not for a minute."""
        if self._count is not None:
            self._count += 1
            return
        self._count = 0
        self._log(line)
        self._later(MINUTE, self._tell)

    def _tell(self) -> None:
        if not self._count:
            self._count = None
            return
        self._log(f"{self._count} more {self._what} in the last minute")
        self._count = 0
        self._later(MINUTE, self._tell)
