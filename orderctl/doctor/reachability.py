"""Whether both stores answer, and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Opened, Surroundings
from orderctl.errors import ExitStatus, Unavailable

#: A round trip that takes longer than this many seconds is one to another site.
_FAR: Final = 0.025


def of_database(around: Surroundings) -> Iterator[Check]:
    """Yield whether the database answers."""
    yield _reachable(Area.DATABASE, "the database", around.database, around)


def of_redis(around: Surroundings) -> Iterator[Check]:
    """Yield whether Redis answers."""
    yield _reachable(Area.REDIS, "Redis", around.redis, around)


def _reachable(area: Area, name: str, store: Opened[object], around: Surroundings) -> Check:
    if store.fault is not None:
        down = isinstance(store.fault, Unavailable)
        status = ExitStatus.UNAVAILABLE if down else ExitStatus.CONFIGURATION
        repair = around.grant(store.fault) or store.fault.hint
        return Check(area, "reachable", Verdict.FAULT, str(store.fault), repair, exit_status=status)
    if store.seconds is None:
        text = f"the embedded {name} does not run: the next command that needs it starts it"
        return Check(area, "reachable", Verdict.NOTE, text)
    far = store.seconds > _FAR
    return Check(
        area,
        "reachable",
        Verdict.WARNING if far else Verdict.WELL,
        f"{name} answers in {store.seconds * 1000:.2f} ms{_place(store)}",
        explanation="Each change takes several round trips: run the workers nearer to it." if far else None,
        value=round(store.seconds * 1000, 3),
        unit="ms",
    )


def _place(store: Opened[object]) -> str:
    return f", at {store.sign.url}" if store.sign is not None and store.sign.url else ""
