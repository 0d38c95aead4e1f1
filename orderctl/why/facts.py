"""What the row of a task says, as evidence, and commands about several tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orderctl import clock, texts
from orderctl.counting import counted
from orderctl.states import WAITING
from orderctl.tasks import Task

#: Tasks that a sentence or an evidence names. A command names all of them: what is printed reaches each.
MOST: Final = 20


def waits(task: Task) -> bool:
    """Whether a task waits for a worker: the lease's token decides, as for a claim."""
    return task.status in WAITING and task.lease_token is None


def named(tasks: Sequence[Task]) -> str:
    """Return tasks by their ids: ``tasks 4, 5``."""
    numbers = ", ".join(str(one.id) for one in tasks[:MOST])
    more = f" and {counted(len(tasks) - MOST, 'other')}" if len(tasks) > MOST else ""
    return f"task{'s' if len(tasks) > 1 else ''} {numbers}{more}"


def retry(tasks: Sequence[Task], *options: str) -> str:
    """Return the command that retries tasks."""
    return " ".join(["orderctl tasks retry", *(str(one.id) for one in tasks), *options])


def of_tasks(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return a line for each of the first tasks."""
    return tuple(of_task(one) for one in tasks[:MOST])


def of_task(task: Task) -> str:
    """Return what the row of a task says, for an evidence."""
    parts = [
        f"task {task.id} is {task.status or 'without a status'}",
        f"attempt {task.attempt} of {task.max_attempts}",
    ]
    if task.lease_token is not None:
        until = "without an end" if task.lease_until is None else f"until {clock.second(task.lease_until)}"
        parts.append(f"lease of {texts.legible(task.worker or 'an unknown worker', 80)} {until}")
    elif task.available_at is not None:
        parts.append(f"due at {clock.second(task.available_at)}")
    return ", ".join(parts)  # fmt: skip
