"""How a database stands against the revisions: what is applied, what is missing, what is in the way."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from orderctl.errors import Misconfigured
from orderctl.migrate import catalogue, rights
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Emit, Plan

#: Alembic's table: the last revision that is applied.
VERSION_TABLE: Final = "orderctl_version"
#: All revisions that were applied, when, by whom, by which version of orderctl.
HISTORY_TABLE: Final = "orderctl_migrations"
#: The tables that revisions speak of; a later revision adds its new ones here.
TABLES: Final = ("orders", "download_tasks", "order_audit_logs", "outbox", HISTORY_TABLE, VERSION_TABLE)

#: To write down what was applied.
_BOOKKEEPING: Final = (
    ("CREATE", VERSION_TABLE),
    *((privilege, table) for privilege in ("SELECT", "INSERT") for table in (VERSION_TABLE, HISTORY_TABLE)),
)


@dataclass
class Survey:
    """What was found.

    Attributes:
        scripts: All revisions that this version of orderctl knows, the oldest first.
        applied: The ids of those that are applied.
        missing: What applied revisions lack: somebody took it away, or it could not be added.
        coming: What pending revisions will add.
        refused: The steps, all optional, for which the account has no right.
        obstacles: Why nothing may run.
        warnings: What is not, or will not be, as it should.
        comments: Of the tables that are there.
        remedy: The GRANT that would help.
    """

    scripts: list[Script]
    applied: list[str]
    missing: list[Step] = field(default_factory=list)
    coming: list[Step] = field(default_factory=list)
    refused: list[Step] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)
    remedy: str | None = None

    @property
    def pending(self) -> list[str]:
        """The ids of the revisions that are not applied."""
        return [script.revision for script in self.scripts if script.revision not in self.applied]

    @property
    def steps(self) -> list[Step]:
        """All that would run."""
        return [step for step in self.missing + self.coming if step not in self.refused]

    def refuse_obstacles(self) -> None:
        """Stop where nothing may run.

        Raises:
            Misconfigured: With all obstacles, and the GRANT that would help.
        """
        if self.obstacles:
            raise Misconfigured(f"nothing was changed: {'; '.join(self.obstacles)}", hint=self.remedy)


def make(connection: Connection) -> Survey:
    """Compare a database with all revisions; nothing is changed.

    Args:
        connection: Of the database.

    Raises:
        Misconfigured: When the URL names no database, or a newer orderctl was here.
    """
    there = catalogue.read(connection, TABLES)
    if there.server != "sqlite" and not there.database:
        raise Misconfigured("setting database.url names no database")
    known = scripts()
    survey = Survey(known, _applied(connection, there, [script.revision for script in known]))
    survey.comments = {name: table.comment for name, table in there.tables.items()}
    plan = plan_on(connection, there, survey.missing.append)
    for script in known:
        if script.revision not in survey.applied:
            plan.emit = survey.coming.append
        script.module.upgrade(plan)
    survey.obstacles, survey.warnings = plan.obstacles, plan.warnings
    if there.server != "sqlite" and (survey.steps or survey.pending):
        _ask_for_rights(connection, survey)
    return survey


def plan_on(connection: Connection, there: catalogue.Catalogue, emit: Emit) -> Plan:
    """A plan against what is there."""

    def is_unique(table: str, column: str) -> bool:
        statement = (
            f"SELECT 1 FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608 - names of ours
            f" GROUP BY {column} HAVING COUNT(*) > 1 LIMIT 1"
        )
        return connection.exec_driver_sql(statement).first() is None

    return Plan(there, emit, is_unique)


def scripts() -> list[Script]:
    """All revisions, the oldest first."""
    return list(reversed(list(ScriptDirectory.from_config(config()).walk_revisions())))


def config(**attributes: Any) -> Config:
    """Alembic's configuration, without a file.

    Args:
        attributes: What ``env.py`` finds in ``context.config.attributes``.
    """
    made = Config(attributes=attributes)
    # From the package's own file: "orderctl:migrations" is not there in an editable installation.
    folder = Path(str(importlib.import_module("orderctl.migrations").__file__)).parent
    made.set_main_option("script_location", str(folder).replace("%", "%%"))
    return made


def _applied(connection: Connection, there: catalogue.Catalogue, known: list[str]) -> list[str]:
    """The revisions up to the one that is noted as the last."""
    if VERSION_TABLE not in there.tables:
        return []
    current = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608
    if unknown := [revision for revision in current if revision not in known]:
        raise Misconfigured(
            f"the database is at revision {unknown[0]}, which this version of orderctl does not know",
            hint="use the orderctl that migrated it, or a newer one",
        )
    return known[: known.index(current[0]) + 1] if current else []


def _ask_for_rights(connection: Connection, survey: Survey) -> None:
    account = rights.read(connection)
    steps = survey.missing + survey.coming
    needs = [need for step in steps if not step.optional for need in step.needs]
    if lacking := account.lacking([*needs, *(_BOOKKEEPING if survey.pending else ())]):
        survey.obstacles.append(f"{account.account} lacks {rights.describe(lacking)}")
        survey.remedy = account.remedy(lacking)
    for step in steps:
        if step.optional and (missing := account.lacking(step.needs)):
            survey.refused.append(step)
            survey.warnings.append(
                f"{step.what} is left out, {account.account} lacks {rights.describe(missing)}:"
                f" {account.remedy(missing)}"
            )
