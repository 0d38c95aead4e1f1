"""The database: transactions that are rerun after a deadlock, the database's clock.

All access to the database goes through :func:`transact` or :func:`reading`, which turn the driver's errors
into OrderctlErrors.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orderctl import (
    clock,
    compiled,
    database_errors,
    embedded,
    engines,
    faultpoints,
    moments,
    outages,
    primary,
)
from orderctl.database_urls import DEFAULT, Located
from orderctl.errors import DatabaseUnavailable
from orderctl.settings import Settings

T = TypeVar("T")

_RERUNS: Final = 10
#: After this time a transaction is not run again: another client holds a lock for long, and a user waits.
_RERUN_SECONDS: Final = 30.0


#: The database's clock in SQL; see :class:`orderctl.moments.utc_now`.
utc_now = moments.utc_now


def url(settings: Settings) -> str:
    """Return the URL of the database, with its time zone; if none is set, of a SQLite file in the state folder.

    Raises:
        Misconfigured: The state folder belongs to another user.
    """
    zone = settings.database.time_zone
    if settings.database.url is None:
        return Located(embedded.database_url(settings.state_dir), DEFAULT, zone)
    return Located(settings.database.url, settings.origins_of.get("database.url", "given"), zone)


#: Returns an engine; see :func:`orderctl.engines.connect`.
connect = engines.connect


def transact(engine: Engine, work: Callable[[Connection], T], *, reruns: int = _RERUNS) -> T:
    """Run ``work`` in one transaction and commit it; run it again after a deadlock or a lock wait timeout.

    Args:
        engine: An engine from :func:`connect`.
        work: Called with a connection, perhaps several times: it must do nothing but work on the database.
        reruns: The maximum number of runs.

    Returns:
        The result of ``work`` in the run that was committed.

    Raises:
        DatabaseUnavailable: The connection failed or was lost. If it was lost during the commit, it is
            unknown whether the transaction was committed; work behind a compare-and-set can run again.
        DatabaseReadOnly: The server does not accept writes.
        NotMigrated: One of orderctl's tables or columns is missing.
    """
    began = clock.elapsed()
    for run in range(reruns):
        try:
            with engine.connect() as connection:
                with connection.begin():
                    primary.require(connection)
                    compiled.refresh(connection)
                    done = work(connection)
                    faultpoints.point("commit.before")
                connection.info[engines.CLEAN] = True
            faultpoints.point("commit.after")
        except DBAPIError as error:
            late = run == reruns - 1 or clock.elapsed() - began > _RERUN_SECONDS
            if late or not database_errors.is_worth_rerunning(error):
                raise database_errors.translate(error) from error
        except PoolTimeout as error:
            raise DatabaseUnavailable(f"all connections to the database are in use: {error}") from error
        else:
            outages.of(engine).end()
            return done
        time.sleep(random.uniform(0, min(1.0, 0.01 * 2**run)))
    raise AssertionError("unreachable")


def insist(engine: Engine, work: Callable[[Connection], T], give_up: Callable[[], bool] = lambda: False) -> T:
    """Run ``work`` as :func:`transact` does, and retry for as long as the database is unavailable.

    Args:
        engine: An engine from :func:`connect`.
        work: The work. It may run again although it was committed, if only the reply was lost; it has to
            detect this.
        give_up: Called after each failure; if it returns True, there is no further try.

    Raises:
        DatabaseUnavailable: ``give_up`` returned True.
    """
    attempt = 0
    while True:
        try:
            return transact(engine, work)
        except DatabaseUnavailable as error:
            outages.of(engine).begin(error)
            if give_up():
                raise
        time.sleep(random.uniform(0.05, min(0.5, 0.1 * 2 ** min(attempt, 10))))
        attempt += 1


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Return a connection for queries, whose errors are turned into OrderctlErrors.

    Raises:
        DatabaseUnavailable: The connection failed or was lost.
        NotMigrated: One of orderctl's tables or columns is missing.
    """
    try:
        with engine.connect().execution_options(orderctl_readonly=True) as connection:
            compiled.refresh(connection)
            outages.of(engine).answered(writable=not primary.is_read_only(connection))
            yield connection
    except DBAPIError as error:
        raise database_errors.translate(error) from error
    except PoolTimeout as error:
        raise DatabaseUnavailable(f"all connections to the database are in use: {error}") from error


def is_sqlite(connection: Connection) -> bool:
    """Whether the connection is to SQLite, which locks the whole file and not rows."""
    return connection.dialect.name == "sqlite"
