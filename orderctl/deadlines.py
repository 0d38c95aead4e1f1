"""Work with a deadline, whatever it waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """Work in a thread, which is left alone if it hangs: the look-up of a name cannot be interrupted.

    Args:
        work: The work.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._made: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._made.append(self._work())
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._error = error

    def result(self, seconds: float) -> T:
        """Return what the work has returned, or raise what it has raised.

        Args:
            seconds: How long to wait for its end.

        Raises:
            TimeoutError: It has not ended by then.
        """
        self._thread.join(max(0.0, seconds))
        if self._error is not None:
            raise self._error
        if not self._made:
            raise TimeoutError(f"no answer within {seconds:g} s")
        return self._made[0]
