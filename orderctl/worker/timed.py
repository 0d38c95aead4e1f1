"""A handler whose phases are timed, and how an attempt with it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orderctl import clock, error_types
from orderctl.downloads.protocol import Context, Delivery, Enrollment, Handler
from orderctl.errors import LeaseLost
from orderctl.lifecycle import Moved
from orderctl.states import ErrorType, TaskStatus
from orderctl.worker.heartbeat import Stopping
from orderctl.worker.scores import Outcome, Phase, Score


class TimedHandler:
    """A handler that does what another one does, and notes how long that took.

    Args:
        handler: The other one.
        score: Where it is noted.
    """

    def __init__(self, handler: Handler, score: Score) -> None:
        self._handler = handler
        self._score = score
        self._began = False
        self._error_type: ErrorType | None = None

    def enroll(self, context: Context) -> Enrollment:
        """Find out what there is to download."""
        self._began = True
        self._score.begin()
        with self._timing(Phase.ENROLL):
            return self._handler.enroll(context)

    def download(self, context: Context, enrollment: Enrollment) -> Delivery:
        """Fetch all files."""
        with self._timing(Phase.DOWNLOAD):
            return self._handler.download(context, enrollment)

    @contextmanager
    def _timing(self, phase: Phase) -> Iterator[None]:
        began = clock.elapsed()
        try:
            yield
        except (LeaseLost, Stopping):
            raise
        except Exception as error:
            self._error_type = error_types.classify(error)
            raise
        finally:
            self._score.add(phase, clock.elapsed() - began)

    def count(self, ended: Moved | None) -> None:
        """Count the attempt, once, if there was one.

        Args:
            ended: How it ended; None: there was none, or its lease was lost.
        """
        if not self._began:
            return
        self._began = False
        failed = str(self._error_type or ErrorType.UNKNOWN)
        if ended is None:
            self._score.end(Outcome.LEASE_LOST)
        elif any(task.status == TaskStatus.COMPLETED for task in ended.tasks):
            self._score.end(Outcome.COMPLETED)
        elif any(task.status == TaskStatus.FAILED for task in ended.tasks):
            self._score.end(Outcome.FAILED, failed)
        elif self._error_type is not None:
            self._score.end(Outcome.RETRIED, failed)
        else:
            self._score.end(Outcome.RELEASED)

    def count_outage(self) -> None:
        """Count the attempt, if there was one, as one whose end the database did not record."""
        if self._began:
            self._began = False
            self._score.end(Outcome.OUTAGE)
