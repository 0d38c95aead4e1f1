"""A handler whose phases are timed, and how attempts with it are counted."""

import signal
from contextlib import suppress
from typing import Any

import pytest

from orderctl import failures, leases
from orderctl.downloads import registry
from orderctl.downloads.errors import HostUnreachable
from orderctl.errors import DatabaseUnavailable, LeaseLost
from orderctl.failures import Failure
from orderctl.lifecycle import Moved
from orderctl.settings import load
from orderctl.states import ErrorType
from orderctl.worker import attempt, jobs
from orderctl.worker.heartbeat import Stopping
from orderctl.worker.scores import Board, Phase
from orderctl.worker.timed import TimedHandler
from tests.shop import Shop
from tests.worker.test_scores import ends

pytestmark = pytest.mark.databases("sqlite")


class Handler:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def enroll(self, _context: Any) -> Any:
        return None

    def download(self, _context: Any, _enrollment: Any) -> Any:
        if self.error is not None:
            raise self.error


def counted(ended: Moved | None, error: Exception | None = None) -> dict[tuple[str, str], int]:
    board = Board(1)
    handler = TimedHandler(Handler(error), board.score(1))
    context: Any = None
    with suppress(HostUnreachable, LeaseLost, Stopping):
        handler.download(context, handler.enroll(context))
    handler.count(ended)
    assert board.buckets(Phase.ENROLL)[-1] == board.buckets(Phase.DOWNLOAD)[-1] == 1
    return ends(board)


def test_each_end_of_an_attempt_is_counted_as_what_it_was(shop: Shop):
    away = HostUnreachable("no route")
    tasks = shop.paid("DH1", 4)

    def again(task: int) -> Moved:
        claim, why = shop.claimed(task), Failure(ErrorType.NETWORK, "no route", "abc")
        return shop.transact(lambda c: failures.fail(c, claim, why, retry_transient=True))

    released = shop.claimed(tasks[3])
    free = shop.transact(lambda c: leases.release(c, released, reason="the worker stops"))

    assert counted(shop.carry_out(tasks[0])) == {("completed", ""): 1}
    assert counted(shop.fail(tasks[1]), away) == {("failed", "NETWORK"): 1}
    assert counted(again(tasks[2]), away) == {("retried", "NETWORK"): 1}
    assert counted(free, Stopping()) == {("released", ""): 1}
    assert counted(None, LeaseLost()) == {("lease_lost", ""): 1}


def test_a_task_that_was_not_claimed_is_no_attempt():
    board = Board(1)
    TimedHandler(Handler(), board.score(1)).count(None)

    assert ends(board) == {}


def test_an_outage_of_the_database_is_no_killed_process(monkeypatch: pytest.MonkeyPatch, redis_url: str):
    board = Board(1)

    def run(tools: Any, _task: int) -> None:
        tools.handler.enroll(None)
        raise DatabaseUnavailable("no answer")

    monkeypatch.setattr(registry, "load", lambda _: Handler())
    monkeypatch.setattr(attempt, "run", run)
    monkeypatch.setattr(jobs, "_prepared", jobs._Prepared())
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    given = {"database.url": "sqlite:////nowhere/a.db", "redis.url": redis_url}
    jobs.prepare(load(given, environ={}), "host.worker-1", board.score(1))

    jobs.run_task(1)
    board.score(1).begin()

    assert ends(board) == {("outage", ""): 1}


def test_an_attempt_is_counted_once(shop: Shop):
    [task] = shop.paid("DH1")
    board = Board(1)
    handler = TimedHandler(Handler(), board.score(1))
    context: Any = None
    handler.enroll(context)

    handler.count(shop.carry_out(task))
    handler.count_outage()  # of the courier's, behind it

    assert ends(board) == {("completed", ""): 1}
