from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest

from orderctl.channels import Scope
from orderctl.errors import OrderctlError, RedisUnavailable
from orderctl.lifecycle import NOTHING, Moved
from orderctl.messages import StatusChange
from orderctl.relay.bell import Bell, Ringer
from tests.waiting import eventually


class FakeBell(Bell):
    """Notes for what it is rung."""

    def __init__(self) -> None:
        super().__init__("redis://localhost", "orderctl")
        self.rung: list[Moved] = []
        self.error: OrderctlError | Exception | None = None
        self.ready = threading.Event()

    def ring(self, moved: Sequence[Moved]) -> OrderctlError | None:
        self.ready.wait(10)
        self.rung += moved
        if self.error is None or isinstance(self.error, OrderctlError):
            return self.error
        raise self.error


CHANGE = Moved(messages=(StatusChange(Scope.ORDER, 1, "processing", "pending", 0),))


def test_it_rings_for_what_has_changed_in_a_thread_of_its_own():
    bell = FakeBell()
    ringer = Ringer(bell)

    ringer.give([CHANGE, NOTHING])
    ringer.give([CHANGE])
    assert bell.rung == []
    bell.ready.set()
    ringer.finish(10)

    assert bell.rung == [CHANGE, CHANGE]


def test_what_fails_is_logged_once_and_the_next_ring_follows(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "orderctl")
    bell = FakeBell()
    bell.ready.set()
    ringer = Ringer(bell)
    for error in (RedisUnavailable(), RedisUnavailable(), ValueError("a bug"), None):
        bell.error = error
        ringer.give([CHANGE])
        ringer.finish(10)

    assert len(bell.rung) == 4
    assert caplog.messages == [
        "waiting: Redis does not answer.",
        "cannot wake the workers, reconcile will",
        "Redis is back after 0 s",
    ]


def test_the_end_does_not_wait_for_a_redis_that_hangs():
    bell = FakeBell()
    ringer = Ringer(bell)
    ringer.give([CHANGE])

    ringer.finish(0.05)

    assert bell.rung == []
    bell.ready.set()
    eventually(lambda: bell.rung == [CHANGE], "the ring")
