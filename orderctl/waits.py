"""What tasks and orders may wait for, and which of several reasons says most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """What a task or an order waits for."""

    UNPAID = "unpaid"  #: Its order is not paid.
    STATUS = "status"  #: Its order has a status that orderctl does not know.
    SHOP = "shop"  #: The shop's own workers are to carry it out.
    RETRY = "retry"  #: Its next attempt, after a failure that may pass by itself.
    PAUSED = "paused"  #: The queue is paused.
    NO_WORKER = "no-worker"  #: No worker of the queue is running.
    BEHIND = "behind"  #: Other tasks are before it.
    SOON = "soon"  #: A worker is free and takes it in a moment.
    UNKNOWN = "unknown"  #: Redis does not answer, so that nothing is known of the workers.


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a task waits.

    Attributes:
        cause: What it waits for.
        text: The same for people: ``no worker is running``.
        hint: The command that helps, which can be pasted; None: nothing has to be done.
        rank: Of two reasons with the same cause, the one with the lower rank passes first.
    """

    cause: Cause
    text: str
    hint: str | None = None
    rank: float = field(default=0, compare=False)

    @property
    def line(self) -> str:
        """The reason and the command on one line."""
        return f"{self.text}: {self.hint}" if self.hint else self.text

    @property
    def record(self) -> dict[str, str | None]:
        """The reason as it stands in JSON, for commands and for the relay."""
        return {"cause": str(self.cause), "text": self.text, "hint": self.hint}


#: What an order waits for, the most telling first. Tasks that a worker takes soon say more than those that wait for longer.
_TELLING: Final = (
    Cause.SOON, Cause.BEHIND, Cause.PAUSED, Cause.NO_WORKER, Cause.UNKNOWN, Cause.RETRY, Cause.SHOP, Cause.STATUS,
    Cause.UNPAID,
)  # fmt: skip


def most_telling(reasons: Iterable[Reason]) -> Reason | None:
    """Return the reason that says most of several tasks: that of the one which comes first."""
    return min(reasons, key=lambda one: (_TELLING.index(one.cause), one.rank), default=None)
