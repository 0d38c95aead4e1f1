"""Run a program that dies with the process that started it: ``leash.py PARENT_PID PROGRAM ARGUMENT...``.

A program of its own rather than ``preexec_fn``, which is unsafe (and a warning) in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def hold() -> None:
    """Have the kernel kill this process when its parent ends (exactly: the thread that started it)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(parent: int, command: list[str]) -> None:
    """Become ``command``, and be killed when ``parent`` ends.

    Args:
        parent: Process id of the starter. If it has ended already, nothing is run.
        command: Path of the program, and its arguments.
    """
    hold()
    if os.getppid() == parent:
        os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
