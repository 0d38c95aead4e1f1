"""Time for workers to send a heartbeat after an outage of the database, before their leases count as expired.

During an outage no worker can extend its lease. When it is over, the first to write must not be a keeper that takes the
tasks of healthy workers away.
"""

from __future__ import annotations

from typing import Final

from orderctl import clock

#: The shortest wait for a row's lock, in seconds, that heartbeats must have noticed as well.
_LONG_WAIT: Final = 1.0
#: The shortest pause between two looks after which this machine must have slept, and its workers with it, in seconds.
_ASLEEP: Final = 10.0
#: The shortest time that is enough for a heartbeat, in seconds. One that has failed is repeated within a second.
_LEAST: Final = 2.0


class Grace:
    """Whether leases whose time is over count as expired.

    Args:
        lease_seconds: How long a lease is valid. Heartbeats come four times as often.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._seconds = max(_LEAST, lease_seconds / 4)
        # No lease of a healthy worker expires in a shorter outage.
        self._harmless = lease_seconds / 2
        self._long_wait = max(_LONG_WAIT, lease_seconds / 30)
        self._away = False
        self._until = 0.0
        self._looked: float | None = None
        self._rows: dict[str, float] = {}

    def miss(self) -> None:
        """Note that the database is away."""
        self._away = True

    def look(self, began: float) -> bool:
        """Note that the database has answered, and return whether leases count as expired.

        Args:
            began: When it was asked, by :func:`clock.elapsed`.
        """
        now = clock.elapsed()
        pause = 0.0 if self._looked is None else began - self._looked
        if self._away or now - began > self._harmless or pause > max(_ASLEEP, self._harmless):
            self._until = now + self._seconds
        self._away, self._looked = False, now
        self._rows = {token: until for token, until in self._rows.items() if until > now}
        return now >= self._until

    def spares(self, token: str) -> bool:
        """Whether the worker with this fencing token has some time left."""
        return token in self._rows

    def spare(self, token: str) -> None:
        """Give the worker with this fencing token time: another transaction holds its rows."""
        self._rows[token] = clock.elapsed() + self._seconds

    def spare_after_wait(self, token: str, began: float) -> bool:
        """The same, if it took long to lock its rows; return whether it did.

        Args:
            token: The fencing token.
            began: When the lock was asked for, by :func:`clock.elapsed`.
        """
        long = clock.elapsed() - began > self._long_wait
        if long:
            self.spare(token)
        return long
