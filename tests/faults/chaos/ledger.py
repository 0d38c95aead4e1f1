"""What the shop's own programs have in Redis, as they wrote it, and the comparison with what is there."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

#: The queue that the shop's own ``rq worker`` reads.
SHOP_QUEUE = "downloads"


@dataclass(frozen=True)
class Image:
    """What stood under a key at one moment, and when it expires (in ms since the epoch, -1: never, -2: no key)."""

    content: Any
    expires: int


@dataclass(frozen=True)
class Written:
    """A job in orderctl's queue, or a key, as its program wrote it."""

    kind: str
    image: Image
    short: bool = False


class Ledger:
    """The records of one shop.

    Attributes:
        jobs: The jobs in orderctl's queue, by their ids.
        keys: Other keys.
        members: Entries of sorted sets, which may have others.
        own_jobs: The numbers of the jobs in the queue of the shop's own worker, by their ids.
        workers: Keys of the shop's own workers, which stand in RQ's sets of workers.
        faults: What was not as it was written.
        compared: The number of comparisons.

    Args:
        client: A Redis client.
        prefix: As ``redis.prefix`` of the shop.
        queue: The queue of orderctl's workers.
        ran: The file in which the shop's own worker notes the jobs that it has run.
    """

    def __init__(self, client: redis.Redis, prefix: str, queue: str, ran: Path) -> None:
        self.jobs: dict[bytes, Written] = {}
        self.keys: dict[bytes, Written] = {}
        self.members: dict[str, dict[bytes, float]] = {}
        self.own_jobs: dict[bytes, int] = {}
        self.workers: list[bytes] = []
        self.faults: list[str] = []
        self.compared = 0
        self._client = client
        self._rq = f"{prefix}rq"
        self._queue = queue
        self._rejected = f"{prefix}orderctl:rejected"
        self._intermediate = f"{self._rq}:queue:{queue}:intermediate"
        self._ran = ran

    def forget(self) -> None:
        """Redis has lost everything."""
        for records in (self.jobs, self.keys, self.members, self.own_jobs, self.workers):
            records.clear()

    def job_key(self, raw_id: bytes) -> bytes:
        """Return the key of a job's hash, as RQ has it."""
        return f"{self._rq}:job:".encode() + raw_id

    def names(self) -> list[str]:
        """Return the keys, and the entries as ``KEY: ENTRY``."""
        entries = [f"{key}: {entry.decode()}" for key, several in self.members.items() for entry in several]
        return [key.decode() for key in self.keys] + entries

    def compare(self, *, settled: bool = False) -> None:
        """Note each job and key that is not as its program wrote it, once.

        Args:
            settled: No worker runs: no job is on its way from the queue to the rejected ones.
        """
        listed = self._listed(settled=settled)
        images = self.look(map(self.job_key, self.jobs))
        now = self._milliseconds()
        for raw_id, image in zip(self.jobs, images, strict=True):
            written = self.jobs[raw_id]
            over = 0 < written.image.expires <= now and image.expires == -2
            if not over and image != written.image:
                self._blame(f"job {raw_id!r} ({written.kind}) {_difference(written.image, image)}")
            elif not over and raw_id not in listed:
                self._blame(f"job {raw_id!r} ({written.kind}) is neither queued nor rejected")
        for key, image in zip(self.keys, self.look(self.keys), strict=True):
            if image != self.keys[key].image:
                self._blame(f"key {key!r} {_difference(self.keys[key].image, image)}")
        self._compare_members()
        self._compare_own_jobs()
        self.compared += len(self.jobs) + len(self.keys) + len(self.members) + len(self.own_jobs)

    def outlast(self) -> None:
        """Wait until the jobs with some seconds to live have expired."""
        short = [written.image.expires for written in self.jobs.values() if written.short]
        time.sleep(max(0.0, *(end - self._milliseconds() for end in short), 0.0) / 1000)

    def in_transit(self) -> bool:
        """Whether a job has left the queue and was not yet rejected."""
        return not set(self.jobs).isdisjoint(self._client.lrange(self._intermediate, 0, -1))

    def _listed(self, *, settled: bool) -> set[bytes]:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.lrange(f"{self._rq}:queue:{self._queue}", 0, -1)
            pipeline.lrange(self._intermediate, 0, -1)
            pipeline.type(self._rejected)
            queued, taken, kind = pipeline.execute()
            rejected = self._client.hkeys(self._rejected) if kind == b"hash" else []
        return {*queued, *(() if settled else taken), *(entry.partition(b"\0")[2] for entry in rejected)}

    def rejected(self) -> list[bytes]:
        """Return the ids of the rejected jobs of the shop."""
        return sorted(entry.partition(b"\0")[2] for entry in self._client.hkeys(self._rejected))

    def _compare_members(self) -> None:
        for key, members in self.members.items():
            for member, score in members.items():
                if self._client.zscore(key, member) != score:
                    self._blame(f"{member!r} is gone from {key}, or has another score")
        for worker in self.workers:
            for key in (f"{self._rq}:workers", f"{self._rq}:workers:{self._queue}"):
                if not self._client.sismember(key, worker):
                    self._blame(f"{worker!r} is gone from {key}")

    def _compare_own_jobs(self) -> None:
        """The jobs of the shop's own queue have run, or are there."""
        ran = self.ran()
        for raw_id, number in self.own_jobs.items():
            if str(number) not in ran and not self._client.exists(self.job_key(raw_id)):
                self._blame(f"job {raw_id!r} of queue {SHOP_QUEUE} is gone and has not run")

    def ran(self) -> set[str]:
        """Return the numbers of the jobs that the shop's own worker has run."""
        return set(self._ran.read_text().split()) if self._ran.exists() else set()

    def look(self, keys: Iterable[bytes]) -> list[Image]:
        """Return what stands under these keys."""
        keys = list(keys)
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.type(key)
            kinds = [kind.decode() for kind in pipeline.execute()]
            for key, kind in zip(keys, kinds, strict=True):
                _read(pipeline, key, kind)
                pipeline.execute_command("PEXPIRETIME", key)
            found = pipeline.execute()
        return [Image(*pair) for pair in zip(found[::2], found[1::2], strict=True)]

    def _milliseconds(self) -> float:
        seconds, micro = self._client.time()
        return seconds * 1000 + micro / 1000

    def _blame(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)


def _read(pipeline: Any, key: bytes, kind: str) -> None:
    match kind:
        case "hash":
            pipeline.hgetall(key)
        case "list":
            pipeline.lrange(key, 0, -1)
        case "set":
            pipeline.smembers(key)
        case "zset":
            pipeline.zrange(key, 0, -1, withscores=True)
        case _:
            pipeline.get(key)


def _difference(before: Image, after: Image) -> str:
    if after.expires == -2:
        return "is gone"
    if before.expires != after.expires:
        return f"expires at {after.expires} and not at {before.expires}"
    if isinstance(before.content, dict) and isinstance(after.content, dict):
        changed = {name for name, _ in before.content.items() ^ after.content.items()}
        return f"has other values of {sorted(changed)!r}"
    return "has another content"
