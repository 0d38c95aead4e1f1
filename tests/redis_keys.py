"""What is in Redis: what a key holds, and which keys orderctl has left that nothing ends and nobody owns."""

import hashlib
import re
import time
from typing import Any

import redis

from orderctl import allowlist

#: Keys without a time to live that somebody owns: operators (pause, resume), or the jobs that they list.
OWNED = re.compile(r"orderctl:(?:paused:.*|rejected)\Z", re.DOTALL)
#: orderctl's own keys; RQ's keys of orderctl's jobs and workers.
OURS = re.compile(
    r"(?:orderctl:|(?:order|task):[0-9]+:"
    r"|rq:(?:job|execution|executions|results):{1,2}task-[1-9][0-9]{0,18}-[0-9]{1,9}(?:-again)?(?::|\Z)"
    r"|rq:queue:[^:]*:intermediate:first_seen:task-[0-9]"
    r"|rq:worker:[^:]+\.worker-[0-9]+\.[0-9]+)"
)
JOB = re.compile(r"(task-[1-9][0-9]{0,18}-[0-9]{1,9}(?:-again)?)(?::|\Z)")


def held(client: redis.Redis, key: bytes | str) -> Any:
    """What a key holds, to be compared with what it holds later; of a long value only its digest.

    DUMP is no such thing: it has the fields of a hash in the order of its buckets, which a server moves when it reads.
    And when megabytes differ, pytest takes longer to say how than a test may take.

    Args:
        client: A client of any kind.
        key: A key of any type but a stream.
    """
    match client.type(key):
        case b"hash":
            return {_brief(name): _brief(value) for name, value in sorted(client.hgetall(key).items())}
        case b"list":
            return [_brief(value) for value in client.lrange(key, 0, -1)]
        case b"set":
            return {_brief(value) for value in client.smembers(key)}
        case b"zset":
            return {_brief(value): score for value, score in client.zrange(key, 0, -1, withscores=True)}
        case b"string":
            return _brief(client.get(key))
        case kind:
            assert kind == b"none"
            return None


def _brief(value: bytes) -> bytes:
    return value if len(value) < 200 else hashlib.sha256(value).digest()


def unowned(client: redis.Redis, prefix: str = "") -> list[str]:
    """The keys, and the entries of RQ's lists, that orderctl has left behind for ever.

    Call it when all is settled. Where workers were killed, let another one start before (``worker start --burst``): each
    clears away what it finds when it starts, and once a minute.

    Args:
        client: A client of any kind.
        prefix: ``redis.prefix`` of the shop.
    """
    names = [key.decode("utf-8", "backslashreplace") for key in client.scan_iter(count=1000)]
    own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    ours = [name for name in own if OURS.match(name) and not OWNED.match(name)]
    eternal = [
        name for name in ours if client.ttl(prefix + name) == -1 and not _is_foreign(client, prefix, name)
    ]
    return sorted([*eternal, *(f"{key}: {entry}" for key in own for entry in _entries(client, prefix, key))])


def _entries(client: redis.Redis, prefix: str, key: str) -> list[str]:
    """Entries of a list of RQ's, or of the rejected jobs, whose job or worker is gone."""

    def is_left(name: str) -> bool:
        return bool(JOB.match(name))

    full = prefix + key
    if re.match(r"rq:queue:[^:]*:intermediate\Z", key):
        return [name for name in _texts(client.lrange(full, 0, -1)) if is_left(name)]
    if re.match(r"rq:(?:failed|finished):", key):
        return [name for name in _texts(client.zrange(full, 0, -1)) if is_left(name)]
    if key.startswith("rq:wip:"):
        return [name for name in _texts(client.zrangebyscore(full, 0, time.time() - 120)) if is_left(name)]
    if re.match(r"rq:workers(?:\Z|:)", key):
        workers = _texts(client.smembers(full))
        return [name for name in workers if OURS.match(name.removeprefix(prefix)) and not client.exists(name)]
    if key == "orderctl:rejected":
        entries = client.hkeys(full)
        job = f"{prefix}rq:job:".encode()
        return _texts(entry for entry in entries if not client.exists(job + entry.partition(b"\0")[2]))
    return []


def _is_foreign(client: redis.Redis, prefix: str, name: str) -> bool:
    """Whether a key is the job of another program, although its id is like those of orderctl's."""
    raw = name.removeprefix("rq:job:").encode()
    if allowlist.task_of(raw) is None:
        return False
    return allowlist.find_fault(raw, allowlist.look(client, prefix + name)) is not None


def _texts(values) -> list[str]:
    return sorted(value.decode("utf-8", "backslashreplace") for value in values)
