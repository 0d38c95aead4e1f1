"""The lines in the log about an outage."""

import logging

import pytest

from orderctl.errors import DatabaseBusy, DatabaseExhausted, DatabaseReadOnly, DatabaseUnavailable
from orderctl.outages import Outage

LOST = DatabaseUnavailable("the database does not answer: gone away")
READ_ONLY = DatabaseReadOnly("the database is read-only: demoted")
FULL = DatabaseExhausted("the database cannot do more: disk full")
BUSY = DatabaseBusy("the database is too busy: locked")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: now[0])
    return now


def test_an_outage_has_one_line_at_its_beginning_and_one_at_its_end(
    caplog: pytest.LogCaptureFixture, now: list[float]
):
    caplog.set_level(logging.INFO)
    outage = Outage("the database")
    outage.end()
    for _ in range(50):
        outage.begin(LOST)
        now[0] += 0.5
    for _ in range(2):
        outage.end()
    assert caplog.messages == [f"waiting: {LOST}", "the database is back after 25 s"]


@pytest.mark.parametrize(
    ("error", "writable"),
    [(READ_ONLY, False), (BUSY, False), (BUSY, True), (FULL, True)],
    ids=["read-only", "busy", "busy for some", "full"],
)
def test_a_query_does_not_end_an_outage_of_writes(
    caplog: pytest.LogCaptureFixture, now: list[float], error: DatabaseUnavailable, writable: bool
):
    outage = Outage("the database")
    outage.begin(error)
    for _ in range(3):
        outage.answered(writable=writable)
        outage.begin(error)
    assert caplog.messages == [f"waiting: {error}"]
    outage.end()
    assert caplog.messages[-1] == "the database is back after 0 s"


@pytest.mark.parametrize(("error", "writable"), [(LOST, False), (READ_ONLY, True)], ids=["lost", "read-only"])
def test_a_query_ends_another_outage(
    caplog: pytest.LogCaptureFixture, now: list[float], error: DatabaseUnavailable, writable: bool
):
    outage = Outage("the database")
    outage.begin(error)
    outage.answered(writable=writable)
    assert len(caplog.messages) == 2


def test_rows_that_were_locked_are_free_when_nothing_waited_for_them_for_long(
    caplog: pytest.LogCaptureFixture, now: list[float]
):
    outage = Outage("the database")
    outage.begin(BUSY)
    now[0] += 60
    outage.answered(writable=True)
    assert caplog.messages[-1] == "the database is back after 60 s"


def test_a_server_that_comes_back_read_only_is_not_back(caplog: pytest.LogCaptureFixture, now: list[float]):
    outage = Outage("the database")
    outage.begin(LOST)
    outage.begin(READ_ONLY)
    outage.answered(writable=False)
    assert caplog.messages == [f"waiting: {LOST}"]
