"""Until when a signed URL is valid, as its options say. No secret of it is returned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

#: Options with a moment: of Amazon's and Google's older signatures, CloudFront, Azure, and of programs of a shop's own.
_MOMENTS: Final = ("expires", "se", "expiry", "expire", "expiration", "exp", "valid_until", "validto", "e")
#: Options with a number of seconds, and the option with the moment from which they count (S3, Google, Alibaba).
_LENGTHS: Final = {f"x-{name}-expires": f"x-{name}-date" for name in ("amz", "goog", "oss", "obs", "tos")}
#: Tencent: the first and the last second.
_RANGE: Final = "q-sign-time"
_BASIC: Final = re.compile(r"\d{8}T\d{6}Z\Z", re.ASCII)
_SECONDS: Final = re.compile(r"\d{10}\Z", re.ASCII)
_MILLISECONDS: Final = re.compile(r"\d{13}\Z", re.ASCII)
_LONGEST: Final = 100


def of(url: str) -> datetime | None:
    """Return until when a URL is valid; None if it does not say so.

    Args:
        url: The URL as it is, not masked.
    """
    try:
        found = parse_qsl(urlsplit(url).query, max_num_fields=_LONGEST)
    except ValueError:
        return None
    options = {name.lower(): value.strip() for name, value in reversed(found)}
    try:
        return _by_length(options) or _by_range(options) or _by_moment(options)
    except (ValueError, OverflowError):
        return None


def _by_length(options: Mapping[str, str]) -> datetime | None:
    for length, begin in _LENGTHS.items():
        moment = _moment(options.get(begin, ""))
        if moment is not None and options.get(length, "").isdecimal():
            return moment + timedelta(seconds=int(options[length]))
    return None


def _by_range(options: Mapping[str, str]) -> datetime | None:
    return _moment(options.get(_RANGE, "").rpartition(";")[2])


def _by_moment(options: Mapping[str, str]) -> datetime | None:
    return next((moment for name in _MOMENTS if (moment := _moment(options.get(name, "")))), None)


def _moment(text: str) -> datetime | None:
    """Return the moment that a text is: seconds or milliseconds since 1970, or ISO 8601, basic or extended."""
    if _SECONDS.match(text):
        return datetime.fromtimestamp(int(text), UTC)
    if _MILLISECONDS.match(text):
        return datetime.fromtimestamp(int(text) // 1000, UTC)
    if not (_BASIC.match(text) or "-" in text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
