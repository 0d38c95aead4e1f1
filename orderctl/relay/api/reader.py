"""The database, read from an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from orderctl import database
from orderctl.relay.api import queries
from orderctl.relay.api.threads import Threads

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")

#: How long the database may take, in seconds; the handshake's own limit is 10.
DEADLINE: Final = 5.0
#: Queries at once; the engine needs as many connections.
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
        """Run something that blocks.

        Raises:
            Late: When it takes longer than the deadline.
        """
        return await self._threads.run(work, deadline=deadline)

    async def read(self, query: Callable[[Connection], T], *, deadline: float = DEADLINE) -> T:
        """Run a query.

        Raises:
            Late: When it takes longer than the deadline.
            DatabaseUnavailable: When the database does not answer.
        """

        def work() -> T:
            with database.reading(self._engine) as connection:
                return query(connection)

        return await self.run(work, deadline=deadline)

    async def order_of_task(self, task_id: int) -> int | None:
        """The order of a task; None when there is no such task.

        Raises:
            Late: When it takes longer than the deadline.
            DatabaseUnavailable: When the database does not answer.
        """
        return await self.read(lambda connection: queries.order_of_task(connection, task_id))
