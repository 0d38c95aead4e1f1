"""Create the tables or adopt those of a shop, and report what is applied and what is missing.

A migration never drops anything and never rewrites a row. There is no downgrade.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, column, select, table
from sqlalchemy.exc import DBAPIError

from orderctl import database, database_errors, engines, moments, primary, sessions, shape
from orderctl.errors import SubjectFailed
from orderctl.migrate import locks
from orderctl.migrate import survey as surveys
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Emit
from orderctl.migrate.run import Run
from orderctl.migrate.survey import Survey
from orderctl.moments import UtcDateTime

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
        added: The tables, columns, indexes, ... that were added.
        warnings: What could not be added, and what limits orderctl on these tables.
    """

    applied: tuple[str, ...]
    added: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        """Whether nothing had to be done."""
        return not self.applied and not self.added


@dataclass(frozen=True)
class Revision:
    """One revision. The last three fields are None while it is pending, and when it was applied by hand."""

    id: str
    about: str
    is_applied: bool = False
    applied_at: datetime | None = None
    applied_by: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class MigrationStatus:
    """The state of a database compared with the revisions.

    Attributes:
        revisions: All revisions that this version of orderctl knows, oldest first.
        drift: What applied revisions had added and is missing now. :func:`up` adds it again; the first
            statement of each step does the same by hand.
        wanting: As ``drift``, for what orderctl can work without: views and procedures.
        obstacles: The reasons why :func:`up` would refuse.
        warnings: Problems that :func:`up` does not repair.
    """

    revisions: tuple[Revision, ...]
    drift: tuple[Step, ...] = ()
    wanting: tuple[Step, ...] = ()
    obstacles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[str, ...]:
        """The ids of the revisions that are not applied."""
        return tuple(revision.id for revision in self.revisions if not revision.is_applied)


def up(
    engine: Engine, *, lock_timeout: float = 10, actor: str | None = None, on_step: Emit | None = None
) -> MigrationReport:
    """Apply all pending revisions, add again what is missing, and fill in the payments that the shop has recorded.

    It can run while the database is in use, twice at the same time, and again after it was killed.

    Args:
        engine: The engine of the database.
        lock_timeout: Seconds to wait for another migration, and for other clients' transactions.
        actor: Who runs the migration, for :func:`status`; the account on the database when None.
        on_step: Called with each step before it runs.

    Raises:
        LockHeld: Another client holds a needed lock for longer than ``lock_timeout``.
        Misconfigured: orderctl cannot work with the existing tables, or the account lacks rights. Nothing
            has been changed.
        DatabaseUnavailable: The connection failed or was lost.
    """
    engines.create(engine)
    with _writing(engine, lock_timeout) as connection:
        found = surveys.make(connection)
        found.refuse_obstacles()
        run = Run(
            connection, actor=actor, timeout=lock_timeout, on_step=on_step, leave_out=tuple(found.refused)
        )
        _carry_out(found, run)
        shape.forget(engine.dialect)
        return MigrationReport(tuple(found.pending), tuple(run.done), (*found.warnings, *run.warnings))


def status(engine: Engine) -> MigrationStatus:
    """Return the state of the database, without changing anything.

    Args:
        engine: The engine of the database.

    Raises:
        DatabaseUnavailable: The connection failed or was lost.
    """
    with database.reading(engine) as connection:
        found = surveys.make(connection)
        recorded = _recorded(connection) if found.applied and found.has_history else {}
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
    """Return the revisions that this version of orderctl knows, oldest first. Needs no database."""
    return tuple(Revision(script.revision, script.doc) for script in surveys.scripts())


def check(engine: Engine) -> None:
    """Check that :func:`up` has nothing to do.

    Args:
        engine: The engine of the database.

    Raises:
        SubjectFailed: A revision is pending, something that an applied one added is missing, or :func:`up` would
            refuse.
        DatabaseUnavailable: The connection failed or was lost.
    """
    found = status(engine)
    reasons = [f"revision {revision} is pending" for revision in found.pending]
    reasons += [f"missing: {what}" for step in found.drift for what in step.adds]
    reasons += found.obstacles
    if reasons:
        raise SubjectFailed(
            f"the database is not up to date: {'; '.join(reasons)}", hint="orderctl migrate up"
        )


def sql(engine: Engine) -> str:
    """Return the statements that :func:`up` would run on this database, as input for its command-line client.

    Args:
        engine: The engine of the database.

    Raises:
        Misconfigured: :func:`up` would refuse.
        DatabaseUnavailable: The connection failed or was lost.
    """
    with database.reading(engine) as connection:
        found = surveys.make(connection)
        found.refuse_obstacles()
        run = Run(connection, leave_out=tuple(found.refused))
        for step in found.missing:
            run.write(step)
        if found.pending:
            run.write_upgrade(found.applied[-1] if found.applied else None)
        written = run.output.getvalue()
        return f"{_session(connection)}{written}" if written else ""


def _session(connection: Connection) -> str:
    """Return the statements that set up the session of the client that runs the others."""
    if connection.dialect.name == "sqlite":
        return ""
    kind = "mariadb" if getattr(connection.dialect, "is_mariadb", False) else "mysql"
    return (
        "".join(f"{statement};\n" for statement in ("SET NAMES utf8mb4", *sessions.statements(kind))) + "\n"
    )


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
    for step in found.again:
        run.execute(step)
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
        # A separate engine: no timeout may interrupt the building of a long index, and the changed session
        # settings must not reach other users of the pool.
        own = database.connect(engine.url.render_as_string(hide_password=False), answer_timeout=None)
        moments.copy_zone(engine.dialect, own.dialect)
        try:
            with own.connect() as connection, locks.mysql(connection, timeout):
                primary.require(connection)
                yield connection
        finally:
            own.dispose()
    except DBAPIError as error:
        raise database_errors.translate(error) from error
