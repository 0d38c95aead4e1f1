"""Jobs and keys of the shop's own programs on the same Redis, which orderctl has to leave as they are.

A producer queues jobs of many kinds in orderctl's queue. What it wrote is recorded in the transaction that wrote it, and
compared before each loss of Redis and at the end.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from rq.job import Callback, Job, Retry
from rq.serializers import DefaultSerializer, JSONSerializer

from orderctl import broker
from tests.faults.chaos.ledger import SHOP_QUEUE, Image, Ledger, Written
from tests.faults.chaos.shop_jobs import note
from tests.servers.redis import unhurried

HOUR = 3600
#: The longest life of a job with some seconds to live.
SHORT = 4
#: Numbers of tasks that no shop reaches in a run.
FAR = 900_000
#: A time at which an entry of one of RQ's registries ends, in seconds.
FUTURE = 4e9

Fields = dict[str, Any]


class Foreign:
    """The shop's own programs: one thread queues jobs.

    Args:
        url: Redis, without a proxy.
        prefix: As ``redis.prefix`` of the shop.
        queue: The queue of orderctl's workers.
        shop: The shop's name, which begins the ids.
        ran: The file in which the shop's own worker notes the jobs that it has run.
        newest_task: Returns the id of the newest task, None when the database does not answer.
        seed: Of what is queued.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        queue: str,
        *,
        shop: str,
        ran: Path,
        newest_task: Callable[[], int | None],
        seed: int,
    ) -> None:
        self.shop = shop
        self.queued: Counter[str] = Counter()
        self._client = unhurried(broker.brisk(url))
        self._rq = f"{prefix}rq"
        self._prefix = prefix
        self._queue = queue
        self._ran = ran
        self._newest_task = newest_task
        self._chance = random.Random(seed)
        self._number = 0
        self.ledger = Ledger(self._client, prefix, queue, ran)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._produce, daemon=True)

    def start(self) -> None:
        self.write_each()
        self._thread.start()

    def write_each(self) -> None:
        """Write the keys, and a job of each kind."""
        self._plant()
        for number in range(len(self._kinds())):
            self._number += 1
            kind, write = self._kinds()[number]
            write(kind)

    def leave(self) -> None:
        """Queue nothing more."""
        self._over.set()
        self._thread.join()

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def losing(self) -> Iterator[None]:
        """Compare everything before Redis loses its data, and begin anew afterwards."""
        with self._lock:
            self.ledger.compare()
            yield
            self.ledger.forget()
            self._plant()

    def knows(self, raw_id: bytes) -> bool:
        """Whether a job is of this shop; Redis may have a job whose writing it did not acknowledge."""
        return raw_id in self.ledger.jobs or self.shop.encode() in raw_id

    # --- Writing

    def _produce(self) -> None:
        while not self._over.wait(self._chance.uniform(0.05, 0.4)):
            self._number += 1
            kind, write = self._chance.choice(self._kinds())
            with self._lock:
                try:
                    write(kind)
                except (redis.RedisError, OSError):  # not written, or nobody knows
                    self.queued["(not acknowledged by Redis)"] += 1

    def _kinds(self) -> list[tuple[str, Callable[[str], None]]]:
        name, chance = f"{self.shop}-{self._number}".encode(), self._chance
        like_ours = f"task-{FAR + self._number}-0".encode()
        ours = "orderctl.jobs.run_task"

        def job(raw_id: bytes = name, function: str = "shop.reports.build", **more: Any) -> Any:
            return lambda kind: self._queue_job(kind, raw_id, self._fields(function, **more), more.get("ttl"))

        return [
            ("pickled", job()),
            ("with an hour to live", job(ttl=HOUR)),
            ("with some seconds to live", job(ttl=chance.randint(1, SHORT))),
            ("JSON", job(serializer=JSONSerializer)),
            ("with callbacks", job(on_success=Callback("shop.reports.done"), on_failure=Callback("os.abort"))),
            ("with retries", job(retry=Retry(max=3, interval=[1, 2]))),
            ("with meta and results", job(meta={"customer": 7}, result_ttl=HOUR, failure_ttl=-1)),
            ("long", job(args=["x" * 20_000])),
            ("orderctl's function", job(function=ours, args=[1], serializer=JSONSerializer)),
            ("an id like orderctl's", job(raw_id=like_ours, ttl=chance.choice([None, HOUR]))),
            ("an id with odd bytes", job(raw_id=b"\xff\xfe:" + name)),
            ("garbage", lambda kind: self._queue_job(kind, name, {b"data": chance.randbytes(40), b"\xff": b"\0"})),
            ("no hash", lambda kind: self._queue_text(kind, name)),
            *[("the id of the next task", self._queue_next)] * 2,
            *[("of the shop's own queue", self._queue_own)] * 3,
        ]  # fmt: skip

    def _fields(
        self, function: Any, serializer: Any = DefaultSerializer, args: Any = (), **more: Any
    ) -> Fields:
        job = Job.create(
            function, list(args), connection=self._client, serializer=serializer, origin=self._queue,
            status="queued", **more,
        )  # fmt: skip
        fields = {name: value for name, value in job.to_dict().items() if value is not None}
        return {
            name: value if isinstance(value, bytes | str) else str(value) for name, value in fields.items()
        }

    def _queue_job(self, kind: str, raw_id: bytes, fields: Fields, ttl: int | None = None) -> None:
        """Write a job as RQ does, in one transaction, together with a look at what was written."""
        key = self.ledger.job_key(raw_id)
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.watch(key)
            if pipeline.exists(key):
                return
            pipeline.multi()
            pipeline.hset(key, mapping=fields)
            if ttl:
                pipeline.expire(key, ttl)
            pipeline.hgetall(key)
            self._push(pipeline, key, raw_id, kind, short=bool(ttl and ttl <= SHORT))

    def _queue_text(self, kind: str, raw_id: bytes) -> None:
        key = self.ledger.job_key(raw_id)
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.set(key, "no job at all", ex=HOUR)
            pipeline.get(key)
            self._push(pipeline, key, raw_id, kind)

    def _push(self, pipeline: Any, key: bytes, raw_id: bytes, kind: str, *, short: bool = False) -> None:
        pipeline.execute_command("PEXPIRETIME", key)
        pipeline.rpush(f"{self._rq}:queue:{self._queue}", raw_id)
        *_, content, expires, _ = pipeline.execute()
        self.ledger.jobs[raw_id] = Written(kind, Image(content, expires), short)
        self.queued[kind] += 1

    def _queue_next(self, kind: str) -> None:
        """Take the id of a doorbell that orderctl is about to use."""
        newest = self._newest_task()
        if newest is not None:
            raw_id = f"task-{newest + self._chance.randint(1, 3)}-0".encode()
            self._queue_job(kind, raw_id, self._fields("shop.reports.build"))

    def _queue_own(self, kind: str) -> None:
        raw_id = f"{self.shop}-{self._number}".encode()
        with self._client.pipeline(transaction=True) as pipeline:
            fields = self._fields(note, args=[str(self._ran), self._number])
            pipeline.hset(self.ledger.job_key(raw_id), mapping=fields | {"origin": SHOP_QUEUE})
            pipeline.sadd(f"{self._rq}:queues", f"{self._rq}:queue:{SHOP_QUEUE}")
            pipeline.rpush(f"{self._rq}:queue:{SHOP_QUEUE}", raw_id)
            pipeline.execute()
        self.ledger.own_jobs[raw_id] = self._number
        self.queued[kind] += 1

    def _plant(self) -> None:
        """Write keys of other kinds: the shop's data, and what its own workers have left in RQ's lists."""
        jobs = [f"{self.shop}-kept".encode(), f"task-{FAR}-0".encode()]
        worker = f"{self._rq}:worker:{self.shop}-worker".encode()
        registries = {name: dict.fromkeys(jobs, FUTURE) for name in ("failed", "finished", "scheduled")}
        registries |= {name: dict.fromkeys(jobs, 1.0) for name in ("canceled", "deferred")}
        registries |= {"wip": {jobs[0] + b":0a1b": FUTURE, jobs[1] + b":0a1c": 1.0}}
        members = {f"{self._rq}:{name}:{self._queue}": entries for name, entries in registries.items()}
        own = [
            self._own_key(name) for name in ("order:1:owner", "task:note", "orders:recent", "order:1:items")
        ]
        groups = [self.ledger.job_key(jobs[0]) + b":dependents", self._own_key("customers")]
        hashes = [self.ledger.job_key(raw_id) for raw_id in jobs]
        with self._client.pipeline(transaction=True) as pipeline:
            for key, entries in members.items():
                pipeline.zadd(key, entries)
            for key in hashes:
                pipeline.hset(key, mapping=self._fields("shop.reports.build"))
            pipeline.hset(worker, mapping={"birth": "2026-11-29T10:00:00Z", "queues": self._queue})
            pipeline.set(own[0], "anna", ex=HOUR)
            pipeline.set(own[1], b"\xff\0")
            for key in own[2:]:
                pipeline.rpush(key, "a", "b")
            for key in groups:
                pipeline.sadd(key, "x", "y")
            for names in (f"{self._rq}:workers", f"{self._rq}:workers:{self._queue}"):
                pipeline.sadd(names, worker)
            pipeline.execute()
        every = [*hashes, worker, *own, *groups]
        images = self.ledger.look(every)
        self.ledger.keys |= {key: Written("key", image) for key, image in zip(every, images, strict=True)}
        self.ledger.members |= members
        self.ledger.workers.append(worker)

    def _own_key(self, name: str) -> bytes:
        return f"{self._prefix}{name}".encode()
