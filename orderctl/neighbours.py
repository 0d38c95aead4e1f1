"""Notices another shop on the same Redis server: messages about orders and tasks that the database does not have.

Pub/Sub knows no database numbers, so two shops on one server need different prefixes (``redis.prefix``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from orderctl.channels import Scope
from orderctl.schema import download_tasks, orders

#: Maximum number of subjects that are noted between two looks.
_NOTED: Final = 100
_SHOWN: Final = 3
#: No column can have a higher id, and no driver passes one on.
_HIGHEST_ID: Final = 2**63 - 1

_TABLES: Final = {Scope.ORDER: orders, Scope.TASK: download_tasks}

#: A subject of messages: a scope and an id.
Subject = tuple[Scope, int]


class Neighbours:
    """Notes the subjects of messages, and looks for those that the database does not have.

    A subject counts as another shop's when two looks have missed it: a replica may be some seconds late.
    """

    def __init__(self) -> None:
        self._heard: dict[Subject, None] = {}
        self._missed: list[Subject] = []

    def note(self, scope: Scope, subject_id: int) -> None:
        """Note the subject of a message, unless many have been noted since the last look."""
        if len(self._heard) < _NOTED:
            self._heard[scope, subject_id] = None

    @property
    def suspects(self) -> bool:
        """Whether the last look has missed subjects, about which the next one decides."""
        return bool(self._missed)

    def look(self, connection: Connection) -> list[Subject]:
        """Return the subjects that this look and the one before have missed in the database."""
        heard, self._heard = list(self._heard), {}
        found = _missing(connection, self._missed)
        self._missed = _missing(connection, heard)
        return found


def warning(found: Iterable[Subject]) -> str:
    """Return a warning about subjects of another shop, for the log or the terminal."""
    named = [f"{scope} {subject_id}" for scope, subject_id in found]
    more = " ..." if len(named) > _SHOWN else ""
    return (
        f"Redis passes on messages about {', '.join(named[:_SHOWN])}{more}, which the database does not have: another"
        " shop publishes on this server; give each shop its own redis.prefix"
    )


def _missing(connection: Connection, subjects: Iterable[Subject]) -> list[Subject]:
    missing = dict.fromkeys(subjects)
    for scope, table in _TABLES.items():
        ids = [subject_id for kind, subject_id in missing if kind is scope and subject_id <= _HIGHEST_ID]
        for (present,) in connection.execute(select(table.c.id).where(table.c.id.in_(ids))) if ids else ():
            missing.pop((scope, present), None)
    return list(missing)
