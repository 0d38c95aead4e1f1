"""What the relay's inside needs of a connection, and the codes with which one is closed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from orderctl.relay.access import Access

#: Close codes: RFC 6455, and from 4000 on our own.
NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
RESTART: Final = 1012
TRY_AGAIN: Final = 1013
UNAUTHORIZED: Final = 4401
TIMEOUT: Final = 4408
SLOW: Final = 4008


class Line(Protocol):
    """The client's connection."""

    def write(self, data: bytes) -> object:
        """Send bytes; never blocks."""

    def hang_up(self, code: int, reason: str) -> None:
        """End the connection; nothing is written from now on."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what has to wait; it ends with the connection."""

    def later(self, delay: float, callback: Callable[[], object]) -> None:
        """Call back after that many seconds."""

    def authorized(self, access: Access) -> None:
        """The client has said who it is: its time to do so is over, its token's begins."""
