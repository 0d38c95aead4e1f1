"""The links ``worker`` and ``lease``: workers take jobs, and the worker that has a task is alive."""

from __future__ import annotations

from orderctl.waits import Cause
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def worker(scene: Scene) -> Step:
    """Return whether workers take jobs of the queue."""
    for reason in scene.reasons.values():
        if reason.cause is Cause.NO_WORKER:
            return Step(Link.WORKER, State.BROKEN, reason.text, "no-worker", repair=reason.hint)
        if reason.cause in {Cause.BEHIND, Cause.SOON}:
            return Step(Link.WORKER, State.WAITS, reason.text, "behind")
    return Step(Link.WORKER, State.HOLDS, "workers take its tasks")


def lease(scene: Scene) -> Step:
    """Return whether the workers that have tasks are alive."""
    return Step(
        Link.LEASE, State.HOLDS if scene.has_ended else State.AHEAD, "no worker that has a task is lost"
    )
