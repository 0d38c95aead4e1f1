"""The heartbeat during short outages of the database."""

import threading

import pytest

from orderctl.errors import DatabaseUnavailable, LeaseLost
from orderctl.worker.heartbeat import Heartbeat, Stopping, StopRequest


def test_a_missed_beat_is_made_up_for_before_the_lease_ends():
    made_up = threading.Event()
    beats = []

    def beat() -> None:
        beats.append(len(beats))
        if len(beats) < 4:
            raise DatabaseUnavailable
        made_up.set()

    # The first heartbeat comes after 5 s; without faster retries the fourth would come after 20 s, too late.
    with Heartbeat(beat, 20, StopRequest()) as heartbeat:
        assert made_up.wait(14)
        heartbeat.check()


def test_a_beat_that_fails_for_another_reason_goes_on_beating():
    beats = threading.Semaphore(0)

    def beat() -> None:
        beats.release()
        raise RuntimeError("a mistake")

    with Heartbeat(beat, 1, StopRequest()):
        assert all(beats.acquire(timeout=20) for _ in range(2))


def test_after_a_silence_longer_than_the_lease_the_database_is_asked_first():
    asked = []

    def beat() -> None:
        asked.append(True)
        raise LeaseLost

    heartbeat = Heartbeat(beat, 0, StopRequest())  # it sends no heartbeat: the process was stopped
    with pytest.raises(LeaseLost):
        heartbeat.check()
    assert asked
    assert heartbeat.lost


def test_a_stop_ends_the_attempt_at_its_next_check():
    stop = StopRequest()
    with Heartbeat(lambda: None, 30, stop) as heartbeat:
        heartbeat.check()
        stop.made = True
        with pytest.raises(Stopping):
            heartbeat.check()
