"""The links ``worker`` and ``lease``: workers take jobs, and the worker that has a task is alive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from orderctl import crews, primary
from orderctl.crews import Crew
from orderctl.states import UNFINISHED, WAITING, TaskStatus
from orderctl.tasks import Task
from orderctl.waits import Cause, Reason
from orderctl.why import facts
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene
from orderctl.worker import fleet

#: How late a supervisor may be that takes a task over, beside the time of a lease that it spares after an outage.
_LATE: Final = timedelta(seconds=5)
_START: Final = "orderctl worker start"


# --- worker


def worker(scene: Scene) -> Step:
    """Return whether workers take the tasks that wait, and those that were lost."""
    if not scene.needs_worker:
        if any(_runs(scene, one) for one in scene.asked):
            return Step(Link.WORKER, State.HOLDS, "a worker has taken it")
        return Step(Link.WORKER, State.HOLDS if scene.has_ended else State.AHEAD, "no worker is needed")
    crew = scene.sight.crew
    if not isinstance(crew, Crew):
        return _without(crew)
    if primary.is_read_only(scene.connection):
        return Step(
            Link.WORKER,
            State.BROKEN,
            "the database accepts no writes, so that no worker can claim a task",
            "database-read-only",
            explanation="Let database.url lead to the primary, or end the read-only mode of the server.",
        )
    if crew.frozen:
        lines = tuple(f"worker {one}" for one in crew.frozen)
        return Step(Link.WORKER, State.BROKEN, crews.FROZEN, "worker-frozen", lines, _START)
    return _in_line(scene, crew)  # fmt: skip


def _without(reason: Reason) -> Step:
    if reason.cause is Cause.PAUSED:
        return Step(Link.WORKER, State.AHEAD, "the queue is paused")
    if reason.cause is Cause.UNKNOWN:
        return Step(Link.WORKER, State.UNKNOWN, "it is not known whether workers run: Redis does not tell")
    if reason.text == crews.DRAINING:
        return Step(Link.WORKER, State.BROKEN, reason.text, "draining", (), reason.hint)
    if reason.text.startswith(crews.ELSEWHERE):
        return Step(Link.WORKER, State.BROKEN, reason.text, "other-queue", (), reason.hint)
    lines = (
        "no supervisor has sent a heartbeat to this Redis within 10 s; one that uses another Redis is not seen",
    )
    return Step(Link.WORKER, State.BROKEN, reason.text, "no-worker", lines, reason.hint)


def _in_line(scene: Scene, crew: Crew) -> Step:
    for cause, word in ((Cause.BEHIND, "behind"), (Cause.SOON, "free-worker")):
        for task in scene.waiting:
            reason = scene.reasons.get(task.id)
            if reason is not None and reason.cause is cause:
                lines = (f"workers of the queue: {crew.workers}, of them free: {crew.free}",)
                return Step(Link.WORKER, State.WAITS, reason.text, word, lines)
    return Step(Link.WORKER, State.HOLDS, "workers of the queue are running")


# --- lease


def lease(scene: Scene) -> Step:
    """Return whether the workers that have tasks are alive."""
    if scene.has_ended or scene.order is None or scene.order.deleted:
        return Step(Link.LEASE, State.HOLDS if scene.has_ended else State.AHEAD, "no worker has a task of it")
    held = [one for one in scene.asked if one.status in UNFINISHED]
    found = [step for one in held for look in _LOOKS if (step := look(scene, one)) is not None]
    for state in (State.BROKEN, State.UNKNOWN, State.WAITS, State.HOLDS):
        for step in found:
            if step.state is state:
                return step
    return Step(Link.LEASE, State.AHEAD, "no worker has a task of it")


def _without_end(scene: Scene, task: Task) -> Step | None:
    """Look at a task of orderctl's that neither waits nor has a lease that ends: nobody takes it, or takes it over."""
    torn = task.lease_token is not None and task.lease_until is None
    lost = task.lease_token is None and task.status not in WAITING and (task.managed or scene.take_all)
    if not (torn or lost):
        return None
    what = "has a lease without an end" if torn else f"is {task.status} without a lease"
    return Step(
        Link.LEASE,
        State.BROKEN,
        f"task {task.id} {what}: another program wrote its row, and no worker takes it",
        "lease-torn" if torn else "running-without-lease",
        (facts.of_task(task),),
        _again(task),
    )


def _again(task: Task) -> str:
    """Return the commands that take a task out of a state in which it cannot be retried."""
    retry = f"orderctl tasks retry {task.id}"
    if task.lease_until is None and task.status in WAITING:
        return retry
    return f"orderctl tasks cancel {task.id} && {retry}"


def _expired(scene: Scene, task: Task) -> Step | None:
    if task.lease_token is None or task.lease_until is None or task.lease_until >= scene.now:
        return None
    over = scene.now - task.lease_until
    if not isinstance(scene.sight.crew, Crew):
        text = f"the lease of task {task.id} has expired; the next supervisor takes it over"
        return Step(Link.LEASE, State.AHEAD, text, evidence=(facts.of_task(task),))
    spared = timedelta(seconds=scene.settings.worker.lease_seconds) + _LATE
    if over < spared:
        return Step(Link.LEASE, State.WAITS, _said(scene, task), "worker-ended", (facts.of_task(task),))
    text = f"the lease of task {task.id} has expired, and no supervisor has taken it over"
    return Step(Link.LEASE, State.BROKEN, text, "lease-expired", (facts.of_task(task),), "orderctl reconcile")


def _held(scene: Scene, task: Task) -> Step | None:
    until = task.lease_until
    if task.lease_token is None or until is None or until < scene.now:
        return None
    if _runs(scene, task):
        return Step(
            Link.LEASE, State.HOLDS, f"worker {task.worker} has task {task.id}", None, (facts.of_task(task),)
        )
    longest = timedelta(seconds=scene.settings.worker.lease_seconds) * 2 + timedelta(minutes=5)
    if until - scene.now > longest:
        text = f"the worker of task {task.id} sends no heartbeat, and its lease ends in {until - scene.now}"
        return Step(Link.LEASE, State.BROKEN, text, "lease-too-long", (facts.of_task(task),), _again(task))
    return Step(Link.LEASE, State.WAITS, _said(scene, task), "worker-lost", (facts.of_task(task),))


_LOOKS: Final[tuple[Callable[[Scene, Task], Step | None], ...]] = (_without_end, _expired, _held)


def _runs(scene: Scene, task: Task) -> bool:
    """Whether a worker with a heartbeat has a task, as far as it is known."""
    if task.lease_token is None or task.lease_until is None or task.lease_until < scene.now:
        return task.status == TaskStatus.DOWNLOADING and not (task.managed or scene.take_all)
    alive = scene.sight.alive
    return alive is None or task.worker is None or fleet.supervisor_of(task.worker) in alive


def _said(scene: Scene, task: Task) -> str:
    return (
        scene.said_of(task) or f"the worker of task {task.id} sends no heartbeat: another one takes it over"
    )
