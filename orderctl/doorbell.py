"""The doorbell: RQ jobs that wake a worker. Only the database knows which tasks are to be done.

A job is put into the queue in one step: its hash, which always has a time to live, its id, and a marker that lasts
until the worker which takes the job has had time to claim the task. So no process that dies, and no worker that is
faster than the process which rings, leaves half a job behind. The hash is a courtesy to RQ's own tools: a worker that
finds the id without a hash looks at the task all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import redis

from orderctl import allowlist, broker, channels, environment, faultpoints, publications
from orderctl.errors import Misconfigured
from orderctl.lifecycle import Moved
from orderctl.states import WAITING

if TYPE_CHECKING:
    from rq import Queue

#: Time within which a worker that has taken a job claims its task, in whole seconds.
CLAIM_SECONDS: Final = 3
#: A queue longer than this is not read to look for existing jobs: a second job for a task does no harm.
_LONG_QUEUE: Final = 50_000
#: How long the hash of a job that waits is kept, in seconds.
_JOB_SECONDS: Final = 86_400

#: KEYS: the list of the queue, the job's hash, the marker, the set of queues, the list of jobs just taken. ARGV: the
#: job's id, the seconds of the hash and of the marker, the call of the hash that may be replaced, then the fields.
#: Returns 1: rung; 0: it has rung before, or a worker is taking the job; -1: another job has this id, and is perhaps the
#: one being taken. The first write needs memory: on a full server nothing is changed.
_RING: Final = """
if redis.call('EXISTS', KEYS[3]) == 1 or redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'none' then
  if kind ~= 'hash' or redis.call('HSTRLEN', KEYS[2], 'data') ~= #ARGV[4] then return -1 end
  if #ARGV[4] > 0 and redis.call('HGET', KEYS[2], 'data') ~= ARGV[4] then return -1 end
end
if redis.call('LPOS', KEYS[5], ARGV[1]) then
  redis.call('SET', KEYS[3], 1, 'EX', ARGV[3])
  redis.call('LREM', KEYS[5], 0, ARGV[1])
  return 0
end
redis.call('SET', KEYS[3], 1, 'EX', ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[4], KEYS[1])
return 1
"""


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
        Misconfigured: Redis denies access, to publish or to wake workers.
    """
    refused = publications.changes(client, [message for one in moved for message in one.messages])
    tasks = [task for one in moved for task in one.tasks]
    bells = [(task.id, task.attempt) for task in tasks if task.managed and task.status in WAITING]
    ring(client, queue_name, bells)
    if refused is not None:
        raise refused


def ring(
    client: redis.Redis,
    queue_name: str,
    bells: Iterable[tuple[int, int]],
    again: Sequence[tuple[int, int]] = (),
    places: int = 0,
) -> list[int]:
    """Wake a worker for each of these tasks that has no job in the queue.

    Args:
        client: A Redis client.
        queue_name: The RQ queue.
        bells: Task ids, each with the number of attempts that the task has had.
        again: The same of tasks that have been failing.
        places: How many of those may wait in the queue at a time, so that others do not wait behind all of them.

    Returns:
        The ids of the tasks for which a job was queued.

    Raises:
        RedisUnavailable: Redis does not answer. Reconcile queues the missing jobs later.
    """
    with broker.translating():
        queue = open_queue(client, queue_name)
        waiting = _waiting(queue)
        rung = (task_id for task_id, attempt in bells if _ring(queue, task_id, attempt, waiting))
        rung_again = (task_id for task_id, attempt in again if _ring(queue, task_id, attempt, waiting))
        there = sum(name.encode() in waiting for bell in again for name in job_names(*bell))
        return [*rung, *islice(rung_again, max(places - there, 0))]


def without_job(
    client: redis.Redis | None,
    queue_name: str,
    bells: Iterable[tuple[int, int]],
    again: Sequence[tuple[int, int]] = (),
    places: int = 0,
) -> set[int]:
    """Return the ids of those tasks for which :func:`ring` queues a job, without changing anything.

    Without a client, which is the embedded Redis that does not run, no task has one.

    Raises:
        RedisUnavailable: Redis does not answer.
    """
    with broker.translating():
        key = "" if client is None else open_queue(client, queue_name).key

        def is_silent(bell: tuple[int, int]) -> bool:
            return client is None or all(client.lpos(key, name) is None for name in job_names(*bell))

        def silent(some: Iterable[tuple[int, int]]) -> list[int]:
            return [bell[0] for bell in some if is_silent(bell)]

        later = silent(again)
        return {*silent(bells), *later[: max(places - (len(again) - len(later)), 0)]}


def length(client: redis.Redis, queue_name: str) -> int:
    """Return the number of jobs in the queue, also of other programs.

    Raises:
        RedisUnavailable: Redis does not answer.
    """
    with broker.translating():
        return client.llen(open_queue(client, queue_name).key)


def job_key(queue: Queue, job_id: bytes) -> bytes:
    """Return the key of a job's hash; unlike RQ's own function for any id that can be in a queue."""
    return queue.job_class.redis_job_namespace_prefix.encode() + job_id


def results_key(queue: Queue, job_id: bytes) -> bytes:
    """Return the key of a job's results, which it may have of an earlier run."""
    return queue.job_class.redis_job_namespace_prefix.removesuffix("job:").encode() + b"results:" + job_id


def job_names(task_id: int, attempt: int) -> tuple[str, str]:
    """Return the id of a doorbell, and the one for the case that another program's job has that id."""
    return job_id(task_id, attempt), f"{job_id(task_id, attempt)}-again"


def _waiting(queue: Queue) -> frozenset[bytes]:
    """Return the ids in the queue, which may be any bytes; none when it is long."""
    client: Any = queue.connection
    return frozenset(client.lrange(queue.key, 0, -1) if client.llen(queue.key) <= _LONG_QUEUE else ())


def _ring(queue: Queue, task_id: int, attempt: int, waiting: frozenset[bytes]) -> bool:
    names = job_names(task_id, attempt)
    if any(name.encode() in waiting for name in names):
        return False
    faultpoints.point("enqueue.before")
    answers = (_put(queue, task_id, name) for name in names)
    rung = next((bool(answer) for answer in answers if answer is not None), False)
    faultpoints.point("enqueue.after")
    return rung


def _put(queue: Queue, task_id: int, name: str) -> int | None:
    """Queue the job of this id; return 1 if that was done, 0 if it was there, None if another program uses the id."""
    client: Any = queue.connection
    fields = [word for field in _fields(queue, task_id, name).items() for word in field]
    marker = broker.key(client, channels.rung(name))
    keys = (
        queue.key, queue.job_class.key_for(name), marker, queue.redis_queues_keys, queue.intermediate_queue_key
    )  # fmt: skip

    def put(call: bytes) -> int:
        return int(client.eval(_RING, len(keys), *keys, name, _JOB_SECONDS, CLAIM_SECONDS, call, *fields))

    answer = put(b"")
    if answer >= 0:
        return answer
    # The worker that took the job has died, or the job is not orderctl's.
    seen = allowlist.look(client, keys[1])
    if allowlist.find_fault(name.encode(), seen) is not None:
        return None
    answer = put(seen.fields.get("data", b""))
    return answer if answer >= 0 else None


def _fields(queue: Queue, task_id: int, name: str) -> dict[str, Any]:
    """Return the hash of a job as RQ would write it."""
    from rq.job import JobStatus  # noqa: PLC0415 - as above
    from rq.utils import now  # noqa: PLC0415

    job = queue.create_job(
        allowlist.FUNCTION,
        args=(task_id,),
        job_id=name,
        result_ttl=0,
        failure_ttl=0,
        timeout=-1,  # RQ's own workers end a job after 180 s
        status=JobStatus.QUEUED,
    )
    job.origin, job.enqueued_at = queue.name, now()
    values = job.to_dict().items()
    return {
        name: value if isinstance(value, bytes | str) else str(value)
        for name, value in values
        if value is not None
    }
