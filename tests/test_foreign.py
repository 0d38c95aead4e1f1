"""Values that other programs wrote, read as what orderctl works with."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl import foreign

NOON = datetime.fromisoformat("2026-11-29 12:00")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        ("", ""),
        ("é", "é"),
        ("é".encode(), "é"),
        (b"\xe9\x00", "\\xe9\x00"),
        (7, "7"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
    ],
)
def test_text(value: Any, shown: str | None):
    assert foreign.text(value) == shown


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7), (True, 1), ("7", 7), (b"-7", -7), (7.0, 7), (Decimal(7), 7), (None, None), ("abc", None), ("", None),
        (1.5, None), (1e300, None), (math.inf, None), (math.nan, None), ("9" * 5000, None), ("\u0667", None),
    ],
)  # fmt: skip
def test_whole_number(value: Any, number: int | None):
    assert foreign.whole(value) == number


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (300_000, "300000.00"), ("300000.5", "300000.50"), (300000.5, "300000.50"), (b"12", "12.00"),
        (Decimal("99.9950"), "99.995"), (Decimal("9" * 65), "9" * 65 + ".00"), ("-5", "-5.00"), (1e-300, "0.00"),
        (None, None), ("abc", None), ("", None), (1e300, None), ("1e999999", None), ("9" * 5000, None),
        ("1e99999999999999999999", None), (math.nan, None), ("Infinity", None), (True, None),
    ],
)  # fmt: skip
def test_amount(value: Any, amount: str | None):
    found = foreign.amount(value)

    assert (found if found is None else str(found)) == amount


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (NOON, NOON),
        (date(2026, 11, 29), NOON.replace(hour=0)),
        ("2026-11-29 12:00:00.000000", NOON),
        (b"2026-11-29T12:00:00", NOON),
        ("2026-11-29T12:00:00Z", NOON.replace(tzinfo=UTC)),
        ("2026-11-29 19:00:00+07:00", NOON.replace(tzinfo=UTC)),
        ("2026-11-29 12:00:00.000 +00:00", NOON.replace(tzinfo=UTC)),
        ("0000-00-00 00:00:00", None),
        ("2026-00-10", None),
        ("0001-01-01 00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        ("9" * 5000, None),
        (b"\xff", None),
        (7, None),
        (1e300, None),
        (None, None),
    ],
)
def test_moment(value: Any, moment: datetime | None):
    assert foreign.moment(value) == moment


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (None, None),
        ('{"a": [1, 1.5, null, true]}', {"a": [1, 1.5, None, True]}),
        (b'{"a": "\xc3\xa9"}', {"a": "é"}),
        ("null", None),
        ("7", 7),
        (7, 7),
        (math.inf, "inf"),
        ("not JSON", "not JSON"),
        ("", ""),
        (b"\xff", "\\xff"),
        ("[" * 5000, "[" * 5000),
        ("[" * 950 + "]" * 950, "[" * 950 + "]" * 950),
        ('{"a": 1e400, "b": [NaN, -Infinity]}', {"a": "1e400", "b": ["NaN", "-Infinity"]}),
        ("[" + "9" * 5000 + "]", ["9" * 5000]),
        ("[" + ",".join(["[]"] * 500) + "]", [[]] * 500),
    ],
)
def test_document(value: Any, document: Any):
    assert foreign.document(value) == document


def test_a_document_is_parsed_up_to_the_deepest_that_mysql_stores():
    deepest = "[" * foreign.MAX_DEPTH + "]" * foreign.MAX_DEPTH

    assert isinstance(foreign.document(deepest), list)
    assert foreign.document(f"[{deepest}]") == f"[{deepest}]"


DRIVER = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals()


@given(DRIVER | st.datetimes() | st.dates() | st.times() | st.timedeltas())
def test_no_value_is_an_error(value: Any):
    assert foreign.text(value) is None or isinstance(foreign.text(value), str)
    assert foreign.whole(value) is None or abs(foreign.whole(value) or 0) >= 0
    amount, moment = foreign.amount(value), foreign.moment(value)
    assert amount is None or amount.is_finite()
    assert moment is None or isinstance(moment, datetime)
    json.dumps(foreign.document(value), allow_nan=False)
