"""Reads the values of response headers. What is malformed counts as absent."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: The longest pause that is read, in seconds; a longer one counts as this.
LONGEST_PAUSE = 366 * 86400.0
#: Digits of the longest number of bytes. Python converts at most 4300 of them.
_MAX_DIGITS = 18


def number(value: str) -> int | None:
    """Return a number of bytes, None when the text is not one or is longer than those of all disks."""
    digits = value.lstrip("0") or value[-1:]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS else None


def retry_after(value: str, date: str = "") -> float | None:
    """Return the seconds after which the server asks to come again (RFC 9110, section 10.2.3).

    Args:
        value: The header ``Retry-After``: seconds, or a date.
        date: The header ``Date`` of the same response. A date is compared with it, because the server's
            clock and ours may differ.

    Returns:
        The seconds, None when there is no such header, it is malformed, or the time has passed.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0")
        seconds = float(digits) if 0 < len(digits) < len(str(LONGEST_PAUSE)) else LONGEST_PAUSE * bool(digits)
    else:
        then = _moment(value)
        seconds = 0.0 if then is None else (then - (_moment(date) or datetime.now(UTC))).total_seconds()
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else None


def _moment(text: str) -> datetime | None:
    """Return an HTTP date in any of its three forms, None when the text is not one."""
    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
