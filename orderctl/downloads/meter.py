"""The progress and the speed of a task's download."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import monotonic

#: Shortest time between two reports, in seconds. The receiver of the reports throttles further.
_INTERVAL = 0.1
#: Shortest time over which a speed is measured, in seconds.
_SAMPLE = 0.25
#: Time after which an old speed counts for 1/e, in seconds.
_MEMORY = 5.0


class Speed:
    """Bytes per second, smoothed: an exponentially weighted mean."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._bytes = 0
        self.value: float | None = None  #: None until the first measurement.

    def add(self, count: int) -> None:
        """Count bytes that have just been received."""
        self._bytes += count
        elapsed = self._clock() - self._since
        if elapsed < _SAMPLE:
            return
        sample = self._bytes / elapsed
        weight = math.exp(-elapsed / _MEMORY)
        self.value = sample if self.value is None else weight * self.value + (1 - weight) * sample
        self._since += elapsed
        self._bytes = 0


class Meter:
    """Counts the bytes of all files of a task and reports them.

    Percent is the share of all bytes, or of all files while a size is unknown. It is 100 only when all is
    done.

    Args:
        sizes: Sizes of the files in bytes, None where unknown.
        report: Called with percent, current file and speed.
    """

    def __init__(
        self,
        sizes: Sequence[int | None],
        report: Callable[[float, str, float | None], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._sizes = list(sizes)
        self._report = report
        self._clock = clock
        self._speed = Speed(clock)
        self._file = 0
        self._name = ""
        self._done = 0  # bytes of the files that are finished
        self._here = 0  # bytes of the current file
        self._reported = -math.inf

    def begin(self, index: int, name: str, *, size: int | None = None, have: int = 0) -> None:
        """Begin with a file, or note its size and how many bytes of it are on the disk already."""
        self._file, self._name, self._here = index, name, have
        if size is not None:
            self._sizes[index] = size
        self._send_report()

    def advance(self, count: int) -> None:
        """Count received bytes of the current file."""
        self._here += count
        self._speed.add(count)
        if self._clock() - self._reported >= _INTERVAL:
            self._send_report()

    def end(self, size: int) -> None:
        """Note that the current file is complete."""
        self._sizes[self._file] = size
        self._done += size
        self._here = 0
        self._file += 1
        self._send_report()

    def _send_report(self) -> None:
        self._reported = self._clock()
        self._report(self._percent(), self._name, self._speed.value)

    def _percent(self) -> float:
        if self._file == len(self._sizes):
            return 100.0
        known = [size for size in self._sizes if size is not None]
        if len(known) == len(self._sizes):
            part = (self._done + self._here) / max(1, sum(known))
        else:
            size = self._sizes[self._file]
            part = (self._file + min(1.0, self._here / size if size else 0.0)) / len(self._sizes)
        return min(99.9, round(100 * part, 1))
