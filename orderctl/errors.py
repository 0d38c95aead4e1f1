"""Everything that orderctl raises on purpose.

    OrderctlError
    ├── InvalidInput            2   the caller's words are wrong
    ├── NotFound                3   no such order, task, ...
    │   ├── OrderNotFound
    │   └── TaskNotFound
    ├── Conflict                4   the state does not allow it
    ├── SubjectFailed           1   what was watched or tried has failed
    ├── Unavailable            69   a store that is needed does not answer
    │   ├── DatabaseUnavailable
    │   │   └── DatabaseBusy        it answers, but somebody else holds what we need
    │   └── RedisUnavailable
    ├── LockHeld               75   somebody else is at it; try later
    ├── Misconfigured          78   a setting is wrong
    │   └── NotMigrated        78   the database lacks our tables
    ├── TimedOut              124   what was waited for did not come
    ├── LeaseLost               -   a worker's claim is no longer its own
    └── InvalidMessage          -   a payload on a channel is not a message

An error is raised once, where it is known, and turned into a line on stderr and an exit code once,
in ``orderctl.cli``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit codes of the command line, after sysexits.h and timeout(1) where those have a word for it."""

    DONE = 0  #: What was asked for is done (or was already).
    FAILED = 1  #: The subject failed, part of a bulk did, or a verification found something.
    USAGE = 2  #: The command line or its input is wrong.
    NOT_FOUND = 3  #: No such order, task or worker.
    CONFLICT = 4  #: The present state does not allow it.
    UNAVAILABLE = 69  #: Database, Redis or workers do not answer (EX_UNAVAILABLE).
    INTERNAL = 70  #: A mistake in orderctl itself (EX_SOFTWARE).
    TRY_LATER = 75  #: A lock is held by somebody else (EX_TEMPFAIL).
    CONFIGURATION = 78  #: A setting is wrong, or the database is not migrated (EX_CONFIG).
    TIMED_OUT = 124  #: The time that was given ran out (as timeout(1)).
    INTERRUPTED = 130  #: Ctrl-C (128 + SIGINT).


class OrderctlError(Exception):
    """Something went wrong.

    Args:
        message: One line: what is wrong. Defaults to the first line of the class's docstring.
        hint: One line: what to do about it.
    """

    exit_status = ExitStatus.FAILED

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])
        self.hint = hint


class InvalidInput(OrderctlError):
    """The input is not valid."""

    exit_status = ExitStatus.USAGE


class NotFound(OrderctlError):
    """There is no such thing."""

    exit_status = ExitStatus.NOT_FOUND


class OrderNotFound(NotFound):
    """There is no such order."""


class TaskNotFound(NotFound):
    """There is no such task."""


class Conflict(OrderctlError):
    """The present state does not allow it."""

    exit_status = ExitStatus.CONFLICT


class SubjectFailed(OrderctlError):
    """What was asked for failed."""


class Unavailable(OrderctlError):
    """A service that is needed does not answer."""

    exit_status = ExitStatus.UNAVAILABLE


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""


class DatabaseBusy(DatabaseUnavailable):
    """The database is too busy."""


class RedisUnavailable(Unavailable):
    """Redis does not answer."""


class LockHeld(OrderctlError):
    """A lock is held by somebody else."""

    exit_status = ExitStatus.TRY_LATER


class Misconfigured(OrderctlError):
    """A setting is wrong."""

    exit_status = ExitStatus.CONFIGURATION


class NotMigrated(Misconfigured):
    """The database lacks tables or columns of orderctl."""


class TimedOut(OrderctlError):
    """The time that was given ran out."""

    exit_status = ExitStatus.TIMED_OUT


class LeaseLost(OrderctlError):
    """The lease on this task belongs to somebody else now."""


class InvalidMessage(OrderctlError):
    """The payload is not a message of this channel."""
