"""One attempt at one task: claim the task, run the handler, record the result, publish it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import redis
from sqlalchemy import Connection, Engine

from orderctl import clock, database, failures, faultpoints, leases, masking, outages, publications
from orderctl.downloads.protocol import Context, Delivery, Handler
from orderctl.errors import DatabaseUnavailable, LeaseLost
from orderctl.failures import Failure
from orderctl.leases import Claim
from orderctl.lifecycle import Moved
from orderctl.patience import Patience
from orderctl.progress import ProgressEmitter
from orderctl.settings import Settings
from orderctl.siblings import read_siblings
from orderctl.worker.gains import Gains
from orderctl.worker.heartbeat import Heartbeat, Stopping, StopRequest
from orderctl.worker.narration import Narration, Trace

_log = logging.getLogger(__name__)

T = TypeVar("T")
#: ``emit_progress`` of one task: percent, current file, speed.
Say = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Tools:
    """What an attempt needs.

    Attributes:
        worker: The worker's name.
        handler: The handler that fetches the files.
        client: The hasty Redis client, for messages that may get lost.
        stop: Set when the worker has to stop and release its task.
        trace: Where the worker finds what was done when this process has been killed.
    """

    settings: Settings
    engine: Engine
    worker: str
    handler: Handler
    client: redis.Redis
    stop: StopRequest
    trace: Trace = field(default_factory=Trace)


def run(tools: Tools, task_id: int) -> Moved | None:
    """Claim a task and carry it out, if it is waiting.

    Returns:
        How the attempt ended; None when the task could not be claimed, or its lease was lost.

    Raises:
        DatabaseUnavailable: When the task could not be claimed because the database did not answer; reconcile
            queues it again.
    """
    worker = tools.settings.worker
    began, token = clock.elapsed(), str(uuid.uuid4())
    claim = database.insist(
        tools.engine,
        lambda connection: leases.claim(
            connection,
            task_id,
            worker=tools.worker,
            lease_seconds=worker.lease_seconds,
            take_all=worker.take == "all",
            token=token,
        ),
        give_up=lambda: tools.stop.made or clock.elapsed() - began > worker.lease_seconds,
    )
    if claim is None:
        _log.debug(
            "task %s was not claimed: it is not waiting, not due, not paid for, or not orderctl's to run",
            task_id,
            extra={"fields": {"task": task_id, "worker": tools.worker}},
        )
        return None
    faultpoints.point("task.claimed")
    publications.changes(tools.client, claim.messages)
    return _attempt(tools, claim)


def _attempt(tools: Tools, claim: Claim) -> Moved | None:
    lease = tools.settings.worker.lease_seconds

    def beat() -> None:
        with outages.noted(tools.engine):
            database.transact(tools.engine, lambda connection: leases.beat(connection, claim, lease))

    emitter = ProgressEmitter(
        tools.settings,
        client=tools.client,
        siblings=partial(read_siblings, tools.engine),
        attempt=claim.attempt,
    )
    known = masking.knowing(*masking.secrets(claim.course_url))
    with known, Heartbeat(beat, lease, tools.stop) as heartbeat:
        finished = _carry_out(tools, claim, heartbeat, emitter)
    if finished is None:
        return None
    faultpoints.point("task.ended")
    publications.changes(tools.client, finished.messages)
    return finished


def _carry_out(tools: Tools, claim: Claim, heartbeat: Heartbeat, emitter: ProgressEmitter) -> Moved | None:
    """Run the handler and record how it ended; return None when another worker has the task."""
    say = partial(emitter.emit_progress, claim.task_id, claim.order_id)
    context = _context(tools, claim, heartbeat, say)
    narration = Narration(claim, Gains(context.folder), tools.trace)
    narration.begin()
    try:
        return _end(tools, claim, heartbeat, context, say, narration)
    except LeaseLost:
        narration.lose()
        return None


def _end(
    tools: Tools, claim: Claim, heartbeat: Heartbeat, context: Context, say: Say, narration: Narration
) -> Moved:
    try:
        done, delivery, details = _handle(tools, claim, heartbeat, context)
    except LeaseLost:
        raise
    except Stopping:
        return _release(tools, claim, heartbeat, narration)
    except Exception as error:  # noqa: BLE001 - any exception of a handler fails the task
        failure = failures.describe(error)
        say(0, f"Failed: {failure.message[:200]}", at_once=True)
        got_on = narration.gains.are_worth_it()
        finished = _persist(tools, heartbeat, partial(_fail, tools, claim, failure, got_on))
        narration.fail(failure, finished)
        return finished
    finished = _persist(
        tools,
        heartbeat,
        lambda c: leases.complete(
            c, done, folder_name=delivery.folder_name, drive_link=delivery.drive_link, details=details
        ),
    )
    narration.complete(done.title)
    return finished


def _release(tools: Tools, claim: Claim, heartbeat: Heartbeat, narration: Narration) -> Moved:
    reason, got_on = "the worker stops", narration.gains.are_worth_it()
    finished = _persist(tools, heartbeat, lambda c: leases.release(c, claim, reason=reason, got_on=got_on))
    narration.release(reason)
    return finished


def _fail(tools: Tools, claim: Claim, failure: Failure, got_on: bool, connection: Connection) -> Moved:  # noqa: FBT001
    worker = tools.settings.worker
    return failures.fail(
        connection,
        claim,
        failure,
        retry_transient=worker.retry_transient,
        limits=Patience(worker.give_up_after, worker.max_retry_after),
        got_on=got_on,
    )


def _handle(
    tools: Tools, claim: Claim, heartbeat: Heartbeat, context: Context
) -> tuple[Claim, Delivery, dict[str, int]]:
    heartbeat.check()
    enrollment = tools.handler.enroll(context)
    faultpoints.point("handler.enrolled")
    heartbeat.check()
    found = {"files": len(enrollment.files), "attempt": claim.attempt}
    enrolled = _persist(
        tools, heartbeat, lambda c: leases.enrolled(c, claim, title=enrollment.title, details=dict(found))
    )
    titled = replace(claim, title=claim.title or enrollment.title)
    started = _persist(tools, heartbeat, lambda c: leases.started(c, titled))
    publications.changes(tools.client, (enrolled, started))
    context.progress(0, "", None)
    delivery = tools.handler.download(context, enrollment)
    faultpoints.point("handler.downloaded")
    context.progress(100, "", None)
    return titled, delivery, found


def _context(tools: Tools, claim: Claim, heartbeat: Heartbeat, say: Say) -> Context:
    return Context(
        task_id=claim.task_id,
        order_id=claim.order_id,
        order_code=claim.order_code,
        attempt=claim.attempt,
        title=claim.title,
        course_url=claim.course_url,
        settings=tools.settings,
        progress=say,
        check=heartbeat.check,
    )


def _persist(tools: Tools, heartbeat: Heartbeat, work: Callable[[Connection], T]) -> T:
    """Record a change of the task, and retry while the database is away.

    The fencing token keeps a late change out.

    Raises:
        LeaseLost: When another worker has claimed the task in the meantime.
    """
    try:
        return database.insist(tools.engine, work, give_up=lambda: heartbeat.lost)
    except DatabaseUnavailable:
        raise LeaseLost from None
