"""One pass over the revisions, by Alembic: on a connection, or into a text."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any

from alembic import command
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orderctl import __version__
from orderctl.migrate import catalogue, locks
from orderctl.migrate import survey as surveys
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Emit


class Run:
    """What ``env.py`` and the revisions need to know of one pass.

    Args:
        connection: Of the database, with a transaction begun.
        actor: By whom the revisions are applied; None: the database's own account.
        timeout: How many seconds to wait for others' transactions.
        on_step: Called before each step.
        leave_out: Steps that are not to run.

    Attributes:
        done: What was added.
        warnings: What could not be added.
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
        """Run a step; what is optional and fails becomes a warning."""
        if step in self.leave_out:
            return
        if self.on_step:
            self.on_step(step)
        try:
            if self.connection.dialect.name == "sqlite":
                self.connection.exec_driver_sql(step.statements[0])
            else:
                locks.execute(self.connection, step.statements, self.timeout)
        except DBAPIError as error:
            if not step.optional or error.connection_invalidated:
                raise
            self.warnings.append(f"{step.what} could not be added: {error.orig}")
        else:
            self.done.extend(step.adds)

    def write(self, step: Step) -> None:
        """Write a step into the text."""
        if step not in self.leave_out:
            self.output.write(f"-- {step.what}\n{step.statements[0]};\n\n")

    def upgrade(self) -> None:
        """Apply all pending revisions."""
        command.upgrade(self._config(self.execute), "heads")

    def write_upgrade(self, current: str | None) -> None:
        """Write what :meth:`upgrade` would do to a database at the revision ``current``."""
        command.upgrade(self._config(self.write), f"{current or 'base'}:heads", sql=True)

    def record(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG002 - Alembic's names
        """Note a revision as applied: Alembic's own table holds only the last."""
        account = "'-'" if self.connection.dialect.name == "sqlite" else "CURRENT_USER()"
        actor = _literal(self.actor) if self.actor else account
        values = f"{_literal(step.up_revision_id)}, {actor}, {_literal(__version__)}"
        ctx.impl.execute(
            f"INSERT INTO {surveys.HISTORY_TABLE} (revision, applied_by, version) VALUES ({values})"  # noqa: S608
        )

    def _config(self, emit: Emit) -> Any:
        there = catalogue.read(self.connection, surveys.TABLES)
        return surveys.config(run=self, plan=surveys.plan_on(self.connection, there, emit))


def _literal(value: str) -> str:
    cleaned = value.replace("\\", "").replace("'", "''")
    return f"'{cleaned}'"
