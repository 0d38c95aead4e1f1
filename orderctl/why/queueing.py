"""The links ``managed``, ``doorbell`` and ``queue``: tasks are orderctl's to run, have a job, and the queue gives it out."""

from __future__ import annotations

from orderctl.waits import Cause
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def managed(scene: Scene) -> Step:
    """Return whether the tasks are orderctl's to run."""
    for task in scene.asked:
        if not (task.managed or scene.take_all):
            text = f"the shop's own workers carry out task {task.id}"
            repair = f"orderctl tasks retry {task.id} --take"
            return Step(Link.MANAGED, State.BROKEN, text, "not-managed", repair=repair)
    return Step(Link.MANAGED, State.HOLDS, "orderctl's workers carry out its tasks")


def doorbell(scene: Scene) -> Step:
    """Return whether a task that is due has a job in the queue."""
    state = State.HOLDS if scene.has_ended else State.AHEAD
    return Step(Link.DOORBELL, state, "no task is due")


def queue(scene: Scene) -> Step:
    """Return whether the queue gives out its jobs."""
    for reason in scene.reasons.values():
        if reason.cause is Cause.PAUSED:
            return Step(Link.QUEUE, State.BROKEN, reason.text, "queue-paused", repair=reason.hint)
    return Step(Link.QUEUE, State.HOLDS, "the queue gives out its jobs")
