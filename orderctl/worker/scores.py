"""Counters of a supervisor's attempts, in memory that all of its processes share.

An attempt runs in a work-horse, which a worker has forked, which the supervisor has forked. The memory is made before the
first fork. Each worker has a part of it, and has one work-horse at a time: so each number has one writer, and nothing is
locked, sent or lost. The numbers live as long as the supervisor, whichever of its processes dies.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from enum import StrEnum
from itertools import accumulate
from typing import Final

from orderctl.states import ErrorType


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"  #: The task has failed.
    RETRIED = "retried"  #: It failed, and the task is tried again.
    RELEASED = "released"  #: The worker stopped; another one takes the task.
    LEASE_LOST = "lease_lost"  #: Another worker has the task.
    OUTAGE = "outage"  #: The database did not answer when its end was to be recorded.
    KILLED = "killed"  #: Its process ended without a word.


class Phase(StrEnum):
    """A part of an attempt."""

    ENROLL = "enroll"
    DOWNLOAD = "download"


_WITH_TYPE: Final = (Outcome.FAILED, Outcome.RETRIED)
#: All ends of an attempt, with the type of the error.
ENDS: Final = tuple(
    (outcome, error_type)
    for outcome in Outcome
    for error_type in (tuple(map(str, ErrorType)) if outcome in _WITH_TYPE else ("",))
)
#: Upper bounds of the lengths of phases, in seconds; the last bucket has none.
BOUNDS: Final = (0.5, 1, 5, 15, 60, 300, 900, 3600, 14400)
_PLACES: Final = {end: place for place, end in enumerate(ENDS, start=1)}
_BUCKETS: Final = len(BOUNDS) + 1
#: Where the numbers of a phase begin: the sum of its seconds, then its buckets.
_PHASES: Final = {phase: 1 + len(ENDS) + number * (1 + _BUCKETS) for number, phase in enumerate(Phase)}
#: The first number of a part is 1 while an attempt runs.
_SIZE: Final = 1 + len(ENDS) + len(Phase) * (1 + _BUCKETS)
_BYTES: Final = 8


class Score:
    """The numbers of one worker. Its present work-horse writes them.

    Args:
        numbers: Its part of the memory.
    """

    def __init__(self, numbers: memoryview[float]) -> None:
        self._numbers = numbers

    def begin(self) -> None:
        """Note that an attempt begins; the one before has been killed if it has not ended."""
        if self._numbers[0]:
            self.end(Outcome.KILLED)
        self._numbers[0] = 1.0

    def end(self, outcome: Outcome, error_type: str = "") -> None:
        """Count the end of the attempt.

        Args:
            outcome: How it ended.
            error_type: Why, if it failed.
        """
        self._numbers[_PLACES[outcome, error_type]] += 1
        self._numbers[0] = 0.0

    def add(self, phase: Phase, seconds: float) -> None:
        """Count a phase that took this time, however it ended."""
        begin = _PHASES[phase]
        bucket = next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        self._numbers[begin] += seconds
        self._numbers[begin + 1 + bucket] += 1


class Board:
    """The numbers of all workers of a supervisor.

    Attributes:
        began: Since when is counted, in seconds since the epoch.

    Args:
        workers: How many there are.
    """

    def __init__(self, workers: int) -> None:
        self.began = time.time()
        self._workers = workers
        self._numbers = memoryview(mmap.mmap(-1, workers * _SIZE * _BYTES)).cast("d")

    def score(self, number: int) -> Score:
        """Return the numbers of a worker, counted from 1."""
        return Score(self._numbers[(number - 1) * _SIZE : number * _SIZE])

    def ends(self) -> Iterator[tuple[Outcome, str, int]]:
        """Yield how often attempts ended: the outcome, the error type and the number."""
        for (outcome, error_type), place in _PLACES.items():
            yield outcome, error_type, int(self._sum(place))

    def seconds(self, phase: Phase) -> float:
        """Return the seconds that a phase took in all attempts."""
        return self._sum(_PHASES[phase])

    def buckets(self, phase: Phase) -> list[int]:
        """Return how often a phase took at most the seconds of each of the :data:`BOUNDS`, and how often in all."""
        begin = _PHASES[phase] + 1
        return list(accumulate(int(self._sum(begin + place)) for place in range(_BUCKETS)))

    def _sum(self, place: int) -> float:
        return sum(self._numbers[worker * _SIZE + place] for worker in range(self._workers))


def alone() -> Score:
    """Return numbers that nobody reads, for a worker without a supervisor."""
    return Board(1).score(1)
