"""The account's rights on MySQL and MariaDB, checked before a migration starts that could not finish."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

_GRANT: Final = re.compile(r"GRANT (?P<privileges>.+?) ON (?:PROCEDURE )?(?P<scope>\S+) TO ")
_NAME: Final = r"`((?:[^`]|``)*)`|(\*)"

Need = tuple[str, str]
#: What the creation of a procedure needs.
CREATE_ROUTINE: Final[Need] = ("CREATE ROUTINE", "")
#: With these alone, the servers show an account no procedures, and MariaDB shows no foreign keys.
_READING: Final = frozenset({"SELECT", "USAGE", "SHOW VIEW"})


@dataclass(frozen=True)
class Grant:
    """One line of ``SHOW GRANTS``; ``*`` means every database or table. ``table`` may be a procedure."""

    privileges: frozenset[str]
    database: str
    table: str

    def covers(self, privilege: str, database: str, table: str) -> bool:
        """Whether it includes a right on a table, or on the whole database if the name is empty."""
        return (
            bool(self.privileges & {privilege, "ALL PRIVILEGES", "ALL"})
            and (self.database == "*" or bool(re.fullmatch(_pattern(self.database), database)))
            and self.table in {"*", table}
        )


@dataclass(frozen=True)
class Rights:
    """All grants of an account, including those of its active roles."""

    account: str
    database: str
    grants: tuple[Grant, ...]
    is_mariadb: bool = False

    @property
    def only_reads(self) -> bool:
        """Whether it may do nothing in the database but read."""
        return not any(
            grant.privileges - _READING
            and (grant.database == "*" or re.fullmatch(_pattern(grant.database), self.database))
            for grant in self.grants
        )

    def lacking(self, needs: Iterable[Need]) -> list[Need]:
        """Return those of the rights that the account does not have."""
        return [need for need in dict.fromkeys(needs) if not self._has(need)]

    def remedy(self, needs: Iterable[Need]) -> str:
        """Return the GRANT statement for these rights."""
        privileges = ", ".join(sorted({privilege for privilege, _ in needs}))
        return f"GRANT {privileges} ON `{self.database}`.* TO {quoted(self.account)}"

    def _has(self, need: Need) -> bool:
        privilege, table = need
        if privilege == "REFERENCES" and self.is_mariadb:
            return True  # MariaDB does not check it
        return any(grant.covers(privilege, self.database, table) for grant in self.grants)


def read(connection: Connection) -> Rights:
    """Read the account's rights.

    Args:
        connection: A connection to MySQL or MariaDB.
    """
    account, database = connection.exec_driver_sql("SELECT CURRENT_USER(), DATABASE()").one()
    lines = connection.exec_driver_sql("SHOW GRANTS").scalars().all()
    grants = tuple(grant for line in lines if (grant := parse(line)))
    return Rights(account, database, grants, bool(getattr(connection.dialect, "is_mariadb", False)))


def quoted(account: str) -> str:
    """Return an account for SQL: ``'orderctl'@'%'``.

    Args:
        account: As CURRENT_USER() names it: ``orderctl@%``.
    """
    user, _, host = (part.replace("'", "''") for part in account.rpartition("@"))
    return f"'{user}'@'{host}'"


def parse(line: str) -> Grant | None:
    """Parse one line of ``SHOW GRANTS``; None for a line that grants nothing on tables (roles, proxies)."""
    found = _GRANT.match(line)
    names = re.fullmatch(rf"(?:{_NAME})\.(?:{_NAME})", found["scope"]) if found else None
    if not found or not names:
        return None
    # A right on single columns counts as one on the table.
    privileges = re.sub(r" \([^)]*\)", "", found["privileges"])
    database, table = (names[1] or names[2], names[3] or names[4])
    return Grant(frozenset(privileges.split(", ")), database.replace("``", "`"), table.replace("``", "`"))


def describe(needs: Iterable[Need]) -> str:
    """Return the rights as text: ``ALTER on orders, CREATE VIEW``."""
    return ", ".join(f"{privilege} on {table}" if table else privilege for privilege, table in needs)


def _pattern(database: str) -> str:
    r"""Return the regular expression of a database in a grant: ``_`` and ``%`` are wildcards, ``\_`` not."""
    parts = re.findall(r"\\[_%]|.", database)
    wild = {"_": ".", "%": ".*"}
    return "".join(wild.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
