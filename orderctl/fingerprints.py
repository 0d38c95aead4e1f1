"""Fingerprints of errors by their first digits, as git takes the first digits of a commit."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, String, select, type_coerce, union

from orderctl import foreign, prefixes, statuses, texts
from orderctl.errors import InvalidInput
from orderctl.schema import download_tasks
from orderctl.states import ErrorType

#: With fewer digits, too many errors begin alike.
LEAST: Final = 4
_NAMED: Final = 5
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")

_TASK: Final = download_tasks.c
_MARK: Final = type_coerce(_TASK.error_fingerprint, String)


def find(connection: Connection, typed: str | None) -> str | None:
    """Return the fingerprint that a user means; what was typed if no task has one that begins so.

    Args:
        connection: A connection for reading.
        typed: A fingerprint or its beginning; None: nothing was typed.

    Raises:
        InvalidInput: It is not hexadecimal, several begin so, or it is too short.
    """
    if typed is None:
        return None
    if not _HEX.fullmatch(typed):  # a typing mistake must not pass as "nothing to do"
        raise InvalidInput(
            f"{texts.shown(typed)} is not a fingerprint: it has hexadecimal digits only",
            hint="orderctl tasks list --group-by error",
        )
    typed = typed.lower()
    found = sorted({mark for value in _beginning(connection, typed) if (mark := foreign.text(value))})
    if typed in found or not found:
        return typed
    if len(typed) < LEAST:
        raise InvalidInput(
            f"{texts.shown(typed)} is too short for a fingerprint: at least {LEAST} digits",
            hint="orderctl tasks list --group-by error",
        )
    if len(found) > 1:
        raise InvalidInput(
            f"several fingerprints begin with {texts.shown(typed)}: {', '.join(found[:_NAMED])}",
            hint=f"orderctl tasks list --fingerprint {shlex.quote(found[0])}",
        )
    return found[0]


def _beginning(connection: Connection, typed: str) -> Iterator[Any]:
    """Yield the first and the last fingerprint that begins so, of each status and type of error."""
    begins = prefixes.begins(connection, _TASK.error_fingerprint, typed)
    status, kind = type_coerce(_TASK.status, String), type_coerce(_TASK.error_type, String)
    for stored in statuses.stored(connection, _TASK.status):
        ends = []
        for error_type in (None, *map(str, ErrorType)):
            its = kind.is_(None) if error_type is None else kind == error_type
            query = select(_MARK.label("mark")).where(status == stored, its, begins)
            ends += [query.order_by(way).limit(1).subquery() for way in (_MARK, _MARK.desc())]
        yield from connection.execute(union(*(select(end.c.mark) for end in ends))).scalars()
