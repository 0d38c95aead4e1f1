"""What the storm's customers asked for, and what they were told."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto


class Answer(Enum):
    """What a customer was told."""

    OK = auto()  #: It is done.
    FAILED = auto()  #: It is not done.
    UNKNOWN = auto()  #: The answer got lost.


@dataclass
class Asked:
    """One order: how many of its courses are there, and how many are not."""

    code: str
    good: int
    bad: int
    added: Answer | None = None
    paid: Answer | None = None


@dataclass
class History:
    """Everything that was asked; orders by their code."""

    orders: dict[str, Asked] = field(default_factory=dict)
    kills: list[tuple[float, str]] = field(default_factory=list)  # monotonic time, victim
    outages: list[tuple[float, float, str]] = field(default_factory=list)  # from, until, what was away
    retried: dict[int, int] = field(default_factory=dict)  # acknowledged: task, the attempts that it had had
    other: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def outage(self, what: str) -> Iterator[None]:
        """Something is away for the time of the block."""
        began = time.monotonic()
        yield
        self.outages.append((began, time.monotonic(), what))

    def around(self, begin: float, end: float) -> str:
        """What happened between two moments, told relative to the first."""
        kills = [f"{at - begin:+.2f} {victim} killed" for at, victim in self.kills if begin - 1 < at < end]
        outages = [
            f"{since - begin:+.2f} to {until - begin:+.2f} {what} away"
            for since, until, what in self.outages
            if until > begin - 1 and since < end
        ]
        return "; ".join([*kills, *outages])

    def killed(self) -> Counter[str]:
        return Counter(victim for _, victim in self.kills)

    def acknowledged(self) -> list[Asked]:
        """Orders that were paid, as their customers were told."""
        return [asked for asked in self.orders.values() if asked.paid is Answer.OK]
