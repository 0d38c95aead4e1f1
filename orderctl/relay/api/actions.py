"""What an admin may do from the page, where the relay was started with ``--allow-actions``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from orderctl import broker, database, tasks
from orderctl.errors import OrderctlError
from orderctl.lifecycle import Moved
from orderctl.states import Source

if TYPE_CHECKING:
    import redis
    from sqlalchemy import Connection, Engine

_log = logging.getLogger(__name__)

RETRY: Final = "retry"
CANCEL: Final = "cancel"
NAMES: Final = (RETRY, CANCEL)


class Actions:
    """Retries and cancels tasks, audited with the name of whoever wanted it. It blocks.

    Args:
        engine: The database.
        redis_url: Where workers and watchers are told.
        queue: The queue that wakes the workers.
        max_attempts: How many further attempts a retried task gets.
    """

    def __init__(self, engine: Engine, redis_url: str, *, queue: str, max_attempts: int) -> None:
        self._engine = engine
        self._redis_url = redis_url
        self._queue = queue
        self._max_attempts = max_attempts
        self._client: redis.Redis | None = None

    def carry_out(self, action: str, task_id: int, *, actor: str) -> dict[str, Any]:
        """Retry or cancel one task.

        Args:
            action: ``retry`` or ``cancel``.
            task_id: The task.
            actor: The token's subject.

        Raises:
            TaskNotFound: When there is none.
            Conflict: When its state does not allow it.
            DatabaseUnavailable: When the database does not answer.
        """

        def work(connection: Connection) -> Moved:
            if action == RETRY:
                return tasks.retry(
                    connection, task_id, max_attempts=self._max_attempts, actor=actor, source=Source.RELAY
                )
            return tasks.cancel(connection, task_id, actor=actor, source=Source.RELAY)

        moved = database.transact(self._engine, work)
        self._notify(moved)
        [task] = moved.tasks
        return {"id": task_id, "status": task.status, "attempt": task.attempt}

    def _notify(self, moved: Moved) -> None:
        # It is committed: what is not told now, reconcile tells within a second of Redis coming back.
        from orderctl import doorbell  # noqa: PLC0415 - 240 ms that most relays never need

        try:
            self._client = self._client or broker.brisk(self._redis_url, name="orderctl-relay-actions")
            doorbell.after_commit(self._client, self._queue, [moved])
        except OrderctlError as error:
            _log.warning(
                "task %d: Redis does not answer, so `reconcile` notifies the workers later: %s",
                moved.tasks[0].id,
                error,
            )
