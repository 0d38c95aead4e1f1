"""The check of each RQ job before it runs: only ``orderctl.jobs.run_task(task_id)`` is allowed.

Any program on a shared Redis can put jobs into the queue: ``os.system``, callbacks, pickles, half a hash. Each
job is checked as bytes, and nothing is ever unpickled. Only the fields that matter are read, and none that is
longer than orderctl's own jobs have them: a job may have hundreds of megabytes.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

#: The only function that orderctl's workers run, by its name in the queue. It never changes, so that jobs
#: queued before an upgrade run after it.
FUNCTION: Final = "orderctl.jobs.run_task"
#: Longest call in bytes, compressed or not. orderctl's own calls have about 60.
_MAX_DATA: Final = 4096
#: Fields of a job that make RQ run something else as well, or run the job again.
FORBIDDEN: Final = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "webhooks",
    "dependency_id",
    "dependency_ids",
    "retries_left",
    "repeats_left",
)
_JOB_ID: Final = re.compile(rb"task-([1-9][0-9]{0,18})-[0-9]{1,9}(?:-again)?\Z")
#: The names of orderctl's workers, as the supervisor makes them.
_WORKER: Final = re.compile(rb"[^:]+\.worker-[0-9]+\.[0-9]+\Z")

#: Returns the type of a key, then for each field its length, and its value if that is at most ARGV[1] bytes long.
_READ: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
local answer = {kind}
if kind == 'hash' then
  for i = 2, #ARGV do
    local length = redis.call('HSTRLEN', KEYS[1], ARGV[i])
    answer[#answer + 1] = length
    if length > tonumber(ARGV[1]) then answer[#answer + 1] = false
    else answer[#answer + 1] = redis.call('HGET', KEYS[1], ARGV[i]) end
  end
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What stands under the key of a job.

    Attributes:
        kind: The type of the key: ``none``, ``hash`` or another one.
        lengths: The length of each field that was asked for and is there, in bytes.
        fields: The values of those that are not too long.
    """

    kind: str
    lengths: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, bytes] = field(default_factory=dict)


def task_of(job_id: bytes) -> int | None:
    """Return the id of the task that a job id of orderctl names, None if it is another program's."""
    match = _JOB_ID.match(job_id)
    return int(match[1]) if match else None


def is_own_worker(name: bytes) -> bool:
    """Whether an RQ worker has a name as the supervisor gives them, with or without RQ's prefix."""
    return _WORKER.search(name) is not None


def look(
    client: redis.Redis,
    key: bytes | str,
    names: Sequence[str] = ("data", *FORBIDDEN),
    longest: int = _MAX_DATA,
) -> Look:
    """Read some fields of a job at one moment, without those that are too long.

    Args:
        client: A Redis client.
        key: The key of the job's hash.
        names: The fields.
        longest: Longest value that is read, in bytes.
    """
    return read_look(ask(client, key, names, longest), names)


def ask(client: Any, key: bytes | str, names: Sequence[str], longest: int = _MAX_DATA) -> Any:
    """Ask for what :func:`look` returns, with a client or a pipeline; :func:`read_look` reads the answer."""
    return client.eval(_READ, 1, key, longest, *names)


def read_look(answer: Any, names: Sequence[str]) -> Look:
    """Read the answer to :func:`ask` about the same names."""
    kind, *rest = answer
    lengths = {name: length for name, length in zip(names, rest[::2], strict=False) if length}
    fields = dict(zip(names, rest[1::2], strict=False))
    return Look(kind.decode(), lengths, {name: fields[name] for name in lengths if fields[name] is not None})


def find_fault(job_id: bytes, seen: Look) -> str | None:
    """Return why a job must not run, or None when it is one of orderctl's.

    Args:
        job_id: The job's id.
        seen: What stands under its key, with ``data`` and :data:`FORBIDDEN`. A job without a call has no fault: its id
            says which task to look at. Its hash has expired, or RQ has written into it after that.
    """
    task = task_of(job_id)
    if task is None:
        return "the job id does not name a task"
    if seen.kind == "none" or (seen.kind == "hash" and not seen.lengths):
        return None
    if seen.kind != "hash":
        return f"its key holds a {seen.kind} and not a job"
    extra = next((name for name in FORBIDDEN if seen.lengths.get(name)), None)
    if extra is not None:
        return f"the job has the field {extra}"
    return _fault_of_call(seen.fields.get("data", b""), task)


def _fault_of_call(data: bytes, task: int) -> str | None:
    call = _call(data)
    if call is None:
        return "the call cannot be decoded"
    function, instance, positional, named = call
    if function != FUNCTION or instance is not None:
        return f"the job calls {str(function)[:100]}"
    if positional != [task] or isinstance(positional[0], bool) or named != {}:
        return "the argument is not the task in the job id"
    return None


def _call(data: bytes) -> list[Any] | None:
    """Return the four parts of a call that RQ's JSON serializer wrote, or None for anything else."""
    try:
        call = json.loads(inflate(data))
    except (ValueError, RecursionError):
        return None
    return call if isinstance(call, list) and len(call) == 4 else None  # noqa: PLR2004


def inflate(data: bytes, longest: int = _MAX_DATA) -> bytes:
    """Return the call of a job as its serializer wrote it, or its beginning.

    Args:
        data: The field ``data``, compressed or not.
        longest: Most bytes to return: a few bytes can unpack to gigabytes.
    """
    try:
        return zlib.decompressobj().decompress(data, longest)
    except zlib.error:
        return data[:longest]
