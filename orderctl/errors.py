"""Every error that orderctl raises on purpose, as one tree.

    OrderctlError                    1  500
    ├── InvalidInput                 2  400  an argument, a file or a request is not valid
    │   ├── InvalidCall                      the relay does not know this request
    │   ├── InvalidFrame                     not a frame of the relay's protocols
    │   ├── PatternTooSlow                   a regular expression takes too long on a text
    │   └── Malformed                        not a request that the relay's HTTP takes (with the status of its answer)
    ├── NotFound                     3  404
    │   ├── OrderNotFound
    │   │   └── OrderDeleted                 the shop has deleted it (its column ``deleted_at``)
    │   ├── TaskNotFound
    │   ├── PaymentNotFound                  the ledger has no such payment
    │   ├── MessageNotFound                  the outbox has no such message
    │   └── OperationNotFound                no operation has this name
    ├── Conflict                     4  409  the present state does not allow it
    │   ├── NotManaged                       the task is run by the shop's own workers
    │   ├── NameTaken                        another operation has this name
    │   └── Superseded                       the task is not any more what was chosen: another process changed it
    ├── SubjectFailed                1  500  the watched order or task failed, or part of a bulk change did
    ├── Unavailable                 69  503  a store that is needed does not answer
    │   ├── DatabaseUnavailable
    │   │   ├── DatabaseBusy                 it answers, but another transaction holds the rows
    │   │   ├── DatabaseExhausted            it answers, but its disk or a limit of the account is used up
    │   │   └── DatabaseReadOnly             it answers, but does not accept writes: it was demoted, for example
    │   ├── RedisUnavailable
    │   │   ├── CommandRefused               Redis answered the relay's command with an error
    │   │   └── NotRedis                     the relay's server answered in another protocol
    │   ├── Late                             the database did not answer the relay in time
    │   └── Overloaded                       the relay has too many requests waiting
    ├── LockHeld                    75  500  another process holds the lock; try again later
    ├── Misconfigured               78  503  a setting is wrong
    │   ├── NotMigrated                      the database lacks orderctl's tables or columns
    │   ├── OnlyReads                        an account of Redis has rights to read, and none to write
    │   ├── ProviderFault                    a payment provider of the shop's own has a fault
    │   └── TemplateFault                    a template of a mail cannot be read or rendered
    ├── TimedOut                   124  500  the time limit passed first
    ├── Unauthorized                 1  401  the relay requires a token that allows the request
    │   └── NotAuthentic                     a payment webhook does not prove that it comes from a provider
    ├── Forbidden                    1  403  the token of a client of the relay lacks a right
    ├── TooManySubscriptions         1  500  a client of the relay has reached its limit of subscriptions
    ├── ChildFailed                  1  500  a child of the supervisor cannot live (with the exit code of its error)
    ├── TasksLeft                    1  500  a burst has not carried out all tasks that were due
    ├── Stopping                     1  500  the worker has to stop; its task is released
    ├── LeaseLost                    1  500  another worker may hold the task by now
    ├── InvalidMessage               1  500  a payload on a channel is not a message of that channel
    └── DownloadError                1  500  UNKNOWN
        ├── UrlRefused                       REFUSED: not http(s), malformed, or an unsafe redirect
        │   └── AddressRefused               REFUSED: an address of a private network
        ├── HostUnreachable                  NETWORK: the name is unknown, or nothing answers there
        ├── ConnectionBroken                 NETWORK: the connection ended before the file did
        ├── CertificateRefused               REFUSED: the server's certificate is not valid
        ├── TooSlow                          TIMEOUT: no data for too long, or below the lowest rate
        ├── StatusRefused                    (by status): an HTTP status other than success
        ├── BadAnswer                        UNKNOWN: not what HTTP or the manifest promised
        │   ├── NotAFile                     NOT_A_FILE: a page, a playlist or an error message in its place
        │   ├── SizeMismatch                 CHECKSUM
        │   ├── ChecksumMismatch             CHECKSUM
        │   └── InvalidManifest              UNKNOWN
        ├── TooLarge                         TOO_LARGE: more than ``download.max_bytes``
        ├── DiskFull                         DISK_SPACE
        └── NotPermitted                     PERMISSION: refused by the operating system
            └── LinkRefused                  PERMISSION: a symbolic link, or another kind of file
    ValueError
    ├── TooLong                              a length of time that no option takes: a usage error (2)
    ├── InvalidPart                          a part of a setting is not valid: a Misconfigured (78) that names it
    └── InvalidPayload                       a message lacks what it has to say: the courier gives it up at once
    OSError
    ├── Undeliverable                        mail cannot carry the address, or the server does not know it
    ├── MailRefused                          the mail server does not accept the mail now
    ├── WebhookRefused                       the webhook's receiver did not answer 2xx
    └── EndpointRemoved                      the webhook's endpoint is not configured any more

The numbers are the exit code of the command line and the HTTP status of the relay's API; an error without
numbers has those of the class above it. Below ``DownloadError`` stands the type with which the failure is
recorded (``download_tasks.error_type``). The errors below ``OSError`` never leave the courier, which sends again later after
any ``OSError``, except after an ``Undeliverable``, an ``EndpointRemoved`` and the status 410 of a ``WebhookRefused``.

An error that any module may raise is defined here; one that belongs to a single package is defined there
(``orderctl.downloads.errors``, ``orderctl.operations``, ``orderctl.relay``, ``orderctl.worker``). All of them are in this tree:
``tests/test_errors.py`` compares it with the code.

An error is raised once, where it is known, and turned once into a line on stderr and an exit code, in
``orderctl.cli``, or into an answer, in ``orderctl.relay``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit codes of the command line; those of sysexits.h and timeout(1) where they have one."""

    DONE = 0  #: Done, or there was nothing to do.
    FAILED = 1  #: The order or task failed, part of a bulk change did, or a check found something.
    USAGE = 2  #: The command line or its input is wrong.
    NOT_FOUND = 3  #: No such order, payment, message, task or worker.
    CONFLICT = 4  #: The present state does not allow it.
    UNAVAILABLE = 69  #: The database, Redis or the workers do not answer (EX_UNAVAILABLE).
    INTERNAL = 70  #: A bug in orderctl (EX_SOFTWARE).
    TRY_LATER = 75  #: Another process holds a lock (EX_TEMPFAIL).
    CONFIGURATION = 78  #: A setting is wrong, or the database is not migrated (EX_CONFIG).
    TIMED_OUT = 124  #: The time limit passed (as timeout(1)).
    INTERRUPTED = 130  #: Ctrl-C (128 + SIGINT).


class OrderctlError(Exception):
    """Something went wrong.

    Args:
        message: One line that says what is wrong. Defaults to the first line of the class's docstring.
        hint: One line that says what to do, such as a command to paste.

    Attributes:
        exit_status: Exit code of the command line.
        http_status: HTTP status of the relay's API.
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


class PatternTooSlow(InvalidInput):
    """A regular expression takes too long on a text."""


class NotFound(OrderctlError):
    """Not found."""

    exit_status = ExitStatus.NOT_FOUND
    http_status = 404


class OrderNotFound(NotFound):
    """Order not found."""


class OrderDeleted(OrderNotFound):
    """The shop has deleted the order."""


class PaymentNotFound(NotFound):
    """The ledger has no such payment."""


class MessageNotFound(NotFound):
    """The outbox has no such message."""


class TaskNotFound(NotFound):
    """Task not found."""


class Conflict(OrderctlError):
    """The present state does not allow it."""

    exit_status = ExitStatus.CONFLICT
    http_status = 409


class NotManaged(Conflict):
    """The task is run by the shop's own workers."""


class Superseded(Conflict):
    """Another process has changed it since it was chosen."""


class SubjectFailed(OrderctlError):
    """The order or task failed, or part of a bulk change did."""


class Unavailable(OrderctlError):
    """A store that is needed does not answer."""

    exit_status = ExitStatus.UNAVAILABLE
    http_status = 503


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""


class DatabaseBusy(DatabaseUnavailable):
    """The database is busy: another transaction holds the rows."""


class DatabaseExhausted(DatabaseUnavailable):
    """The database's disk is full, or a limit of the account is reached."""


class DatabaseReadOnly(DatabaseUnavailable):
    """The database is read-only."""


class RedisUnavailable(Unavailable):
    """Redis does not answer."""


class LockHeld(OrderctlError):
    """Another process holds the lock."""

    exit_status = ExitStatus.TRY_LATER


class Misconfigured(OrderctlError):
    """A setting is wrong."""

    exit_status = ExitStatus.CONFIGURATION
    http_status = 503  # until an administrator has repaired it


class NotMigrated(Misconfigured):
    """The database lacks orderctl's tables or columns."""


class TimedOut(OrderctlError):
    """The time limit passed."""

    exit_status = ExitStatus.TIMED_OUT


class LeaseLost(OrderctlError):
    """The lease on this task is lost: another worker may hold it."""


class InvalidMessage(OrderctlError):
    """The payload is not a message of this channel."""
