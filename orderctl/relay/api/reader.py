"""Database queries from an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from orderctl import database, outages
from orderctl.relay.api import queries
from orderctl.relay.api.threads import Threads

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")

#: How long a query may take, in seconds. The limit of the WebSocket handshake is 10.
DEADLINE: Final = 5.0
#: Number of concurrent queries. The engine's pool needs the same number of connections.
THREADS: Final = 4


class Reader:
    """Runs queries in threads.

    Args:
        engine: The database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = Threads(THREADS)

    async def run(self, work: Callable[[], T], *, deadline: float = DEADLINE) -> T:
        """Run a blocking function in a thread.

        Raises:
            Late: When it takes longer than the deadline.
        """
        return await self._threads.run(work, deadline=deadline)

    async def read(self, query: Callable[[Connection], T], *, deadline: float = DEADLINE) -> T:
        """Run a query in a thread, with a connection.

        Raises:
            Late: When it takes longer than the deadline.
            DatabaseUnavailable: When the database does not answer.
        """

        def work() -> T:
            with outages.noted(self._engine), database.reading(self._engine) as connection:
                return query(connection)

        return await self.run(work, deadline=deadline)

    async def order_of_task(self, task_id: int) -> int | None:
        """Return the id of a task's order; None when there is no such task.

        Raises:
            Late: When it takes longer than the deadline.
            DatabaseUnavailable: When the database does not answer.
        """
        return await self.read(lambda connection: queries.order_of_task(connection, task_id))
