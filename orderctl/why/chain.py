"""The links of an order's way from the payment to the last word about it, and what was found of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Link(StrEnum):
    """A link of the way, in the order in which an order takes them."""

    PAYMENT = "payment"  #: The order is paid.
    MATCH = "match"  #: The transfers that were told of paid orders.
    MANAGED = "managed"  #: Its tasks are orderctl's to run.
    DOORBELL = "doorbell"  #: A task that is due has a job in the queue.
    QUEUE = "queue"  #: The queue gives out its jobs.
    WORKER = "worker"  #: A worker takes them.
    LEASE = "lease"  #: The worker that has a task is alive.
    HANDLER = "handler"  #: The files can be fetched and stored.
    END = "end"  #: The order has its end.
    MAIL = "mail"  #: The customer and the admins have been told.
    WEBHOOK = "webhook"  #: The shop's programs have been told.
    RELAY = "relay"  #: Dashboards see it live.


class State(StrEnum):
    """What was found of a link."""

    HOLDS = "holds"
    WAITS = "waits"  #: Nothing is wrong: it holds after some time.
    BROKEN = "broken"
    UNKNOWN = "unknown"  #: It could not be looked at.
    AHEAD = "ahead"  #: It comes after a link that does not hold yet.


@dataclass(frozen=True, slots=True)
class Step:
    """What was found of one link.

    Attributes:
        link: The link.
        state: Whether it holds.
        text: What was found, for people: ``paid by transfer FT1 on 3 May``.
        cause: A stable word for programs of why it does not hold, such as ``queue-paused``; None while it holds.
        evidence: The facts from which that follows, one on each line, such as the row, its time and its error.
        repair: The command that repairs it, which can be pasted; None: no command can.
        explanation: Where no command can repair it: who can, and how; or on which condition the command is to be given.
    """

    link: Link
    state: State
    text: str
    cause: str | None = None
    evidence: tuple[str, ...] = ()
    repair: str | None = None
    explanation: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The step as it stands in JSON."""
        return {
            "link": str(self.link),
            "state": str(self.state),
            "text": self.text,
            "cause": self.cause,
            "evidence": list(self.evidence),
            "repair": self.repair,
            "explanation": self.explanation,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of all links.

    Attributes:
        steps: One for each link, in their order.
    """

    steps: Sequence[Step]

    @property
    def first(self) -> Step | None:
        """The first link that does not hold: one that is broken before one that only waits or is not known."""
        for state in (State.BROKEN, State.UNKNOWN, State.WAITS):
            if (found := next((step for step in self.steps if step.state is state), None)) is not None:
                return found
        return None
