"""Publish the progress of downloads: the SDK for the shop's own workers, also used by orderctl's worker.

    from orderctl.progress import emit_progress, emit_status_change, report_failure

    emit_progress(task_id, order_id, percent=12.5, current_file="lesson 1.mp4", speed=2_000_000)

These functions use one emitter, which is made at the first call from the settings. Threads and processes may call
them; a process that was forked has connections of its own. A :class:`ProgressEmitter` of one's own can have other
settings.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
from typing import Final

from orderctl import error_types, interruption
from orderctl.emitter import ProgressEmitter
from orderctl.states import Source

__all__ = [
    "ProgressEmitter",
    "determine_error_type",
    "emit_progress",
    "emit_status_change",
    "report_failure",
]

_log = logging.getLogger(__name__)

#: Seconds until the emitter is made again after an error of the settings.
_SETTINGS_PAUSE: Final = 60.0


class _Default:
    """The emitter of the module's functions, made when the first of them is called."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._emitter: ProgressEmitter | None = None
        self._pauses_until = -math.inf

    def find(self) -> ProgressEmitter:
        """Return the emitter.

        Raises:
            Misconfigured: A setting is not valid.
        """
        with self.lock:
            if self._emitter is None:
                self._emitter = ProgressEmitter()
                atexit.register(self._emitter.close)
            return self._emitter

    def find_quietly(self) -> ProgressEmitter | None:
        """Return the emitter, or None while the settings are wrong, which is logged once in a minute."""
        if self._emitter is None and time.monotonic() < self._pauses_until:
            return None
        try:
            return self.find()
        except Exception as error:  # noqa: BLE001 - a wrong setting must not end the shop's download
            interruption.let_through(error)
            self._pauses_until = time.monotonic() + _SETTINGS_PAUSE
            _log.warning("no progress is sent: %s", error)
            return None


_default = _Default()


def _after_fork() -> None:
    """Replace the lock, which a thread of the parent may hold."""
    _default.lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def emit_progress(
    task_id: int,
    order_id: int,
    percent: float,
    current_file: str = "",
    speed: float | None = None,
    **further: object,
) -> bool:
    """Publish the progress of a task, as :meth:`ProgressEmitter.emit_progress` does. This raises no error.

    Args:
        task_id: The task.
        order_id: The task's order.
        percent: 0 to 100.
        current_file: The file that is being downloaded, or "Failed: " and the reason.
        speed: The speed in bytes/s, None if unknown.
        further: What else the shop's own module took; it is ignored.

    Returns:
        Whether the message was sent.
    """
    _ignore(further)
    emitter = _default.find_quietly()
    return emitter is not None and emitter.emit_progress(task_id, order_id, percent, current_file, speed)


def emit_status_change(
    task_id: int,
    order_id: int,
    new_status: str,
    previous_status: str | None = None,
    error: object = None,
    **further: object,
) -> bool:
    """Publish a change of a task's status, as :meth:`ProgressEmitter.emit_status_change` does. This raises no error.

    Args:
        task_id: The task.
        order_id: The task's order.
        new_status: The new status.
        previous_status: The status before.
        error: The reason of a failure, an exception or a text.
        further: What else the shop's own module took; it is ignored.

    Returns:
        Whether the message was sent.
    """
    _ignore(further)
    emitter = _default.find_quietly()
    if emitter is None:
        return False
    return emitter.emit_status_change(task_id, order_id, new_status, previous_status, error)


def report_failure(
    task_id: int,
    order_id: int,
    exception: object,
    *,
    source: str = Source.WORKER,
    actor: str | None = None,
    **further: object,
) -> None:
    """Mark a task as failed and publish it, as :meth:`ProgressEmitter.report_failure` does.

    Args:
        task_id: The task.
        order_id: The task's order.
        exception: The reason, an exception or a text.
        source: The program that reports the failure, such as ``python_worker``.
        actor: Who reports it, such as the worker's name.
        further: What else the shop's own module took; it is ignored.

    Raises:
        OrderctlError: The failure could not be stored; see :meth:`ProgressEmitter.report_failure`.
    """
    _ignore(further)
    _default.find().report_failure(task_id, order_id, exception, source=source, actor=actor)


def determine_error_type(error: object) -> str:
    """Return the type of an error: DISK_SPACE, AUTHENTICATION, TIMEOUT, NETWORK, PERMISSION or UNKNOWN.

    Args:
        error: An exception, or the text of one.
    """
    return error_types.classify(error).contract.value


def _ignore(further: dict[str, object]) -> None:
    if further:
        _log.debug("ignored: %s", ", ".join(further))
