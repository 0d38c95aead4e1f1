"""Compare a database with the revisions: what is applied, what is missing, what prevents a migration."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from orderctl import moments, sessions, shape, words
from orderctl.errors import Misconfigured
from orderctl.migrate import catalogue, checks, obstacles, ownership, reflection, rights
from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Emit, Plan

#: Alembic's table: the newest applied revision.
VERSION_TABLE: Final = "orderctl_version"
#: The table of all applied revisions: when, by whom, and by which version of orderctl.
HISTORY_TABLE: Final = "orderctl_migrations"
HISTORY_COLUMNS: Final = frozenset({"revision", "applied_at", "applied_by", "version"})
#: The tables that the revisions use. Add the tables of a new revision here.
TABLES: Final = (
    "orders",
    "download_tasks",
    "order_audit_logs",
    "orderctl_outbox",
    "outbox",
    "orderctl_revoked_tokens",
    "orderctl_payments",
    "orderctl_audit_hours",
    "orderctl_audit_counts",
    "orderctl_operations",
    "orderctl_operation_tasks",
    HISTORY_TABLE,
    VERSION_TABLE,
)

#: The rights for recording the applied revisions.
_BOOKKEEPING: Final = (
    ("CREATE", VERSION_TABLE),
    *((privilege, table) for privilege in ("SELECT", "INSERT") for table in (VERSION_TABLE, HISTORY_TABLE)),
)


@dataclass
class Survey:
    """The result of the comparison.

    Attributes:
        scripts: All revisions that this version of orderctl knows, oldest first.
        applied: The ids of the applied revisions.
        missing: Steps of applied revisions whose result is missing: it was dropped, or could not be added.
        coming: Steps of pending revisions.
        again: Work of applied revisions, which each migration does again.
        refused: Optional steps for which the account lacks a right.
        obstacles: The reasons why no step may run.
        warnings: Problems that do not prevent a migration.
        comments: The comments of the existing tables, by table.
        has_history: Whether the table of the applied revisions has its columns.
        remedy: The GRANT statement for the missing rights, if they are an obstacle.
    """

    scripts: list[Script]
    applied: list[str]
    missing: list[Step] = field(default_factory=list)
    coming: list[Step] = field(default_factory=list)
    again: list[Step] = field(default_factory=list)
    refused: list[Step] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)
    has_history: bool = False
    remedy: str | None = None

    @property
    def pending(self) -> list[str]:
        """The ids of the revisions that are not applied."""
        return [script.revision for script in self.scripts if script.revision not in self.applied]

    @property
    def steps(self) -> list[Step]:
        """All steps that would run."""
        return [step for step in self.missing + self.coming if step not in self.refused]

    def refuse_obstacles(self) -> None:
        """Raise an error if there are obstacles.

        Raises:
            Misconfigured: With all obstacles, and the GRANT statement for missing rights as the hint.
        """
        if self.obstacles:
            raise Misconfigured(
                f"cannot migrate; nothing was changed: {'; '.join(self.obstacles)}", hint=self.remedy
            )


def make(connection: Connection) -> Survey:
    """Compare a database with all revisions, without changing anything.

    Args:
        connection: A connection to the database.

    Raises:
        Misconfigured: The URL does not name a database, or a newer orderctl has migrated it.
    """
    there = reflection.read(connection, TABLES)
    if there.server != "sqlite" and not there.database:
        raise Misconfigured(
            "setting database.url does not name a database",
            hint="add it to the URL: mysql://USER:PASSWORD@HOST/DATABASE",
        )
    checks.judge(connection, there)
    known = scripts()
    version_obstacles = list(_version_obstacles(there))
    applied = [] if version_obstacles else _applied(connection, there, [script.revision for script in known])
    survey = Survey(known, applied)
    survey.comments = {name: table.comment for name, table in there.tables.items()}
    history = there.tables.get(HISTORY_TABLE, catalogue.Table(HISTORY_TABLE))
    survey.has_history = history.columns.keys() >= HISTORY_COLUMNS
    plan = plan_on(connection, there, survey.missing.append)
    for script in known:
        plan.is_pending = script.revision not in survey.applied
        if plan.is_pending:
            plan.emit = survey.coming.append
        script.module.upgrade(plan)
    survey.again = plan.again
    survey.obstacles, survey.warnings = [*version_obstacles, *plan.obstacles], plan.warnings
    shape.refresh(connection, words.WANTED)
    survey.warnings += moments.ahead(connection).values()
    if there.server != "sqlite":
        survey.warnings.extend(sessions.warnings(connection))
        if survey.steps or survey.pending:
            _check_rights(connection, survey)
    return survey


def plan_on(connection: Connection, there: catalogue.Catalogue, emit: Emit) -> Plan:
    """Return a plan that compares with the existing tables."""

    @cache
    def account() -> rights.Rights:
        return rights.read(connection)

    def may(needs: Collection[rights.Need]) -> bool:
        return there.server == "sqlite" or not account().lacking(needs)

    return Plan(there, emit, may)


def scripts() -> list[Script]:
    """Return all revisions, oldest first."""
    return list(reversed(list(ScriptDirectory.from_config(config()).walk_revisions())))


def config(**attributes: Any) -> Config:
    """Return Alembic's configuration, made without a file.

    Args:
        attributes: Passed to ``env.py`` as ``context.config.attributes``.
    """
    made = Config(attributes=attributes)
    # The path of the imported package: "orderctl:migrations" is not found in an editable installation.
    folder = Path(str(importlib.import_module("orderctl.migrations").__file__)).parent
    made.set_main_option("script_location", str(folder).replace("%", "%%"))
    return made


def _version_obstacles(there: catalogue.Catalogue) -> Iterator[str]:
    """Yield why Alembic's table cannot be made or used: something else has its name."""
    table = there.tables.get(VERSION_TABLE)
    if table is None:
        yield from obstacles.of_name(VERSION_TABLE, there)
    elif list(table.columns) != ["version_num"]:
        yield ownership.foreign(VERSION_TABLE)


def _applied(connection: Connection, there: catalogue.Catalogue, known: list[str]) -> list[str]:
    """Return the ids of the revisions up to the newest applied one."""
    if VERSION_TABLE not in there.tables:
        return []
    current = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608
    if unknown := [revision for revision in current if revision not in known]:
        raise Misconfigured(
            f"the database is at revision {unknown[0]}, which this version of orderctl does not know",
            hint="install the version of orderctl that migrated this database, or a newer one",
        )
    return known[: known.index(current[0]) + 1] if current else []


def _check_rights(connection: Connection, survey: Survey) -> None:
    account = rights.read(connection)
    _forget_unseen(account, survey)
    steps = survey.missing + survey.coming
    needs = [need for step in steps if not step.optional for need in step.needs]
    if lacking := account.lacking([*needs, *(_BOOKKEEPING if survey.pending else ())]):
        survey.obstacles.append(f"the account {account.account} lacks {rights.describe(lacking)}")
        survey.remedy = account.remedy(lacking)
    for step in steps:
        if step.optional and (missing := account.lacking(step.needs)):
            survey.refused.append(step)
            survey.warnings.append(
                f"{step.what} is not created, because the account {account.account} lacks"
                f" {rights.describe(missing)}; to grant it: {account.remedy(missing)}"
            )


def _forget_unseen(account: rights.Rights, survey: Survey) -> None:
    """Do not count as missing what an account that may only read could not see: procedures, foreign keys on MariaDB."""
    unseen = [step for step in survey.missing if step.optional] if account.only_reads else []
    if unseen:
        survey.missing = [step for step in survey.missing if not step.optional]
        names = ", ".join(step.what for step in unseen)
        survey.warnings.append(
            f"cannot tell whether these are there, because the account {account.account} may not see them: {names}"
        )
