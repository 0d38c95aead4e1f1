"""The RQ worker: takes orderctl's jobs from the queue and runs each in a child process, the work-horse."""

from __future__ import annotations

import functools
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypeVar, cast

import redis
from rq import Queue, Worker, utils
from rq.exceptions import DequeueTimeout, StopRequested
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from orderctl import broker, clock, doorbell, faultpoints, processes
from orderctl.counting import counted
from orderctl.errors import RedisUnavailable
from orderctl.outages import Outage
from orderctl.settings import Settings
from orderctl.worker import jobs, maintenance, narration, rejected
from orderctl.worker.queue import DownloadJob, GuardedQueue
from orderctl.worker.rejections import Rejections
from orderctl.worker.scores import Score

_log = logging.getLogger(__name__)

#: RQ waits for a job 15 s less than this, and for the answer to that wait 10 s longer. When an answer gets
#: lost, RQ's default of 420 s blocks the worker for seven minutes.
_TTL_SECONDS: Final = 20
#: The seconds between two times at which a worker clears away what dead workers have left.
_MAINTENANCE_SECONDS: Final = 60
#: The seconds between two heartbeats of a worker that only rejects jobs.
_HEARTBEAT_SECONDS: Final = 10
#: What RQ says of a job whose work-horse died.
_REPEATED: Final = (
    "Worker %s: job %s failed (%s)",
    "Work horse killed for job %s: retpid=%s, ret_val=%s",
)

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

    What it writes into Redis is for RQ's own tools, and lets no job wait: a job runs although it cannot be written. It
    always has a time to live, set in the same step.

    Attributes:
        failure: The error that ended it, if one did that does not pass.
    """

    queue_class = GuardedQueue
    failure: Exception | None = None

    def __init__(self, settings: Settings, name: str, score: Score | None = None) -> None:
        self.settings = settings
        self._outage = Outage("Redis")
        self._rejections = Rejections(settings)
        self._alive = clock.elapsed()
        self._pruned = 0
        self._took_over = False
        doorbell.load_rq(settings.redis.prefix)
        client = broker.patient(broker.url(settings), name=name)
        GuardedQueue.on_rejected = self._note_rejected
        super().__init__(
            [settings.worker.queue],
            name=name,
            connection=client,
            serializer=JSONSerializer,
            worker_ttl=_TTL_SECONDS,
            maintenance_interval=_MAINTENANCE_SECONDS,
        )
        self._trace = jobs.prepare(settings, name, score)
        self._horse_end: tuple[int, float] | None = None

    def _set_ip_address(self, connection: redis.Redis) -> None:
        """Like RQ's method, but ask no server behind a unix socket for the address, which is the socket's path.

        redis-py splits the answer at blanks and "=", so a path that contains one ended the worker.
        """
        if "path" in connection.connection_pool.connection_kwargs:
            self.ip_address = "unknown"  # RQ's word for it; only `rq info` shows it
        else:
            with warnings.catch_warnings():  # of a user who may not ask; it was printed above the log
                warnings.simplefilter("ignore")
                super()._set_ip_address(connection)

    def register_birth(self) -> None:
        """Like RQ's method, but wait while Redis does not take the worker's name.

        Raises:
            OrderctlError: When waiting does not help.
        """
        attempt = 0
        while True:
            try:
                if attempt:  # it is unknown what the last attempt has done, and RQ refuses a name that exists
                    self.connection.delete(self.key)
                super().register_birth()  # type: ignore[no-untyped-call]
            except redis.RedisError as error:
                self._wait(error, attempt)
                attempt += 1
            else:
                self._outage.end()
                return

    def _wait(self, error: redis.RedisError, attempt: int) -> None:
        """Wait a little if the error may pass by itself; raise what it means otherwise."""
        meaning = broker.translate(error)
        if not isinstance(meaning, RedisUnavailable):
            raise meaning from error
        self._outage.begin(meaning)
        clock.rest(broker.backoff(attempt), self.is_stopping)

    @contextmanager
    def _in_passing(self, what: str) -> Iterator[None]:
        """Do something in Redis that nothing depends on."""
        try:
            yield
        except redis.RedisError as error:
            _log.warning("cannot %s: %s", what, broker.translate(error))

    def subscribe(self) -> None:
        """Do nothing: with RQ's subscription any client of this Redis could stop or kill the jobs."""

    def unsubscribe(self) -> None:
        """Do nothing, as there is no subscription."""

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001 - RQ's signature
        """Do nothing: RQ's switch pauses all workers on this Redis; the queue checks orderctl's own."""

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Like RQ's method, but a name that has expired does not come back for ever."""
        if pipeline is None:
            self.heartbeat(state=state)
            return
        super().set_state(state, pipeline)
        pipeline.expire(self.key, self.worker_ttl + 60)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None, state: str | None = None) -> None:
        """Like RQ's method, but in one step, and an outage of Redis does not end the worker.

        Args:
            timeout: After how many seconds the worker counts as dead.
            pipeline: Send the commands with others.
            state: The worker's new state.
        """
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
            return
        try:
            with self.connection.pipeline(transaction=True) as commands:
                if state is not None:
                    super().set_state(state, commands)
                super().heartbeat(timeout, commands)
                commands.execute()
        except redis.RedisError as error:  # the next command to take a job waits, and says more
            self._begin_outage(error)

    def _begin_outage(self, error: redis.RedisError) -> None:
        meaning = broker.translate(error)
        if isinstance(meaning, RedisUnavailable):
            self._outage.begin(meaning)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Like RQ's method, but an outage of Redis does not end the worker and its running download."""
        with self._in_passing("send the worker's heartbeat to Redis"):
            super().maintain_heartbeats(job, execution)

    execute_job = _noting_failure(Worker.execute_job)

    @_noting_failure
    def run_maintenance_tasks(self) -> None:
        """Clear away what dead workers of orderctl have left in Redis. The state of the tasks is in the database."""
        (queue,) = self.queues
        self.last_cleaned_at = utils.now()  # type: ignore[assignment]
        try:
            if not self._took_over:
                taken = maintenance.take_over(self.connection, queue.name)
                if taken:
                    _log.warning("took %s out of queue %s", counted(taken, "job"), maintenance.OLD_QUEUE)
                self._took_over = True
            maintenance.clean_old(self.connection, queue.name)
            maintenance.clean(queue)
            self._pruned = rejected.prune(self.connection, self._pruned)
        except redis.RedisError as error:  # again in a minute; without Redis the worker waits anyway
            _log.info("cannot clear away what dead workers have left in Redis: %s", error)

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
            except redis.RedisError as error:
                if self.is_stopping():  # do not wait for Redis then
                    break
                self._wait(error, attempt)
                attempt += 1
            else:
                self._outage.end()
                return found
        raise StopRequested

    def _note_rejected(self, job: rejected.Rejected) -> None:
        """Mention a rejected job, and stay alive: there may be so many that the next job of orderctl's takes minutes."""
        self._rejections.note(job)
        if clock.elapsed() - self._alive >= _HEARTBEAT_SECONDS:
            self._alive = clock.elapsed()
            self.heartbeat()

    def _dequeue(self, timeout: int | None) -> tuple[Job, Queue] | None:
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        self._rejections.look()
        found = self.queue_class.dequeue_any(
            self._ordered_queues, timeout, connection=self.connection, stopping=self.is_stopping
        )
        self.heartbeat()
        return found

    def prepare_execution(self, job: Job) -> Execution:
        """Like RQ's method, but the job runs although Redis does not take the note."""
        try:
            return super().prepare_execution(job)
        except redis.RedisError as error:
            self._begin_outage(error)
            return next(iter(self.executions.values()))  # where RQ has put it before it sends anything

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Run a job in the work-horse. RQ's method writes hashes anew that have expired, and keeps results."""
        with self._in_passing(f"report the start of job {job.id} to Redis"):
            self.prepare_job_execution(job)
        try:
            job.perform()
        except Exception as error:  # noqa: BLE001 - whatever it is, the job's end is next
            self.handle_exception(job, type(error), error, error.__traceback__)
            return False
        finally:
            self._end_job(job, queue, execution)
        return True

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Note in Redis that the job runs; like RQ's method, which lets its hash live for ever."""
        with self.connection.pipeline(transaction=True) as pipeline:
            seconds = int(self.get_heartbeat_ttl(job))
            self.heartbeat(seconds, pipeline)
            job.prepare_for_execution(self.name, pipeline)
            pipeline.execute()
        self.procline(f"Running {job.id} from {job.origin}")  # type: ignore[no-untyped-call]

    def handle_job_failure(self, job: Job, queue: Queue, *_: Any, execution: Any = None, **__: Any) -> None:
        """Note the end of a job whose work-horse died; RQ's method would keep the job."""
        self._end_job(job, queue, execution)

    def _end_job(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Remove what Redis has of a job that has ended, however it did. Jobs that depend on it may run."""
        with self._in_passing(f"report the end of job {job.id} to Redis"):
            with self.connection.pipeline(transaction=True) as pipeline:
                if isinstance(job, DownloadJob):
                    job.forget(pipeline, self.name)
                self.cleanup_execution(job, pipeline, execution)
                pipeline.execute()
            if self.connection.exists(job.dependents_key):
                self._release_dependents(job, queue)

    def _release_dependents(self, job: Job, queue: Queue) -> None:
        job._status = JobStatus.FINISHED  # noqa: SLF001 - RQ's own worker does so
        try:
            queue.enqueue_dependents(job)
        except redis.RedisError:
            raise
        except Exception as error:  # noqa: BLE001 - jobs of another program; RQ may raise anything
            _log.warning("cannot queue the jobs that depend on job %s: %r", job.id, error)

    def teardown(self) -> None:
        """Like RQ's method, but ignore an outage of Redis."""
        self._rejections.flush()
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

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Like RQ's method."""
        self._trace.wipe()
        self._horse_end = None
        super().fork_work_horse(job, queue)

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Like RQ's method, and note how and when the work-horse ended."""
        pid, status, usage = super().wait_for_horse()
        if status:
            self._horse_end = status, clock.elapsed()
        return pid, status, usage

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Like RQ's method, and write the last line of an attempt that was killed, whatever Redis answers."""
        try:
            super().monitor_work_horse(job, queue, execution)
        finally:
            if self._horse_end is not None:
                narration.note_death(self._trace, *self._horse_end)

    def lower(self, record: logging.LogRecord) -> bool:
        """Make a line of RQ's a debug message if it only repeats that of a killed attempt; a filter of ``logging``."""
        if record.msg not in _REPEATED or self._trace.read() is None:
            return True
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return _log.isEnabledFor(logging.DEBUG)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Ask the work-horse to release its task; the worker keeps waiting for its end."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def work(settings: Settings, name: str, *, burst: bool = False, score: Score | None = None) -> None:
    """Run jobs until a signal asks to stop; in burst mode until the queue is empty.

    Args:
        settings: All settings.
        name: The worker's name, unique over all hosts.
        burst: End when the queue is empty.
        score: Where the attempts are counted; None: nowhere.

    Raises:
        OrderctlError: Redis denies something that the worker needs, or stopped answering in the middle of a job.
    """
    with broker.translating():
        worker = DownloadWorker(settings, name, score)
        logging.getLogger("rq.worker").addFilter(worker.lower)
        worker.work(burst=burst, logging_level="WARNING")
        if worker.failure is not None:
            raise worker.failure
