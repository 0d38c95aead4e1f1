"""What a worker says about the jobs that it rejects: in its log, and in the audit log where they name a task."""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import Connection

from orderctl import audit, clock, database, tasks
from orderctl.audit import NewEvent, Origin
from orderctl.errors import NotFound, OrderctlError
from orderctl.settings import Settings
from orderctl.states import EventType, Source
from orderctl.worker.rejected import LIST, Rejected

_log = logging.getLogger(__name__)

#: The seconds between two lines of the log about rejected jobs.
_QUIET_SECONDS: Final = 60.0
#: How many of them a worker looks up in the database in that time.
_MOST_RECORDED: Final = 100


class Rejections:
    """The rejected jobs of one worker.

    It logs the first one at once. Of those that follow it logs the number, a minute later and when it ends. In the
    audit log stands one for each task in a minute.

    Args:
        settings: They name the database.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._more = 0
        self._said = float("-inf")
        self._minute = float("-inf")
        self._recorded: set[int] = set()
        self._left = 0

    def note(self, rejected: Rejected) -> None:
        """Log or count one, and record it in the audit log if it names a task."""
        if clock.elapsed() - self._said < _QUIET_SECONDS:
            self._more += 1
        else:
            self.flush()
            self._said = clock.elapsed()
            _log.warning("job %s was rejected: %s; see `%s`", rejected.job_id[:100], rejected.reason, LIST)
        if rejected.task_id is not None and self._is_news(rejected.task_id):
            self._record(rejected)

    def _is_news(self, task_id: int) -> bool:
        """Whether no job of this task has been recorded in this minute; any number of them can be queued."""
        if clock.elapsed() - self._minute >= _QUIET_SECONDS:
            self._minute, self._recorded, self._left = clock.elapsed(), set(), _MOST_RECORDED
        if task_id in self._recorded or not self._left:
            return False
        self._recorded.add(task_id)
        self._left -= 1
        return True

    def look(self) -> None:
        """Log how many there were, when a minute is over."""
        if clock.elapsed() - self._said >= _QUIET_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Log how many there were that have not been mentioned."""
        if self._more:
            more = "1 more job was" if self._more == 1 else f"{self._more:,} more jobs were"
            _log.warning("%s rejected; see `%s`", more, LIST)
            self._more, self._said = 0, clock.elapsed()

    def _record(self, rejected: Rejected) -> None:
        # The worker keeps no connection to the database: it forks for each job.
        engine = database.connect(database.url(self._settings), pool_size=self._settings.database.pool_size)
        try:
            database.transact(engine, lambda connection: _audit(connection, rejected))
        except NotFound:  # the id only looks like one of orderctl's
            return
        except OrderctlError as error:  # tried again in a minute
            self._left = 0
            _log.warning(
                "cannot record in the audit log that job %s was rejected: %s", rejected.job_id[:100], error
            )
        finally:
            engine.dispose()


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
