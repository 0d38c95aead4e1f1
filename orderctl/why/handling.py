"""The link ``handler``: the files of a task can be fetched and stored."""

from __future__ import annotations

from orderctl.states import TaskStatus
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def handler(scene: Scene) -> Step:
    """Return whether the files of the tasks could be fetched and stored."""
    if any(task.status == TaskStatus.FAILED for task in scene.asked):
        failed = next(task for task in scene.asked if task.status == TaskStatus.FAILED)
        text = f"task {failed.id} has failed: {failed.error_type}"
        return Step(Link.HANDLER, State.BROKEN, text, "failed", repair=f"orderctl tasks retry {failed.id}")
    done = scene.asked and all(task.status == TaskStatus.COMPLETED for task in scene.asked)
    return Step(
        Link.HANDLER, State.HOLDS if done else State.AHEAD, "the files are there" if done else "not yet"
    )
