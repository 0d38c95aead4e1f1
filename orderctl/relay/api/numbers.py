"""The numbers of orders and tasks: counted in the background, for the dashboard's stats and the pages' totals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from orderctl.errors import Unavailable
from orderctl.relay.api import queries
from orderctl.relay.api.cache import Cache
from orderctl.relay.api.queries import Json
from orderctl.relay.api.reader import DEADLINE, Reader
from orderctl.relay.api.threads import Late

#: From this age on the counts of all orders and tasks are renewed, and from this age on a failure to do so is an error,
#: in seconds.
STATS_AGE: Final = 30.0
STATS_TOO_OLD: Final = 300.0
#: How long counting all orders and tasks may take, in seconds.
_DEADLINE: Final = 300.0
#: How long a page of orders, and a client that takes lower bounds, waits for the first counts, in seconds.
_TOTAL_PATIENCE: Final = 2.0
_BOUNDS_PATIENCE: Final = 0.5


class Numbers:
    """Keeps the numbers of all orders and tasks.

    Args:
        reader: Runs the database queries.
    """

    def __init__(self, reader: Reader) -> None:
        self._read = reader.read
        self._kept: Cache[Json] = Cache(
            lambda: reader.read(queries.numbers, deadline=_DEADLINE), age=STATS_AGE, too_old=STATS_TOO_OLD
        )

    async def stats(self, *, bounds: bool) -> Json:
        """Return the numbers, with the time of the count.

        Args:
            bounds: Rather return lower bounds than wait for the first count.

        Raises:
            Late: There is no count yet.
        """
        try:
            kept = await self._kept.get(_BOUNDS_PATIENCE if bounds else DEADLINE)
            numbers, moment = kept.value, kept.made_at
        except Late:
            if not bounds:
                raise
            numbers, moment = await self._read(queries.bounds), datetime.now(UTC)
        return {**numbers, "countedAt": queries.moment(moment)}

    async def total(self, statuses: Sequence[str] | None) -> int | None:
        """Return the number of orders of these statuses; None when counting fails or takes too long.

        Args:
            statuses: The statuses, in any case; None: all.
        """
        try:
            counts: dict[str, int] = (await self._kept.get(_TOTAL_PATIENCE)).value["orders"]
        except Unavailable:
            return None
        wanted = {status.casefold() for status in statuses or ("total",)}
        return sum(number for status, number in counts.items() if status.casefold() in wanted)
