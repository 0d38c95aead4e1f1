"""How much of what one client sends is read."""

from __future__ import annotations

from typing import Final

#: Bytes that cost as much as a frame.
_BYTES: Final = 1024.0


class Throttle:
    """A bucket of frames that fills with time; who has emptied it is not read for a while.

    A client is slowed down rather than cut: the kernel tells it to wait.

    Args:
        rate: Frames in a second; as many may come at once.
        now: The time, in seconds.
    """

    __slots__ = ("_left", "_rate", "_then")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._left = rate
        self._then = now

    def spend(self, frames: int, size: int, now: float) -> float:
        """Count what has come.

        Args:
            frames: Number of frames, of whatever kind.
            size: Their bytes.
            now: The time, in seconds.

        Returns:
            Seconds for which to read no more; 0 where there is enough left.
        """
        self._left = min(self._rate, self._left + (now - self._then) * self._rate)
        self._then = now
        self._left -= frames + size / _BYTES
        return max(0.0, -self._left / self._rate)
