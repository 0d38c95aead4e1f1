"""The format of times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from orderctl import clock

HANOI = timezone(timedelta(hours=7))


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 5, 1, 12, tzinfo=UTC), "2026-05-01T12:00:00Z"),
        (datetime(2026, 5, 1, 2, 30, tzinfo=HANOI), "2026-04-30T19:30:00Z"),
        (datetime(2026, 5, 1, 12, 0, 0, 25_000, tzinfo=UTC), "2026-05-01T12:00:00.025000Z"),
        (datetime(2026, 5, 1, 12), "2026-05-01T12:00:00Z"),  # noqa: DTZ001 - as some databases give it
    ],
)
def test_a_moment_is_written_in_utc_with_z(moment, written):
    assert clock.iso(moment) == written
