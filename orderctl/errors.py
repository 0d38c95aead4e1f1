"""Everything that orderctl raises on purpose.

    OrderctlError                    1  500
    ├── InvalidInput                 2  400  the caller's words are wrong
    │   ├── InvalidCall                      not a request that the relay knows
    │   └── InvalidFrame                     not a frame of the relay's protocols
    ├── NotFound                     3  404  no such order, task, ...
    │   ├── OrderNotFound
    │   └── TaskNotFound
    ├── Conflict                     4  409  the state does not allow it
    ├── SubjectFailed                1  500  what was watched or tried has failed
    ├── Unavailable                 69  503  a store that is needed does not answer
    │   ├── DatabaseUnavailable
    │   │   └── DatabaseBusy                 it answers, but somebody else holds what we need
    │   ├── RedisUnavailable
    │   ├── Late                             the relay has waited long enough for the database
    │   └── Overloaded                       the relay has too much to do
    ├── LockHeld                    75  500  somebody else is at it; try later
    ├── Misconfigured               78  500  a setting is wrong
    │   └── NotMigrated                      the database lacks our tables
    ├── TimedOut                   124  500  what was waited for did not come
    ├── Unauthorized                 1  401  the relay needs a token that allows it
    ├── TooManySubscriptions         1  500  a client of the relay listens to as many as it may
    ├── DownloadError                1  500  what stopped a download; its kinds are in downloads.errors
    ├── Stopping                     1  500  the worker is told to stop, its task goes back
    ├── LeaseLost                    1  500  a worker's claim is no longer its own
    └── InvalidMessage               1  500  a payload on a channel is not a message

Beside each stands the exit code of the command line and the HTTP status of the relay's API, where they are
not those of the class above.

An error is raised once, where it is known, and turned once into a line on stderr and an exit code, in
``orderctl.cli``, or into an answer, in ``orderctl.relay``.
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

    Attributes:
        exit_status: What the command line exits with.
        http_status: What the relay's API answers with.
    """

    exit_status = ExitStatus.FAILED
    http_status = 500

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])
        self.hint = hint


class InvalidInput(OrderctlError):
    """The input is not valid."""

    exit_status = ExitStatus.USAGE
    http_status = 400


class NotFound(OrderctlError):
    """There is no such thing."""

    exit_status = ExitStatus.NOT_FOUND
    http_status = 404


class OrderNotFound(NotFound):
    """There is no such order."""


class TaskNotFound(NotFound):
    """There is no such task."""


class Conflict(OrderctlError):
    """The present state does not allow it."""

    exit_status = ExitStatus.CONFLICT
    http_status = 409


class SubjectFailed(OrderctlError):
    """What was asked for failed."""


class Unavailable(OrderctlError):
    """A service that is needed does not answer."""

    exit_status = ExitStatus.UNAVAILABLE
    http_status = 503


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
