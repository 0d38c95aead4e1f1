"""Until when signed URLs of the known stores are valid."""

from datetime import UTC, datetime

import pytest

from orderctl.why import expiry

JUNE = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "until"),
    [
        ("X-Amz-Date=20260601T110000Z&X-Amz-Expires=3600&X-Amz-Signature=s", JUNE),
        ("X-Goog-Date=20260601T110000Z&X-Goog-Expires=3600&X-Goog-Signature=s", JUNE),
        ("x-oss-date=20260601T110000Z&x-oss-expires=3600", JUNE),
        (f"Expires={JUNE.timestamp():.0f}&Signature=s&Key-Pair-Id=K", JUNE),
        ("sv=2022-11-02&se=2026-06-01T12%3A00%3A00Z&sig=s", JUNE),
        (f"q-sign-time=1700000000;{JUNE.timestamp():.0f}", JUNE),
        (f"token=x&EXP={JUNE.timestamp() * 1000:.0f}", JUNE),
        ("expires=2026-06-01T12:00:00", JUNE),
        ("", None),
        ("expires=never", None),
        ("se=&exp=12", None),
        ("X-Amz-Date=20260601T110000Z", None),
        ("X-Amz-Date=20269999T110000Z&X-Amz-Expires=3600", None),
        (f"X-Amz-Date=20260601T110000Z&X-Amz-Expires={'9' * 40}", None),
        ("&".join(f"a{number}=1" for number in range(500)), None),
    ],
)
def test_a_signed_url_says_until_when_it_is_valid(query: str, until: datetime | None) -> None:
    assert expiry.of(f"https://files.example/a.zip?{query}") == until


@pytest.mark.parametrize("url", ["", "https://[", "http://files.example/a.zip?exp=%ff\x00"])
def test_what_is_no_url_says_nothing(url: str) -> None:
    assert expiry.of(url) is None
