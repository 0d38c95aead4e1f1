"""The two lines of an attempt in the log: one at its start, one at its end."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from orderctl import clock, masking, texts
from orderctl.counting import counted
from orderctl.failures import Failure
from orderctl.leases import Claim
from orderctl.lifecycle import Moved
from orderctl.states import TaskStatus
from orderctl.worker.gains import Gains

_log = logging.getLogger(__name__)

#: Longest title and longest error in a line; the audit log has the whole error.
_LONGEST_NAME: Final = 100
_LONGEST_ERROR: Final = 500


class Narration:
    """What the log says of one attempt. Each record has the fields of ``--log-format json`` in ``fields``.

    Attributes:
        gains: What the attempt adds to the task's folder.

    Args:
        claim: The claim on the task.
        gains: As above.
    """

    def __init__(self, claim: Claim, gains: Gains) -> None:
        self._claim = claim
        self.gains = gains
        self._began = clock.elapsed()

    def begin(self) -> None:
        """Write the line of the start."""
        claim = self._claim
        self._write(logging.INFO, f"attempt {claim.attempt} starts", {})

    def complete(self, title: str | None) -> None:
        """Write the line of an attempt that has completed its task, by now with the course's title."""
        self._claim = replace(self._claim, title=title)
        done = f"completed: {counted(self.gains.added(), 'byte')} in {self._seconds:.1f} s"
        self._write(logging.INFO, f"{done}, attempt {self._claim.attempt}", self._end("completed"))

    def release(self, reason: str) -> None:
        """Write the line of an attempt that has given its task back."""
        text = f"released after {self._seconds:.1f} s: {reason}; attempt {self._claim.attempt} does not count"
        self._write(logging.INFO, text, self._end("released"))

    def fail(self, failure: Failure, moved: Moved) -> None:
        """Write the line of an attempt that has failed: a warning if the task is tried again, else an error."""
        again = bool(moved.tasks) and moved.tasks[0].status != TaskStatus.FAILED
        then = f", {_next_try(moved)}" if again else ""
        error = texts.legible(failure.message, _LONGEST_ERROR)
        what = f"failed after {self._seconds:.1f} s, attempt {self._claim.attempt}{then}"
        fields = self._end("retried" if again else "failed") | {
            "error_type": str(failure.error_type),
            "error": error,
            "fingerprint": failure.fingerprint,
        }
        level = logging.WARNING if again else logging.ERROR
        self._write(level, f"{what}: {failure.error_type}: {error}", fields)

    def lose(self) -> None:
        """Write the line of an attempt whose lease was lost."""
        text = f"the lease is lost after {self._seconds:.1f} s; this attempt ends and writes nothing more"
        self._write(logging.WARNING, text, self._end("lease lost"))

    @property
    def _seconds(self) -> float:
        return clock.elapsed() - self._began

    def _end(self, outcome: str) -> dict[str, Any]:
        return {"outcome": outcome, "seconds": round(self._seconds, 3), "bytes": self.gains.added()}

    def _write(self, level: int, text: str, more: dict[str, Any]) -> None:
        claim = self._claim
        title = texts.legible(claim.task(claim.previous_status).name, _LONGEST_NAME)
        fields = {
            "order": claim.order_code,
            "order_id": claim.order_id,
            "task": claim.task_id,
            "title": title,
            "attempt": claim.attempt,
            "max_attempts": claim.max_attempts,
            "worker": claim.worker,
        }
        _log.log(
            level,
            "order %s, task %d (%s): %s",
            masking.text(claim.order_code),
            claim.task_id,
            title,
            text,
            extra={"fields": fields | more},
        )


def _next_try(moved: Moved) -> str:
    at = next((one.retry_at for one in moved.messages if getattr(one, "retry_at", None)), None)
    if at is None:
        return "tried again at once"
    moment = datetime.fromtimestamp(at / 1000, UTC).replace(microsecond=0)
    return f"tried again at {clock.iso(moment)}"
