"""What the checks look at: the settings and the stores, each opened with a deadline, or why it cannot be opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from redis import Redis
from sqlalchemy import Connection, Engine

from orderctl import broker, database, outbox, tasks
from orderctl.doctor import refusals
from orderctl.doctor.refusals import Login
from orderctl.errors import NotMigrated, OrderctlError, Unavailable
from orderctl.health import stores
from orderctl.health.signs import State, StoreSign
from orderctl.settings import Settings

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Seconds after which a store that has not answered is down; both are looked at, at the same time.
DEADLINE: Final = 2.5


class Need(StrEnum):
    """What an examination needs, so that it is made."""

    DATABASE = "database"  #: The database answers.
    TABLES = "tables"  #: It is migrated, too, and the account may read it.
    REDIS = "redis"  #: Redis answers.
    REDIS_OR_IDLE = (
        "redis or idle"  #: The same, or it is the embedded Redis and does not run, which says enough.
    )


_OF_REDIS: Final = {Need.REDIS, Need.REDIS_OR_IDLE}


@dataclass(frozen=True, slots=True)
class Opened(Generic[T_co]):
    """A store that was opened, or not.

    Attributes:
        store: The store; None: it is not there.
        fault: Why it is not there; None as well where nothing is wrong: the embedded Redis that does not run.
        seconds: How long it took to answer the shortest question on a connection that was open.
        sign: What it says of itself: its product, version and role; None in tests.
    """

    store: T_co | None = None
    fault: OrderctlError | None = None
    seconds: float | None = None
    sign: StoreSign | None = None


class Lack(NamedTuple):
    """Why something cannot be looked at.

    Attributes:
        why: The reason.
        repair: What gives it back; None: another check says so.
    """

    why: str
    repair: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks look at.

    Attributes:
        settings: All settings.
        database: An engine of the doctor's own, of :func:`orderctl.health.stores.engine`.
        redis: A client that fails within three seconds. The embedded Redis is not started.
        unreadable: Why our tables cannot be read: they are missing, or the account may not.
        login: Who is logged in to the database; None: nobody, or it is SQLite.
        files: The configuration files that were looked for.
        patience: Seconds for the answer of each other peer: a relay, a mail server, a receiver of webhooks.
    """

    settings: Settings
    database: Opened[Engine] = field(default_factory=Opened)
    redis: Opened[Redis] = field(default_factory=Opened)
    unreadable: OrderctlError | None = None
    login: Login | None = None
    files: tuple[Path, ...] = ()
    patience: float = 1.5

    @property
    def engine(self) -> Engine:
        """The database, for examinations that need it."""
        return _there(self.database)

    @property
    def client(self) -> Redis:
        """Redis, for examinations that need it."""
        return _there(self.redis)

    def grant(self, error: OrderctlError) -> str | None:
        """Return what grants the right whose lack an error is about; None if it is about something else."""
        return refusals.grant(error, self.login, self.redis.store)

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection for queries, whose errors are OrderctlErrors."""
        return database.reading(self.engine)

    def lacking(self, need: Need) -> Lack | None:
        """Return why there is not what an examination needs; None if it is there."""
        if need is Need.REDIS_OR_IDLE and self.redis.fault is None:
            return None
        if need in _OF_REDIS and self.redis.store is None:
            return Lack(_state("Redis", self.redis) or "the embedded Redis does not run")
        if need not in _OF_REDIS and self.database.store is None:
            return Lack(_state("the database", self.database) or "the database was not opened")
        if need is Need.TABLES and (error := self.unreadable) is not None:
            if isinstance(error, NotMigrated):
                return Lack("the database is not migrated")
            return Lack(str(error), self.grant(error) or error.hint)
        return None


def _state(name: str, opened: Opened[object]) -> str | None:
    """Return in which way a store cannot be used, for what was not looked at because of that."""
    if opened.fault is None:
        return None
    return f"{name} {'does not answer' if isinstance(opened.fault, Unavailable) else 'cannot be used'}"


def _there(opened: Opened[T]) -> T:
    if opened.store is None:
        raise RuntimeError("an examination has to say what it needs")
    return opened.store


@contextmanager
def opened(settings: Settings, files: Iterable[Path] = ()) -> Iterator[Surroundings]:
    """Open both stores at the same time, and close them at the end.

    Args:
        settings: They name the stores.
        files: The configuration files that were looked for.
    """
    with ExitStack() as stack:
        engine = _engine(settings)
        if engine is not None:
            stack.callback(engine.dispose)
        signs = stores.look(settings, engine, deadline=DEADLINE)
        found = _opened(signs.database, engine)
        yield Surroundings(
            settings,
            found,
            _opened(signs.redis, _client(settings, signs.redis, stack)),
            _unreadable(found.store),
            _login(signs.database, engine),
            tuple(files),
        )


def _engine(settings: Settings) -> Engine | None:
    """Return an engine; None where its URL is not valid, which the look at the stores says."""
    try:
        return stores.engine(settings)
    except OrderctlError:
        return None


def _client(settings: Settings, sign: StoreSign, stack: ExitStack) -> Redis | None:
    if sign.state is not State.UP:
        return None
    try:
        url = broker.running_url(settings)
    except OrderctlError:  # it has ended since
        return None
    return None if url is None else stack.enter_context(closing(broker.brisk(url)))


def _opened(sign: StoreSign, store: T | None) -> Opened[T]:
    return Opened(store if sign.state is State.UP else None, sign.error, sign.latency, sign)


def _login(sign: StoreSign, engine: Engine | None) -> Login | None:
    """Return who is logged in, also where a right to a table is missing."""
    if engine is None or sign.state not in {State.UP, State.REFUSED}:
        return None
    try:
        with database.reading(engine) as connection:
            return refusals.login(connection)
    except OrderctlError:
        return None


def _unreadable(engine: Engine | None) -> OrderctlError | None:
    """Return why our tables cannot be read."""
    if engine is None:
        return None
    try:
        with database.reading(engine) as connection:
            tasks.select_tasks(connection, tasks.TaskFilter(), limit=1)
            outbox.is_due(connection, outbox.Lane(()))
    except OrderctlError as error:
        return error
    return None
