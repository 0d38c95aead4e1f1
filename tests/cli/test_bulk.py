"""Bulk changes of tasks while another command changes the same ones: the selection is made first, then it is late."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orderctl.cli import bulk
from orderctl.cli.app import App
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def late(inside: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """``late(*arguments, after=rival)`` runs the program, and the rival between its selection and its changes."""

    def call(*arguments: str, after: Callable[[], Any]) -> Any:
        choose = bulk.choose

        def choose_and_wait(app: App, *more: Any) -> Any:
            chosen = choose(app, *more)
            monkeypatch.setattr(bulk, "choose", choose)
            after()
            return chosen

        monkeypatch.setattr(bulk, "choose", choose_and_wait)
        return inside(*arguments)

    return call


def rows(ended: Any) -> list[tuple[int, bool, str | None, str | None]]:
    return [(row["id"], row["changed"], row["note"], row["error"]) for row in json.loads(ended.out)]


def test_two_retries_of_all_failed_tasks(shop: Shop, inside: Program, late: Program):
    shop.paid("DH1", 2)
    shop.fail(1)
    shop.fail(2)
    arguments = ("tasks", "retry", "--failed", "--yes", "-o", "json")

    ended = late(*arguments, after=lambda: inside(*arguments))

    actor = shop.event("DH1", "order_reopened").actor
    assert rows(ended) == [(task, False, f"already waiting, retried by {actor}", None) for task in (1, 2)]
    assert (ended.status, ended.err) == (0, "2 tasks stayed as before: nothing was left to do.\n")
    assert shop.event_types("DH1").count("task_retried") == 2


def test_a_retry_of_tasks_that_were_changed_in_several_ways(shop: Shop, inside: Program, late: Program):
    shop.paid("DH1", 4)
    for task in (1, 2, 3, 4):
        shop.fail(task)

    def rival() -> None:
        inside("tasks", "cancel", "1")
        inside("tasks", "retry", "2", "3")
        shop.fail(2)
        shop.claimed(3)

    ended = late("tasks", "retry", "--failed", "--yes", "-o", "json", after=rival)

    assert ended.status == 0
    actor = shop.event("DH1", "task_cancelled").actor
    assert rows(ended) == [
        (1, False, f"task 1 was failed when it was chosen, and is cancelled now (by {actor})", None),
        (2, False, "task 2 was failed after attempt 1 when it was chosen, and is failed after attempt 2 now", None),
        (3, False, f"already running, retried by {actor}", None),
        (4, True, None, None),
    ]  # fmt: skip


def test_a_named_task_that_has_changed_is_an_error_unless_it_was_retried(
    shop: Shop, inside: Program, late: Program
):
    shop.paid("DH1", 2)
    shop.fail(1)
    shop.fail(2)

    retried = late("tasks", "retry", "1", after=lambda: inside("tasks", "retry", "1"))
    cancelled = late("tasks", "retry", "2", after=lambda: inside("tasks", "cancel", "2"))

    assert (retried.status, cancelled.status) == (0, 4)
    assert "task 2 was failed when it was chosen, and is cancelled now" in cancelled.err
    assert shop.event_types("DH1").count("task_retried") == 1


def test_a_retry_of_a_task_that_waits_already_changes_nothing(shop: Shop, inside: Program):
    shop.paid("DH1", 2)
    shop.fail(1)

    first = inside("tasks", "retry", "1", "1", "-o", "json")
    second = inside("tasks", "retry", "1", "-o", "json")

    assert (first.status, second.status) == (0, 0)
    assert [one[1] for one in rows(first)] == [True]
    assert rows(second)[0][1:3] == (
        False,
        f"already waiting, retried by {shop.event('DH1', 'task_retried').actor}",
    )
    assert shop.event_types("DH1").count("task_retried") == 1


def test_two_cancellations_of_the_tasks_of_an_order(shop: Shop, inside: Program, late: Program):
    shop.paid("DH1", 3)

    def rival() -> None:
        inside("tasks", "cancel", "1")
        shop.carry_out(2)
        shop.claimed(3)

    ended = late("tasks", "cancel", "--order", "DH1", "--yes", "-o", "json", after=rival)

    actor = shop.event("DH1", "order_completed").actor
    assert ended.status == 0
    assert rows(ended) == [
        (1, False, f"already cancelled by {actor}", None),
        (2, False, "task 2 was pending when it was chosen, and is completed now", None),
        (3, True, None, None),
    ]
    assert shop.event_types("DH1").count("task_cancelled") == 2


def test_a_cancellation_of_failed_tasks_leaves_those_that_were_retried(
    shop: Shop, inside: Program, late: Program
):
    shop.paid("DH1", 1)
    shop.fail(1)

    ended = late(
        "tasks", "cancel", "--failed", "--yes", "-o", "json", after=lambda: inside("tasks", "retry", "1")
    )

    actor = shop.event("DH1", "task_retried").actor
    assert ended.status == 0
    assert rows(ended) == [
        (1, False, f"task 1 was failed when it was chosen, and is pending now (by {actor})", None)
    ]
    assert shop.task(1).status == "pending"
