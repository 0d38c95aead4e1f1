"""The link ``doorbell``: a task that is due has a job in the queue, which wakes a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import redis

from orderctl import allowlist, broker, channels, doorbell, sweep, texts
from orderctl.crews import Crew
from orderctl.states import UNFINISHED
from orderctl.tasks import Task
from orderctl.waits import Cause
from orderctl.why import facts
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene

#: A supervisor rings for a due task within a second, or some if the queue has jobs.
_RUNG_WITHIN: Final = timedelta(seconds=10)
#: The pauses that orderctl makes are lengthened by a tenth at most; the shortest limit is the one without a setting.
_LONGEST_PAUSE: Final = timedelta(seconds=300)
#: What TTL answers for a key without a time to live.
_FOR_EVER: Final = -1


def rung(scene: Scene) -> Step:
    """Return whether each task that is due has a job in the queue."""
    waiting = scene.waiting
    if not waiting:
        held = scene.has_ended or (scene.may_run and any(one.status in UNFINISHED for one in scene.asked))
        return Step(
            Link.DOORBELL, State.HOLDS if held else State.AHEAD, "no task waits" if held else "nothing is due"
        )
    late = [one for one in waiting if _is_far(scene, one)]
    if late:
        text = f"{facts.named(late)} waits for a time that no pause of orderctl's is as long as"
        return Step(
            Link.DOORBELL, State.BROKEN, text, "due-too-late", facts.of_tasks(late), facts.retry(late)
        )
    due = [one for one in waiting if scene.is_due(one)]
    if not due:
        text = scene.said_of(waiting[0], Cause.RETRY) or "no task is due yet"
        return Step(Link.DOORBELL, State.WAITS, text, "not-due", facts.of_tasks(waiting))
    return _of_due(scene, due)


def _is_far(scene: Scene, task: Task) -> bool:
    limit = max(_LONGEST_PAUSE, timedelta(seconds=scene.settings.worker.max_retry_after)) * 1.2
    return task.available_at is not None and task.available_at - scene.now > limit


def _of_due(scene: Scene, due: Sequence[Task]) -> Step:
    client, queue = scene.redis, scene.settings.worker.queue
    first = [(one.id, one.attempt) for one in due if one.failing_since is None]
    again = [(one.id, one.attempt) for one in due if one.failing_since is not None]
    places = scene.settings.worker.concurrency
    silent = doorbell.without_job(client, queue, first, again, places)
    if not silent:
        return Step(Link.DOORBELL, State.HOLDS, "a worker was woken for it: it has a job in the queue")
    without = [one for one in due if one.id in silent]
    if not isinstance(scene.sight.crew, Crew):
        return Step(Link.DOORBELL, State.AHEAD, "no job in the queue: only a supervisor that works rings")
    if client is not None and (obstacle := _obstacle(client, queue, without)) is not None:
        return obstacle
    if client is not None and (jobs := doorbell.length(client, queue)) >= sweep.LONG_QUEUE:
        text = f"the queue has {jobs:,} jobs: supervisors add none until there are fewer"
        return Step(Link.DOORBELL, State.WAITS, text, "queue-long", facts.of_tasks(without))
    if scene.now - _since(scene, without[0]) < _RUNG_WITHIN:
        return Step(Link.DOORBELL, State.WAITS, "a supervisor rings in a moment", "ringing")
    text = f"{facts.named(without)} {'is' if len(without) == 1 else 'are'} due and without a job in the queue"
    return Step(
        Link.DOORBELL, State.BROKEN, text, "no-doorbell", facts.of_tasks(without), "orderctl reconcile"
    )


def _obstacle(client: redis.Redis, queue: str, tasks: Sequence[Task]) -> Step | None:
    """Return why no supervisor can ring for tasks, if something in Redis is in its way."""
    rq = doorbell.open_queue(client, queue)
    for task in tasks[: facts.MOST]:
        names = doorbell.job_names(task.id, task.attempt)
        with broker.translating():
            for name in names:
                marker = broker.key(client, channels.rung(name))
                left: Any = client.ttl(marker)
                if left == _FOR_EVER:
                    return _marked(client, marker)
                if left >= 0:
                    return Step(Link.DOORBELL, State.WAITS, "a worker has just taken its job", "job-taken")
            keys = {name: doorbell.job_key(rq, name.encode()) for name in names}
            faults = {
                keys[name].decode(): allowlist.find_fault(name.encode(), allowlist.look(client, keys[name]))
                for name in names
            }
        if all(faults.values()):
            return _forged(task, faults)
    return None


def _marked(client: redis.Redis, marker: str) -> Step:
    text = "the mark that its job was taken never ends, so that no supervisor rings again"
    lines = (f"{marker} has no time to live; orderctl always sets one",)
    repair = broker.shell_line(client, "DEL", marker)
    return Step(Link.DOORBELL, State.BROKEN, text, "mark-stays", lines, repair)


def _forged(task: Task, faults: Mapping[str, str | None]) -> Step:
    lines = tuple(f"{texts.legible(key, 80)}: {fault}" for key, fault in faults.items())
    text = f"other programs use both names that the job of task {task.id} can have"
    return Step(Link.DOORBELL, State.BROKEN, text, "job-forged", lines, explanation=_FORGED)


_FORGED: Final = (
    "orderctl deletes nothing that it did not write. Find out which program wrote these keys, and rename or delete them "
    "(redis-cli RENAME); a supervisor rings then within seconds."
)


def _since(scene: Scene, task: Task) -> Any:
    """Return since when a task can be due, as far as it is known."""
    paid_at = scene.order.paid_at if scene.order is not None else None
    known = [at for at in (task.available_at, task.updated_at, paid_at) if at is not None]
    return max(known, default=scene.now - _RUNG_WITHIN)
