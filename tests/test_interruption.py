"""A time limit of the shop's worker ends its work, also while orderctl ignores errors."""

import signal
from collections.abc import Iterator
from functools import partial

import pytest
from rq.timeouts import JobTimeoutException

from orderctl import progress
from orderctl.interruption import is_interruption, let_through
from orderctl.progress import ProgressEmitter


class TimeIsUpError(Exception):
    """The time limit of a worker that is not RQ's."""


class Limited:
    """As RQ has it: the handler is a method."""

    def stop(self, *_: object) -> None:
        raise TimeIsUpError

    __call__ = stop


def stop(*_: object) -> None:
    raise TimeIsUpError


@pytest.fixture(params=[stop, Limited().stop, Limited(), partial(stop, 1)])
def limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """A handler of SIGUSR1 that ends what runs."""
    before = signal.signal(signal.SIGUSR1, request.param)
    yield
    signal.signal(signal.SIGUSR1, before)


class Interrupted:
    """Whatever it is asked for, the signal comes meanwhile."""

    def __getattr__(self, name: str) -> object:
        signal.raise_signal(signal.SIGUSR1)
        raise AssertionError(name)

    def __str__(self) -> str:
        return str(self.text)


@pytest.mark.usefixtures("limit", "home")
def test_a_time_limit_ends_what_emits() -> None:
    emitter = ProgressEmitter(client=Interrupted(), siblings=lambda _: {})  # type: ignore[arg-type]

    for emit in (
        lambda: emitter.emit_progress(1, 1, 40),
        lambda: emitter.emit_status_change(1, 1, "downloading"),
        lambda: emitter.emit_progress(2, 1, 40, Interrupted()),  # type: ignore[arg-type]
        lambda: emitter.emit_status_change(1, 1, "failed", error=Interrupted()),
    ):
        with pytest.raises(TimeIsUpError):
            emit()

    assert emitter.errors == 0


@pytest.mark.usefixtures("limit")
def test_a_time_limit_ends_the_reading_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_default", progress._Default())
    monkeypatch.setattr(progress, "ProgressEmitter", lambda: Interrupted().emitter)

    with pytest.raises(TimeIsUpError):
        progress.emit_progress(1, 1, 40)


def test_rq_s_timer_in_another_thread_is_a_time_limit() -> None:
    assert is_interruption(JobTimeoutException("2 seconds"))


@pytest.mark.usefixtures("limit")
def test_any_other_error_is_not_raised_again() -> None:
    try:
        int("x")
    except ValueError as error:
        let_through(error)
