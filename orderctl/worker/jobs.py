"""The function that RQ calls in the work-horse.

It is called with the task's id only, so the worker stores its settings here before it forks.
"""

from __future__ import annotations

import logging
import signal
from dataclasses import dataclass, field
from typing import Final

from orderctl import broker, database, faultpoints
from orderctl.downloads import registry
from orderctl.errors import DatabaseUnavailable
from orderctl.settings import Settings, load
from orderctl.worker import attempt, courier, scores
from orderctl.worker.heartbeat import StopRequest
from orderctl.worker.narration import Trace
from orderctl.worker.scores import Score
from orderctl.worker.timed import TimedHandler

_log = logging.getLogger(__name__)

#: How long to wait for an answer of the database, in seconds: longer than a lock may take (10 s), and less
#: than the lease (30 s by default), so that a lost answer costs a heartbeat but not the lease.
_ANSWER_SECONDS: Final = 15


@dataclass(slots=True)
class _Prepared:
    settings: Settings | None = None
    worker: str = "rq"
    score: Score = field(default_factory=scores.alone)
    trace: Trace = field(default_factory=Trace)


_prepared = _Prepared()


def prepare(settings: Settings, worker: str, score: Score | None = None) -> Trace:
    """Store the settings, the worker's name and its numbers for its jobs; called in the worker before it forks.

    Args:
        settings: All settings.
        worker: The worker's name.
        score: Where the attempts are counted; None: as before.

    Returns:
        What the present job does, for the worker.
    """
    _prepared.settings = settings
    _prepared.worker = worker
    _prepared.score = score or _prepared.score
    _prepared.trace = Trace()
    return _prepared.trace


def run_task(task_id: int) -> None:
    """Carry out one task, if it is waiting. The workers run no other function."""
    faultpoints.point("job.started")
    settings = _prepared.settings or load()
    engine = database.connect(database.url(settings), pool_size=2, answer_timeout=_ANSWER_SECONDS)
    client = broker.hasty(broker.url(settings))
    handler = TimedHandler(registry.load(settings.worker.handler), _prepared.score)
    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: setattr(stop, "made", True))
    tools = attempt.Tools(settings, engine, _prepared.worker, handler, client, stop, _prepared.trace)
    try:
        finished = attempt.run(tools, task_id)
        handler.count(finished)
        if finished is not None and finished.completion is not None:
            # The courier would send it within a second; this way dashboards get it at once.
            courier.send_completions(engine, client)
    except DatabaseUnavailable as error:
        handler.count_outage()
        _prepared.trace.wipe()
        _log.warning(
            "task %s: a keeper and a courier do what is left: %s",
            task_id,
            error,
            extra={"fields": {"task": task_id, "worker": _prepared.worker}},
        )
