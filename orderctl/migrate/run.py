"""One pass over the revisions: by Alembic with a connection, or into a text."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orderctl import __version__
from orderctl.migrate import catalogue, locks
from orderctl.migrate.plan import Plan, Step

VERSION_TABLE: Final = "orderctl_version"
HISTORY_TABLE: Final = "orderctl_migrations"
#: The tables that revisions speak of; each new one of a later revision is added here.
TABLES: Final = ("orders", "download_tasks", "order_audit_logs", "outbox", HISTORY_TABLE, VERSION_TABLE)

OnStep = Callable[[Step], None]


class Run:
    """What ``env.py`` and the revisions need to know of one pass.

    Args:
        connection: Of the database, with a transaction begun.
        actor: By whom the revisions are applied; None writes the database's own account.
        timeout: How many seconds to wait for others' transactions.
        on_step: Called before each step.
    """

    VERSION_TABLE = VERSION_TABLE

    def __init__(
        self,
        connection: Connection,
        *,
        actor: str | None = None,
        timeout: float = 0,
        on_step: OnStep | None = None,
    ) -> None:
        self.connection = connection
        self.actor = actor
        self.timeout = timeout
        self.on_step = on_step
        self.output = io.StringIO()
        self.done: list[str] = []
        self.warnings: list[str] = []
        self.plan = self.planned(self.execute)

    def planned(self, emit: OnStep) -> Plan:
        """A plan against the database as it is now."""
        return Plan(catalogue.read(self.connection, TABLES), emit, self._is_unique)

    def execute(self, step: Step) -> None:
        """Run a step; what is optional and fails becomes a warning."""
        if self.on_step:
            self.on_step(step)
        try:
            if self.connection.dialect.name == "sqlite":
                self.connection.exec_driver_sql(step.statements[0])
            else:
                locks.execute(self.connection, step.statements, self.timeout)
        except DBAPIError as error:
            if not step.optional:
                raise
            self.warnings.append(f"{step.what}: {error.orig}")
        else:
            self.done.append(step.what)

    def write(self, step: Step) -> None:
        """Write a step into the text."""
        self.output.write(f"-- {step.what}\n{step.statements[0]};\n\n")

    def record(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG002
        """Note a revision as applied: Alembic's own table holds only the last."""
        actor = _literal(self.actor) if self.actor else "CURRENT_USER()"
        ctx.impl.execute(
            f"INSERT INTO {HISTORY_TABLE} (revision, applied_by, version)"  # noqa: S608 - literals of ours
            f" VALUES ({_literal(step.up_revision_id)}, {actor}, {_literal(__version__)})"
        )

    def upgrade(self) -> None:
        """Apply all revisions that are not applied."""
        command.upgrade(_config(self), "heads")

    def write_upgrade(self, current: str | None) -> None:
        """Write what :meth:`upgrade` would do."""
        command.upgrade(_config(self), f"{current or 'base'}:heads", sql=True)

    def _is_unique(self, table: str, column: str) -> bool:
        statement = (
            f"SELECT 1 FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} HAVING COUNT(*) > 1 LIMIT 1"  # noqa: S608
        )
        return self.connection.exec_driver_sql(statement).first() is None


def scripts() -> list[Script]:
    """All revisions, the oldest first."""
    directory = ScriptDirectory.from_config(_config(None))
    return list(reversed(list(directory.walk_revisions())))


def missing(run: Run, revisions: Iterable[Script]) -> tuple[list[Step], Plan]:
    """The steps that revisions lack, with the plan that knows obstacles and warnings."""
    steps: list[Step] = []
    plan = run.planned(steps.append)
    for revision in revisions:
        revision.module.upgrade(plan)
    return steps, plan


def applied(connection: Connection) -> Sequence[str]:
    """The revision that Alembic's table names, if any."""
    there = catalogue.read(connection, [VERSION_TABLE]).tables
    if VERSION_TABLE not in there:
        return ()
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608


def _config(run: Run | None) -> Config:
    config = Config(attributes={"run": run})
    # From the package's own file: "orderctl:migrations" is not there in an editable installation.
    folder = Path(str(importlib.import_module("orderctl.migrations").__file__)).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _literal(value: str) -> str:
    cleaned = value.replace("\\", "").replace("'", "''")
    return f"'{cleaned}'"
