"""A value that is dear to make, made once for all who ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from orderctl.relay.api.threads import Late

T = TypeVar("T")


class Cache(Generic[T]):
    """Keeps a value for a while; who asks while it is being made waits for the same one.

    Args:
        make: Makes the value.
        age: How long it is good, in seconds.
    """

    def __init__(self, make: Callable[[], Awaitable[T]], age: float) -> None:
        self._make = make
        self._age = age
        self._value: T
        self._made_at = -float("inf")
        self._making: asyncio.Future[T] | None = None

    async def get(self, patience: float) -> T:
        """The value, at most ``age`` old.

        Args:
            patience: Longest wait, in seconds; the value is made all the same, for whoever asks next.

        Raises:
            Late: When the time is over.
        """
        if time.monotonic() - self._made_at < self._age:
            return self._value
        if self._making is None:
            self._making = asyncio.ensure_future(self._renew())
            self._making.add_done_callback(lambda made: made.cancelled() or made.exception())
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(self._making)
        except TimeoutError:
            raise Late(f"the database did not answer within {patience:g} s") from None

    async def _renew(self) -> T:
        try:
            self._value = await self._make()
            self._made_at = time.monotonic()
        finally:
            self._making = None
        return self._value
