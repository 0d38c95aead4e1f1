"""A look at both stores, side by side, with a deadline. It changes nothing, and starts nothing.

A frozen server, a port that drops packets or a name server that is silent costs no more than the deadline.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, Final, NamedTuple

import redis
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from orderctl import broker, channels, clock, database, masking, primary, rights
from orderctl.deadlines import Begun
from orderctl.errors import DatabaseUnavailable, NotMigrated, OrderctlError, RedisUnavailable, Unavailable
from orderctl.health import revisions, signs
from orderctl.health.signs import Role, State, Store, StoreSign
from orderctl.rights import Part
from orderctl.settings import Settings

#: Both looks together take no longer, in seconds.
DEADLINE: Final = 3.0
#: The driver gives up an answer after this time, so that most errors say more than the deadline does, in seconds.
_ANSWER_SECONDS: Final = 2
_ROUND_TRIPS: Final = 5
_HINT: Final = "orderctl config show"


class Stores(NamedTuple):
    """What was found of both stores."""

    database: StoreSign
    redis: StoreSign

    @property
    def error(self) -> OrderctlError | None:
        """Why a store cannot be used: first of one that is down; None if both can."""
        found = [sign.error for sign in self if sign.error is not None]
        return next((error for error in found if isinstance(error, Unavailable)), found[0] if found else None)


def engine(settings: Settings) -> Engine:
    """Return an engine for the database whose statements fail after two seconds without an answer.

    Args:
        settings: All settings.

    Raises:
        Misconfigured: The URL is not valid, or the state folder belongs to another user.
    """
    return database.connect(
        database.url(settings),
        pool_size=1,
        lock_wait_seconds=1,
        file_wait_seconds=1,
        answer_timeout=_ANSWER_SECONDS,
    )


def look(settings: Settings, asked: Engine | None = None, *, deadline: float = DEADLINE) -> Stores:
    """Return what is found of both stores.

    Args:
        settings: All settings.
        asked: An engine of :func:`engine`, if the caller needs its connection afterwards.
        deadline: Seconds after which a store counts as one that does not answer.
    """
    first = Begun(lambda: look_at_database(settings, asked))
    second = Begun(lambda: look_at_redis(settings))
    end = clock.elapsed() + deadline
    return Stores(
        _finish(first, end, lambda: _late_database(settings, deadline)),
        _finish(second, end, lambda: _late_redis(settings, deadline)),
    )


def _finish(begun: Begun[StoreSign], end: float, late: Callable[[], StoreSign]) -> StoreSign:
    try:
        return begun.result(end - clock.elapsed())
    except TimeoutError:
        return late()


# --- The database


def look_at_database(settings: Settings, asked: Engine | None = None) -> StoreSign:
    """Return what is found of the database; without a deadline for the whole.

    Args:
        settings: All settings.
        asked: An engine of :func:`engine`; None: one of its own, which is closed at the end.
    """
    found = _database(settings, State.UP)
    own: Engine | None = None
    try:
        if asked is None:
            asked = own = engine(settings)
        with database.reading(asked) as connection:
            found = _read_database(connection, found)
        return replace(found, migration=revisions.read(asked))
    except OrderctlError as error:
        return _failed(found, error)
    finally:
        if own is not None:
            own.dispose()


def _database(settings: Settings, state: State) -> StoreSign:
    url = settings.database.url
    if url is None:
        place = settings.state_dir.absolute() / "orderctl.db"
        return StoreSign(Store.DATABASE, state, f"sqlite:///{place}", embedded=True)
    return StoreSign(Store.DATABASE, state, masking.setting(url))


def _late_database(settings: Settings, seconds: float) -> StoreSign:
    found = _database(settings, State.DOWN)
    error = DatabaseUnavailable(
        f"the database at {found.url} does not answer within {seconds:g} s", hint=_HINT
    )
    return replace(found, error=error)


def _read_database(connection: Connection, found: StoreSign) -> StoreSign:
    product = _product(connection)
    query = "SELECT sqlite_version()" if product == "SQLite" else "SELECT VERSION()"
    version = str(connection.exec_driver_sql(query).scalar()).removeprefix("5.5.5-")
    latency = _median(lambda: connection.exec_driver_sql("SELECT 1").scalar())
    return replace(
        found,
        product=product,
        version=version.partition("-")[0],
        role=None if product == "SQLite" else _database_role(connection),
        latency=latency,
    )


def _product(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return "SQLite"
    return "MariaDB" if getattr(connection.dialect, "is_mariadb", False) else "MySQL"


def _database_role(connection: Connection) -> Role:
    """Return the role of a server. A replica tells it only to accounts with a right that orderctl does not need."""
    if not primary.is_read_only(connection):
        return Role.PRIMARY
    try:
        replicates = connection.exec_driver_sql("SHOW REPLICA STATUS").first() is not None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        replicates = False
    return Role.REPLICA if replicates else Role.READ_ONLY


# --- Redis


def look_at_redis(settings: Settings) -> StoreSign:
    """Return what is found of Redis; without a deadline for the whole. The embedded one is not started.

    Args:
        settings: All settings.
    """
    found = _redis(settings, State.UP)
    try:
        url = broker.running_url(settings)
        if url is None:
            return replace(found, state=State.IDLE)
        with closing(broker.brisk(url)) as client, broker.translating():
            found = _read_redis(client, replace(found, url=masking.setting(url)))
            return replace(found, refusal=_refusal(client, settings))
    except OrderctlError as error:
        return _failed(found, error)


def _redis(settings: Settings, state: State) -> StoreSign:
    url = settings.redis.url
    return StoreSign(Store.REDIS, state, url and masking.setting(url), embedded=url is None)


def _late_redis(settings: Settings, seconds: float) -> StoreSign:
    found = _redis(settings, State.DOWN)
    place = f" at {found.url}" if found.url else ""
    return replace(
        found, error=RedisUnavailable(f"Redis{place} does not answer within {seconds:g} s", hint=_HINT)
    )


def _read_redis(client: redis.Redis, found: StoreSign) -> StoreSign:
    latency = _median(client.ping)
    server, replication = _info(client, "server"), _info(client, "replication")
    is_valkey = server.get("server_name") == "valkey" or "valkey_version" in server
    version = server.get("valkey_version") or server.get("redis_version")
    return replace(
        found,
        product=("Valkey" if is_valkey else "Redis") if server else None,
        version=None if version is None else str(version),
        role=_REDIS_ROLES.get(str(replication.get("role"))),
        latency=latency,
    )


def _refusal(client: redis.Redis, settings: Settings) -> OrderctlError | None:
    """Return why nothing can be written; of an account that only reads that is not asked."""
    queue = settings.worker.queue
    try:
        if not settings.read_only:
            broker.require(client, Part.WORK, queue)
            broker.require_writes(client, broker.key(client, channels.paused(queue)))
    except rights.OnlyReads:
        return None
    except OrderctlError as error:
        return error
    return None


_REDIS_ROLES: Final = {"master": Role.PRIMARY, "slave": Role.REPLICA}


def _info(client: redis.Redis, section: str) -> dict[str, Any]:
    """Return a section of INFO; nothing where the account has no right to it, which orderctl does not need."""
    try:
        answer: Any = client.info(section)
    except redis.ResponseError:
        return {}
    return dict(answer)


# --- Both


def _failed(found: StoreSign, error: OrderctlError) -> StoreSign:
    fallen = signs.fell(found, error)
    return replace(fallen, migration=revisions.none()) if isinstance(error, NotMigrated) else fallen


def _median(round_trip: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUND_TRIPS):
        began = clock.elapsed()
        round_trip()
        taken.append(clock.elapsed() - began)
    return statistics.median(taken)
