"""The RQ queue as orderctl's workers read it: only orderctl's own jobs come out, and none without a time to live.

What orderctl has in Redis, and how each of it ends, stands in ``docs/reliability.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Self

import redis
from rq import Queue
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from orderctl import allowlist, broker, channels, clock, doorbell, faultpoints
from orderctl.worker import jobs, rejected

_PAUSE_SECONDS: Final = 1.0
#: How much longer than its timeout the answer to BLMOVE may take, in seconds.
_LATE_SECONDS: Final = 10

#: Writes fields (ARGV from 2) into a job's hash and lets it expire after ARGV[1] seconds, only if it is there: a plain
#: HSET would make an expired hash anew, without a time to live. Returns 0: RQ takes 1 as a reason to delete the hash.
_WRITE: Final = """
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return 0
"""
#: Deletes a job's hash, unless another worker (not ARGV[1]) has it, or it was queued again.
_DELETE: Final = """
if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], 'worker_name') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


class DownloadJob(Job):
    """A job that passed the check. It calls the same function always, and nothing but its id is read from Redis."""

    @classmethod
    def named(cls, queue: Queue, job_id: str, task_id: int) -> Job:
        """Return the job with this id.

        Args:
            queue: The queue from which it was taken.
            job_id: Its id.
            task_id: The task that the id names.
        """
        return cls.create(
            allowlist.FUNCTION,
            args=(task_id,),
            connection=queue.connection,
            id=job_id,
            result_ttl=0,
            failure_ttl=0,
            timeout=-1,
            origin=queue.name,
            status=JobStatus.QUEUED,
            serializer=JSONSerializer,
        )

    @property
    def func(self) -> Callable[[int], None]:
        """The function to call. ``allowlist.FUNCTION`` is only its name in Redis, not its module path."""
        return jobs.run_task

    def get_status(self, refresh: bool = True) -> JobStatus:  # noqa: ARG002, FBT001, FBT002 - RQ's signature
        """Return the status as this process knows it: the hash may be gone, or another worker's."""
        return self._status

    def heartbeat(
        self,
        timestamp: datetime,
        ttl: int,
        pipeline: Any = None,
        xx: bool = False,  # noqa: ARG002, FBT001, FBT002 - RQ's signature
    ) -> None:
        """Extend the life of the job's hash, if there is one."""
        self.last_heartbeat = timestamp
        self._write(
            self.connection if pipeline is None else pipeline, ttl, last_heartbeat=utcformat(timestamp)
        )

    def prepare_for_execution(self, worker_name: str, pipeline: Any, ttl: int = 90) -> None:
        """Note in the job's hash, if there is one, that it runs."""
        self.worker_name, self._status = worker_name, JobStatus.STARTED
        self.started_at = self.last_heartbeat = now()
        moment = utcformat(self.started_at)
        fields = {"last_heartbeat": moment, "started_at": moment, "worker_name": worker_name}
        self._write(pipeline, ttl, status=JobStatus.STARTED.value, **fields)

    def forget(self, pipeline: Any, worker_name: str) -> None:
        """Delete the job's hash if it is this worker's."""
        pipeline.eval(_DELETE, 1, self.key, worker_name)

    def _write(self, client: Any, ttl: int, **fields: str) -> None:
        client.eval(_WRITE, 1, self.key, ttl, *(word for field in fields.items() for word in field))


class GuardedQueue(Queue):
    """A queue that returns only orderctl's jobs and rejects all others."""

    #: Called with each rejected job.
    on_rejected: Any = staticmethod(lambda _rejected: None)

    @classmethod
    def dequeue_any(  # type: ignore[override]  # it names what it ignores
        cls,
        queues: Any,
        timeout: int | None,
        connection: redis.Redis,
        stopping: Callable[[], bool] = lambda: False,
        **_: Any,
    ) -> tuple[Job, Self] | None:
        """Like RQ's method, but take nothing while paused and check a job's hash before it is unpacked.

        Args:
            queues: A list with one queue.
            timeout: How long to wait for a job, in seconds; None: do not wait.
            connection: A Redis client.
            stopping: Asked while waiting; when it returns True the wait ends.

        Raises:
            DequeueTimeout: When no job came in that time.
            StopRequested: When ``stopping`` returned True.
        """
        (queue,) = queues
        while True:
            popped = (
                None if cls._is_paused(connection, queue) else cls._pop(connection, queue, timeout, stopping)
            )
            if popped is not None and cls._is_paused(connection, queue):  # paused during the wait
                cls._put_back(connection, queue, popped)
                popped = None
            if popped is None:  # ends a burst; other workers send a heartbeat and wait again
                if timeout is None:
                    return None
                clock.rest(_PAUSE_SECONDS, stopping)
                raise DequeueTimeout(timeout, queue.key)
            faultpoints.point("job.popped")
            job = cls._admit(connection, queue, popped)
            if job is not None:
                return job, queue
            if stopping():  # other programs may put jobs in as fast as they are rejected
                raise StopRequested

    @staticmethod
    def _is_paused(connection: redis.Redis, queue: Queue) -> bool:
        return bool(connection.exists(broker.key(connection, channels.paused(queue.name))))

    @staticmethod
    def _put_back(connection: redis.Redis, queue: Queue, job_id: Any) -> None:
        with connection.pipeline(transaction=True) as pipeline:
            pipeline.lpush(queue.key, job_id)  # first, because a full Redis may refuse it
            pipeline.lrem(queue.intermediate_queue.key, 1, job_id)
            pipeline.execute()

    @classmethod
    def _pop(
        cls, connection: redis.Redis, queue: Queue, timeout: int | None, stopping: Callable[[], bool]
    ) -> bytes | None:
        if timeout is None:
            return connection.lmove(queue.key, queue.intermediate_queue_key)  # type: ignore[return-value]
        pool: Any = connection.connection_pool
        wire = pool.get_connection()
        try:
            wire.send_command("BLMOVE", queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT", timeout)
            _wait_for_answer(wire, timeout + _LATE_SECONDS, stopping)
            popped = wire.read_response()
        except BaseException:
            wire.disconnect()
            raise
        finally:
            pool.release(wire)
        if popped is None:
            raise DequeueTimeout(timeout, queue.key)
        return popped  # type: ignore[no-any-return]

    @classmethod
    def _admit(cls, connection: redis.Redis, queue: Self, raw_id: bytes) -> Job | None:
        seen = allowlist.look(connection, doorbell.job_key(queue, raw_id))
        task = allowlist.task_of(raw_id)
        fault = allowlist.find_fault(raw_id, seen)
        if fault is not None and seen.kind != "none":
            note = rejected.put(connection, queue, raw_id, fault)
            faultpoints.point("job.rejected")
            cls.on_rejected(note)
            return None
        with connection.pipeline(transaction=True) as pipeline:
            if task is not None:  # the marker gives the worker time to claim the task
                marker = broker.key(connection, channels.rung(raw_id.decode()))
                pipeline.set(marker, 1, ex=doorbell.CLAIM_SECONDS)
            pipeline.lrem(queue.intermediate_queue_key, 1, raw_id)  # type: ignore[arg-type]
            pipeline.execute()
        # Without a hash, the job of another program has expired; ours is its id.
        return None if task is None else DownloadJob.named(queue, raw_id.decode(), task)


def _wait_for_answer(wire: Any, seconds: float, stopping: Callable[[], bool]) -> None:
    over = clock.elapsed() + seconds
    while not wire.can_read(clock.LOOK_SECONDS):
        if stopping():
            raise StopRequested
        if clock.elapsed() > over:
            raise redis.TimeoutError
