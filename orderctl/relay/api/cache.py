"""A cache for a value that is expensive to compute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from orderctl.relay.api.threads import Late

T = TypeVar("T")


class Cache(Generic[T]):
    """Keeps a value for some time. Callers that ask while it is computed wait for the same computation.

    Args:
        make: Computes the value.
        age: How long the value is kept, in seconds.
    """

    def __init__(self, make: Callable[[], Awaitable[T]], age: float) -> None:
        self._make = make
        self._age = age
        self._value: T
        self._made_at = -float("inf")
        self._making: asyncio.Future[T] | None = None

    async def get(self, patience: float) -> T:
        """Return the value, computed at most ``age`` seconds ago.

        Args:
            patience: Longest wait, in seconds. The computation continues afterwards, for the next caller.

        Raises:
            Late: When the wait is over.
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
