"""One run of the revisions with Alembic: on a connection, or into a text."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from alembic import command
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orderctl import __version__, primary
from orderctl.database_errors import is_duplicate
from orderctl.errors import Conflict
from orderctl.migrate import locks, reflection
from orderctl.migrate import survey as surveys
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Emit


class Run:
    """The state of one run, for ``env.py`` and the revisions.

    Args:
        connection: A connection to the database, in a transaction.
        actor: Who applies the revisions; the account on the database when None.
        timeout: Seconds to wait for other clients' transactions.
        on_step: Called before each step.
        leave_out: Steps that are skipped.

    Attributes:
        done: Descriptions of what was added.
        warnings: Messages about optional steps that failed.
    """

    VERSION_TABLE = surveys.VERSION_TABLE

    def __init__(
        self,
        connection: Connection,
        *,
        actor: str | None = None,
        timeout: float = 0,
        on_step: Emit | None = None,
        leave_out: Collection[Step] = (),
    ) -> None:
        self.connection = connection
        self.actor = actor
        self.timeout = timeout
        self.on_step = on_step
        self.leave_out = leave_out
        self.output = io.StringIO()
        self.done: list[str] = []
        self.warnings: list[str] = []

    def execute(self, step: Step) -> None:
        """Run a step. If it is optional, a failure becomes a warning.

        Raises:
            DatabaseReadOnly: The server was demoted in the meantime; an account with many rights would not notice.
        """
        if step in self.leave_out:
            return
        if step.work is None or not step.optional:
            self._tell(step)
        primary.require_still(self.connection)  # a migration can take hours
        try:
            added = self._carry_out(step)
        except DBAPIError as error:
            if step.statements and is_duplicate(error):
                raise _not_unique(step, error) from error
            if not step.optional or error.connection_invalidated:
                raise
            self.warnings.append(f"{step.what} could not be added: {error.orig}")
        except Conflict as error:
            if not step.optional:
                raise
            self.warnings.append(f"{step.what}: {error}")
        else:
            self.done.extend(added)

    def _carry_out(self, step: Step) -> tuple[str, ...]:
        """Return what was added."""
        if step.work is not None:
            added = step.work(self.connection, lambda text: self._tell(replace(step, adds=(text,))))
            if added:
                self._tell(replace(step, adds=added))
            return added
        if self.connection.dialect.name == "sqlite":
            self.connection.exec_driver_sql(step.statements[0])
        else:
            locks.execute(self.connection, step.statements, self.timeout)
        return step.adds

    def _tell(self, step: Step) -> None:
        if self.on_step:
            self.on_step(step)

    def write(self, step: Step) -> None:
        """Write a step's statement into the text."""
        if step in self.leave_out:
            return
        if step.work is not None:
            raise NotImplementedError(step.what)
        self.output.write(f"-- {step.what}\n{step.statements[0]};\n\n")

    def upgrade(self) -> None:
        """Apply all pending revisions."""
        command.upgrade(self._config(self.execute), "heads")

    def write_upgrade(self, current: str | None) -> None:
        """Write the statements that :meth:`upgrade` would run on a database at revision ``current``."""
        try:
            command.upgrade(self._config(self.write), f"{current or 'base'}:heads", sql=True)
        except NotImplementedError as stop:  # before the revision is recorded as applied
            self.output.write(f"-- {stop}: no statement does this. Now run: orderctl migrate up\n")

    def record(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG002 - Alembic's names
        """Record a revision as applied; Alembic's own table holds only the newest one."""
        on_sqlite = self.connection.dialect.name == "sqlite"
        account = "'-'" if on_sqlite else "CURRENT_USER()"
        actor = _literal(self.actor) if self.actor else account
        values = f"{_literal(step.up_revision_id)}, {actor}, {_literal(__version__)}"
        insert = (
            "INSERT OR IGNORE" if on_sqlite else "INSERT IGNORE"
        )  # it is there if Alembic's table was lost
        ctx.impl.execute(
            f"{insert} INTO {surveys.HISTORY_TABLE} (revision, applied_by, version) VALUES ({values})"
        )

    def _config(self, emit: Emit) -> Any:
        there = reflection.read(self.connection, surveys.TABLES)
        return surveys.config(run=self, plan=surveys.plan_on(self.connection, there, emit))


def _not_unique(step: Step, error: DBAPIError) -> Conflict:
    reason = str(error.orig.args[-1]) if error.orig else ""
    return Conflict(
        f"{step.what} cannot be added, because rows have the same value ({reason}): {step.statements[0]}",
        hint="change or delete all of these rows but one, then run: orderctl migrate up",
    )


def _literal(value: str) -> str:
    cleaned = value.replace("\\", "").replace("'", "''")
    return f"'{cleaned}'"
