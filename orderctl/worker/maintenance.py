"""What a worker clears away: what dead workers of orderctl have left in RQ's lists, and nothing of other programs.

The queue may be shared with workers of the shop, which clear away what is theirs by RQ's rules. RQ's own maintenance
unpacks each job that it finds; a malformed one ends every worker.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any, Final

import redis
from rq import Queue, worker_registration
from rq.results import Result

from orderctl import allowlist, broker, channels, doorbell
from orderctl.worker import rejected

#: The queue of earlier versions, which had a name that the shop may use for its own jobs.
OLD_QUEUE: Final = "downloads"
#: Number of entries of a list that are looked at in one step.
_PAGE: Final = 1000
#: Number of jobs that are taken out of a queue in one step, each of which reads the list up to it.
_STEP: Final = 20

#: KEYS: the list, then a hash for each job. ARGV: the queue's name, then for each job its id and its call. Takes those
#: jobs out of the list that still have this call, or no hash, and deletes the hashes that were made for this queue.
_TAKE_AWAY: Final = """
local taken = 0
for i = 2, #KEYS do
  local id, call = ARGV[2 * i - 2], ARGV[2 * i - 1]
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind == 'none' or kind == 'hash' and redis.call('HSTRLEN', KEYS[i], 'data') == #call
    and (redis.call('HGET', KEYS[i], 'data') or '') == call then
    local found = redis.call('LREM', KEYS[1], 0, id)
    taken = taken + found
    if found > 0 and kind == 'hash' and redis.call('HGET', KEYS[i], 'origin') == ARGV[1] then
      redis.call('DEL', KEYS[i])
    end
  end
end
return taken
"""


#: KEYS: a registry, the job's hash, its results, the queue. ARGV: the registry's entry, the job's id, its call. Removes
#: the entry, and the hash and the results unless the job is queued, if the hash still has this call.
_REMOVE: Final = """
if redis.call('TYPE', KEYS[2]).ok == 'hash' and redis.call('HSTRLEN', KEYS[2], 'data') == #ARGV[3]
  and (redis.call('HGET', KEYS[2], 'data') or '') == ARGV[3] then
  redis.call('ZREM', KEYS[1], ARGV[1])
  if not redis.call('LPOS', KEYS[4], ARGV[2]) then redis.call('DEL', KEYS[2], KEYS[3]) end
end
"""


def clean(queue: Queue) -> None:
    """Clear away what dead workers of orderctl have left in the lists of this queue.

    Args:
        queue: The queue of orderctl's workers.
    """
    client: Any = queue.connection
    client.delete(broker.key(client, channels.OLD_REJECTED_JOBS))
    _clean_taken(queue)
    _clean_registries(queue)
    _forget_workers(queue)


def take_over(client: redis.Redis, queue_name: str) -> int:
    """Take the jobs of orderctl out of the queue of earlier versions; reconcile rings for their tasks anew.

    All other jobs, and their order, stay as they are. Workers of the shop may read the queue meanwhile.

    Args:
        client: A Redis client.
        queue_name: The queue of orderctl's workers now.

    Returns:
        The number of jobs.
    """
    if queue_name == OLD_QUEUE:
        return 0
    old = doorbell.open_queue(client, OLD_QUEUE)
    lists = (old.key, old.intermediate_queue_key)
    return sum(_take_away(old, key) for key in lists)


def clean_old(client: redis.Redis, queue_name: str) -> None:
    """Clear away what workers of earlier versions that were killed have left, some minutes after their end.

    Args:
        client: A Redis client.
        queue_name: The queue of orderctl's workers now.
    """
    if queue_name != OLD_QUEUE:
        old = doorbell.open_queue(client, OLD_QUEUE)
        _clean_registries(old)
        _forget_workers(old)


def _take_away(queue: Queue, key: str) -> int:
    client: Any = queue.connection
    ours = [(raw, seen) for raw in _ids(client, key) if (seen := _ours(queue, raw)) is not None]
    taken = 0
    for start in range(0, len(ours), _STEP):
        step = ours[start : start + _STEP]
        keys = [key, *(doorbell.job_key(queue, raw) for raw, _ in step)]
        words = [word for raw, seen in step for word in (raw, seen.fields.get("data", b""))]
        taken += client.eval(_TAKE_AWAY, len(keys), *keys, queue.name, *words)
    return taken


def _ids(client: Any, key: str) -> list[bytes]:
    """Return the ids in a list that may be orderctl's, each once."""
    found: dict[bytes, None] = {}
    start = 0
    while page := client.lrange(key, start, start + _PAGE - 1):
        found |= dict.fromkeys(raw for raw in page if allowlist.task_of(raw) is not None)
        start += len(page)
    return list(found)


def _ours(queue: Queue, raw: bytes) -> allowlist.Look | None:
    """Return what stands under a job's key if the job is orderctl's, None otherwise."""
    seen = allowlist.look(queue.connection, doorbell.job_key(queue, raw))
    return seen if allowlist.find_fault(raw, seen) is None else None


def _clean_taken(queue: Queue) -> None:
    """Empty the list of jobs that workers have just taken.

    Workers of orderctl leave an id there for a moment only. One of another program may belong to a worker of the shop
    that is about to run it, so it counts as left behind after a minute, as RQ has it; it is a rejected job then.
    """
    client: Any = queue.connection
    for raw in dict.fromkeys(client.lrange(queue.intermediate_queue_key, 0, _PAGE - 1)):
        seen = allowlist.look(client, doorbell.job_key(queue, raw))
        fault = allowlist.find_fault(raw, seen)
        if fault is None or seen.kind == "none":
            client.lrem(queue.intermediate_queue_key, 1, raw)
        elif not _first_seen(queue, raw) and not _runs(queue, raw):
            rejected.put(client, queue, raw, f"{fault}; a worker died when it had taken the job")


def _first_seen(queue: Queue, raw: bytes) -> bool:
    """Whether a job was not yet in that list a minute ago, by RQ's own marker."""
    client: Any = queue.connection
    marker = queue.intermediate_queue.get_first_seen_key("").encode() + raw
    now = time.time()
    if client.set(marker, now, nx=True, ex=86_400):
        return True
    try:
        return now - float(client.get(marker) or now) < 60  # noqa: PLR2004
    except ValueError:
        return False


def _runs(queue: Queue, raw: bytes) -> bool:
    """Whether a worker runs the job, as its registry has it."""
    client: Any = queue.connection
    pattern = re.sub(rb"([\\*?\[\]])", rb"\\\1", raw) + b":*"
    return next(client.zscan_iter(queue.started_job_registry.key, match=pattern), None) is not None


def _clean_registries(queue: Queue) -> None:
    """Remove jobs of orderctl that no longer run, or failed in a worker of the shop that had taken them."""
    client: Any = queue.connection
    started = queue.started_job_registry.key
    for entry in client.zrangebyscore(started, 0, time.time(), start=0, num=_PAGE):
        _remove(queue, started, entry, entry.rpartition(b":")[0])
    for registry in (queue.failed_job_registry.key, queue.finished_job_registry.key):
        for raw, _ in client.zscan_iter(registry, match="task-*", count=_PAGE):
            _remove(queue, registry, raw, raw)


def _remove(queue: Queue, registry: str, entry: bytes, raw: bytes) -> None:
    """Remove an entry of a registry, if it is a job of orderctl's, and the job that is not queued."""
    client: Any = queue.connection
    seen = _ours(queue, raw)
    if seen is not None:
        results = Result.get_key(raw.decode())  # type: ignore[no-untyped-call]
        keys = (registry, doorbell.job_key(queue, raw), results, queue.key)
        client.eval(_REMOVE, len(keys), *keys, entry, raw, seen.fields.get("data", b""))


def _forget_workers(queue: Queue) -> None:
    """Remove the names of orderctl's workers that have died; RQ's method removes those of all programs."""
    client: Any = queue.connection
    key = worker_registration.WORKERS_BY_QUEUE_KEY % queue.name
    for names in (key, worker_registration.REDIS_WORKER_KEYS):
        gone = [name for name in _own(client.sscan_iter(names, count=_PAGE)) if not client.exists(name)]
        if gone:
            client.srem(names, *gone)


def _own(names: Iterable[bytes]) -> Iterable[bytes]:
    return (name for name in names if allowlist.is_own_worker(name))
