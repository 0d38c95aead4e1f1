"""The checks of the account's rights on MySQL and MariaDB: those that are missing, and those that are too many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection

from orderctl.counting import counted
from orderctl.doctor import refusals
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.migrate import rights
from orderctl.migrate.rights import Need, Rights
from orderctl.schema import metadata, operation_tasks, operations, revoked_tokens

#: What workers, the relay and commands that change something need, for each table.
_WORKING: Final = ("SELECT", "INSERT", "UPDATE")
#: The tables whose rows are removed, too.
_EMPTIED: Final = (revoked_tokens, operations, operation_tasks)
#: What ``orderctl migrate up`` needs for the whole database. It goes on without the last two.
_MIGRATING: Final = ("CREATE", "ALTER", "REFERENCES", "CREATE VIEW", "CREATE ROUTINE")
#: Rights to the whole server with which a stolen password costs more than this shop's data, and what they allow.
_TOO_MANY: Final = {
    "ALL PRIVILEGES": "do everything",
    "SUPER": "change the server's settings and end other sessions",
    "FILE": "read and write files of the server's machine",
    "SHUTDOWN": "stop the server",
    "CREATE USER": "make accounts",
    "GRANT OPTION": "give its rights to others",
    "SYSTEM_USER": "change every account",
    "SET_USER_ID": "act as another account",
}
#: How many missing rights are named.
_NAMED: Final = 4
_ON_ALL: Final = re.compile(r"GRANT (?P<rights>.+?) ON \*\.\* TO (?P<rest>.*)", re.IGNORECASE)
_GIVES: Final = re.compile(r"\bWITH\b.*\bGRANT OPTION\b", re.IGNORECASE)


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the account's rights; none on SQLite."""
    if around.engine.dialect.name == "sqlite":
        return
    with around.reading() as connection:
        account, lines = rights.read(connection), _grants(connection)
    yield from too_few(account)
    yield too_many(account, lines)


def unseen(around: Surroundings) -> Check | None:
    """Return why what is in the tables cannot be told; None if it can.

    Servers do not show tables to an account without a right to them: they would seem to be missing.
    """
    if around.engine.dialect.name == "sqlite":
        return None
    with around.reading() as connection:
        account = rights.read(connection)
    lacking = account.lacking([("SELECT", table) for table in sorted(metadata.tables)])
    if not lacking:
        return None
    text = f"not looked at: {account.account} lacks {_named(lacking)}, and does not see all of these tables"
    return Check(Area.DATABASE, "complete", Verdict.SKIPPED, text, account.remedy(lacking))


def _grants(connection: Connection) -> list[str]:
    return [str(line) for line in connection.exec_driver_sql("SHOW GRANTS").scalars()]


def too_few(account: Rights) -> Iterator[Check]:
    """Yield the checks of rights that are missing.

    Args:
        account: The account's rights.
    """
    tables = sorted(metadata.tables)
    needs = [(right, table) for table in tables for right in _WORKING]
    lacking = account.lacking([*needs, *(("DELETE", table.name) for table in _EMPTIED)])
    if not lacking:
        text = f"{account.account} may read and write all tables of orderctl's"
        yield Check(Area.DATABASE, "grants", Verdict.WELL, text)
    else:
        yield _lacking(account, lacking)
    migrating = account.lacking([(right, "") for right in _MIGRATING])
    if migrating:
        yield Check(
            Area.DATABASE,
            "grants-for-migrations",
            Verdict.NOTE,
            f"{account.account} cannot migrate: it lacks {rights.describe(migrating)}",
            account.remedy(migrating),
            "Workers do not need these rights. Grant them for an upgrade, or run 'orderctl migrate up' as another account.",
            value=rights.describe(migrating),
        )


def _lacking(account: Rights, lacking: Sequence[Need]) -> Check:
    reads_only = not _held(account) & {"INSERT", "UPDATE"}
    return Check(
        Area.DATABASE,
        "grants",
        Verdict.WARNING if reads_only else Verdict.FAULT,
        f"{account.account} lacks {_named(lacking)}",
        account.remedy(lacking),
        "The account may only read: that suffices for commands that change nothing, and not for workers, the relay's"
        " payments and 'orderctl tasks retry'."
        if reads_only
        else "Workers and commands that change something fail when they need it.",
        value=counted(len(lacking), "right"),
    )


def _named(lacking: Sequence[Need]) -> str:
    more = len(lacking) - _NAMED
    return rights.describe(lacking[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _held(account: Rights) -> set[str]:
    held = {right for grant in account.grants for right in grant.privileges}
    return held | ({"INSERT", "UPDATE"} if held & {"ALL", "ALL PRIVILEGES"} else set())


def too_many(account: Rights, lines: Sequence[str]) -> Check:
    """Return the check of rights to the whole server that orderctl does not need.

    Args:
        account: The account's rights.
        lines: The answer to SHOW GRANTS.
    """
    found = [name for name in _TOO_MANY if name in _on_all(lines)]
    if not found:
        return Check(Area.DATABASE, "excess-grants", Verdict.WELL, "it has no rights to the whole server")
    user, _, host = account.account.rpartition("@")
    name, can = rights.quoted(account.account), ", ".join(_TOO_MANY[right] for right in found)
    needed = f"GRANT {refusals.NEEDED} ON `{account.database}`.* TO"
    return Check(
        Area.DATABASE,
        "excess-grants",
        Verdict.WARNING,
        f"{account.account} has {', '.join(found)} on the whole server: it may {can}",
        f"CREATE USER 'orderctl'@'{host}' IDENTIFIED BY 'PASSWORD'; {needed} 'orderctl'@'{host}'"
        if user == "root"
        else f"REVOKE {_revoked(found)} ON *.* FROM {name}; {needed} {name}",
        "With the password from the settings, a stranger would have these rights. docs/adopting.md has those that orderctl needs.",
        value=", ".join(found),
    )


def _revoked(found: Sequence[str]) -> str:
    """Return what to revoke: ALL PRIVILEGES has everything in it but the right to give rights."""
    if "ALL PRIVILEGES" not in found:
        return ", ".join(found)
    return "ALL PRIVILEGES, GRANT OPTION" if "GRANT OPTION" in found else "ALL PRIVILEGES"


def _on_all(lines: Sequence[str]) -> set[str]:
    """Return the rights on ``*.*``."""
    held: set[str] = set()
    for line in lines:
        if (match := _ON_ALL.match(line)) is None:
            continue
        held |= {part.strip().upper() for part in match["rights"].split(",")}
        if _GIVES.search(match["rest"]):
            held.add("GRANT OPTION")
    return {"ALL PRIVILEGES" if right == "ALL" else right for right in held}
