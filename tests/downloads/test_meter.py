"""Percent and speed."""

from hypothesis import given
from hypothesis import strategies as st

from orderctl.downloads.meter import Meter, Speed


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_speed_is_unknown_at_first_and_then_smoothed():
    clock = Clock()
    speed = Speed(clock)
    speed.add(1000)
    assert speed.value is None

    for _ in range(20):
        clock.now += 1
        speed.add(1000)
    assert 1000 <= speed.value < 1100
    clock.now += 1
    speed.add(10_000)
    assert 1000 < speed.value < 5000
    for _ in range(60):
        clock.now += 1
        speed.add(10_000)
    assert 9_900 < speed.value <= 10_000


def test_reports_are_at_least_a_tenth_of_a_second_apart_within_a_file():
    clock, reports = Clock(), []
    meter = Meter([1000], lambda *report: reports.append(report), clock)
    meter.begin(0, "a")
    for _ in range(100):
        clock.now += 0.01
        meter.advance(10)

    assert 8 <= len(reports) <= 12


@given(st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), min_size=1, max_size=8))
def test_percent_rises_to_100_and_only_at_the_end(files):
    clock, percents = Clock(), []
    meter = Meter([size if known else None for size, known in files], lambda p, *_: percents.append(p), clock)
    for index, (size, _) in enumerate(files):
        meter.begin(index, "a")
        meter.begin(index, "a", size=size)
        for _ in range(3):
            clock.now += 1
            meter.advance(size // 3)
        meter.end(size)

    assert all(0 <= percent < 100 for percent in percents[:-1])
    assert percents[-1] == 100
