"""The two lines of an attempt in the log: one at its start, one at its end.

The work-horse writes both. If it is killed, its worker writes the second one, from what the work-horse has left in memory
that both share.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import signal
from collections.abc import Mapping
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
#: More than the fields of a line take.
_TRACE_BYTES: Final = 8192


class Trace:
    """What the present work-horse of a worker does; it is made before the fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TRACE_BYTES)

    def leave(self, fields: Mapping[str, Any], began: float) -> None:
        """Note the attempt that begins.

        Args:
            fields: Of its lines.
            began: When, by ``clock.elapsed``.
        """
        note = json.dumps([began, dict(fields)]).encode()
        if len(note) < _TRACE_BYTES:
            self.wipe()
            self._memory[1 : len(note)] = note[1:]
            self._memory[0:1] = note[:1]  # last: a note without its beginning is none

    def wipe(self) -> None:
        """Note that there is no attempt, or no more."""
        self._memory[:] = bytes(_TRACE_BYTES)

    def read(self) -> tuple[float, dict[str, Any]] | None:
        """Return when the attempt began, and the fields of its lines; None: there is none."""
        note = self._memory[:].rstrip(b"\0")
        if not note.startswith(b"["):
            return None
        began, fields = json.loads(note)
        return began, fields


def note_death(trace: Trace, status: int, at: float) -> None:
    """Write the line of an attempt whose process has ended without a word, if there was one.

    Args:
        trace: What it was doing; is wiped.
        status: Of :func:`os.wait4`.
        at: When it ended, by ``clock.elapsed``.
    """
    found = trace.read()
    trace.wipe()
    if found is None:
        return
    began, fields = found
    code = os.waitstatus_to_exitcode(status)
    how = f"killed (signal {-code})" if code < 0 else f"its process ended (exit code {code})"
    end = {"outcome": "killed", "seconds": round(at - began, 3)} | ({"signal": -code} if code < 0 else {})
    hint = "; see the kernel's log (memory)" if -code == signal.SIGKILL else ""
    _write(
        logging.WARNING, f"{how} after {at - began:.1f} s, attempt {fields['attempt']}{hint}", fields | end
    )


class Narration:
    """What the log says of one attempt. Each record has the fields of ``--log-format json`` in ``fields``.

    Attributes:
        gains: What the attempt adds to the task's folder.

    Args:
        claim: The claim on the task.
        gains: As above.
        trace: Where the worker finds what is done here, if this process is killed.
    """

    def __init__(self, claim: Claim, gains: Gains, trace: Trace) -> None:
        self._claim = claim
        self._trace = trace
        self.gains = gains
        self._began = clock.elapsed()

    def begin(self) -> None:
        """Write the line of the start."""
        self._trace.leave(self._fields, self._began)
        _write(logging.INFO, f"attempt {self._claim.attempt} starts", self._fields)

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

    @property
    def _fields(self) -> dict[str, Any]:
        claim = self._claim
        return {
            "order": claim.order_code,
            "order_id": claim.order_id,
            "task": claim.task_id,
            "title": texts.legible(claim.task(claim.previous_status).name, _LONGEST_NAME),
            "attempt": claim.attempt,
            "max_attempts": claim.max_attempts,
            "worker": claim.worker,
        }

    def _write(self, level: int, text: str, more: dict[str, Any]) -> None:
        """Write the line of the end."""
        _write(level, text, self._fields | more)
        self._trace.wipe()


def _write(level: int, text: str, fields: Mapping[str, Any]) -> None:
    _log.log(
        level,
        "order %s, task %d (%s): %s",
        masking.text(fields["order"]),
        fields["task"],
        fields["title"],
        text,
        extra={"fields": fields},
    )


def _next_try(moved: Moved) -> str:
    at = next((one.retry_at for one in moved.messages if getattr(one, "retry_at", None)), None)
    if at is None:
        return "tried again at once"
    moment = datetime.fromtimestamp(at / 1000, UTC).replace(microsecond=0)
    return f"tried again at {clock.iso(moment)}"
