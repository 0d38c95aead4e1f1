"""What kind of failure an exception, or the text of one, is.

This module loads neither the database nor Redis: the shop's workers call it for each error.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Collection
from typing import Final

from orderctl.states import ErrorType

_BY_ERRNO: Final = {
    errno.ENOSPC: ErrorType.DISK_SPACE,
    errno.EDQUOT: ErrorType.DISK_SPACE,
    errno.ETIMEDOUT: ErrorType.TIMEOUT,
    errno.EACCES: ErrorType.PERMISSION,
    errno.EPERM: ErrorType.PERMISSION,
    errno.EROFS: ErrorType.PERMISSION,
    errno.ENETUNREACH: ErrorType.NETWORK,
    errno.EHOSTUNREACH: ErrorType.NETWORK,
    errno.ENETDOWN: ErrorType.NETWORK,
    errno.ECONNRESET: ErrorType.NETWORK,
    errno.ECONNREFUSED: ErrorType.NETWORK,
    errno.ECONNABORTED: ErrorType.NETWORK,
    errno.EPIPE: ErrorType.NETWORK,
}
_BY_CLASS: Final[tuple[tuple[type[BaseException], ErrorType], ...]] = (
    (TimeoutError, ErrorType.TIMEOUT),
    (PermissionError, ErrorType.PERMISSION),
    (ConnectionError, ErrorType.NETWORK),
    (socket.gaierror, ErrorType.NETWORK),
    (ssl.SSLError, ErrorType.NETWORK),
)
#: The words and their order are a contract with the shop's older workers.
_BY_WORDS: Final = (
    (re.compile("disk|space", re.IGNORECASE), ErrorType.DISK_SPACE),
    (re.compile("authentication|token", re.IGNORECASE), ErrorType.AUTHENTICATION),
    (re.compile("timeout", re.IGNORECASE), ErrorType.TIMEOUT),
    (re.compile("network|connection", re.IGNORECASE), ErrorType.NETWORK),
    (re.compile("permission", re.IGNORECASE), ErrorType.PERMISSION),
)


def classify(reason: object) -> ErrorType:
    """Return the error type: by an exception's ``error_type``, errno, class, or the words of its message.

    Args:
        reason: An exception, or a text.
    """
    exception = as_exception(reason)
    own = getattr(exception, "error_type", None)
    if isinstance(own, str) and own in set(ErrorType):
        return ErrorType(own)
    number = getattr(exception, "errno", None)
    if isinstance(number, int) and number in _BY_ERRNO:
        return _BY_ERRNO[number]
    for kind, error_type in _BY_CLASS:
        if isinstance(exception, kind):
            return error_type
    text = message(exception)
    return next((error_type for words, error_type in _BY_WORDS if words.search(text)), ErrorType.UNKNOWN)


def as_exception(reason: object) -> BaseException:
    """Return an exception as it is, and anything else as the message of one."""
    if isinstance(reason, BaseException):
        return reason
    if reason is None:
        return Exception()
    return Exception(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason)


def explain(exception: BaseException) -> str:
    """Return an exception's message and, if it has one, its hint: what to do about the failure."""
    text, hint = message(exception), getattr(exception, "hint", None)
    return f"{text}; {hint}" if isinstance(hint, str) and hint else text


def message(exception: BaseException) -> str:
    """Return an exception's message; its class if it has none that can be read."""
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - an exception class of the shop's handler may fail here
        return type(exception).__name__


def untyped(text: str, kinds: Collection[str] = tuple(ErrorType)) -> str:
    """Return the text of an error without its type, which may stand before it more than once."""
    words = "|".join(map(re.escape, kinds))
    return re.sub(rf"\A(?:(?:{words})(?:: *|\Z))+", "", text)


def typed(kind: str | None, text: str | None) -> str:
    """Return the type and the text of an error; the type stands there once."""
    said = (text or "").strip()
    return ": ".join(part for part in (kind, untyped(said, [kind]) if kind else said) if part)
