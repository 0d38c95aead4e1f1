"""What happened during the run: who was killed, what the customers asked for, and which answers they got."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

#: Stands for a shop where a server is meant, which all shops use.
SERVERS = ""


class Answer(Enum):
    """The answer that a customer got."""

    OK = auto()  #: The order was paid.
    FAILED = auto()  #: The order was not paid.
    UNKNOWN = auto()  #: The answer was lost.


@dataclass
class Asked:
    """One order: how many of its courses exist, and how many do not."""

    code: str
    good: int
    bad: int
    added: Answer | None = None
    paid: Answer | None = None


@dataclass
class Weather:
    """What happened to the processes of all shops, and to the servers."""

    kills: list[tuple[float, str, str]] = field(default_factory=list)  # monotonic time, victim, its shop
    outages: list[tuple[float, float, str]] = field(default_factory=list)  # from, until, what was away
    other: Counter[str] = field(default_factory=Counter)

    def kill(self, victim: str, shop: str = SERVERS) -> None:
        self.kills.append((time.monotonic(), victim, shop))

    @contextmanager
    def outage(self, what: str) -> Iterator[None]:
        """Record an outage that lasts as long as the block."""
        began = time.monotonic()
        yield
        self.outages.append((began, time.monotonic(), what))

    def killed(self) -> Counter[str]:
        return Counter(victim for _, victim, _ in self.kills)


@dataclass
class History:
    """All requests to one shop; orders by their code, which begins with the shop's name."""

    shop: str
    weather: Weather
    orders: dict[str, Asked] = field(default_factory=dict)
    retried: dict[int, int] = field(default_factory=dict)  # acknowledged: task, its attempts before

    def around(self, begin: float, end: float) -> str:
        """Describe what happened between two moments, with times relative to the first."""
        kills = [f"{at - begin:+.2f} {victim} killed" for at, victim in self.kills() if begin - 1 < at < end]
        outages = [
            f"{since - begin:+.2f} to {until - begin:+.2f} {what} away"
            for since, until, what in self.weather.outages
            if until > begin - 1 and since < end
        ]
        return "; ".join([*kills, *outages])

    def kills(self) -> list[tuple[float, str]]:
        """Return the kills of this shop's processes and of the servers."""
        return [(at, victim) for at, victim, shop in self.weather.kills if shop in (SERVERS, self.shop)]

    def acknowledged(self) -> list[Asked]:
        """Return the orders whose customers got the answer that they are paid."""
        return [asked for asked in self.orders.values() if asked.paid is Answer.OK]
