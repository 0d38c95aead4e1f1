"""The RQ worker: takes orderctl's jobs from the queue and runs each in a child process, the work-horse."""

from __future__ import annotations

import functools
import logging
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self, TypeVar, cast

import redis
from rq import Queue, Worker, utils, worker_registration
from rq.exceptions import DequeueTimeout, NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy import Connection, Engine

from orderctl import audit, broker, channels, clock, database, doorbell, faultpoints, processes, tasks
from orderctl.audit import NewEvent, Origin
from orderctl.errors import OrderctlError
from orderctl.outages import Outage
from orderctl.settings import Settings
from orderctl.states import EventType, Source
from orderctl.worker import allowlist, jobs
from orderctl.worker.allowlist import Rejected

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
#: RQ waits for a job 15 s less than this, and for the answer to that wait 10 s longer. When an answer gets
#: lost, RQ's default of 420 s blocks the worker for seven minutes.
_TTL_SECONDS = 20
#: How much longer than its timeout the answer to BLMOVE may take, in seconds.
_LATE_SECONDS = 10


class DownloadJob(Job):
    """A job that passed the check. It always calls the same function."""

    @property
    def func(self) -> Callable[[int], None]:
        """The function to call. ``doorbell.FUNCTION`` is only its name in Redis, not its module path."""
        return jobs.run_task


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
            job = cls._admit(connection, queue, popped.decode("utf-8", "replace"))
            if job is not None:
                return job, queue

    @staticmethod
    def _is_paused(connection: redis.Redis, queue: Queue) -> bool:
        return bool(connection.exists(broker.key(connection, channels.paused(queue.name))))

    @staticmethod
    def _put_back(connection: redis.Redis, queue: Queue, job_id: Any) -> None:
        with connection.pipeline(transaction=True) as pipeline:
            pipeline.lrem(queue.intermediate_queue.key, 1, job_id)
            pipeline.lpush(queue.key, job_id)
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
    def _admit(cls, connection: redis.Redis, queue: Self, job_id: str) -> Job | None:
        fields: Any = connection.hgetall(Job.key_for(job_id))
        if not fields:  # the job has expired; if its task still waits, reconcile queues a new one
            queue.intermediate_queue.remove(job_id)
            return None
        fault = allowlist.find_fault(job_id, fields)
        try:
            job = (
                None if fault else DownloadJob.fetch(job_id, connection=connection, serializer=JSONSerializer)
            )
        except NoSuchJobError:  # deleted since it was read: another worker has carried the job out
            queue.intermediate_queue.remove(job_id)
            return None
        except Exception as error:  # noqa: BLE001 - another program wrote the hash; RQ may raise anything
            fault, job = f"RQ cannot read the job: {error!r:.200}", None
        if job is None:
            queue.intermediate_queue.remove(job_id)
            faultpoints.point("job.rejected")
            cls.on_rejected(
                allowlist.reject(connection, queue.key, job_id, fault or "the job no longer exists")
            )
            return None
        # Another program may have set these. No result is kept, and no timeout ends the job.
        job.timeout, job.result_ttl, job.failure_ttl = -1, 0, 0
        return job


def _wait_for_answer(wire: Any, seconds: float, stopping: Callable[[], bool]) -> None:
    over = clock.elapsed() + seconds
    while not wire.can_read(clock.LOOK_SECONDS):
        if stopping():
            raise StopRequested
        if clock.elapsed() > over:
            raise redis.TimeoutError


Method = TypeVar("Method", bound=Callable[..., Any])


def _noting_failure(method: Method) -> Method:
    """Make a method that RQ's loop calls note the error that ends the worker.

    RQ logs a traceback and ends as if all were well.
    """

    @functools.wraps(method)
    def call(self: DownloadWorker, *arguments: Any, **more: Any) -> Any:
        try:
            return method(self, *arguments, **more)
        except StopRequested:
            raise
        except Exception as error:
            self.failure = error
            raise StopRequested from error

    return cast("Method", call)


class DownloadWorker(Worker):
    """An RQ worker that takes no commands from Redis, can be paused per queue, and drains on signals.

    Attributes:
        failure: The error that ended it.
    """

    queue_class = GuardedQueue
    failure: Exception | None = None

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self._outage = Outage("Redis")
        doorbell.load_rq(settings.redis.prefix)
        client = broker.patient(broker.url(settings), name=name)
        GuardedQueue.on_rejected = self.note_rejected
        super().__init__(
            [settings.worker.queue],
            name=name,
            connection=client,
            serializer=JSONSerializer,
            worker_ttl=_TTL_SECONDS,
        )
        jobs.prepare(settings, name)

    def _set_ip_address(self, connection: redis.Redis) -> None:
        """Like RQ's method, but ask no server behind a unix socket for the address, which is the socket's path.

        redis-py splits the answer at blanks and "=", so a path that contains one ended the worker.
        """
        if "path" in connection.connection_pool.connection_kwargs:
            self.ip_address = "unknown"  # RQ's word for it; only `rq info` shows it
        else:
            super()._set_ip_address(connection)

    def subscribe(self) -> None:
        """Do nothing: with RQ's subscription any client of this Redis could stop or kill the jobs."""

    def unsubscribe(self) -> None:
        """Do nothing, as there is no subscription."""

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001 - RQ's signature
        """Do nothing: RQ's switch pauses all workers on this Redis; the queue checks orderctl's own."""

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """Like RQ's method, but an outage of Redis does not end the worker and its running download."""
        try:
            super().maintain_heartbeats(job, execution)
        except redis.RedisError as error:
            _log.warning("cannot send the worker's heartbeat to Redis: %s", error)

    execute_job = _noting_failure(Worker.execute_job)

    @_noting_failure
    def run_maintenance_tasks(self) -> None:
        """Delete what dead workers have left in Redis. The state of the tasks is in the database.

        RQ's method unpacks each of those jobs to mark it as failed; a malformed one ends every worker.
        """
        (queue,) = self.queues
        self.last_cleaned_at = utils.now()  # type: ignore[assignment]
        with self.connection.pipeline() as pipeline:
            pipeline.delete(queue.intermediate_queue.key, queue.failed_job_registry.key)
            pipeline.zremrangebyscore(queue.started_job_registry.key, 0, time.time())
            pipeline.execute()
        worker_registration.clean_worker_registry(queue)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Note that the worker has to stop.

        Unlike RQ's method it raises nothing: a signal may arrive inside a library that swallows exceptions.
        """
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self._stop_requested = True
        broker.hurry(self.connection)

    def is_stopping(self) -> bool:
        """Whether a signal has asked the worker to stop."""
        return self._stop_requested

    @_noting_failure
    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,
        max_idle_time: int | None = None,  # noqa: ARG002
    ) -> tuple[Job, Queue] | None:
        """Like RQ's method, but check between short waits whether the worker has to stop."""
        self.set_state(WorkerStatus.IDLE)
        self.procline("Listening on " + ",".join(self.queue_names()))  # type: ignore[no-untyped-call]
        attempt = 0
        while not self._stop_requested:
            try:
                found = self._dequeue(timeout)
            except DequeueTimeout:
                attempt = 0
                self._outage.end()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if self.is_stopping():  # do not wait for Redis then
                    break
                self._outage.begin(broker.translate(error))
                clock.rest(broker.backoff(attempt), self.is_stopping)
                attempt += 1
            else:
                self._outage.end()
                return found
        raise StopRequested

    def _dequeue(self, timeout: int | None) -> tuple[Job, Queue] | None:
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        found = self.queue_class.dequeue_any(
            self._ordered_queues, timeout, connection=self.connection, stopping=self.is_stopping
        )
        if found is not None:
            found[0].redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]
        self.heartbeat()
        return found

    def teardown(self) -> None:
        """Like RQ's method, but ignore an outage of Redis."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            _log.info("cannot report the worker's end to Redis: %s", error)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Like RQ's method, but an outage of Redis at the end of a job is one line in the log."""
        error = exc_info[1]
        if isinstance(error, redis.RedisError):  # the task's end is in the database
            _log.warning("cannot report the end of job %s to Redis: %s", job.id, error)
            return
        super().handle_exception(job, *exc_info)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Like RQ's method, in a process that dies with the worker and does not wait for Redis at its end."""
        processes.die_with(self.pid or 0)
        broker.hurry(self.connection)
        faultpoints.point("horse.forked")
        super().main_work_horse(job, queue)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Ask the work-horse to release its task; the worker keeps waiting for its end."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def note_rejected(self, rejected: Rejected) -> None:
        """Log a rejected job, and record it in the audit log if it names a task."""
        _log.warning("job %r was rejected: %s", rejected.job_id, rejected.reason)
        if rejected.task_id is None:
            return
        engine = open_database(self.settings)
        try:
            database.transact(engine, lambda connection: _audit(connection, rejected))
        except OrderctlError as error:
            _log.warning(
                "cannot record in the audit log that job %r was rejected: %s", rejected.job_id, error
            )
        finally:
            engine.dispose()


def open_database(settings: Settings) -> Engine:
    """Connect to the database of these settings."""
    return database.connect(database.url(settings), pool_size=settings.database.pool_size)


def _audit(connection: Connection, rejected: Rejected) -> None:
    task = tasks.find(connection, rejected.task_id or 0)
    event = NewEvent(
        EventType.JOB_REJECTED,
        task.order_id,
        Origin(Source.WORKER),
        task.id,
        words={"reason": rejected.reason},
        details={"jobId": rejected.job_id, "reason": rejected.reason},
    )
    audit.record(connection, event)


def work(settings: Settings, name: str, *, burst: bool = False) -> None:
    """Run jobs until a signal asks to stop; in burst mode until the queue is empty.

    Args:
        settings: All settings.
        name: The worker's name, unique over all hosts.
        burst: End when the queue is empty.

    Raises:
        OrderctlError: Redis denies something that the worker needs, or stopped answering in the middle of a job.
    """
    with broker.translating():
        worker = DownloadWorker(settings, name)
        worker.work(burst=burst, logging_level="WARNING")
        if worker.failure is not None:
            raise worker.failure
