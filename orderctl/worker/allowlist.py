"""The check of each RQ job before it runs: only ``orderctl.jobs.run_task(task_id)`` is allowed.

Any program on a shared Redis can put jobs into the queue: ``os.system``, callbacks, pickles, half a hash.
Each job is checked as bytes, before RQ unpacks it. A job that fails the check is rejected.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis

from orderctl import broker, channels, clock
from orderctl.doorbell import FUNCTION

#: Number of rejected jobs that are kept for inspection.
_KEPT: Final = 200
#: Longest call after decompression, in bytes. orderctl's own calls have about 60.
_MAX_DATA: Final = 4096
#: Fields of a job that make RQ run something else as well, or run the job again.
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
    """A job that was rejected. ``at`` in ms since the epoch."""

    job_id: str
    queue: str
    reason: str
    at: int

    @property
    def task_id(self) -> int | None:
        """Id of the task that the job id names, None if it names none."""
        match = _JOB_ID.match(self.job_id)
        return int(match[1]) if match else None


def find_fault(job_id: str, fields: Mapping[bytes, bytes]) -> str | None:
    """Return why a job must not run, or None when it is one of orderctl's.

    Args:
        job_id: The job's id.
        fields: The job's hash in Redis.
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
    """Return the four parts of a call that RQ's JSON serializer wrote, or None for anything else."""
    try:
        # The length is limited because a few bytes can unpack to gigabytes.
        text = zlib.decompressobj().decompress(data, _MAX_DATA)
        call = json.loads(text)
    except (zlib.error, ValueError, RecursionError):
        return None
    return call if isinstance(call, list) and len(call) == 4 else None  # noqa: PLR2004


def reject(client: redis.Redis, queue_key: str, job_id: str, reason: str) -> Rejected:
    """Delete a rejected job from Redis and keep a note of it.

    Args:
        client: A Redis client.
        queue_key: RQ's key of the queue.
        job_id: The job.
        reason: Why, from :func:`find_fault`.
    """
    rejected = Rejected(job_id[:200], queue_key.rpartition(":")[2], reason, clock.milliseconds())
    notes = broker.key(client, channels.REJECTED_JOBS)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.lpush(notes, json.dumps(asdict(rejected)))
        pipeline.ltrim(notes, 0, _KEPT - 1)
        pipeline.delete(f"{broker.prefix(client)}rq:job:{job_id}")
        pipeline.execute()
    return rejected


def rejected(client: redis.Redis, limit: int = _KEPT) -> list[Rejected]:
    """Return at most ``limit`` rejected jobs, the newest first."""
    notes: Any = client.lrange(broker.key(client, channels.REJECTED_JOBS), 0, limit - 1)
    return [Rejected(**json.loads(note)) for note in notes]
