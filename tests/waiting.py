"""Wait for what other threads and processes bring about."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two looks.
PAUSE = 0.01
#: Longest wait for something that is bound to happen, in seconds. A busy machine needs a multiple of what it takes.
SOON = 120.0


class Clock:
    """A monotonic clock that stands still until the test moves it on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def eventually(condition: Callable[[], T], what: str, seconds: float = SOON) -> T:
    """Wait until a condition holds, and return what it returned.

    Args:
        condition: Called again and again until its result is true.
        what: What is waited for, for the message of the AssertionError.
        seconds: The longest wait.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(PAUSE)
    return found


async def eventually_async(condition: Callable[[], object], what: str, seconds: float = SOON) -> None:
    """Do the same while the event loop goes on; the condition may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while not await _value(condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        await asyncio.sleep(PAUSE)


async def _value(found: object) -> object:
    return await found if inspect.isawaitable(found) else found
