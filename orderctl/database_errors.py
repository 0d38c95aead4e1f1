"""The errors of the databases: which are outages, which are worth another run, which are wrong settings."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from orderctl import account_errors, capacity, sqlite_files
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, NotMigrated, OrderctlError

#: Deadlock and lock wait timeout. 1205 rolls back only the statement, so the whole transaction is rolled back
#: here and run again.
_RERUN_CODES: Final = {1205, 1213, 3572}
#: Connection refused, lost, or ended by the server; too many connections; shutting down.
_GONE_CODES: Final = {
    0,
    1040,
    1053,
    1077,
    1152,
    1158,
    1159,
    1160,
    1161,
    1203,
    1927,
    2002,
    2003,
    2006,
    2013,
    2055,
    4031,
}
#: Unknown table or column: the database is not migrated.
_MISSING_CODES: Final = {1054, 1146}
#: Incorrect string value, data too long, no conversion to the column's character set.
_UNSTORABLE_CODES: Final = {1366, 1406, 3854, 3988}


def translate(error: DBAPIError) -> Exception:
    """Return the OrderctlError for an error of the driver."""
    code, text = code_of(error), str(error.orig)
    if code in _MISSING_CODES or "no such table" in text or "no such column" in text:
        return NotMigrated(f"the database is not migrated: {_short(error)}", hint="orderctl migrate up")
    if isinstance(error.orig, sqlite3.Error):
        explained = sqlite_files.explain(text)
    else:
        explained = account_errors.explain(code, _short(error)) or capacity.explain(code, _short(error))
    if explained:
        return explained
    if error.connection_invalidated or code in _GONE_CODES:
        return DatabaseUnavailable(
            f"the database does not answer: {_short(error)}", hint="orderctl config show"
        )
    if is_worth_rerunning(error):
        return DatabaseBusy(f"the database is too busy: {_short(error)}", hint="run the command again")
    return OrderctlError(f"the database reports: {_short(error)}")


def code_of(error: DBAPIError) -> int | None:
    """Return the server's error number, or None."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_duplicate(error: DBAPIError) -> bool:
    """Whether the error is a duplicate in a unique key."""
    return code_of(error) == 1062 or "UNIQUE constraint failed" in str(error.orig)  # noqa: PLR2004


def is_unstorable(error: DBAPIError) -> bool:
    """Whether a column cannot hold a text, for its length or for its characters."""
    return code_of(error) in _UNSTORABLE_CODES


def is_worth_rerunning(error: DBAPIError) -> bool:
    """Whether a transaction that failed with this error is worth another run at once."""
    return code_of(error) in _RERUN_CODES or "database is locked" in str(error.orig)


def _short(error: DBAPIError) -> str:
    arguments = getattr(error.orig, "args", ())
    text = str(arguments[-1]) if arguments else str(error.orig)
    return text.partition("\n")[0]
