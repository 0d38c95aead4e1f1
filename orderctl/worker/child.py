"""A child process of the supervisor: its fork, and why it ended."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from orderctl import clock, environment, processes
from orderctl.errors import ExitStatus, OrderctlError

#: The operating system has no memory, process or file left, which passes.
_SHORTAGES: Final = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}

_log = logging.getLogger(__name__)

#: Longest reason of an end, in bytes; a pipe takes more without a reader.
_LONGEST_REASON: Final = 4000


class ChildFailed(OrderctlError):
    """A process of the supervisor failed."""

    def __init__(self, end: End, what: str) -> None:
        super().__init__(f"{end.role} {what}: {end.reason}", hint=end.hint)
        self.exit_status = end.status


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended.

    Attributes:
        status: The exit code for it: of its error; 69 when it was killed.
        reason: What it said, or which signal ended it.
        hint: What to do.
        lived: Seconds from its start.
        killed: Whether a signal ended it.
    """

    role: str
    status: ExitStatus
    reason: str
    hint: str | None
    lived: float
    killed: bool = False


@dataclass(slots=True)
class Child:
    """One child process and its history.

    Attributes:
        run: What the child does; called with the child's name.
        failures: How often in a row it ended soon after its start.
        crashes: How often in a row it ended soon after its start, and not because a store did not answer.
        reason: Why it ended the last time, if that was soon after its start.
        start_at: Earliest time of its next start, by ``clock.elapsed``.
    """

    role: str
    run: Callable[[str], None]
    pid: int | None = None
    started: float = 0.0
    failures: int = 0
    crashes: int = 0
    reason: str = ""
    start_at: float = 0.0
    generation: int = 0
    _told: int = -1

    @property
    def kind(self) -> str:
        """What it does, which others may do as well: ``worker``, ``keeper`` or ``courier``."""
        return self.role.partition("-")[0]

    @property
    def age(self) -> float:
        """Seconds since its last start."""
        return clock.elapsed() - self.started

    def start(self, supervisor: str, unblock: Collection[signal.Signals]) -> None:
        """Fork.

        Args:
            supervisor: The supervisor's name.
            unblock: Signals that the supervisor blocks.

        Raises:
            OSError: No memory, process or file is left.
        """
        self.generation += 1
        self.started = clock.elapsed()
        # A name is never used twice: RQ refuses the name of a worker that was killed.
        name = f"{supervisor}.{self.role}.{self.generation}"
        sys.stdout.flush()
        sys.stderr.flush()
        self._told, tell = os.pipe()
        parent = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                _be(self, name, parent, unblock, tell)
        except OSError:
            os.close(self._told)
            raise
        finally:
            os.close(tell)
        self.pid = pid

    def reap(self) -> End | None:
        """Return how the process ended; None while it runs."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = None
        return _end(self, os.waitstatus_to_exitcode(status), self._read())

    def _read(self) -> str:
        os.set_blocking(self._told, False)  # a work-horse that still runs holds the other end
        told = b""
        with contextlib.suppress(BlockingIOError):
            told = os.read(self._told, _LONGEST_REASON)
        os.close(self._told)
        return told.decode(errors="replace")


def _end(child: Child, code: int, told: str) -> End:
    reason, _, hint = told.partition("\n")
    if code < 0:
        reason, hint = f"killed by signal {-code}", "dmesg | tail" if -code == signal.SIGKILL else ""
    known = code in set(ExitStatus)
    status = ExitStatus.UNAVAILABLE if code < 0 else ExitStatus(code) if known else ExitStatus.INTERNAL
    return End(child.role, status, reason or "without an error", hint or None, child.age, killed=code < 0)


def _be(child: Child, name: str, parent: int, unblock: Collection[signal.Signals], tell: int) -> None:
    """Run a child from its fork to its end; does not return."""
    code: int = ExitStatus.INTERNAL
    try:
        processes.die_with(parent)
        os.setpgid(0, 0)  # Ctrl-C at the terminal must reach only the supervisor
        for number in unblock:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblock)
        child.run(name)
        code = ExitStatus.DONE
    except SystemExit:
        code = ExitStatus.DONE
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent's code
        if environment.ambient().debug:
            _log.exception("%s failed", child.role)
        code = _tell(tell, error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(tell: int, error: BaseException) -> ExitStatus:
    """Tell the supervisor why the child ends, and return the exit code for it."""
    status, reason, hint = _explain(error)
    one_line = " ".join(reason.split("\n"))
    os.write(tell, f"{one_line}\n{hint or ''}".encode(errors="replace")[:_LONGEST_REASON])
    return status


def _explain(error: BaseException) -> tuple[ExitStatus, str, str | None]:
    if isinstance(error, OrderctlError):
        return error.exit_status, str(error), error.hint
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        return ExitStatus.UNAVAILABLE, f"the system is short of resources: {error.strerror}", None
    kind, first = type(error).__name__, str(error).partition("\n")[0]
    reason = f"internal error: {kind}: {first}" if first else f"internal error: {kind}"
    return ExitStatus.INTERNAL, reason, "please report it; ORDERCTL_DEBUG=1 shows the traceback"
