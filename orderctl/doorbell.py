"""The doorbell: RQ jobs that wake a worker. Only the database knows which tasks are to be done."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import redis

from orderctl import broker, channels, environment, faultpoints, publications
from orderctl.errors import Misconfigured
from orderctl.lifecycle import Moved
from orderctl.states import WAITING

if TYPE_CHECKING:
    from rq import Queue

#: The only function that orderctl's workers run, by its name in the queue. It never changes, so that jobs
#: queued before an upgrade run after it.
FUNCTION: Final = "orderctl.jobs.run_task"
#: Time within which a worker that has taken a job claims its task, in whole seconds.
_CLAIM_SECONDS: Final = 3
#: A queue longer than this is not read to look for existing jobs: a second job for a task does no harm.
_LONG_QUEUE: Final = 50_000


def load_rq(prefix: str) -> None:
    """Import RQ so that its keys begin with this prefix, which it reads when it is imported.

    Args:
        prefix: As ``settings.redis.prefix``.

    Raises:
        Misconfigured: RQ was imported before with another prefix.
    """
    if "rq.defaults" not in sys.modules:
        with environment.holding("RQ_KEY_PREFIX", f"{prefix}rq"):
            import rq  # noqa: F401, PLC0415 - the prefix has to be known first
    has = sys.modules["rq.defaults"].RQ_KEY_PREFIX
    if has != f"{prefix}rq":
        raise Misconfigured(
            f"setting redis.prefix: this process already uses RQ with keys that begin with {has!r}",
            hint="use one redis.prefix in each process",
        )


def open_queue(client: redis.Redis, name: str) -> Queue:
    """Return the RQ queue with this name, under the client's prefix.

    Raises:
        Misconfigured: RQ was imported before with another prefix.
    """
    load_rq(broker.prefix(client))
    from rq import Queue  # noqa: PLC0415 - as above
    from rq.serializers import JSONSerializer  # noqa: PLC0415

    return Queue(name, connection=client, serializer=JSONSerializer)


def job_id(task_id: int, attempt: int) -> str:
    """Return the id of the job for a task that has had this number of attempts."""
    return f"task-{task_id}-{attempt}"


def after_commit(client: redis.Redis, queue_name: str, moved: Sequence[Moved]) -> None:
    """Publish status changes, and wake a worker for each waiting task that orderctl is to run.

    Args:
        client: A Redis client.
        queue_name: The RQ queue.
        moved: The changes that were committed.

    Raises:
        RedisUnavailable: Redis does not answer. A supervisor wakes the workers later.
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
        bells: Task ids, each with the number of attempts that the task has had.

    Returns:
        The ids of the tasks for which a job was queued.

    Raises:
        RedisUnavailable: Redis does not answer. Reconcile queues the missing jobs later.
    """
    with broker.translating():
        queue = open_queue(client, queue_name)
        waiting = _waiting(queue)
        return [task_id for task_id, attempt in bells if _ring(queue, task_id, attempt, waiting)]


def without_job(client: redis.Redis, queue_name: str, bells: Iterable[tuple[int, int]]) -> set[int]:
    """Return the ids of those tasks that have no job in the queue, without changing anything.

    Raises:
        RedisUnavailable: Redis does not answer.
    """
    with broker.translating():
        queue = open_queue(client, queue_name)
        return {
            task_id for task_id, attempt in bells if client.lpos(queue.key, job_id(task_id, attempt)) is None
        }


def _waiting(queue: Queue) -> frozenset[str]:
    return frozenset(queue.get_job_ids()) if queue.count <= _LONG_QUEUE else frozenset()


def _ring(queue: Queue, task_id: int, attempt: int, waiting: frozenset[str]) -> bool:
    from rq.exceptions import DuplicateJobError  # noqa: PLC0415 - as above

    name = job_id(task_id, attempt)
    if name in waiting:
        return False
    try:
        _enqueue(queue, task_id, name)
    except DuplicateJobError:
        return _ring_again(queue, task_id, name)
    return True


def _ring_again(queue: Queue, task_id: int, name: str) -> bool:
    """Queue a job although its hash exists, unless it is in the queue or was taken a moment ago."""
    from rq.exceptions import DuplicateJobError  # noqa: PLC0415 - as above

    client = queue.connection
    if client.lpos(queue.key, name) is not None or client.exists(broker.key(client, channels.rung(name))):
        return False
    # The worker that took the job died. A job too many finds the task claimed; a job too few would lose the
    # task.
    client.delete(queue.job_class.key_for(name))
    faultpoints.point("doorbell.forgotten")
    try:
        _enqueue(queue, task_id, name)
    except DuplicateJobError:  # just now a worker wrote into the hash, or another process queued the job
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
        failure_ttl=0,  # else the hash of a failed job blocks its id for a year
        job_timeout=-1,  # else a download ends after 180 s
    )
    faultpoints.point("enqueue.after")
    # A worker that takes the job now needs a moment to claim the task.
    queue.connection.set(broker.key(queue.connection, channels.rung(name)), 1, ex=_CLAIM_SECONDS)
