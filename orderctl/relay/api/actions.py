"""The changes that an admin may make from the page, if the relay runs with ``--allow-actions``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from orderctl import database, outages, tasks
from orderctl.errors import Misconfigured
from orderctl.lifecycle import Moved
from orderctl.relay.access import ACTIONS, RETRY
from orderctl.relay.bell import Bell
from orderctl.states import Source

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_log = logging.getLogger(__name__)

NAMES: Final = ACTIONS


class Actions:
    """Retries and cancels tasks, and records the admin's name in the audit log. Its methods block.

    Args:
        engine: The database.
        bell: Wakes the workers, and notifies clients.
        max_attempts: Number of further attempts that a retried task gets.
        take_all: Whether orderctl's workers run all tasks, also those that the shop has added.
    """

    def __init__(self, engine: Engine, bell: Bell, *, max_attempts: int, take_all: bool) -> None:
        self._engine = engine
        self._bell = bell
        self._max_attempts = max_attempts
        self._take_all = take_all

    def carry_out(self, action: str, task_id: int, *, actor: str, take: bool = False) -> dict[str, Any]:
        """Retry or cancel one task.

        Args:
            action: ``retry`` or ``cancel``.
            task_id: The task.
            actor: The token's subject.
            take: Also retry a task of the shop's own workers, which orderctl's workers run from now on.

        Returns:
            The task's id, status and attempt; whether it was ``changed``, and if not, a ``note`` that says why
            nothing was left to do.

        Raises:
            TaskNotFound: When there is no such task.
            Conflict: When the task's status does not allow the action, or it is run by the shop's own workers.
            DatabaseUnavailable: When the database does not answer.
        """

        def work(connection: Connection) -> Moved:
            if action == RETRY:
                return tasks.retry(
                    connection,
                    task_id,
                    max_attempts=self._max_attempts,
                    actor=actor,
                    source=Source.RELAY,
                    take=take or self._take_all,
                )
            return tasks.cancel(connection, task_id, actor=actor, source=Source.RELAY)

        with outages.noted(self._engine):
            moved = database.transact(self._engine, work)
        self._notify(moved)
        [task] = moved.tasks
        done = {"id": task_id, "status": task.status, "attempt": task.attempt, "changed": moved.note is None}
        return done if moved.note is None else {**done, "note": moved.note}

    def _notify(self, moved: Moved) -> None:
        error = self._bell.ring([moved])
        if isinstance(error, Misconfigured):
            _log.warning("task %d: Redis refuses to wake the workers: %s", moved.tasks[0].id, error)
        elif error is not None:
            _log.warning(
                "task %d: cannot wake the workers now, reconcile will: %s",
                moved.tasks[0].id,
                error,
            )
