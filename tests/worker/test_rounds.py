"""The loop of the keeper and the courier during outages."""

import logging

import pytest
import redis
from sqlalchemy import create_engine

from orderctl.errors import DatabaseReadOnly, OrderctlError
from orderctl.settings import load
from orderctl.worker import rounds
from orderctl.worker.heartbeat import StopRequest

READ_ONLY = DatabaseReadOnly("the database is read-only: demoted")


def lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, ends: list[Exception | None]
) -> list[str]:
    """Take a turn with each of these ends; return the lines of the log."""
    monkeypatch.setattr(rounds, "PERIOD", 0)
    stop, left = StopRequest(), list(ends)

    def turn(_client: redis.Redis) -> None:
        end = left.pop(0)
        stop.made = not left
        if end is not None:
            raise end

    settings = load(environ={"ORDERCTL_REDIS_URL": "redis://127.0.0.1:1/0"})
    engine = create_engine("sqlite://")
    with caplog.at_level(logging.INFO, logger="orderctl"):
        rounds.Rounds(settings, engine, stop).each_second(turn)
    return caplog.messages


def test_an_outage_of_redis_is_logged_at_its_beginning_and_at_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    ends = [
        redis.ConnectionError("refused"),
        redis.TimeoutError("late"),
        redis.ConnectionError("refused"),
        None,
    ]
    assert lines(caplog, monkeypatch, [None, *ends, None]) == [
        "waiting: Redis does not answer: refused",
        "Redis is back after 0 s",
    ]


def test_an_outage_of_the_database_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """A turn that did not need to write does not end it."""
    assert lines(caplog, monkeypatch, [READ_ONLY, None, READ_ONLY, READ_ONLY]) == [f"waiting: {READ_ONLY}"]


def test_another_error_is_logged_until_a_turn_succeeds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    error = OrderctlError("the database reports: nonsense")
    assert lines(caplog, monkeypatch, [error, error, None, error]) == [str(error)] * 2
