"""The checks of workers and leases: who takes tasks, tasks of lost workers, due tasks that no job announces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from orderctl import crews, findings, reconcile
from orderctl.counting import counted
from orderctl.crews import Crew
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.findings import Finding
from orderctl.worker import fleet

#: A supervisor frees the task of a lost worker two seconds after its lease has expired; a busy one may need longer.
_SUPERVISOR_SECONDS: Final = 10
#: How many are named.
_SHOWN: Final = 5


def leases(around: Surroundings) -> Iterator[Check]:
    """Yield the check of leases, which needs the database only."""
    with around.reading() as connection:
        lost = reconcile.lost(connection)
        late = reconcile.lost(connection, _SUPERVISOR_SECONDS) if lost else []
    if not lost:
        yield Check(Area.WORKERS, "expired-leases", Verdict.WELL, "no task belongs to a lost worker", value=0)
        return
    if not late:
        text = f"the leases of {number(lost)} have just expired: {named(lost)}"
        why = "A running supervisor frees such a task within seconds."
        yield Check(
            Area.WORKERS,
            "expired-leases",
            Verdict.NOTE,
            text,
            "orderctl reconcile",
            why,
            value=len(lost),
            unit="tasks",
        )
        return
    yield Check(
        Area.WORKERS,
        "expired-leases",
        Verdict.FAULT,
        f"the workers of {number(late)} were lost: {named(late)}",
        "orderctl reconcile",
        f"Their leases have expired more than {_SUPERVISOR_SECONDS} s ago. A running supervisor frees them within"
        " seconds, so none is running, or none that reaches the database.",
        value=len(late),
        unit="tasks",
    )


def fleet_of(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the workers, which Redis knows."""
    client = around.redis.store  # None: the embedded Redis does not run, and no worker does
    with around.reading() as connection:
        due = reconcile.find_due(connection, around.settings, limit=findings.BATCH)
        sight = crews.look(connection, client, around.settings)
        silent = reconcile.unrung(connection, client, around.settings)
        signs = fleet.find_all(connection, client)
    waiting = f"{_more(len(due))}{counted(len(due), 'task')} due"
    if isinstance(sight.crew, Crew) and sight.crew.frozen:
        yield _frozen(sight.crew, waiting)
    elif isinstance(sight.crew, Crew):
        text = f"{counted(sight.crew.workers, 'worker')}, {sight.crew.free} free; {waiting}"
        yield Check(Area.WORKERS, "workers", Verdict.WELL, text, value=sight.crew.workers, unit="workers")
    else:
        verdict = Verdict.FAULT if due else Verdict.NOTE
        text = f"{sight.crew.text}; {waiting}"
        yield Check(Area.WORKERS, "workers", verdict, text, sight.crew.hint, value=len(due), unit="tasks")
    yield _rung(silent)
    gone = [sign for sign in signs if not sign.alive]
    for sign in gone[:_SHOWN]:
        yield Check(
            Area.WORKERS,
            "silent-supervisors",
            Verdict.WARNING,
            f"supervisor {sign.name} holds {counted(len(sign.tasks), 'task')} and sends no heartbeat to Redis",
            "orderctl worker list",
            f"Its machine hangs, or it does not reach Redis. Its leases expire {around.settings.worker.lease_seconds} s"
            " after the last sign of life; then other workers take the tasks.",
            value=sign.name,
        )


def _frozen(crew: Crew, waiting: str) -> Check:
    return Check(
        Area.WORKERS,
        "workers",
        Verdict.FAULT,
        f"{crews.FROZEN} ({listed(crew.frozen)}); {waiting}",
        "orderctl worker start",
        "Other workers take the tasks; then end the frozen ones: SIGCONT, or kill -9.",
        value=len(crew.frozen),
        unit="workers",
    )


def _rung(silent: Sequence[Finding]) -> Check:
    if not silent:
        return Check(Area.WORKERS, "doorbell", Verdict.WELL, "every due task has a job in the queue", value=0)
    return Check(
        Area.WORKERS,
        "doorbell",
        Verdict.WARNING,
        f"{number(silent)} due, without a job in the queue: {named(silent)}",
        "orderctl reconcile",
        "Nothing wakes a worker for them. A running supervisor does that within seconds.",
        value=len(silent),
        unit="tasks",
    )


def number(found: Sequence[Finding], noun: str = "task") -> str:
    """Return how many there are, of findings that were looked for up to a limit."""
    return f"{_more(len(found))}{counted(len(found), noun)}"


def _more(found: int) -> str:
    return "at least " if found >= findings.BATCH else ""


def named(found: Sequence[Finding]) -> str:
    """Return the ids of some of the tasks, or of the orders."""
    return listed([one.task_id if one.task_id is not None else one.order_id for one in found])


def listed(ids: Sequence[object]) -> str:
    """Return the first of some ids as text."""
    return ", ".join(map(str, ids[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
