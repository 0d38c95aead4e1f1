"""Regular expressions of the user, none of which may keep a command busy for hours: ``(a+)+$`` would."""

from __future__ import annotations

import re
import signal
import threading
from typing import NoReturn

from orderctl.errors import PatternTooSlow


def matches(pattern: re.Pattern[str], texts: tuple[str, ...], *, seconds: float, place: str) -> bool:
    """Return whether a regular expression matches a part of one of some texts.

    Args:
        pattern: The expression.
        texts: The texts.
        seconds: CPU time that it may take. Only the main thread can be interrupted: elsewhere it has no limit.
        place: Where the texts stand, for the error.

    Raises:
        PatternTooSlow: It takes longer.
    """
    if threading.current_thread() is not threading.main_thread():
        return any(map(pattern.search, texts))

    def stop(*_: object) -> NoReturn:
        raise PatternTooSlow(
            f"the regular expression takes longer than {seconds:g} s on {place}",
            hint="leave out a repetition within a repetition, such as (a+)+",
        )

    # Of the process's own time: waiting for the database is not interrupted, and nothing else uses this timer.
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        return any(map(pattern.search, texts))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
