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
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class DownloadError(OrderctlError):
    """The download failed."""

    error_type = ErrorType.UNKNOWN


class UrlRefused(DownloadError):
    """The URL is not allowed for downloads."""


class AddressRefused(UrlRefused):
    """The host's address is not public."""


class HostUnreachable(DownloadError):
    """The host cannot be reached."""

    error_type = ErrorType.NETWORK


class ConnectionBroken(DownloadError):
    """The connection ended before the download was complete."""

    error_type = ErrorType.NETWORK


class CertificateRefused(DownloadError):
    """The server's certificate is not valid."""


class TooSlow(DownloadError):
    """The server is too slow."""

    error_type = ErrorType.TIMEOUT


class StatusRefused(DownloadError):
    """The server answered with an HTTP error status.

    Args:
        status: The HTTP status.
        url: The URL without secrets.
    """

    def __init__(self, status: int, url: str) -> None:
        phrase = responses.get(status, "(unknown status)")
        super().__init__(f"HTTP {status} {phrase} from {url}")
        self.status = status
        self.error_type = type_of_status(status)


class BadAnswer(DownloadError):
    """The server's response is not valid."""


class NotAFile(BadAnswer):
    """The server sent an HTML page instead of a file."""


class SizeMismatch(BadAnswer):
    """The file does not have the announced size."""


class ChecksumMismatch(BadAnswer):
    """The file does not have the announced checksum."""


class InvalidManifest(BadAnswer):
    """The manifest is not valid."""


class TooLarge(DownloadError):
    """The file is larger than allowed."""


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
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
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
