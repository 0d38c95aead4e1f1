"""Tell an exception that interrupts the program from an error of what it was doing.

A worker's time limit, such as RQ's ``job_timeout`` or Celery's soft one, is an ordinary exception that a signal handler
raises in whatever runs at that moment. Code that ignores errors must let it pass: it is raised once.
"""

from __future__ import annotations

import signal
from functools import partial
from types import CodeType


def is_interruption(error: BaseException) -> bool:
    """Whether an exception was raised by a signal handler, or by a timer of RQ's in another thread.

    Args:
        error: An exception that was caught.
    """
    if any(kind.__module__ == "rq.timeouts" for kind in type(error).__mro__):
        return True
    handlers = _handlers()
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def let_through(error: BaseException) -> None:
    """Raise an exception again if it interrupts the program.

    Args:
        error: An exception that is being handled.
    """
    if is_interruption(error):
        raise error


def _handlers() -> set[CodeType]:
    found = (signal.getsignal(number) for number in signal.valid_signals())
    codes = (_code(handler) for handler in found if callable(handler))
    return {code for code in codes if isinstance(code, CodeType)}


def _code(handler: object) -> object:
    while isinstance(handler, partial):
        handler = handler.func
    return getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
