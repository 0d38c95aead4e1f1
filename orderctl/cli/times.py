"""Reads times and lengths of time as people write them: ``10m``, ``2h``, ``yesterday``, ``2026-05-01``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

MOMENTS: Final = (
    "10m, 2h30m, 3d (ago), now, today, yesterday, 2026-05-01, '2026-05-01 14:30', 14:30, @1767225600"
)
SPANS: Final = "45s, 10m, 2h30m, 3d, 1w"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: Longer times overflow in databases and in waits.
LONGEST: Final = "36500d"
_LONGEST: Final = 36500 * 86400
_SPAN: Final = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?[smhdw])+\Z", re.ASCII)
_PART: Final = re.compile(r"([0-9.]+)([smhdw])", re.ASCII)
_CLOCK: Final = re.compile(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?\Z", re.ASCII)


class TooLong(ValueError):
    """A length of time that no option takes."""


def span(text: str) -> timedelta:
    """Read a length of time; a number without a unit is in seconds.

    Raises:
        ValueError: When the text is not a length of time; the message says what is allowed.
    """
    text = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text, re.ASCII):
        text += "s"
    if not _SPAN.match(text):
        raise ValueError(f"needs a length of time such as {SPANS}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST:
        raise TooLong("is too long: at most 100 years (36500d)")
    return timedelta(seconds=seconds)


def moment(text: str, *, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Read a time, and return it in UTC.

    Args:
        text: The text to read.
        now: The moment that ``10m``, ``today`` and the like are relative to.
        zone: The time zone of dates and times of day without one; the machine's own when None.

    Raises:
        ValueError: When the text is not a time; the message says what is allowed.
    """
    text = text.strip()
    try:
        return (_relative(text.lower(), now, zone) or _absolute(text, now, zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"needs a time such as {MOMENTS}") from None


def _relative(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    midnight = datetime.combine(now.astimezone(zone).date(), time())
    if text == "now":
        return now
    if text == "today":
        return _in_zone(midnight, zone)
    if text == "yesterday":
        return _in_zone(midnight - timedelta(days=1), zone)
    if text.startswith("@"):
        return datetime.fromtimestamp(float(text[1:]), UTC)
    written = text.removesuffix("ago").strip().removeprefix("-")
    return now - span(written) if _SPAN.match(written) else None


def _absolute(text: str, now: datetime, zone: tzinfo | None) -> datetime:
    if _CLOCK.match(text):
        clock = time.fromisoformat(text.zfill(5) if text.count(":") == 1 else text.zfill(8))
        return _in_zone(datetime.combine(now.astimezone(zone).date(), clock), zone)
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else _in_zone(parsed, zone)


def _in_zone(naive: datetime, zone: tzinfo | None) -> datetime:
    return naive.astimezone() if zone is None else naive.replace(tzinfo=zone)
