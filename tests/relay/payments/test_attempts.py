from __future__ import annotations

from orderctl.relay.payments.attempts import MINUTE, MOST, Attempts, Repeated
from tests.relay.members import FakeClock


class TestAttempts:
    def test_the_first_ones_of_a_minute_are_answered(self, clock: FakeClock):
        attempts = Attempts(clock.time)

        assert {attempts.fail() for _ in range(MOST)} == {0}

    def test_a_further_one_has_to_wait_for_the_next_minute(self, clock: FakeClock):
        attempts = Attempts(clock.time)
        for _ in range(MOST):
            attempts.fail()

        clock.pass_time(20.5)
        wait = attempts.fail()
        clock.pass_time(wait)

        assert wait == 40
        assert attempts.fail() == 0


class TestRepeated:
    def test_it_is_told_at_once_and_then_once_a_minute_with_the_number(self, clock: FakeClock):
        lines: list[str] = []
        repeated = Repeated(clock.call_later, lines.append, "requests were refused")

        for count in (5, 2, 0):
            for _ in range(count):
                repeated.note("a request was refused")
            clock.pass_time(MINUTE)
        repeated.note("a request was refused again")

        assert lines == [
            "a request was refused",
            "4 more requests were refused in the last minute",
            "2 more requests were refused in the last minute",
            "a request was refused again",
        ]
