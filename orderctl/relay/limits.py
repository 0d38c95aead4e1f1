"""Limits for the number of connections and for a client's silence, without sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from orderctl.relay.codecs.frames import PING_INTERVAL, PING_TIMEOUT
from orderctl.relay.metrics import Tally


class Door:
    """Limits the number of connections.

    Args:
        tally: Counts them.
        most: Most connections in all.
        most_per_address: Most connections from one address; 0: no limit.
    """

    def __init__(self, tally: Tally, *, most: int, most_per_address: int) -> None:
        self._tally = tally
        self._most = most
        self._most_per_address = most_per_address
        self._addresses: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Count a new connection; return False if there are too many."""
        full = self._tally.connections >= self._most
        if full or 0 < self._most_per_address <= self._addresses[address]:
            self._tally.refused["connections" if full else "address"] += 1
            return False
        self._addresses[address] += 1
        self._tally.connections += 1
        self._tally.accepted += 1
        return True

    def release(self, address: str) -> None:
        """Count the end of a connection."""
        self._tally.connections -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]


class Pinged(Protocol):
    """A connection whose client is pinged."""

    def send_ping(self) -> None:
        """Send a ping."""

    def check_pong(self) -> None:
        """End the connection if the client did not answer."""


class Wheel:
    """Pings each connection once in :data:`PING_INTERVAL` seconds, a share of them each second.

    A task for each connection would cost memory, and pinging all at once would block the event loop.
    """

    def __init__(self) -> None:
        self._slots: list[dict[Pinged, None]] = [{} for _ in range(PING_INTERVAL)]
        self._now = 0

    def add(self, connection: Pinged) -> None:
        """Add a connection. It gets its first ping after :data:`PING_INTERVAL` seconds."""
        self._slots[self._now][connection] = None

    def remove(self, connection: Pinged) -> None:
        """Remove a connection."""
        for slot in self._slots:
            slot.pop(connection, None)

    def turn(self) -> None:
        """Send the pings that are due and check the answers; to be called each second."""
        self._now = (self._now + 1) % PING_INTERVAL
        for connection in self._at(self._now - PING_TIMEOUT):
            connection.check_pong()
        for connection in self._at(self._now):
            connection.send_ping()

    def _at(self, slot: int) -> Iterable[Pinged]:
        return list(self._slots[slot % PING_INTERVAL])
