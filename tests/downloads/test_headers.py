"""Values of response headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.downloads import headers
from orderctl.downloads.errors import StatusRefused
from tests.servers.scripted import answer

DATE = "Fri, 31 Dec 1999 23:59:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0120 ", 120),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59),
        ("Friday, 31-Dec-99 23:59:59 GMT", 59),
        ("Fri Dec 31 23:59:59 1999", 59),
        ("Sat, 01 Jan 2000 01:59:00 +0100", 3600),
        ("0", None),
        ("Fri, 31 Dec 1999 23:58:00 GMT", None),
        ("9" * 5000, headers.LONGEST_PAUSE),
        ("Fri, 31 Dec 9999 23:59:59 GMT", headers.LONGEST_PAUSE),
        ("", None), ("-5", None), ("1.5", None), ("5, 5", None), ("\u0665", None), ("\u00b2", None), ("soon", None),
        ("Fri, 31 Dec 1999", None), ("Fri, 99 Dec 1999 23:59:59 GMT", None), ("inf", None), ("1e3", None),
    ],
)  # fmt: skip
def test_reads_when_to_come_again(value, seconds):
    assert headers.retry_after(value, DATE) == seconds


@pytest.mark.parametrize("date", ["", "junk"])
def test_a_date_is_compared_with_our_clock_where_the_server_does_not_tell_its_own(date):
    then = datetime.now(UTC) + timedelta(seconds=600)

    assert 590 < (headers.retry_after(format_datetime(then, usegmt=True), date) or 0) <= 600


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_it_says_is_a_pause_or_nothing(value, date):
    seconds = headers.retry_after(value, date)

    assert seconds is None or 0 < seconds <= headers.LONGEST_PAUSE


@pytest.mark.parametrize(
    ("status", "said", "transient", "seconds"),
    [
        (503, ("Retry-After: 120",), True, 120),
        (429, (f"Date: {DATE}", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), True, 59),
        (503, ("Retry-After: soon",), True, None),
        (202, ("Retry-After: 5",), True, 5),
        (403, ("Retry-After: 60",), True, 60),
        (403, (), False, None),
        (413, ("Retry-After: 60",), True, 60),
        (404, ("Retry-After: 60",), False, 60),
    ],
)
def test_an_error_carries_the_servers_word(download, scripted, status, said, transient, seconds):
    server = scripted(lambda _asked: answer(b"", *said, status=f"{status} X"))

    with pytest.raises(StatusRefused) as caught:
        download.run(f"{server.url}/a.bin")

    assert (caught.value.transient, caught.value.retry_after) == (transient, seconds)


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", 0), ("000", 0), ("007", 7), ("0" * 5000 + "7", 7), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None),
     ("", None), (" 7", None), ("+7", None), ("-7", None), ("7.0", None), ("0x7", None), ("7_0", None), ("\u0665", None),
     ("\u00b2", None)],
)  # fmt: skip
def test_reads_a_number_of_bytes(value, number):
    assert headers.number(value) == number
