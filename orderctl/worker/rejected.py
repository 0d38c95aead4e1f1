"""The jobs that the workers have rejected. They belong to other programs, so they are kept as they are.

Only the id of such a job leaves the queue, for a hash with a field for each queue and id. An entry lives as long as its
job, which has a time to live of its own or none: nothing is dropped because there are many. Workers prune the entries
of jobs that are gone, and of those that their program has queued again, cancelled or run since: to queue or drop such a
job would run it twice, or delete its result.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import redis

from orderctl import allowlist, broker, channels, clock, doorbell
from orderctl.errors import Conflict, NotFound
from orderctl.worker import foreign_jobs
from orderctl.worker.foreign_jobs import Summary

#: The command that lists them.
LIST: Final = "orderctl worker rejected list"
#: Number of entries that are read at once.
_PAGE: Final = 500
#: The year 5138, in ms since the epoch.
_LAST_MOMENT: Final = 10**14
#: Fields of a job's hash of which one changes when its program does something with it.
_STATE: Final = ("status", "enqueued_at")

#: KEYS: the rejected jobs, the job, the queue, the set of queues. ARGV: the job's id, then its entries. The first write
#: needs memory and a list, so that nothing is changed when it is refused.
_REQUEUE: Final = """
if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('SADD', KEYS[4], KEYS[3])
return redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
"""
#: KEYS: the rejected jobs, then what is to be deleted. ARGV: the job's entries.
_DROP: Final = """
if redis.call('HDEL', KEYS[1], unpack(ARGV)) == 0 then return 0 end
redis.call('UNLINK', unpack(KEYS, 2))
return 1
"""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A job that was rejected. ``at`` in ms since the epoch, ``state`` of the job at that time."""

    raw_id: bytes
    queue: str
    reason: str
    at: int
    state: str | None = None

    @property
    def job_id(self) -> str:
        """The id as it is shown, and as the commands take it."""
        return foreign_jobs.spell(self.raw_id)

    @property
    def task_id(self) -> int | None:
        """Id of the task that the job id names, None if it names none."""
        return allowlist.task_of(self.raw_id)

    @property
    def entry(self) -> bytes:
        """The field of the hash."""
        return self.queue.encode() + b"\0" + self.raw_id

    @property
    def note(self) -> str:
        """The value of that field."""
        return json.dumps({"reason": self.reason, "at": self.at, "state": self.state})


def put(client: redis.Redis, queue: Any, raw_id: bytes, reason: str) -> Rejected:
    """Move a job that a worker has taken from the queue to the rejected ones, in one step.

    Args:
        client: A Redis client.
        queue: The RQ queue.
        raw_id: The job's id.
        reason: Why, from ``allowlist.find_fault``.
    """
    state = _state(allowlist.look(client, doorbell.job_key(queue, raw_id), _STATE))
    rejected = Rejected(raw_id, queue.name, reason, clock.milliseconds(), state)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.hset(_key(client), rejected.entry, rejected.note)
        pipeline.lrem(queue.intermediate_queue_key, 1, raw_id)  # type: ignore[arg-type]
        pipeline.execute()
    return rejected


def count(client: redis.Redis) -> int:
    """Return the number of rejected jobs; those that are gone since the last pruning count, too.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    with broker.translating():
        return int(client.hlen(_key(client)))


def find_newest(client: redis.Redis | None, limit: int) -> list[Summary]:
    """Return at most ``limit`` rejected jobs that still exist, the newest first.

    Args:
        client: A Redis client; None: it is the embedded one, and does not run.
        limit: The maximum number of jobs.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    if client is None:
        return []
    with broker.translating():
        queue = doorbell.open_queue(client, "")
        pages = (_existing(client, queue, page)[0] for page in _pages(client))
        newest = heapq.nlargest(limit, (entry for page in pages for entry in page), key=lambda one: one.at)
        found = (foreign_jobs.summarise(client, queue, one.raw_id, one) for one in newest)
        return [job for job in found if job is not None]


def find(client: redis.Redis | None, job_id: str) -> Summary:
    """Return one rejected job.

    Args:
        client: As in :func:`find_newest`.
        job_id: The id as it is shown.

    Raises:
        NotFound: When no such job was rejected, or it is gone.
        RedisUnavailable: When Redis does not answer.
    """
    if client is None:
        raise _not_found(job_id)
    with broker.translating():
        [(raw_id, entries)] = _select(client, [job_id]).items()
        return _summarise(client, raw_id, entries)


def requeue(
    client: redis.Redis,
    job_ids: Collection[str],
    *,
    own_queue: str,
    to: str | None = None,
    dry_run: bool = False,
) -> dict[str, str]:
    """Put rejected jobs back into a queue, each in one step.

    Args:
        client: A Redis client.
        job_ids: The ids as they are shown.
        own_queue: The queue of orderctl's workers.
        to: The queue; by default the one that the job was made for.
        dry_run: Only look.

    Returns:
        The queue of each job, by its id.

    Raises:
        NotFound: When a job was not rejected, or is gone. No job has been put back then.
        Conflict: When orderctl's workers would reject a job again, or it does not say its queue; nor then.
        RedisUnavailable: When Redis does not answer.
    """
    with broker.translating():
        chosen = _select(client, job_ids)
        targets = {raw: to or _origin(client, raw, entries) for raw, entries in chosen.items()}
        for raw, entries in chosen.items():
            if targets[raw] in {own_queue, *(entry.queue for entry in entries)}:
                _check(client, raw, targets[raw])
        for raw, entries in chosen.items():
            if not dry_run and not _put_back(client, raw, targets[raw], entries):
                raise _not_found(foreign_jobs.spell(raw))
    return {foreign_jobs.spell(raw): queue for raw, queue in targets.items()}


def drop(client: redis.Redis, job_ids: Collection[str] | None, *, dry_run: bool = False) -> int:
    """Delete rejected jobs, with all that RQ keeps of them.

    Args:
        client: A Redis client.
        job_ids: The ids as they are shown; None: all of them.
        dry_run: Only count.

    Returns:
        Their number.

    Raises:
        NotFound: When a job was not rejected, or is gone. Nothing has been deleted then.
        RedisUnavailable: When Redis does not answer.
    """
    with broker.translating():
        queue = doorbell.open_queue(client, "")
        chosen = _gather(client, None) if job_ids is None else _select(client, job_ids)
        if dry_run:
            return len(chosen)
        return sum(_delete(client, queue, raw, entries) for raw, entries in chosen.items())


def dismiss(client: redis.Redis, job_ids: Collection[str] | None, *, dry_run: bool = False) -> int:
    """Forget that jobs were rejected. The jobs themselves stay as they are; they are in no queue any more.

    Args:
        client: A Redis client.
        job_ids: The ids as they are shown; None: all of them.
        dry_run: Only count.

    Returns:
        Their number.

    Raises:
        NotFound: When a job was not rejected, or is gone. Nothing has been forgotten then.
        RedisUnavailable: When Redis does not answer.
    """
    with broker.translating():
        chosen = _gather(client, None) if job_ids is None else _select(client, job_ids)
        fields = [entry.entry for entries in chosen.values() for entry in entries]
        for begin in range(0, 0 if dry_run else len(fields), _PAGE):
            client.hdel(_key(client), *fields[begin : begin + _PAGE])
        return len(chosen)


def prune(client: redis.Redis, cursor: int = 0, pages: int = 20) -> int:
    """Forget entries whose job is gone.

    Args:
        client: A Redis client.
        cursor: What the last call returned; 0: begin.
        pages: How many pages of entries to look at.

    Returns:
        Where to go on, 0 at the end.
    """
    queue = doorbell.open_queue(client, "")
    for _ in range(pages):
        answer: Any = client.hscan(_key(client), cursor, count=_PAGE)
        cursor, page = answer
        gone = _existing(client, queue, _entries(page))[1]
        if gone:
            client.hdel(_key(client), *(entry.entry for entry in gone))
        if not cursor:
            break
    return cursor


def _key(client: redis.Redis) -> str:
    return broker.key(client, channels.REJECTED_JOBS)


def _pages(client: redis.Redis) -> Iterator[list[Rejected]]:
    cursor: int | None = None
    while cursor != 0:
        answer: Any = client.hscan(_key(client), cursor or 0, count=_PAGE)
        cursor, page = answer
        yield _entries(page)


def _entries(page: dict[bytes, bytes]) -> list[Rejected]:
    return [entry for field, note in page.items() if (entry := _entry(field, note)) is not None]


def _entry(field: bytes, note: bytes) -> Rejected | None:
    """Read an entry; None if orderctl has not written it."""
    queue, _, raw_id = field.partition(b"\0")
    match broker.read_json(note):
        case {"reason": str(reason), "at": int(at), "state": None | str() as state} if 0 <= at < _LAST_MOMENT:
            with contextlib.suppress(UnicodeDecodeError):
                return Rejected(raw_id, queue.decode(), reason, at, state)
    return None


def _state(seen: allowlist.Look) -> str:
    """Return a short text that is another one when the program of a job has done something with it."""
    return " ".join(seen.fields.get(name, b"")[:100].decode("utf-8", "replace") for name in _STATE)


def _existing(client: redis.Redis, queue: Any, page: list[Rejected]) -> tuple[list[Rejected], list[Rejected]]:
    """Return the entries whose job exists as it was rejected, and the others."""
    with client.pipeline(transaction=False) as pipeline:
        for one in page:
            allowlist.ask(pipeline, doorbell.job_key(queue, one.raw_id), _STATE)
        looks = [allowlist.read_look(answer, _STATE) for answer in pipeline.execute()]
    kept: list[Rejected] = []
    gone: list[Rejected] = []
    for one, seen in zip(page, looks, strict=True):
        same = seen.kind != "none" and one.state in {None, _state(seen)}
        (kept if same else gone).append(one)
    return kept, gone


def _gather(client: redis.Redis, wanted: Collection[bytes] | None) -> dict[bytes, list[Rejected]]:
    """Return the entries of these jobs, or all, as far as the jobs exist."""
    queue = doorbell.open_queue(client, "")
    found: dict[bytes, list[Rejected]] = {}
    for page in _pages(client):
        meant = page if wanted is None else [one for one in page if one.raw_id in wanted]
        for one in _existing(client, queue, meant)[0]:
            entries = found.setdefault(one.raw_id, [])
            if one not in entries:  # a scan may return an entry twice
                entries.append(one)
    return found


def _select(client: redis.Redis, job_ids: Collection[str]) -> dict[bytes, list[Rejected]]:
    """Return the entries of these jobs in this order; raise NotFound when one is missing."""
    wanted = {foreign_jobs.unspell(job_id): job_id for job_id in job_ids}
    found = _gather(client, wanted)
    for raw, job_id in wanted.items():
        if raw not in found:
            raise _not_found(job_id)
    return {raw: found[raw] for raw in wanted}


def _not_found(job_id: str) -> NotFound:
    return NotFound(f"rejected job {job_id[:200]} not found: there is none, or it is gone", hint=LIST)


def _summarise(client: redis.Redis, raw: bytes, entries: list[Rejected]) -> Summary:
    """Return what can be said about a job; raise NotFound when it is gone."""
    found = foreign_jobs.summarise(client, doorbell.open_queue(client, ""), raw, entries[0])
    if found is None:
        raise _not_found(entries[0].job_id)
    return found


def _origin(client: redis.Redis, raw: bytes, entries: list[Rejected]) -> str:
    seen = allowlist.look(client, doorbell.job_key(doorbell.open_queue(client, ""), raw), ("origin",))
    if seen.kind == "none":
        raise _not_found(entries[0].job_id)
    with contextlib.suppress(UnicodeDecodeError):
        if origin := seen.fields.get("origin", b"").decode():
            return origin
    raise Conflict(f"job {entries[0].job_id[:200]} does not say which queue it was made for", hint=_to(raw))


def _check(client: redis.Redis, raw: bytes, target: str) -> None:
    """Raise Conflict when the workers of orderctl's queue would reject the job again."""
    seen = allowlist.look(client, doorbell.job_key(doorbell.open_queue(client, target), raw))
    fault = allowlist.find_fault(raw, seen)
    if fault is not None:
        raise Conflict(
            f"orderctl's workers read queue {target} and would reject job {foreign_jobs.spell(raw)[:200]} again: {fault}",
            hint=_to(raw),
        )


def _to(raw: bytes) -> str:
    job_id = foreign_jobs.spell(raw)
    if len(job_id) > 200:  # noqa: PLR2004 - too long for a line
        return LIST
    return (
        f"orderctl worker rejected requeue --to QUEUE {'-- ' * job_id.startswith('-')}{shlex.quote(job_id)}"
    )


def _put_back(client: redis.Redis, raw: bytes, target: str, entries: list[Rejected]) -> bool:
    queue = doorbell.open_queue(client, target)
    keys: list[Any] = [_key(client), doorbell.job_key(queue, raw), queue.key, queue.redis_queues_keys]
    return bool(client.eval(_REQUEUE, len(keys), *keys, raw, *(one.entry for one in entries)))


def _delete(client: redis.Redis, queue: Any, raw: bytes, entries: list[Rejected]) -> bool:
    keys: list[Any] = [_key(client), *foreign_jobs.keys(queue, raw)]
    return bool(client.eval(_DROP, len(keys), *keys, *(one.entry for one in entries)))
