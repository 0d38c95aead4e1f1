"""The RQ queue: a doorbell that wakes a worker, never the truth about what is to be done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from orderctl import broker, channels, faultpoints, publications
from orderctl.lifecycle import Moved
from orderctl.states import WAITING

#: The only function that our workers run, by its name on the wire: what was queued before an upgrade runs after it.
FUNCTION: Final = "orderctl.jobs.run_task"
#: Time in which a worker that was woken claims its task, in whole seconds.
_PATIENCE_SECONDS: Final = 3
#: A queue longer than this is not read to see what stands in it: ringing twice does no harm.
_LONG_QUEUE: Final = 50_000


def job_id(task_id: int, attempt: int) -> str:
    """The job that rings for a task which has had so many attempts."""
    return f"task-{task_id}-{attempt}"


def after_commit(client: redis.Redis, queue_name: str, moved: Sequence[Moved]) -> None:
    """Publish what has moved, and wake a worker for each task that waits and is ours to run.

    Args:
        client: A Redis client.
        queue_name: The RQ queue.
        moved: What was committed.

    Raises:
        RedisUnavailable: When Redis does not answer. Supervisors ring later.
    """
    publications.changes(client, [message for one in moved for message in one.messages])
    tasks = [task for one in moved for task in one.tasks]
    bells = [(task.id, task.attempt) for task in tasks if task.managed and task.status in WAITING]
    ring(client, queue_name, bells)


def ring(client: redis.Redis, queue_name: str, bells: Iterable[tuple[int, int]]) -> list[int]:
    """Wake a worker for each of these tasks that has no job in the queue.

    Args:
        client: A Redis client.
        queue_name: The RQ queue.
        bells: Task ids, each with the number of attempts it has had.

    Returns:
        The ids of the tasks that were rung for.

    Raises:
        RedisUnavailable: When Redis does not answer. What was not rung is rung by reconcile later.
    """
    with broker.translating():
        queue = Queue(queue_name, connection=client, serializer=JSONSerializer)
        waiting = _waiting(queue)
        return [task_id for task_id, attempt in bells if _ring(queue, task_id, attempt, waiting)]


def silent(client: redis.Redis, queue_name: str, bells: Iterable[tuple[int, int]]) -> set[int]:
    """Those of the given tasks that have no job in the queue; nothing is changed.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    with broker.translating():
        queue = Queue(queue_name, connection=client, serializer=JSONSerializer)
        return {
            task_id for task_id, attempt in bells if client.lpos(queue.key, job_id(task_id, attempt)) is None
        }


def _waiting(queue: Queue) -> frozenset[str]:
    return frozenset(queue.get_job_ids()) if queue.count <= _LONG_QUEUE else frozenset()


def _ring(queue: Queue, task_id: int, attempt: int, waiting: frozenset[str]) -> bool:
    name = job_id(task_id, attempt)
    if name in waiting:
        return False
    try:
        _enqueue(queue, task_id, name)
    except DuplicateJobError:
        return _ring_again(queue, task_id, name)
    return True


def _ring_again(queue: Queue, task_id: int, name: str) -> bool:
    """Ring although the job's hash is there, unless it stands in the queue or was taken a moment ago."""
    if queue.connection.lpos(queue.key, name) is not None or queue.connection.exists(channels.rung(name)):
        return False
    # The worker that took it died. One ring too many only finds the task taken; one too few would lose it.
    queue.connection.delete(Job.key_for(name))
    faultpoints.point("doorbell.forgotten")
    try:
        _enqueue(queue, task_id, name)
    except DuplicateJobError:  # at this very moment a worker wrote into the hash, or somebody else has rung
        return False
    return True


def _enqueue(queue: Queue, task_id: int, name: str) -> None:
    faultpoints.point("enqueue.before")
    queue.enqueue(
        FUNCTION,
        task_id,
        job_id=name,
        unique=True,
        result_ttl=0,
        failure_ttl=0,  # else a failed job's hash blocks its id for a year
        job_timeout=-1,  # else a download ends after 180 s
    )
    faultpoints.point("enqueue.after")
    # A worker that takes it now needs a moment to claim the task.
    queue.connection.set(channels.rung(name), 1, ex=_PATIENCE_SECONDS)
