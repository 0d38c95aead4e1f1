"""What the storm's customers asked for, and what they were told."""

from collections import Counter
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
    other: Counter[str] = field(default_factory=Counter)

    def killed(self) -> Counter[str]:
        return Counter(victim for _, victim in self.kills)

    def acknowledged(self) -> list[Asked]:
        """Orders that were paid, as their customers were told."""
        return [asked for asked in self.orders.values() if asked.paid is Answer.OK]
