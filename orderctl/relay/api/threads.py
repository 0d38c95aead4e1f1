"""A few threads for blocking calls: database queries, and Redis commands of an admin's actions.

They are daemon threads. At its end the interpreter waits for the threads of ``concurrent.futures``, so a hung
database would keep the relay from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from orderctl.errors import Unavailable

T = TypeVar("T")

#: Most calls that may wait for a thread. Further ones are refused at once.
_MOST_WAITING: Final = 200

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Overloaded(Unavailable):
    """The relay is overloaded: too many requests wait for the database."""


class Late(Unavailable):
    """The database did not answer in time."""


class Threads:
    """Runs functions in daemon threads.

    Args:
        number: Number of threads.
        name: The beginning of their names.
    """

    def __init__(self, number: int, name: str = "relay") -> None:
        self._jobs: queue.Queue[_Job] = queue.Queue(_MOST_WAITING)
        self._number = number
        self._name = name
        self._started = False

    async def run(self, work: Callable[[], T], *, deadline: float) -> T:
        """Run a function in a thread and await its result.

        Args:
            work: The function, which may block.
            deadline: Longest wait, in seconds. Afterwards the function runs on, but its result is dropped.

        Raises:
            Late: When the function takes longer than the deadline.
            Overloaded: When too many calls wait already.
        """
        self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            self._jobs.put_nowait((loop, future, work))
        except queue.Full:
            raise Overloaded from None
        try:
            async with asyncio.timeout(deadline):
                return await future
        except TimeoutError:
            raise Late(f"the database did not answer within {deadline:g} s") from None

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for number in range(self._number):
                threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True).start()

    def _work(self) -> None:
        while True:
            loop, future, work = self._jobs.get()
            if future.cancelled():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - the caller that awaits it gets it
                _call_in_loop(loop, _fail, future, error)
            else:
                _call_in_loop(loop, _finish, future, result)


def _call_in_loop(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(how, *arguments)
    except RuntimeError:  # the relay has ended in the meantime
        return


def _finish(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
