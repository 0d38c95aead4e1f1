"""Create the tables, or move into those of a shop; tell what is applied, and what is missing.

Nothing is ever taken away and no row is rewritten, so there is no way down.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, column, select, table
from sqlalchemy.exc import DBAPIError

from orderctl import database
from orderctl.errors import LockHeld, Misconfigured, NotMigrated, SubjectFailed
from orderctl.migrate import locks
from orderctl.migrate.plan import Step
from orderctl.migrate.run import HISTORY_TABLE, OnStep, Run, applied, missing, scripts
from orderctl.schema import UtcDateTime

__all__ = ["Report", "Revision", "Status", "Step", "check", "history", "sql", "status", "up"]


@dataclass(frozen=True)
class Report:
    """What :func:`up` did.

    Attributes:
        applied: The revisions that were applied.
        added: What was added: tables, columns, indexes, ...
        warnings: What could not be done, or will not be as it should.
    """

    applied: tuple[str, ...]
    added: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        """Whether there was nothing to do."""
        return not self.applied and not self.added


@dataclass(frozen=True)
class Revision:
    """One revision; the last three are None while it is pending, or when it was applied by hand."""

    id: str
    about: str
    is_applied: bool = False
    applied_at: datetime | None = None
    applied_by: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Status:
    """How the database stands.

    Attributes:
        revisions: All that this version of orderctl knows, the oldest first.
        drift: What applied revisions had added and somebody took away; :func:`up` adds it again.
        wanting: As drift, but orderctl does its work without it: views and procedures.
        obstacles: Why :func:`up` would refuse.
        warnings: What is not as it should be and :func:`up` does not mend.
    """

    revisions: tuple[Revision, ...]
    drift: tuple[str, ...] = ()
    wanting: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[str, ...]:
        """The revisions that are not applied."""
        return tuple(revision.id for revision in self.revisions if not revision.is_applied)


def up(
    engine: Engine, *, lock_timeout: float = 10, actor: str | None = None, on_step: OnStep | None = None
) -> Report:
    """Bring the database to the newest revision, and mend what is missing of older ones.

    Safe to run on a database in use, to run twice at the same time, and to run again after it died.

    Args:
        engine: Of the database.
        lock_timeout: How many seconds to wait for another migration, and for others' transactions.
        actor: By whom, for :func:`status`; the user and host of this process when None.
        on_step: Called with each step before it runs.

    Raises:
        LockHeld: Somebody else holds what is needed for longer than ``lock_timeout``.
        Misconfigured: The tables that are there are not such as orderctl can work with, or the account
            lacks rights. Nothing has been changed.
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    who = actor or f"{getpass.getuser()}@{socket.gethostname()}"
    with _writing(engine, lock_timeout) as connection:
        return _up(Run(connection, actor=who, timeout=lock_timeout, on_step=on_step))


def status(engine: Engine) -> Status:
    """How the database stands; nothing is changed.

    Args:
        engine: Of the database.

    Raises:
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    with database.reading(engine) as connection:
        return _status(connection)


def history() -> tuple[Revision, ...]:
    """The revisions that this version of orderctl knows, the oldest first; needs no database."""
    return tuple(Revision(script.revision, script.doc) for script in scripts())


def check(engine: Engine) -> None:
    """Make sure that :func:`up` has nothing to do.

    Args:
        engine: Of the database.

    Raises:
        SubjectFailed: When a revision is pending, or something of an applied one is missing.
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    found = status(engine)
    reasons = [f"revision {revision} is pending" for revision in found.pending]
    reasons += [f"{what} is missing" for what in found.drift]
    if reasons:
        raise SubjectFailed(f"the database is behind: {'; '.join(reasons)}", hint="orderctl migrate up")


def sql(engine: Engine) -> str:
    """The statements that :func:`up` would run on this very database, for its command-line client.

    Args:
        engine: Of the database.

    Raises:
        Misconfigured: :func:`up` would refuse.
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    with database.reading(engine) as connection:
        return _sql(connection)


def _up(run: Run) -> Report:
    before = _status(run.connection)
    if before.obstacles:
        raise Misconfigured(f"nothing was changed: {'; '.join(before.obstacles)}")
    old, plan = missing(run, [script for script in scripts() if script.revision not in before.pending])
    for step in old:
        run.execute(step)
    run.plan = run.planned(run.execute)
    if before.pending:
        run.upgrade()
    run.connection.commit()
    warnings = dict.fromkeys((*plan.warnings, *run.plan.warnings, *run.warnings))
    return Report(before.pending, tuple(run.done), tuple(warnings))


def _status(connection: Connection) -> Status:
    run, known = Run(connection), scripts()
    done = _applied(connection, [script.revision for script in known])
    old, _ = missing(run, [script for script in known if script.revision in done])
    _, plan = missing(run, known)
    recorded = _recorded(connection) if done else {}
    revisions = (
        recorded.get(script.revision, Revision(script.revision, script.doc, script.revision in done))
        for script in known
    )
    return Status(
        revisions=tuple(revisions),
        drift=tuple(step.what for step in old if not step.optional),
        wanting=tuple(step.what for step in old if step.optional),
        obstacles=tuple(plan.obstacles),
        warnings=tuple(plan.warnings),
    )


def _applied(connection: Connection, known: list[str]) -> list[str]:
    """The revisions up to the one that is noted as the last."""
    current = applied(connection)
    if unknown := [revision for revision in current if revision not in known]:
        raise Misconfigured(
            f"the database is at revision {unknown[0]}, which this version of orderctl does not know",
            hint="use the orderctl that migrated it, or a newer one",
        )
    return known[: known.index(current[0]) + 1] if current else []


def _recorded(connection: Connection) -> dict[str, Revision]:
    names = ("revision", "applied_at", "applied_by", "version")
    source = table(HISTORY_TABLE, *(column(name) for name in names), column("applied_at", UtcDateTime))
    about = {script.revision: script.doc for script in scripts()}
    try:
        rows = connection.execute(select(*(source.c[name] for name in names))).all()
    except DBAPIError as error:
        if isinstance(database.translate(error), NotMigrated):
            return {}
        raise
    return {row[0]: Revision(row[0], about.get(row[0], ""), True, *row[1:]) for row in rows}


def _sql(connection: Connection) -> str:
    before = _status(connection)
    if before.obstacles:
        raise Misconfigured("; ".join(before.obstacles))
    run, known = Run(connection), scripts()
    done = [script for script in known if script.revision not in before.pending]
    for step in missing(run, done)[0]:
        run.write(step)
    run.plan = run.planned(run.write)
    if before.pending:
        run.write_upgrade(done[-1].revision if done else None)
    return run.output.getvalue()


@contextmanager
def _writing(engine: Engine, timeout: float) -> Iterator[Connection]:
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection, _sqlite_lock(connection, timeout):
                yield connection
            return
        # An engine of its own: a long index must not be cut by a timeout, nor the session be used again.
        own = database.connect(engine.url.render_as_string(hide_password=False), answer_timeout=None)
        try:
            with own.connect() as connection, locks.one_at_a_time(connection, timeout):
                locks.prepare(connection)
                yield connection
        finally:
            own.dispose()
    except DBAPIError as error:
        raise database.translate(error) from error


@contextmanager
def _sqlite_lock(connection: Connection, timeout: float) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    [(before,)] = driver.execute("PRAGMA busy_timeout").fetchall()
    driver.execute(f"PRAGMA busy_timeout = {round(timeout * 1000)}")
    try:
        connection.begin()
        if not driver.in_transaction:
            driver.execute("BEGIN IMMEDIATE")
        yield
    except DBAPIError as error:
        if "database is locked" in str(error.orig):
            raise LockHeld("the database is being written by somebody else for too long") from error
        raise
    finally:
        driver.execute(f"PRAGMA busy_timeout = {before}")
