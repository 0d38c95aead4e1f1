"""Limits for the number of connections, for their patience and for a client's silence, without sockets."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from orderctl.relay.codecs.frames import PING_INTERVAL, PING_TIMEOUT
from orderctl.relay.metrics import Tally

_log = logging.getLogger(__name__)

#: Reasons why a request is refused, as the metrics name them.
CONNECTIONS: Final = "connections"
ADDRESS: Final = "address"
#: Shortest time between two lines in the log about one address, in seconds, and most addresses remembered.
_LOG_INTERVAL: Final = 60.0
_REMEMBERED: Final = 1000

#: Most connections that may wait at once; of more the oldest one ends.
MOST_WAITING: Final = 2000
#: From this number of waiting connections on, those of one address have less time.
CROWD: Final = 256


class Door:
    """Limits the number of clients: WebSocket connections, and HTTP requests that are being answered.

    Args:
        tally: Counts those that are refused.
        clock: Returns the time in seconds.
        most: Most clients in all.
        most_per_address: Most clients from one address; 0: no limit.
    """

    def __init__(self, tally: Tally, clock: Callable[[], float], *, most: int, most_per_address: int) -> None:
        self._tally = tally
        self._clock = clock
        self._most = most
        self._most_per_address = most_per_address
        self._addresses: Counter[str] = Counter()
        self._inside = 0
        self._logged: dict[str, float] = {}

    def admit(self, address: str) -> str | None:
        """Count a new client; return the reason if there are too many."""
        full = self._inside >= self._most
        if full or 0 < self._most_per_address <= self._addresses[address]:
            reason = CONNECTIONS if full else ADDRESS
            self._tally.refused[reason] += 1
            self._note(reason, address)
            return reason
        self._addresses[address] += 1
        self._inside += 1
        return None

    def release(self, address: str) -> None:
        """Count the end of a client."""
        self._inside -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def _note(self, reason: str, address: str) -> None:
        """Log a refusal, once a minute for each address: a client that comes again at once must not fill a disk."""
        key, now = address if reason == ADDRESS else "", self._clock()
        if now - self._logged.get(key, -_LOG_INTERVAL) < _LOG_INTERVAL:
            return
        if len(self._logged) >= _REMEMBERED:
            self._logged.clear()
        self._logged[key] = now
        if reason == ADDRESS:
            _log.warning(
                "refused a client at %s: %d clients of this address are connected already, the setting"
                " relay.max_connections_per_address allows no more",
                address,
                self._addresses[address],
            )
        else:
            _log.warning(
                "refused a client at %s: %d clients are connected already, the setting relay.max_connections"
                " or the limit of open files allows no more",
                address,
                self._inside,
            )


class Patience(NamedTuple):
    """How long a connection may wait, in seconds."""

    usual: float
    in_a_crowd: float  #: While more than :data:`CROWD` connections of its address wait.


class Guest(Protocol):
    """A connection that waits."""

    address: str

    def expire(self) -> None:
        """End the connection, because it has waited too long."""

    def abort(self) -> None:
        """End the connection at once."""


class Lobby:
    """The connections that wait, the oldest first, and how long they may: for a request, mostly.

    They are not counted as clients: whoever opens connections and sends nothing keeps no other client out, also
    none of the same address.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._guests: dict[Guest, tuple[float, Patience]] = {}
        self._addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of waiting connections."""
        return len(self._guests)

    def enter(self, guest: Guest, patience: Patience) -> None:
        """Let a connection wait, from now on."""
        self.leave(guest)
        self._guests[guest] = (self._clock(), patience)
        self._addresses[guest.address] += 1
        if len(self._guests) > MOST_WAITING:
            oldest = next(iter(self._guests))
            self.leave(oldest)
            oldest.abort()

    def leave(self, guest: Guest) -> None:
        """Note that a connection does not wait any more."""
        if self._guests.pop(guest, None) is not None:
            self._addresses[guest.address] -= 1
            if not self._addresses[guest.address]:
                del self._addresses[guest.address]

    def make_room(self) -> None:
        """End half of the connections, the oldest ones, because the process cannot open any more files."""
        for guest in list(self._guests)[: len(self._guests) // 2 + 1]:
            self.leave(guest)
            guest.abort()

    def turn(self) -> None:
        """End those that have waited too long; to be called each second."""
        now = self._clock()
        for guest, (since, patience) in list(self._guests.items()):
            crowded = self._addresses[guest.address] > CROWD
            if now - since > (patience.in_a_crowd if crowded else patience.usual):
                guest.expire()


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
