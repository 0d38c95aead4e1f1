"""Bars between two messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.terminal.motion import Motion

#: What the messages say, and the seconds between them.
MESSAGES = st.lists(
    st.tuples(st.floats(0, 100), st.one_of(st.floats(0.01, 30), st.just(5.0))), min_size=1, max_size=20
)
#: Moments at which the screen is drawn after a message, in shares of the time until the next one.
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)


@given(MESSAGES, st.booleans())
def test_a_bar_never_shows_more_than_a_message_has_said(messages, stamped):
    motion, now = Motion(), 1000.0
    for percent, seconds in messages:
        motion.tell(percent, now, now * 1000 if stamped else None)
        for share in SHARES:
            assert 0 <= motion.at(now + share * seconds) <= percent
            left = motion.left(now + share * seconds)
            assert left is None or left >= 0
        now += seconds


@given(MESSAGES)
def test_a_bar_never_goes_back_while_the_messages_do_not(messages):
    motion, now, shown = Motion(), 1000.0, 0.0
    for percent, (_, seconds) in zip(sorted(percent for percent, _ in messages), messages, strict=True):
        motion.tell(percent, now)
        for share in SHARES:
            at = motion.at(now + share * seconds)
            assert at >= shown - 1e-9
            shown = at
        now += seconds


def test_it_glides_to_what_the_newest_message_says_in_the_time_between_the_last_two():
    motion = Motion()
    motion.tell(10, 0)
    assert motion.at(0) == motion.at(4) == 10  # what came before is not known
    motion.tell(20, 5)

    assert [motion.at(at) for at in (5, 6, 7.5, 10, 60)] == [10, 12, 15, 20, 20]
    motion.tell(100, 10)
    assert motion.at(10) == 100


def test_messages_of_an_orders_tasks_in_a_row_belong_to_one_glide():
    motion = Motion()
    for at, percent in ((0, 0), (5, 10), (5.1, 20), (5.2, 30)):
        motion.tell(percent, at)

    assert motion.at(5.2) < 2
    assert motion.at(7.6) == pytest.approx(15, abs=2)
    assert motion.left(5.2) == pytest.approx(35)  # 10 % in 5 s; the rest of the row is measured later


def test_another_attempt_begins_where_it_says():
    motion = Motion()
    for at, percent in ((0, 40), (5, 50), (10, 3)):
        motion.tell(percent, at)

    assert motion.at(10) == 3
    assert motion.left(10) is None


def test_the_time_left_is_by_the_clock_of_the_sender_and_counts_down():
    motion = Motion()
    motion.tell(10, 100.0, 1_000)  # a snapshot, sent long before it is read
    motion.tell(20, 100.1, 6_000)

    assert motion.left(100.1) == pytest.approx(40)
    assert motion.left(110.1) == pytest.approx(30)
    assert motion.left(200) is None  # the worker is silent
