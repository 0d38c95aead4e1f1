"""The heartbeat during short outages of the database."""

import threading

import pytest

from orderctl.errors import DatabaseUnavailable, LeaseLost
from orderctl.worker.heartbeat import Heartbeat, Stopping, StopRequest


class Over(threading.Event):
    """A pause of the heartbeat's, during which only the test's clock goes on."""

    def __init__(self, now: list[float]) -> None:
        super().__init__()
        self.now = now
        self.made_up = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        if self.made_up.is_set():
            return super().wait()
        self.now[0] += timeout or 0
        return self.is_set()


def test_a_missed_beat_is_made_up_for_before_the_lease_ends(monkeypatch: pytest.MonkeyPatch):
    now = [1000.0]
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: now[0])
    over, beats = Over(now), []

    def beat() -> None:
        beats.append(now[0] - 1000)
        if len(beats) < 4:
            raise DatabaseUnavailable
        over.made_up.set()

    heartbeat = Heartbeat(beat, 20, StopRequest())
    heartbeat._over = over
    with heartbeat:
        assert over.made_up.wait(60)
        heartbeat.check()

    # The first comes after 5 s; without faster retries the fourth would come after 20 s, too late.
    assert beats == [5, 6, 7, 8]


def test_a_beat_that_fails_for_another_reason_goes_on_beating(caplog: pytest.LogCaptureFixture):
    beats = threading.Semaphore(0)

    def beat() -> None:
        beats.release()
        raise RuntimeError("a mistake")

    with Heartbeat(beat, 1, StopRequest()):
        assert all(beats.acquire(timeout=60) for _ in range(3))
    assert [record.getMessage() for record in caplog.records] == ["the heartbeat failed"], (
        "and once with its trace"
    )


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
