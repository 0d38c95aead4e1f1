"""A cache for a value that is expensive to compute, renewed in the background."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from orderctl.relay.api.threads import Late

T = TypeVar("T")

#: A computation gets at most one second of this many.
_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A value, and when its computation began."""

    value: T
    made_at: datetime


class Cache(Generic[T]):
    """Keeps a value. Once there is one, callers get it at once, and an old one is renewed in the background.

    It is renewed only when someone asks, and so that at most a tenth of the time is spent on it.

    Args:
        make: Computes the value.
        age: From this age on a value is renewed, in seconds.
        too_old: From this age on callers wait for a new value, in seconds; they get its failure as an error.
        now: The clock, in seconds.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        *,
        age: float,
        too_old: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._age = age
        self._too_old = too_old
        self._now = now
        self._kept: Kept[T] | None = None
        self._began = self._due = -float("inf")
        self._making: asyncio.Future[None] | None = None
        self._failure: Exception | None = None

    async def get(self, patience: float) -> Kept[T]:
        """Return the value.

        Args:
            patience: Longest wait, in seconds, if there is no value yet or it is too old. The computation continues
                afterwards, for the next caller.

        Raises:
            Late: When the wait is over and there is no value yet.
        """
        if self._making is None and self._now() >= self._due:
            self._making = asyncio.ensure_future(self._renew())
        if self._kept is None or self._now() - self._began >= self._too_old:
            await self._wait(patience)
        if self._kept is None:
            raise Late(f"counting did not end within {patience:g} s; it goes on, ask again")
        return self._kept

    async def _wait(self, patience: float) -> None:
        """Wait for the computation that runs, and raise the error with which the last one failed."""
        if self._making is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await asyncio.shield(self._making)
        if self._making is None and self._failure is not None:
            raise self._failure.with_traceback(None)  # raised for each caller, it would gather their frames

    async def _renew(self) -> None:
        began, moment = self._now(), datetime.now(UTC)
        try:
            self._kept = Kept(await self._make(), moment)
            self._began, self._failure = began, None
            shortest = self._age
        except Exception as error:  # noqa: BLE001 - those who wait get it
            self._failure = error
            shortest = 0.0
        finally:
            self._making = None
        self._due = began + max(shortest, _SHARE * (self._now() - began))
