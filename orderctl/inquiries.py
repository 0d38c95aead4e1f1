"""Questions to the stores that are asked again and again in the background, so that drawing never waits for them."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from orderctl import clock
from orderctl.errors import OrderctlError

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Inquiry(Generic[T]):
    """One question. While a store does not answer, there is no answer, and it is asked again.

    Args:
        ask: Returns the answer; it runs in a thread of its own, once at a time.
        seconds: The time between the beginnings of two questions.
        delay: The time before the first one.
    """

    def __init__(self, ask: Callable[[], T], seconds: float, *, delay: float = 0.0) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asked = clock.elapsed() - seconds + delay if delay else -math.inf
        self._thread: threading.Thread | None = None
        self._answers: list[T] = []

    def poll(self, *, ask: bool = True) -> T | None:
        """Return an answer that has come since the last call, or None. Ask again if the time has come.

        Args:
            ask: Whether there is something to ask.
        """
        if self._is_asking:
            return None
        answer = self._answers.pop() if self._answers else None
        if ask and clock.elapsed() - self._asked >= self._seconds:
            self._asked = clock.elapsed()
            self._thread = threading.Thread(target=self._run, name="inquiry", daemon=True)
            self._thread.start()
        return answer

    def finish(self, seconds: float) -> T | None:
        """Return the answer to the question that is being asked, after this time at most."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.poll(ask=False)

    @property
    def _is_asking(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._answers[:] = [self._ask()]
        except OrderctlError as error:
            _log.debug("no answer: %s", error)
        except Exception:  # noqa: BLE001 - a thread's traceback would stand in the middle of the bars
            _log.debug("no answer", exc_info=True)
