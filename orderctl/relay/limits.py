"""How many connections there may be, and how long one may be silent; without sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from orderctl.relay.codecs.frames import PING_INTERVAL, PING_TIMEOUT
from orderctl.relay.metrics import Tally


class Door:
    """Lets connections in while there is room.

    Args:
        tally: Where they are counted.
        most: In all.
        most_per_address: From one address; 0: as many as there are.
    """

    def __init__(self, tally: Tally, *, most: int, most_per_address: int) -> None:
        self._tally = tally
        self._most = most
        self._most_per_address = most_per_address
        self._addresses: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Count a connection in, unless there are too many."""
        full = self._tally.connections >= self._most
        if full or 0 < self._most_per_address <= self._addresses[address]:
            self._tally.refused["connections" if full else "address"] += 1
            return False
        self._addresses[address] += 1
        self._tally.connections += 1
        self._tally.accepted += 1
        return True

    def release(self, address: str) -> None:
        """Count a connection out."""
        self._tally.connections -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]


class Pinged(Protocol):
    """A connection that can be asked whether it lives."""

    def knock(self) -> None:
        """Ask."""

    def look(self) -> None:
        """End it if it did not answer."""


class Wheel:
    """Asks each connection once in :data:`PING_INTERVAL`, a share of them each second.

    A task for each connection would cost memory, and all at once would cost a pause.
    """

    def __init__(self) -> None:
        self._slots: list[dict[Pinged, None]] = [{} for _ in range(PING_INTERVAL)]
        self._now = 0

    def add(self, connection: Pinged) -> None:
        """Begin with a new connection; it is asked a full turn from now."""
        self._slots[self._now][connection] = None

    def remove(self, connection: Pinged) -> None:
        """Forget a connection."""
        for slot in self._slots:
            slot.pop(connection, None)

    def turn(self) -> None:
        """A second has passed."""
        self._now = (self._now + 1) % PING_INTERVAL
        for connection in self._at(self._now - PING_TIMEOUT):
            connection.look()
        for connection in self._at(self._now):
            connection.knock()

    def _at(self, slot: int) -> Iterable[Pinged]:
        return list(self._slots[slot % PING_INTERVAL])
