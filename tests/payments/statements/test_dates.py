"""Dates and times as statements write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.statements.dates import Order, read, read_clock
from orderctl.payments.statements.options import LOCAL


def moment(*texts: str, asked: str | None = None, whole_days: bool = False):
    found = [(f"line {place}", text, read(text)) for place, text in enumerate(texts)]
    order = Order.of(found, asked)
    return [order.moment(one, LOCAL, whole_days=whole_days) for _, _, one in found]


@pytest.mark.parametrize(
    ("text", "begin", "precision"),
    [
        ("2026-11-01", "2026-11-01T00:00:00", 86400),
        ("01/11/2026", "2026-11-01T00:00:00", 86400),
        ("1-11-26", "2026-11-01T00:00:00", 86400),
        ("01.11.2026", "2026-11-01T00:00:00", 86400),
        ("2026/11/01", "2026-11-01T00:00:00", 86400),
        ("20261101", "2026-11-01T00:00:00", 86400),
        ("20261101103305", "2026-11-01T10:33:05", 1),
        ("01-Nov-2026", "2026-11-01T00:00:00", 86400),
        ("01Nov2026", "2026-11-01T00:00:00", 86400),
        ("1 November 2026", "2026-11-01T00:00:00", 86400),
        ("Nov 1, 2026", "2026-11-01T00:00:00", 86400),
        ("Sun, 01 Nov 2026 10:33:05 +0700", "2026-11-01T10:33:05", 1),
        ("01/11/2026 10:33:05", "2026-11-01T10:33:05", 1),
        ("01/11/2026 10:33", "2026-11-01T10:33:00", 60),
        ("10:33 01/11/2026", "2026-11-01T10:33:00", 60),
        ("10:33:05 - 01/11/2026", "2026-11-01T10:33:05", 1),
        ("1/11/2026 3:05 PM", "2026-11-01T15:05:00", 60),
        ("1/11/2026 12:05 AM", "2026-11-01T00:05:00", 60),
        ("1/11/2026 3:05 CH", "2026-11-01T15:05:00", 60),
        ("1/11/2026 15:05 PM", "2026-11-01T15:05:00", 60),
        ("2026-11-01T10:33:00Z", "2026-11-01T17:33:00", 1),
        ("2026-11-01T10:33:00.123+07:00", "2026-11-01T10:33:00", 1),
        ("2026-11-01 10:33:00 UTC+8", "2026-11-01T09:33:00", 1),
        ("2026-11-01T10:33:05-0530", "2026-11-01T23:03:05", 1),
        ("\uff10\uff11/\uff11\uff11/2026", "2026-11-01T00:00:00", 86400),
    ],
)
def test_a_date_is_read(text: str, begin: str, precision: int):
    start = datetime.fromisoformat(begin).replace(tzinfo=LOCAL).astimezone(UTC)
    assert moment(text) == [(start, start + timedelta(seconds=precision))]


@pytest.mark.parametrize(
    "text",
    ["", "abc", "01/11", "1/11/6", "01/11/20266", "01/01/0001", "Nov Dec 2026", "10:33", "01/11/2026 25:00", "2026-11-01x", "1/11/2026 a", "0" * 61,
     "2026/1/2026", "01/11/2026 10:33:05+99:00"],
)  # fmt: skip
def test_what_is_not_a_date_is_noticed(text: str):
    assert read(text) is None


@pytest.mark.parametrize("text", ["32/11/2026", "31/02/2026", "2026-13-01", "01/01/9999"])
def test_a_day_that_is_not_there_is_noticed(text: str):
    assert moment(text, asked="dmy") == [None]


def days(*texts: str, asked: str | None = None) -> list[str]:
    return [begin.astimezone(LOCAL).date().isoformat() for begin, _ in moment(*texts, asked=asked)]


def test_one_date_tells_the_order_of_all():
    assert days("01/11/2026", "13/11/2026") == ["2026-11-01", "2026-11-13"]
    assert days("01/11/2026", "11/13/2026") == ["2026-01-11", "2026-11-13"]
    assert days("01/11/2026", asked="mdy") == ["2026-01-11"]
    assert days("26-11-01", asked="ymd") == ["2026-11-01"]
    assert days("1/1/99", "1/1/69") == ["1999-01-01", "2069-01-01"]


def test_dates_that_contradict_each_other_are_refused():
    message = r"13/11/2026 \(line 0\) and 11/13/2026 \(line 1\) have day and month in different orders"
    with pytest.raises(InvalidInput, match=message):
        days("13/11/2026", "11/13/2026")


def test_an_assumed_order_is_noticed():
    def assumed(*texts: str) -> bool:
        return Order.of([("", text, read(text)) for text in texts], None).assumed

    assert assumed("01/11/2026", "02/11/2026")
    assert not assumed("01/11/2026", "13/11/2026")
    assert not assumed("11/11/2026", "2026-01-11")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10:33:05", "10:33:05"), ("103305", "10:33:05"), ("10:33", "10:33:00"), ("3:05 PM", "15:05:00"),
     ("01/11/2026 10:33", "10:33:00"), ("10:33 x", None), ("996000", None), ("x", None)],
)  # fmt: skip
def test_a_time_of_a_column_of_its_own_is_read(text: str, expected: str | None):
    found = read_clock(text)
    assert (found and found.time.isoformat()) == expected
