"""Which jobs our workers run: ``orderctl.jobs.run_task(task_id)`` and no other.

A queue on a shared Redis takes what anybody puts into it: ``os.system``, callbacks, pickles, half a hash.
All of that is looked at as bytes, before RQ unpacks it, and set aside.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis

from orderctl import channels, clock
from orderctl.doorbell import FUNCTION

#: How many rejected jobs are kept to be looked at.
_KEPT: Final = 200
#: Ours are about 60 bytes.
_MAX_DATA: Final = 4096
#: Fields of a job that would have RQ run something else besides, or again.
_FORBIDDEN: Final = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "webhooks",
    "dependency_id",
    "dependency_ids",
    "retries_left",
    "repeats_left",
)
_JOB_ID: Final = re.compile(r"task-([1-9][0-9]{0,18})-[0-9]{1,9}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A job that was set aside. ``at`` in ms since the epoch."""

    job_id: str
    queue: str
    reason: str
    at: int

    @property
    def task_id(self) -> int | None:
        """The task that it names, if any."""
        match = _JOB_ID.match(self.job_id)
        return int(match[1]) if match else None


def find_fault(job_id: str, fields: Mapping[bytes, bytes]) -> str | None:
    """Why a job must not run, or None when it is one of ours.

    Args:
        job_id: Its id.
        fields: Its hash as it stands in Redis.
    """
    match = _JOB_ID.match(job_id)
    if match is None:
        return "the job id does not name a task"
    extra = next((name for name in _FORBIDDEN if fields.get(name.encode())), None)
    if extra is not None:
        return f"the job has the field {extra}"
    call = _call(fields.get(b"data", b""))
    if call is None:
        return "the call cannot be decoded"
    function, instance, positional, named = call
    if function != FUNCTION or instance is not None:
        return f"the job calls {str(function)[:100]}"
    if positional != [int(match[1])] or isinstance(positional[0], bool) or named != {}:
        return "the argument is not the task in the job id"
    return None


def _call(data: bytes) -> list[Any] | None:
    """The four parts of a call as RQ's JSON serializer writes it, or None for anything else."""
    try:
        # Bounded: a few bytes can unpack to gigabytes.
        text = zlib.decompressobj().decompress(data, _MAX_DATA)
        call = json.loads(text)
    except (zlib.error, ValueError, RecursionError):
        return None
    return call if isinstance(call, list) and len(call) == 4 else None  # noqa: PLR2004


def set_aside(client: redis.Redis, queue_key: str, job_id: str, reason: str) -> Rejected:
    """Take a job out of the way and keep a note of it.

    Args:
        client: Redis.
        queue_key: RQ's key of the queue.
        job_id: The job.
        reason: From :func:`find_fault`.
    """
    rejected = Rejected(job_id[:200], queue_key.rpartition(":")[2], reason, clock.milliseconds())
    with client.pipeline(transaction=True) as pipeline:
        pipeline.lpush(channels.REJECTED_JOBS, json.dumps(asdict(rejected)))
        pipeline.ltrim(channels.REJECTED_JOBS, 0, _KEPT - 1)
        pipeline.delete(f"rq:job:{job_id}")
        pipeline.execute()
    return rejected


def rejected(client: redis.Redis, limit: int = _KEPT) -> list[Rejected]:
    """What was set aside, the newest first."""
    notes: Any = client.lrange(channels.REJECTED_JOBS, 0, limit - 1)
    return [Rejected(**json.loads(note)) for note in notes]
