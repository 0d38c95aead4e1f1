"""Create the tables, or move into those of a shop; tell what is applied, and what is missing.

Nothing is ever taken away and no row is rewritten, so there is no way down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, column, select, table
from sqlalchemy.exc import DBAPIError

from orderctl import database
from orderctl.errors import SubjectFailed
from orderctl.migrate import locks
from orderctl.migrate import survey as surveys
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Emit
from orderctl.migrate.run import Run
from orderctl.migrate.survey import Survey
from orderctl.schema import UtcDateTime

__all__ = [
    "MigrationReport",
    "MigrationStatus",
    "Revision",
    "Step",
    "check",
    "history",
    "sql",
    "status",
    "up",
]


@dataclass(frozen=True)
class MigrationReport:
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
class MigrationStatus:
    """How the database stands.

    Attributes:
        revisions: All that this version of orderctl knows, the oldest first.
        drift: What applied revisions had added and somebody took away; :func:`up` adds it again, and the
            first of a step's statements does by hand.
        wanting: As drift, but orderctl does its work without it: views and procedures.
        obstacles: Why :func:`up` would refuse.
        warnings: What is not as it should be and :func:`up` does not mend.
    """

    revisions: tuple[Revision, ...]
    drift: tuple[Step, ...] = ()
    wanting: tuple[Step, ...] = ()
    obstacles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[str, ...]:
        """The revisions that are not applied."""
        return tuple(revision.id for revision in self.revisions if not revision.is_applied)


def up(
    engine: Engine, *, lock_timeout: float = 10, actor: str | None = None, on_step: Emit | None = None
) -> MigrationReport:
    """Bring the database to the newest revision, and mend what is missing of older ones.

    Safe to run on a database in use, to run twice at the same time, and to run again after it died.

    Args:
        engine: Of the database.
        lock_timeout: How many seconds to wait for another migration, and for others' transactions.
        actor: By whom, for :func:`status`; the database's own account when None.
        on_step: Called with each step before it runs.

    Raises:
        LockHeld: Somebody else holds what is needed for longer than ``lock_timeout``.
        Misconfigured: The tables that are there are not such as orderctl can work with, or the account
            lacks rights. Nothing has been changed.
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    with _writing(engine, lock_timeout) as connection:
        found = surveys.make(connection)
        found.refuse_obstacles()
        run = Run(
            connection, actor=actor, timeout=lock_timeout, on_step=on_step, leave_out=tuple(found.refused)
        )
        _carry_out(found, run)
        return MigrationReport(tuple(found.pending), tuple(run.done), (*found.warnings, *run.warnings))


def status(engine: Engine) -> MigrationStatus:
    """How the database stands; nothing is changed.

    Args:
        engine: Of the database.

    Raises:
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    with database.reading(engine) as connection:
        found = surveys.make(connection)
        recorded = _recorded(connection) if found.applied else {}
    revisions = (
        Revision(
            script.revision, script.doc, script.revision in found.applied, *recorded.get(script.revision, ())
        )
        for script in found.scripts
    )
    return MigrationStatus(
        revisions=tuple(revisions),
        drift=tuple(step for step in found.missing if not step.optional),
        wanting=tuple(step for step in found.missing if step.optional),
        obstacles=tuple(found.obstacles),
        warnings=tuple(found.warnings),
    )


def history() -> tuple[Revision, ...]:
    """The revisions that this version of orderctl knows, the oldest first; needs no database."""
    return tuple(Revision(script.revision, script.doc) for script in surveys.scripts())


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
    reasons += [f"{what} is missing" for step in found.drift for what in step.adds]
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
        found = surveys.make(connection)
        found.refuse_obstacles()
        run = Run(connection, leave_out=tuple(found.refused))
        for step in found.missing:
            run.write(step)
        if found.pending:
            run.write_upgrade(found.applied[-1] if found.applied else None)
        return run.output.getvalue()


def _carry_out(found: Survey, run: Run) -> None:
    if run.connection.dialect.name != "sqlite":
        altered = {name for step in found.steps for right, name in step.needs if right == "ALTER"}
        there = {name: comment for name, comment in found.comments.items() if name in altered}
        locks.probe(run.connection, there, run.timeout)
    for step in found.missing:
        run.execute(step)
    if found.pending:
        run.upgrade()
    run.connection.commit()


def _recorded(connection: Connection) -> dict[str, tuple[datetime, str, str]]:
    source = table(
        surveys.HISTORY_TABLE,
        column("revision"),
        column("applied_at", UtcDateTime()),
        column("applied_by"),
        column("version"),
    )
    return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(select(source))}


@contextmanager
def _writing(engine: Engine, timeout: float) -> Iterator[Connection]:
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection, locks.sqlite(connection, timeout):
                yield connection
            return
        # An engine of its own: a long index must not be cut by a timeout, nor the session be used again.
        own = database.connect(engine.url.render_as_string(hide_password=False), answer_timeout=None)
        try:
            with own.connect() as connection, locks.mysql(connection, timeout):
                yield connection
        finally:
            own.dispose()
    except DBAPIError as error:
        raise database.translate(error) from error
