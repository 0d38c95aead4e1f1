"""The throttle: limits how fast the relay reads from one client."""

from __future__ import annotations

from typing import Final

#: Bytes that cost as much as a frame.
_BYTES: Final = 1024.0


class Throttle:
    """A token bucket that fills with time. A client that has emptied it is not read for some time.

    A client is slowed down, not disconnected: when its data is not read, TCP makes it wait.

    Args:
        rate: Frames per second, which is also the number of frames that may arrive at once.
        now: The time, in seconds.
    """

    __slots__ = ("_left", "_rate", "_then")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._left = rate
        self._then = now

    def spend(self, frames: int, size: int, now: float) -> float:
        """Count received frames.

        Args:
            frames: Number of frames of any kind.
            size: Their length in bytes.
            now: The time, in seconds.

        Returns:
            Number of seconds for which not to read; 0 when the bucket is not empty.
        """
        self._left = min(self._rate, self._left + (now - self._then) * self._rate)
        self._then = now
        self._left -= frames + size / _BYTES
        return max(0.0, -self._left / self._rate)
