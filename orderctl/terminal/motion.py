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
    _stamp: float | None = None
    _rate: float | None = None

    def tell(self, percent: float, now: float, stamp: float | None = None) -> None:
        """Take in a message.

        Args:
            percent: What it says.
            now: When it came.
            stamp: When it was sent, in ms since the epoch, if it says so.
        """
        shown, passed = self.at(now), now - self._began
        if percent < self.truth:
            self._rate = None  # another attempt
        elif math.isfinite(passed):
            self._measure(percent - self.truth, self._sent_after(stamp, passed))
        self._from = min(shown, percent) if percent < FULL and math.isfinite(passed) else percent
        self._span = min(passed, _LONGEST) if math.isfinite(passed) else 0.0
        self.truth, self._began, self._stamp = percent, now, stamp

    def jump(self, percent: float) -> None:
        """Stand at a place at once, as at an end; the next message begins anew."""
        self.truth = self._from = percent
        self._began, self._span, self._stamp, self._rate = -math.inf, 0.0, None, None

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

    def _sent_after(self, stamp: float | None, passed: float) -> float:
        if stamp is None or self._stamp is None:
            return passed
        return (stamp - self._stamp) / _SECOND

    def _measure(self, gain: float, seconds: float) -> None:
        """Note a rate in percent per second: an exponentially weighted mean."""
        if seconds <= 0:
            return
        sample, weight = gain / seconds, math.exp(-seconds / _MEMORY)
        self._rate = sample if self._rate is None else weight * self._rate + (1 - weight) * sample
