"""How a statement writes dates and times. Whether 01/11 is a day and a month is decided for the whole column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

from orderctl.errors import InvalidInput

#: Longer cells are not dates.
_MOST: Final = 60
_CLOCK: Final = re.compile(
    r"(?:(?<=\d)t)?(?<!\d)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?(?!\d)"
    r"\s*(am|pm|a\.m\.|p\.m\.|sa|ch)?"
    r"\s*(?:(z|utc|gmt)(?:([+-]\d{1,2})(?::?(\d{2}))?)?(?![\w/])|([+-]\d{2})(?::?(\d{2}))?(?![\d/.-]))?",
    re.ASCII,
)
_DATE: Final = re.compile(
    r"[\s,]*([^\W_]+)(?:([\s,]+|[\s]*[-/.][\s]*)([^\W_]+)(?:[\s,]+|[\s]*[-/.][\s]*)([^\W_]+))?[\s,]*"
)
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?:t?(\d{2})(\d{2})(\d{2})?)?", re.ASCII)
_GLUED: Final = re.compile(r"(\d{1,2})([a-z]{3,9})(\d{2}|\d{4})", re.ASCII)
_BARE_CLOCK: Final = re.compile(r"(\d{2})(\d{2})(\d{2})?", re.ASCII)
_DOCUMENT: Final = re.compile(r"(?=.{0,60}\d\d)[\w./ -]{3,60}", re.ASCII)
_WEEKDAY: Final = re.compile(r"^(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?[\s,.]+")
_ENGLISH: Final = "january february march april may june july august september october november december"
_MONTHS: Final = {
    **{name: number for number, name in enumerate(_ENGLISH.split(), 1)},
    **{name[:3]: number for number, name in enumerate(_ENGLISH.split(), 1)},
    "sept": 9, "mai": 5, "okt": 10, "dez": 12, "mrz": 3, "januar": 1, "februar": 2, "m\xe4rz": 3, "juni": 6,
    "juli": 7, "oktober": 10, "dezember": 12,
}  # fmt: skip
_AFTERNOON: Final = {"pm", "p.m.", "ch"}
_LAST_MONTH: Final = 12
_LAST_DAY: Final = 31
_YEAR_DIGITS: Final = 4
#: Years that every database holds, and that a bank may mean.
_YEARS: Final = range(1970, 9999)
#: Two digits of a year from this on are of the last century.
_LAST_CENTURY: Final = 70

_DAY: Final = timedelta(days=1)
_ORDERS: Final = {"dmy": (2, 1, 0), "mdy": (2, 0, 1), "ymd": (0, 1, 2)}


class Clock(NamedTuple):
    """A time of day as it is written; ``precision`` is a second or a minute, ``zone`` None if it has none."""

    time: time
    precision: timedelta
    zone: tzinfo | None = None


class Written(NamedTuple):
    """A date as it is written.

    Attributes:
        numbers: Its three numbers, in the order of the text; in the order year, month, day if ``certain``.
        certain: Whether the text tells which number is which.
        clock: The time of day; None: there is none.
    """

    numbers: tuple[int, int, int]
    certain: bool
    clock: Clock | None = None

    @property
    def fits(self) -> set[str]:
        """The orders, of ``dmy`` and ``mdy``, in which its numbers may be day and month."""
        first, second, _ = self.numbers
        return {
            order
            for order, day, month in (("dmy", first, second), ("mdy", second, first))
            if 1 <= day <= _LAST_DAY and 1 <= month <= _LAST_MONTH
        }

    def with_clock(self, clock: Clock | None) -> Written:
        """Return it with the time of another column, if there is one."""
        return self if clock is None else self._replace(clock=clock)


class Order(NamedTuple):
    """The order of a column's dates; ``assumed`` if no date tells it, and some could be read in two ways."""

    name: str
    assumed: bool = False

    @classmethod
    def of(cls, dates: Iterable[tuple[str, str, Written]], asked: str | None) -> Order:
        """Return the order of day, month and year.

        Args:
            dates: All dates, each with its place and its text, for messages.
            asked: The order if the user has named it.

        Raises:
            InvalidInput: Two dates contradict each other.
        """
        if asked is not None:
            return cls(asked)
        sure: dict[str, str] = {}
        ambiguous = False
        for place, text, written in dates:
            if written.certain:
                continue
            fits = written.fits
            if len(fits) == 1:
                sure.setdefault(next(iter(fits)), f"{text} ({place})")
            ambiguous = ambiguous or (len(fits) > 1 and written.numbers[0] != written.numbers[1])
        if len(sure) > 1:
            raise InvalidInput(
                f"the dates {sure['dmy']} and {sure['mdy']} have day and month in different orders",
                hint="give all dates one format, such as 2026-11-30",
            )
        return cls(next(iter(sure), "dmy"), assumed=ambiguous and not sure)

    def moment(self, written: Written, zone: tzinfo, *, whole_days: bool) -> tuple[datetime, datetime] | None:
        """Return the begin and the end of the time that a date names, in UTC; None if there is no such day.

        Args:
            written: The date.
            zone: The zone of a time without one.
            whole_days: Whether its time means nothing.
        """
        year, month, day = (
            written.numbers[place] for place in _ORDERS["ymd" if written.certain else self.name]
        )
        clock = None if whole_days else written.clock
        try:
            begin = datetime.combine(
                datetime(_century(year), month, day, tzinfo=UTC), clock.time if clock else time()
            )
            step, own = (clock.precision, clock.zone or zone) if clock else (_DAY, zone)
            span = tuple(local.replace(tzinfo=own).astimezone(UTC) for local in (begin, begin + step))
        except (ValueError, OverflowError):
            return None
        return (span[0], span[1]) if begin.year in _YEARS else None


def _century(year: int) -> int:
    if year >= 100:  # noqa: PLR2004 - of two digits
        return year
    return year + (1900 if year >= _LAST_CENTURY else 2000)


def read(text: str) -> Written | None:
    """Return a date as it is written, with or without a time; None for what is not a date."""
    if len(text) > _MOST:
        return None
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().strip()
    match = _CLOCK.search(folded)
    if match is None:
        return _date(folded)
    date = _date(f"{folded[: match.start()]} {folded[match.end() :]}")
    clock = _clock(match)
    return None if date is None or clock is None else date.with_clock(clock)


def read_first(text: str) -> tuple[Written, str] | None:
    """Return the date with which a cell begins, and the number of a document that a bank puts behind or below it.

    None for what is not a date with such a number, as ``01/11/2026 5078 - 12345``.
    """
    words = text.split()
    for count in (2, 1):
        behind = " ".join(words[count:])
        if _DOCUMENT.fullmatch(behind) and (date := read(" ".join(words[:count]))):
            return date, behind
    return None


def read_clock(text: str) -> Clock | None:
    """Return a time of day as a column of its own has it: ``10:33:05``, ``103305``; None for what is not one."""
    if len(text) > _MOST:
        return None
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    if match := _CLOCK.search(folded):
        rest = f"{folded[: match.start()]} {folded[match.end() :]}".strip()
        return _clock(match) if not rest or _date(rest) else None
    bare = _BARE_CLOCK.fullmatch(folded)
    return _time(bare[1], bare[2], bare[3], None, None) if bare else None


def _clock(match: re.Match[str]) -> Clock | None:
    hour, minute, second, half, name, hours, minutes, plain_hours, plain_minutes = match.groups()
    offset, rest = (hours or "+0", minutes) if name else (plain_hours, plain_minutes)
    if offset is None:
        return _time(hour, minute, second, half, None)
    away = timedelta(hours=int(offset), minutes=int(rest or 0) * (-1 if offset[0] == "-" else 1))
    return _time(hour, minute, second, half, timezone(away)) if abs(away) < _DAY else None


def _time(hour: str, minute: str, second: str | None, half: str | None, zone: tzinfo | None) -> Clock | None:
    hours = int(hour)
    if half is not None and hours <= 12:  # noqa: PLR2004 - 15:05 PM is written, too
        hours = hours % 12 + (12 if half in _AFTERNOON else 0)
    try:
        found = time(hours, int(minute), int(second or 0))
    except ValueError:
        return None
    return Clock(found, timedelta(minutes=1) if second is None else timedelta(seconds=1), zone)


@lru_cache(maxsize=4096)  # a statement has many lines of one day
def _date(text: str) -> Written | None:
    text = _WEEKDAY.sub("", text.strip(" \t,-"))
    if match := _COMPACT.fullmatch(text):
        return _compact(*match.groups())
    if match := _GLUED.fullmatch(text):
        return _triple(*match.groups())
    match = _DATE.fullmatch(text)
    return _triple(match[1], match[3], match[4]) if match and match[4] else None


def _compact(
    year: str, month: str, day: str, hour: str | None, minute: str | None, second: str | None
) -> Written | None:
    date = Written((int(year), int(month), int(day)), certain=True)
    if hour is None or minute is None:
        return date
    clock = _time(hour, minute, second, None, None)
    return clock and date.with_clock(clock)


def _triple(first: str, second: str, third: str) -> Written | None:
    parts = (first, second, third)
    named = [place for place, part in enumerate(parts) if part in _MONTHS]
    digits = [part for part in parts if part not in _MONTHS]
    if len(named) > 1 or not all(_is_number(part) for part in digits):
        return None
    if named:
        # 2026-Nov-01; 01-Nov-2026 and Nov 1, 2026 have the day before the year.
        year, day = digits if len(digits[0]) == _YEAR_DIGITS else reversed(digits)
        return (
            None
            if len(day) == _YEAR_DIGITS
            else Written((int(year), _MONTHS[parts[named[0]]], int(day)), certain=True)
        )
    lengths = [len(part) for part in parts]
    is_year_first = lengths[0] == _YEAR_DIGITS
    if _YEAR_DIGITS in lengths[1 : 3 if is_year_first else 2] or (lengths[2] == 1 and not is_year_first):
        return None
    return Written((int(first), int(second), int(third)), certain=is_year_first)


def _is_number(part: str) -> bool:
    if not (part.isascii() and part.isdigit()):
        return False
    # 0001 is what programs write for no date, not 2001.
    return len(part) in {1, 2} or (len(part) == _YEAR_DIGITS and part[0] != "0")
