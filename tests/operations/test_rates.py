"""The pace, with a clock that the test holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderctl.operations import rates
from orderctl.operations.rates import Rate

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "per_hour"), [("50/m", 3000), ("2/s", 7200), ("600/h", 600), (" 1/H ", 1), ("1000/s", 3_600_000)]
)
def test_rates_are_read(text: str, per_hour: int) -> None:
    assert Rate.parse(text).per_hour == per_hour


@pytest.mark.parametrize(
    "text",
    [
        "five per minute",
        "50",
        "0/m",
        "-1/m",
        "1.5/s",
        "50/d",
        "50 /m",
        "1001/s",
        "5/m/s",
        "\u0665/m",
        "99999999/h",
    ],
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        Rate.parse(text)


def carry_out(per_hour: int, looks: list[float], batch: int = 20) -> list[float]:
    """Look at these seconds whether tasks are due; return when each was carried out."""
    next_at, done = None, []
    for second in looks:
        now = START + timedelta(seconds=second)
        number = min(batch, rates.due(next_at, now, per_hour))
        if number:
            next_at = rates.after(next_at, now, per_hour, number)
        done += [second] * number
    return done


@settings(max_examples=30)
@given(
    st.sampled_from([1, 60, 3000, 7200, 720_000]), st.lists(st.floats(0.001, 0.2), min_size=5, max_size=80)
)
def test_no_window_has_more_than_the_pace_and_a_second_of_it(per_hour: int, steps: list[float]) -> None:
    at, looks = 0.0, []
    for step in steps:
        at += step
        looks.append(at)
    done = carry_out(per_hour, looks, batch=10**6)
    per_second = per_hour / 3600
    for index, begin in enumerate(done):
        for end in done[index:]:
            number = sum(begin <= one <= end for one in done)
            assert number <= (end - begin + 1) * per_second + 1 + 1e-6


@pytest.mark.parametrize("text", ["50/m", "60/m", "2/s", "12000/m", "100/s"])
def test_the_pace_is_held_although_each_look_is_late(text: str) -> None:
    rate = Rate.parse(text)
    looks = [number * 0.13 for number in range(1000)]
    done = carry_out(rate.per_hour, looks, batch=10**6)
    assert len(done) == pytest.approx(looks[-1] * rate.per_hour / 3600, rel=0.02, abs=1)


def test_an_outage_is_not_made_up_for() -> None:
    done = carry_out(Rate.parse("10/s").per_hour, [0, 0.1, 0.2, 60, 60.05, 60.1, 60.2])
    assert done.count(60) == 10
    assert [done.count(one) for one in (60.1, 60.2)] == [1, 1]
