"""The relay's sign in Redis, from which others see that it is running, and how many connections it has."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from orderctl import __version__, relay_signs
from orderctl.errors import RedisUnavailable
from orderctl.relay.exchange import Exchange
from orderctl.relay.feed import CommandRefused
from orderctl.relay.metrics import Tally
from orderctl.relay_signs import Command, RelaySign, Sample

_log = logging.getLogger(__name__)

#: How long a relay that ends waits until its sign is gone, in seconds.
_LAST_WAIT: Final = 0.5


class Presence:
    """Writes the sign of this process, and takes it away at the end.

    Args:
        exchange: Has the connection to Redis, and the clients' subscriptions.
        tally: Has the number of connections.
        secure: Whether clients need a token.
    """

    def __init__(self, exchange: Exchange, tally: Tally, *, secure: bool) -> None:
        self._exchange = exchange
        self._tally = tally
        self._secure = secure
        self._host = relay_signs.this_host()
        self._name = f"{self._host}.{os.getpid()}.{secrets.token_hex(2)}"
        self._samples: deque[Sample] = deque(maxlen=relay_signs.MOST_SAMPLES)
        self._refused = ""

    async def keep(self, address: str, port: int) -> None:
        """Write the sign every few seconds, until cancelled. While Redis is away, and without the right, go on.

        Args:
            address: The address that the relay listens on.
            port: Its port.
        """
        started, first = datetime.now(UTC), True
        await self._exchange.feed.wait_tried()
        while True:
            sign = self._sign(address, port, started)
            await self._send(relay_signs.announcement(self._exchange.feed.key, sign, first=first))
            first = False
            self._note(sign)
            await asyncio.sleep(relay_signs.INTERVAL)

    async def retire(self) -> None:
        """Take the sign away, unless Redis needs long for that: the sign expires."""
        try:
            async with asyncio.timeout(_LAST_WAIT):
                await self._send(relay_signs.retirement(self._exchange.feed.key, self._name))
        except TimeoutError:
            return

    def _sign(self, address: str, port: int, started: datetime) -> RelaySign:
        return RelaySign(
            name=self._name,
            host=self._host,
            pid=os.getpid(),
            address=address,
            port=port,
            version=__version__,
            connections=self._tally.connections,
            subscriptions=self._exchange.hub.counts.subscriptions,
            secure=self._secure,
            started=started,
            seen=datetime.now(UTC),
            samples=tuple(self._samples),
        )

    def _note(self, sign: RelaySign) -> None:
        """Keep the number of connections, once in ten minutes."""
        last = self._samples[-1].at if self._samples else sign.started
        if (sign.seen - last).total_seconds() >= relay_signs.SAMPLE_SECONDS:
            self._samples.append(Sample(sign.seen, sign.connections))

    async def _send(self, commands: Iterable[Command]) -> None:
        """Send commands; say once that Redis refuses them, and again when it does so for another reason."""
        try:
            asked = [self._exchange.feed.ask(*command) for command in commands]
        except RedisUnavailable:
            return
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = next((str(answer) for answer in answers if isinstance(answer, CommandRefused)), "")
        if refused and refused != self._refused:
            _log.warning(
                "Redis refuses the sign of this relay, by which status and doctor see it: %s", refused
            )
        self._refused = refused or self._refused
