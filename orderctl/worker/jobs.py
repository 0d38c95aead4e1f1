"""What RQ calls in the work-horse. It calls by name, with the task's id alone: the rest stands ready here."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Final

from orderctl import broker, database, faultpoints
from orderctl.downloads import registry
from orderctl.settings import Settings, load
from orderctl.worker import attempt, courier
from orderctl.worker.heartbeat import StopRequest

#: A lost answer may cost a heartbeat, but not the lease (30 s by default); locks are waited for for 10 s.
_ANSWER_SECONDS: Final = 15


@dataclass(slots=True)
class _Prepared:
    settings: Settings | None = None
    worker: str = "rq"


_prepared = _Prepared()


def prepare(settings: Settings, worker: str) -> None:
    """Say, in the worker before it forks, with which settings and under which name its jobs run."""
    _prepared.settings = settings
    _prepared.worker = worker


def run_task(task_id: int) -> None:
    """Carry out one task, if it is waiting; the only function that our workers run."""
    faultpoints.point("job.started")
    settings = _prepared.settings or load()
    engine = database.connect(database.url(settings), pool_size=2, answer_timeout=_ANSWER_SECONDS)
    client = broker.hasty(broker.url(settings))
    handler = registry.load(settings.worker.handler)
    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: setattr(stop, "made", True))
    tools = attempt.Tools(settings, engine, _prepared.worker, handler, client, stop)
    finished = attempt.run(tools, task_id)
    if finished is not None and finished.completion is not None:
        # The courier would send it within a second; dashboards like it at once.
        courier.send_completions(engine, client)
