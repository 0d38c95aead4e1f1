"""The running supervisors: what they report in Redis, and which tasks they hold in the database."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis
from sqlalchemy import Connection, select

from orderctl import __version__, allowlist, broker, channels, clock, database, texts
from orderctl.errors import Misconfigured, NotFound
from orderctl.schema import download_tasks
from orderctl.settings import Settings
from orderctl.states import UNFINISHED

#: How long a supervisor counts as alive after its last heartbeat, in seconds.
_SIGN_SECONDS: Final = 10
#: The year 5138, in ms since the epoch.
_LAST_MOMENT: Final = 10**14
#: More than one machine has.
_MOST_WORKERS: Final = 10_000
#: With each heartbeat, RQ lets the hash of a worker live for 80 s while it is idle, and for 90 s while a job runs; one
#: comes each 5 s, or each 30 s. Which time is left needs no clock of another host.
_LIVELY: Final = 55


@dataclass(frozen=True, slots=True)
class SupervisorSign:
    """A supervisor that sent a heartbeat in the last ten seconds, or that holds tasks with a valid lease.

    Attributes:
        alive: Whether it sent a heartbeat; False when only the database knows it.
        tasks: Ids of the tasks that its workers hold.
        draining: Whether it ends as soon as its workers have finished, and takes no more tasks.
    """

    name: str
    alive: bool
    host: str | None
    pid: int | None
    queue: str | None
    concurrency: int | None
    version: str | None
    started: datetime | None
    tasks: tuple[int, ...]
    draining: bool = False


def find_all(connection: Connection, client: redis.Redis | None) -> list[SupervisorSign]:
    """Return all supervisors that Redis or the database knows.

    Args:
        connection: A connection for reading.
        client: Redis; None: it is the embedded one, and does not run.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    tasks = held(connection)
    signs = {} if client is None else {sign["name"]: sign for sign in _signs(client)}
    return [_supervisor(name, signs.get(name), tasks.get(name, [])) for name in sorted({*signs, *tasks})]


def reported(client: redis.Redis) -> list[SupervisorSign]:
    """Return the supervisors that sent a heartbeat in the last ten seconds, without their tasks.

    Args:
        client: Redis.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    return [_supervisor(sign["name"], sign, []) for sign in _signs(client)]


def alive(client: redis.Redis | None, names: Iterable[str]) -> frozenset[str]:
    """Return those of these supervisors that sent a heartbeat in the last ten seconds.

    Args:
        client: Redis; None: it is the embedded one, and does not run.
        names: Names of supervisors.

    Raises:
        RedisUnavailable: When Redis does not answer.
    """
    asked = sorted(names)
    if client is None or not asked:
        return frozenset()
    keys = [broker.key(client, channels.supervisor(name)) for name in asked]
    return frozenset(sign["name"] for sign in _read(client, keys))


def supervisor_of(worker: str) -> str:
    """Return the name of the supervisor of a worker that holds a task."""
    return worker.rpartition(".worker-")[0] or worker


def frozen(client: redis.Redis, queue: str, alive: AbstractSet[str]) -> tuple[str, ...]:
    """Return the workers of a queue if none of them tells RQ any more that it lives; empty: one does, or none is known.

    Args:
        client: Redis.
        queue: The queue.
        alive: The supervisors that send a heartbeat.

    Raises:
        RedisUnavailable: Redis does not answer.
    """
    prefix = broker.key(client, "rq:worker:")
    try:
        with broker.translating():
            names: Any = client.smembers(broker.key(client, f"rq:workers:{queue}"))
            own = sorted(raw for raw in names if allowlist.is_own_worker(raw))
            named = {raw: raw.decode("utf-8", "replace").removeprefix(prefix) for raw in own}
            ours = [raw for raw in own if supervisor_of(named[raw]) in alive]
            if any(client.ttl(raw) > _LIVELY for raw in ours):
                return ()
    except Misconfigured:  # an account without the right to it sees no more than the heartbeats
        return ()
    return tuple(named[raw] for raw in ours)


def announce(
    client: redis.Redis, settings: Settings, name: str, *, started: int, draining: bool = False
) -> None:
    """Send the heartbeat of the supervisor, which is the parent of this process.

    Args:
        client: Redis.
        settings: All settings; the queue and the number of workers are reported.
        name: The supervisor's name.
        started: When it was started, in ms since the epoch.
        draining: Whether it ends as soon as its workers have finished.
    """
    sign = {
        "name": name,
        "host": socket.gethostname(),
        "pid": os.getppid(),
        "queue": settings.worker.queue,
        "concurrency": settings.worker.concurrency,
        "version": __version__,
        "started": started,
        "seen": clock.milliseconds(),
        "draining": draining,
    }
    client.set(broker.key(client, channels.supervisor(name)), json.dumps(sign), ex=_SIGN_SECONDS)


def retire(client: redis.Redis, name: str) -> None:
    """Take the sign of a supervisor away, which ends. By SET, the right that its heartbeat needs anyway."""
    with broker.translating():
        client.set(broker.key(client, channels.supervisor(name)), "", px=1)


def pause(client: redis.Redis, queue: str) -> None:
    """Stop the workers of a queue from taking new tasks; running tasks continue."""
    with broker.translating():
        client.set(broker.key(client, channels.paused(queue)), 1)


def resume(client: redis.Redis, queue: str) -> bool:
    """Let the workers of a queue take tasks again; return False when they were not paused."""
    with broker.translating():
        return bool(client.delete(broker.key(client, channels.paused(queue))))


def is_paused(client: redis.Redis, queue: str) -> bool:
    """Whether the workers of a queue are paused."""
    with broker.translating():
        return bool(client.exists(broker.key(client, channels.paused(queue))))


def is_draining(client: redis.Redis | None, name: str) -> bool:
    """Whether the supervisor of this name, on any host, ends already.

    Args:
        client: Redis; None: it is the embedded one, and does not run.
        name: The supervisor's name.

    Raises:
        NotFound: When there is no running supervisor of that name.
    """
    sign: Any = None
    if client is not None:
        with broker.translating():
            sign = client.get(broker.key(client, channels.supervisor(name)))
    if sign is None:
        similar = "" if client is None else _similar(client, name)
        raise NotFound(f"supervisor {texts.shown(name)} not found{similar}", hint="orderctl worker list")
    found = broker.read_json(sign)
    return isinstance(found, dict) and found.get("draining") is True


def _similar(client: redis.Redis, name: str) -> str:
    """Return what to add to a message about a name that no running supervisor has."""
    from difflib import get_close_matches  # noqa: PLC0415 - for what is not found only

    names = [sign["name"] for sign in _signs(client)]
    similar = [other for other in names if name and other.startswith(name)] or get_close_matches(name, names)
    return f"; similar: {', '.join(map(texts.shown, similar[:3]))}" if similar else ""


def stop(client: redis.Redis, name: str) -> None:
    """Ask a supervisor to drain and end. Its keeper sees the request within about a second.

    Raises:
        NotFound: When there is no running supervisor of that name.
    """
    is_draining(client, name)
    with broker.translating():
        client.set(broker.key(client, channels.stop(name)), 1, ex=60)


def held(connection: Connection) -> dict[str, list[int]]:
    """Return the ids of the tasks with a valid lease, by the supervisor whose worker holds them.

    Args:
        connection: A connection for reading.
    """
    task = download_tasks.c
    query = select(task.id, task.worker).where(
        task.status.in_(UNFINISHED), task.lease_until >= database.utc_now(), task.worker.is_not(None)
    )
    found: dict[str, list[int]] = {}
    for task_id, worker in connection.execute(query.order_by(task.id)).all():
        found.setdefault(supervisor_of(worker), []).append(task_id)
    return found


def _signs(client: redis.Redis) -> Iterable[dict[str, Any]]:
    with broker.translating():
        pattern = broker.key(client, channels.supervisor("*"))
        keys = list(client.scan_iter(match=pattern, count=1000))
    return _read(client, keys)


def _read(client: redis.Redis, keys: Sequence[Any]) -> list[dict[str, Any]]:
    with broker.translating():
        values: Any = client.mget(keys) if keys else []
    signs = [broker.read_json(value) for value in values if value is not None]
    return [sign for sign in signs if _is_sign(sign)]


def _is_sign(sign: Any) -> bool:
    """Whether a supervisor has written this."""
    match sign:
        case {"name": str(), "started": int(started)}:
            return 0 <= started < _LAST_MOMENT and _is_number_of_workers(sign.get("concurrency"))
    return False


def _is_number_of_workers(value: Any) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value <= _MOST_WORKERS)


def _supervisor(name: str, sign: dict[str, Any] | None, tasks: list[int]) -> SupervisorSign:
    sign = sign or {}
    started = sign.get("started")
    return SupervisorSign(
        name=name,
        alive=bool(sign),
        host=sign.get("host"),
        pid=sign.get("pid"),
        queue=sign.get("queue"),
        concurrency=sign.get("concurrency"),
        version=sign.get("version"),
        started=None if started is None else datetime.fromtimestamp(started / 1000, UTC),
        tasks=tuple(tasks),
        draining=sign.get("draining") is True,
    )
