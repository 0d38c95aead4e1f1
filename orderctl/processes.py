"""Child processes that cannot outlive their parent (Linux, prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Make the kernel kill this process when its parent ends. Call it first in the child.

    The setting does not survive a fork. It takes effect when the parent's *thread* that forked ends, so fork
    from the main thread. If the parent ended before the call, this process kills itself.

    Args:
        parent: The process id of the parent, read before the fork.

    Raises:
        OSError: The kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
