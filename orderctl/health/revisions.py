"""Which revisions are applied, by one query and without Alembic, whose import takes longer than all the queries."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, Select, column, select, table

from orderctl import database
from orderctl.errors import Misconfigured, NotMigrated
from orderctl.health.signs import Migration

_VERSION: Final[Select[Any]] = select(column("version_num")).select_from(table("orderctl_version"))


@cache
def known() -> tuple[str, ...]:
    """Return the revisions that this version of orderctl knows, oldest first: the names of their files begin with them."""
    folder = Path(str(importlib.import_module("orderctl.migrations").__file__)).parent / "versions"
    return tuple(sorted(path.name.partition("_")[0] for path in folder.glob("[0-9]*_*.py")))


def none() -> Migration:
    """Return the state of a database without any revision."""
    return Migration(None, known())


def read(engine: Engine) -> Migration | None:
    """Return which revisions are applied; None where the account may not read it.

    Args:
        engine: The database.

    Raises:
        DatabaseUnavailable: It does not answer.
    """
    try:
        with database.reading(engine) as connection:
            applied = connection.execute(_VERSION).scalars().first()
    except NotMigrated:
        return none()
    except Misconfigured:
        return None
    return Migration(None if applied is None else str(applied), known())
