"""Why a download failed. Each error has the type with which the failure is recorded.

Their tree is drawn in ``orderctl.errors``.
"""

from __future__ import annotations

import errno
from http import HTTPStatus
from http.client import responses

from orderctl.errors import OrderctlError
from orderctl.states import ErrorType

_AUTHENTICATION = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
}
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_PASSING = {
    HTTPStatus.ACCEPTED,  # the file is being prepared
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
#: Statuses of 500 and above that tell what the server cannot do, not that it is out of order.
_INCAPABLE = {
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    HTTPStatus.VARIANT_ALSO_NEGOTIATES,
    HTTPStatus.LOOP_DETECTED,
    HTTPStatus.NOT_EXTENDED,
}
_LIMITING = {HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class DownloadError(OrderctlError):
    """The download failed.

    Attributes:
        error_type: The type with which the failure is recorded.
        transient: Whether it may pass by itself, so that the task is tried again; None: by its type.
        retry_after: Seconds after which the server asks to come again, None when it does not say.
    """

    error_type = ErrorType.UNKNOWN
    transient: bool | None = None
    retry_after: float | None = None


class UrlRefused(DownloadError):
    """The URL is not allowed for downloads."""

    error_type = ErrorType.REFUSED


class AddressRefused(UrlRefused):
    """The host's address is not public."""


class HostUnreachable(DownloadError):
    """The host cannot be reached."""

    error_type = ErrorType.NETWORK
    transient = True


class ConnectionBroken(DownloadError):
    """The connection ended before the download was complete."""

    error_type = ErrorType.NETWORK


class CertificateRefused(DownloadError):
    """The server's certificate is not valid.

    Args:
        outdated: Whether only its date is wrong; the server's admin renews it then.
    """

    error_type = ErrorType.REFUSED

    def __init__(self, message: str | None = None, *, outdated: bool = False) -> None:
        super().__init__(message)
        self.transient = outdated


class TooSlow(DownloadError):
    """The server is too slow."""

    error_type = ErrorType.TIMEOUT


class StatusRefused(DownloadError):
    """The server answered with an HTTP error status.

    Args:
        status: The HTTP status.
        url: The URL without secrets.
        retry_after: Seconds after which the server asks to come again, if it does.
    """

    def __init__(self, status: int, url: str, *, retry_after: float | None = None) -> None:
        phrase = responses.get(status, "(unknown status)")
        super().__init__(f"HTTP {status} {phrase} from {url}")
        self.status = status
        self.error_type = type_of_status(status)
        self.retry_after = retry_after
        # Some servers limit the rate with 403 or 413, and say so by Retry-After.
        limited = retry_after is not None and status in _LIMITING
        self.transient = limited or self.error_type is ErrorType.NETWORK


class BadAnswer(DownloadError):
    """The server's response is not valid."""


class NotAFile(BadAnswer):
    """The server sent a page, a playlist or an error message instead of a file."""

    error_type = ErrorType.NOT_A_FILE


class SizeMismatch(BadAnswer):
    """The file does not have the announced size."""

    error_type = ErrorType.CHECKSUM


class ChecksumMismatch(BadAnswer):
    """The file does not have the announced checksum."""

    error_type = ErrorType.CHECKSUM


class InvalidManifest(BadAnswer):
    """The manifest is not valid."""


class TooLarge(DownloadError):
    """The file is larger than allowed."""

    error_type = ErrorType.TOO_LARGE


class DiskFull(DownloadError):
    """There is no space left on the disk."""

    error_type = ErrorType.DISK_SPACE


class NotPermitted(DownloadError):
    """Permission denied."""

    error_type = ErrorType.PERMISSION


class LinkRefused(NotPermitted):
    """A link, a device or another kind of file is in the place of a file or folder."""


def type_of_status(status: int) -> ErrorType:
    """Return the error type of an HTTP error status."""
    if status in _AUTHENTICATION:
        return ErrorType.AUTHENTICATION
    if status in _GONE:
        return ErrorType.NOT_FOUND
    if status in _PASSING or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _INCAPABLE):
        return ErrorType.NETWORK
    return ErrorType.UNKNOWN


def of_disk(error: OSError, name: str) -> DownloadError | None:
    """Return the download error for an error of the file system on that file; None for a rare error."""
    if error.errno in _FULL:
        return DiskFull(f"no space left on the disk for {name!r} ({error.strerror})")
    if error.errno in _FORBIDDEN:
        return NotPermitted(f"permission denied: {name!r} ({error.strerror})")
    if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}:
        return LinkRefused(f"{name!r} is a symbolic link or the wrong kind of file ({error.strerror})")
    return None
