"""One attempt at one task: claim it, run the handler, write its end down, tell the listeners."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import redis
from sqlalchemy import Connection, Engine

from orderctl import clock, database, failures, faults, leases, publications
from orderctl.downloads.protocol import Context, Delivery, Handler
from orderctl.errors import DatabaseUnavailable, LeaseLost
from orderctl.leases import Claim
from orderctl.lifecycle import Moved
from orderctl.progress import ProgressEmitter, read_siblings
from orderctl.pulse import Pulse, Stopping, StopRequest
from orderctl.settings import Settings

_log = logging.getLogger(__name__)

T = TypeVar("T")
#: ``emit_progress`` of one task: percent, current file, speed.
Say = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker works with.

    Attributes:
        worker: Its name.
        handler: Fetches the files.
        client: The hasty Redis client.
        stop: Made when the task is to be given back.
    """

    settings: Settings
    engine: Engine
    worker: str
    handler: Handler
    client: redis.Redis
    stop: StopRequest


def run(bench: Bench, task_id: int) -> Moved | None:
    """Carry a task out if it is waiting.

    Returns:
        How the attempt ended; None when the task was not there for us, or was lost on the way.

    Raises:
        DatabaseUnavailable: When nothing could be claimed; reconcile rings again.
    """
    worker = bench.settings.worker
    began, token = clock.elapsed(), str(uuid.uuid4())
    claim = database.insist(
        bench.engine,
        lambda connection: leases.claim(
            connection,
            task_id,
            worker=bench.worker,
            lease_seconds=worker.lease_seconds,
            take_all=worker.take == "all",
            token=token,
        ),
        give_up=lambda: bench.stop.made or clock.elapsed() - began > worker.lease_seconds,
    )
    if claim is None:
        _log.info("task %s is not waiting", task_id)
        return None
    faults.point("task.claimed")
    publications.changes(bench.client, claim.messages)
    return _attempt(bench, claim)


def _attempt(bench: Bench, claim: Claim) -> Moved | None:
    lease = bench.settings.worker.lease_seconds

    def beat() -> None:
        database.transact(bench.engine, lambda connection: leases.beat(connection, claim, lease))

    emitter = ProgressEmitter(
        bench.settings,
        client=bench.client,
        siblings=partial(read_siblings, bench.engine),
        attempt=claim.attempt,
    )
    with Pulse(beat, lease, bench.stop) as pulse:
        try:
            finished = _carry_out(bench, claim, pulse, emitter)
        except LeaseLost:
            _log.warning("task %s: the lease is gone; nothing more is written", claim.task_id)
            return None
    faults.point("task.ended")
    publications.changes(bench.client, finished.messages)
    return finished


def _carry_out(bench: Bench, claim: Claim, pulse: Pulse, emitter: ProgressEmitter) -> Moved:
    """Run the handler and write down how it ended; LeaseLost when it is not ours to write."""
    say = partial(emitter.emit_progress, claim.task_id, claim.order_id)
    try:
        done, delivery, details = _handle(bench, claim, pulse, say)
    except LeaseLost:
        raise
    except Stopping:
        return _persist(bench, pulse, lambda c: leases.release(c, claim, reason="the worker stops"))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its task badly
        failure = failures.describe(error)
        _log.warning("task %s: %s: %s", claim.task_id, failure.error_type, failure.message)
        say(0, f"Failed: {failure.message[:200]}", at_once=True)
        again = bench.settings.worker.retry_transient
        return _persist(bench, pulse, lambda c: failures.fail(c, claim, failure, retry_transient=again))
    return _persist(
        bench,
        pulse,
        lambda c: leases.complete(
            c, done, folder_name=delivery.folder_name, drive_link=delivery.drive_link, details=details
        ),
    )


def _handle(bench: Bench, claim: Claim, pulse: Pulse, say: Say) -> tuple[Claim, Delivery, dict[str, int]]:
    context = _context(bench, claim, pulse, say)
    pulse.check()
    enrollment = bench.handler.enroll(context)
    faults.point("handler.enrolled")
    pulse.check()
    found = {"files": len(enrollment.files), "attempt": claim.attempt}
    enrolled = _persist(
        bench, pulse, lambda c: leases.enrolled(c, claim, title=enrollment.title, details=dict(found))
    )
    titled = replace(claim, title=claim.title or enrollment.title)
    started = _persist(bench, pulse, lambda c: leases.started(c, titled))
    publications.changes(bench.client, (enrolled, started))
    say(0)
    delivery = bench.handler.download(context, enrollment)
    faults.point("handler.downloaded")
    say(100)
    return titled, delivery, found


def _context(bench: Bench, claim: Claim, pulse: Pulse, say: Say) -> Context:
    return Context(
        task_id=claim.task_id,
        order_id=claim.order_id,
        order_code=claim.order_code,
        attempt=claim.attempt,
        title=claim.title,
        course_url=claim.course_url,
        settings=bench.settings,
        progress=say,
        check=pulse.check,
    )


def _persist(bench: Bench, pulse: Pulse, work: Callable[[Connection], T]) -> T:
    """Write an end down however long the database is away; the fence keeps a late one out.

    Raises:
        LeaseLost: When the task is somebody else's by now.
    """
    try:
        return database.insist(bench.engine, work, give_up=lambda: pulse.lost)
    except DatabaseUnavailable:
        raise LeaseLost from None
