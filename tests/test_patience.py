"""Pauses, the events of an outage, and what exceptions of other packages say about it."""

import email.message
import urllib.error
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderctl import patience
from orderctl.audit import Event
from orderctl.patience import Patience

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = 86_400.0


@pytest.mark.parametrize(
    ("failing", "asked", "least", "most"),
    [
        (0, None, 0, 5),
        (4, None, 0, 5),
        (60, None, 0, 60),
        (7200, None, 0, 300),
        (0, 120.0, 120, 132),
        (7200, 120.0, 120, 300),
        (0, 10**9, 3600, 3960),
        (DAY - 10, None, 0, 10),  # the last try
        (DAY - 10, 3600.0, 10, 10),
    ],
)
def test_a_pause_is_random_up_to_how_long_it_has_been_failing(
    monkeypatch: pytest.MonkeyPatch, failing: float, asked: float | None, least: float, most: float
) -> None:
    ends = []
    for end in (min, max):
        monkeypatch.setattr("random.uniform", lambda *range_, end=end: end(range_))
        ends.append(patience.pause(failing, asked, Patience()))

    assert ends == [least, most]


def tries(hours: float) -> list[float]:
    """When a task is tried whose course's server is away for so long, in seconds from its first failure."""
    moments = [0.0]
    while moments[-1] < hours * 3600:
        moments.append(moments[-1] + patience.pause(moments[-1], None, Patience()))
    return moments


def test_an_hour_has_a_few_dozen_tries_and_its_end_is_noticed_within_minutes() -> None:
    for _ in range(50):
        moments = tries(1)
        assert 15 < len(moments) < 90
        assert moments[-1] <= 3600 + 300


def event(seconds: float, fingerprint: Any = "f", **more: Any) -> Event:
    details = {"fingerprint": fingerprint} | more
    empty = dict.fromkeys(Event.__dataclass_fields__)
    return Event(**{**empty, "created_at": NOW + timedelta(seconds=seconds), "details": details})


@pytest.mark.parametrize(("hours", "most"), [(1, 9), (24, 14)])
def test_the_time_between_events_doubles(hours: int, most: int) -> None:
    told: list[Event] = []
    for moment in tries(hours):
        if patience.is_news("f", told, NOW + timedelta(seconds=moment)):
            told.insert(0, event(moment))

    assert most - 6 <= len(told) <= most


def test_only_a_few_reasons_get_an_event_at_once() -> None:
    told: list[Event] = []
    for number in range(100):
        if patience.is_news(f"f{number}", told, NOW + timedelta(seconds=number / 10)):
            told.insert(0, event(number / 10, f"f{number}"))

    assert len(told) == 4


def test_odd_events_of_the_shop_are_no_obstacle() -> None:
    odd = event(0)
    object.__setattr__(odd, "details", ["f"])
    timeless = event(0)
    object.__setattr__(timeless, "created_at", None)

    assert patience.is_news("f", [odd], NOW)
    assert patience.is_news("f", [timeless], NOW)
    assert not patience.is_news("f", [event(0, ["odd"]), event(0)], NOW)


class Answer:
    def __init__(self, status: object, **headers: str) -> None:
        self.status_code, self.headers = (
            status,
            {name.replace("_", "-"): text for name, text in headers.items()},
        )


class Refused(Exception):
    def __init__(self, **attributes: object) -> None:
        super().__init__("refused")
        for name, value in attributes.items():
            setattr(self, name, value)


class Hostile(Exception):
    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def of_urllib(status: int, after: str) -> BaseException:
    headers = email.message.Message()
    headers["Retry-After"] = after
    return urllib.error.HTTPError("http://x/", status, "no", headers, None)


@pytest.mark.parametrize(
    ("exception", "is_passing", "seconds"),
    [
        (Exception("x"), None, None),
        (Refused(transient=True), True, None),
        (Refused(transient=False, response=Answer(503)), False, None),
        (Refused(transient="yes"), None, None),
        (Refused(response=Answer(503, Retry_After="120")), True, 120.0),
        (Refused(response=Answer(404)), None, None),
        (Refused(response=None), None, None),
        (Refused(status_code=429, retry_after=7), True, 7.0),
        (Refused(code=504), True, None),
        (Refused(status="503"), None, None),
        (Refused(retry_after=timedelta(minutes=2)), None, 120.0),
        (Refused(retry_after=1.5), None, 1.5),
        (Refused(retry_after=0), None, 0.0),
        (Refused(retry_after=-1), None, None),
        (Refused(retry_after=True), None, None),
        (Refused(retry_after="soon"), None, None),
        (Refused(retry_after="9" * 5000), None, 1e9),
        (Refused(retry_after=10**400), None, 1e9),
        (Refused(retry_after=float("inf")), None, 1e9),
        (Refused(retry_after=float("nan")), None, None),
        (of_urllib(503, "30"), True, 30.0),
        (of_urllib(429, "never"), True, None),
        (Hostile(), None, None),
    ],
    ids=repr,
)
def test_what_an_exception_says(
    exception: BaseException, is_passing: bool | None, seconds: float | None
) -> None:
    assert patience.is_passing(exception) is is_passing
    assert patience.retry_after(exception) == seconds
