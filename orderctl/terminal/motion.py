"""Where a bar stands between two messages.

Progress comes every few seconds. A bar that jumped each time would look as if nothing happened in between. So it glides
to what the newest message says, in the time that passed between the last two. It never shows more than a message has
said, and never goes back while the messages do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

FULL: Final = 100.0
#: Longest time in which a bar glides to its place, in seconds: a bit more than the usual time between two messages.
_LONGEST: Final = 6.0
#: Time after which an old rate counts for 1/e, in seconds.
_MEMORY: Final = 20.0
#: Time without a message after which no time left is shown, in seconds.
_STALE: Final = 20.0
#: Messages that come within this time of each other are one, in seconds: those of an order's tasks, for example.
_BURST: Final = 1.0
_SECOND: Final = 1000.0


@dataclass(slots=True)
class Motion:
    """The place of one bar, in percent. All times are seconds on one clock that never goes back.

    Attributes:
        truth: What the newest message says.
    """

    truth: float = 0.0
    _from: float = 0.0
    _began: float = -math.inf
    _span: float = 0.0
    _rate: float | None = None
    #: The percent from which the next rate is measured, when it was sent, and whether the message said so.
    _base: tuple[float, float, bool] | None = None

    def tell(self, percent: float, now: float, stamp: float | None = None) -> None:
        """Take in a message.

        Args:
            percent: What it says.
            now: When it came.
            stamp: When it was sent, in ms since the epoch, if it says so.
        """
        shown, passed = self.at(now), now - self._began
        if percent < self.truth:
            self._rate, self._base = None, None  # another attempt
        self._measure(percent, now if stamp is None else stamp / _SECOND, stamped=stamp is not None)
        self._from = min(shown, percent) if percent < FULL and math.isfinite(passed) else percent
        self._span = self._find_span(passed)
        self.truth, self._began = percent, now

    def jump(self, percent: float) -> None:
        """Stand at a place at once, as at an end; the next message begins anew."""
        self.truth = self._from = percent
        self._began, self._span, self._rate, self._base = -math.inf, 0.0, None, None

    def at(self, now: float) -> float:
        """Return the place at a time."""
        if self._span <= 0:
            return self.truth
        share = min(1.0, max(0.0, (now - self._began) / self._span))
        return min(self.truth, self._from + (self.truth - self._from) * share)

    def left(self, now: float) -> float | None:
        """Return the seconds until the end at the rate so far; None if it is not known."""
        passed = now - self._began
        if not self._rate or passed > _STALE or self.truth >= FULL:
            return None
        return max(0.0, (FULL - self.truth) / self._rate - passed)

    def _find_span(self, passed: float) -> float:
        """Return the seconds of the next glide. Messages of several tasks in a row belong to one."""
        if not math.isfinite(passed):
            return 0.0
        return min(passed, _LONGEST) if passed >= _BURST else max(passed, self._span - passed)

    def _measure(self, percent: float, sent: float, *, stamped: bool) -> None:
        """Note a rate in percent per second: an exponentially weighted mean."""
        if self._base is None or self._base[2] != stamped:
            self._base = percent, sent, stamped
            return
        gain, seconds = percent - self._base[0], sent - self._base[1]
        if seconds < _BURST:
            return
        sample, weight = gain / seconds, math.exp(-seconds / _MEMORY)
        self._rate = sample if self._rate is None else weight * self._rate + (1 - weight) * sample
        self._base = percent, sent, stamped
