"""Child processes that cannot outlive their parent (Linux, prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; to be called first thing in the child.

    The setting does not survive a fork, and it fires when the parent's *thread* that forked ends: fork
    from the main thread. A parent that ended before the call is noticed, too.

    Args:
        parent: Process id of the parent, taken before the fork.

    Raises:
        OSError: When the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
