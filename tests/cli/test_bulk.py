"""Bulk changes of tasks while another command changes the same ones: the selection is made first, then it is late."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orderctl.cli import bulk, pages
from orderctl.cli.app import App
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def late(inside: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """``late(*arguments, after=rival)`` runs the program, and the rival between its selection and its changes."""

    def call(*arguments: str, after: Callable[[], Any]) -> Any:
        choose = bulk.choose

        def choose_and_wait(app: App, *more: Any, **named: Any) -> Any:
            chosen = choose(app, *more, **named)
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


@pytest.mark.parametrize(
    ("most", "ids"), [(1, [5]), (2, [4, 5]), (3, [3, 4, 5]), (4, [2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_a_selection_of_more_tasks_than_a_page(most, ids, shop: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr(pages, "SIZE", 2)
    shop.paid("DH1", 5)
    for task in range(1, 6):
        shop.fail(task)

    ended = inside("tasks", "retry", "--failed", "--max", str(most), "--dry-run", "-o", "json")

    assert [row["id"] for row in json.loads(ended.out)] == ids


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


@pytest.fixture
def shops_own(shop: Shop) -> Shop:
    """An order with four failed tasks: 1 is orderctl's, the others are run by the shop's own workers."""
    shop.paid("DH1", 4)
    for task in (1, 2, 3, 4):
        shop.fail(task)
    shop.execute("UPDATE download_tasks SET managed = 0 WHERE id > 1")
    return shop


SKIPPED = "3 tasks of the shop's own workers were skipped; --take includes them.\n"


def statuses(shop: Shop) -> list[tuple[str, bool]]:
    return [(task.status, task.managed) for task in shop.tasks(1)]


def test_a_named_task_of_the_shop_s_own_workers_is_taken_only_if_asked(shops_own: Shop, inside: Program):
    refused = inside("tasks", "retry", "2")

    assert (refused.status, statuses(shops_own)[1]) == (4, ("failed", False))
    assert "task 2 is run by the shop's own workers" in refused.err
    assert "orderctl tasks retry 2 --take" in refused.err
    assert inside("tasks", "show", "2").err == "next: orderctl tasks retry 2 --take\n"
    assert inside("tasks", "retry", "2", "--take").status == 0
    assert statuses(shops_own)[1] == ("pending", True)


def test_named_tasks_of_both_kinds_have_results_of_their_own(shops_own: Shop, inside: Program):
    tried = inside("tasks", "retry", "1", "2", "--dry-run", "-o", "json")
    ended = inside("tasks", "retry", "1", "2", "-o", "json")

    refused = (2, False, None, "task 2 is run by the shop's own workers")
    assert (tried.status, rows(tried)) == (0, [(1, False, None, None), refused])
    assert tried.err == "Would retry 1 task; nothing was changed.\nhint: orderctl tasks retry 2 --take\n"
    assert (
        ended.err
        == "hint: orderctl tasks retry 2 --take\nwaits: no worker is running: orderctl worker start\nnext: orderctl tail task 1\n"
    )
    assert (ended.status, rows(ended)) == (1, [(1, True, None, None), refused])


def test_a_selection_skips_the_tasks_of_the_shop_s_own_workers(shops_own: Shop, inside: Program):
    arguments = ("tasks", "retry", "--failed", "--max", "2", "-o", "json")
    tried, ended, empty = (inside(*arguments, more) for more in ("--dry-run", "--yes", "--yes"))

    assert [one.status for one in (tried, ended, empty)] == [0, 0, 0]
    assert (rows(tried), rows(ended), rows(empty)) == ([(1, False, None, None)], [(1, True, None, None)], [])
    assert tried.err == f"Would retry 1 task; nothing was changed.\n{SKIPPED}"
    assert (
        ended.err
        == f"{SKIPPED}waits: no worker is running: orderctl worker start\nnext: orderctl tail task 1\n"
    )
    assert empty.err == SKIPPED
    assert statuses(shops_own) == [("pending", True), *[("failed", False)] * 3]

    taken = inside("tasks", "retry", "--failed", "--take", "--yes", "-o", "json")

    assert (taken.status, len(rows(taken)), statuses(shops_own)) == (0, 3, [("pending", True)] * 4)


def test_all_tasks_are_retried_where_orderctl_runs_all(
    shops_own: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ORDERCTL_WORKER_TAKE", "all")

    assert inside("tasks", "show", "2").err == "next: orderctl tasks retry 2\n"
    assert inside("tasks", "retry", "2").status == 0
    ended = inside("tasks", "retry", "--failed", "--yes")

    assert (ended.status, ended.err.count("skipped")) == (0, 0)
    assert [status for status, _ in statuses(shops_own)] == ["pending"] * 4


def test_it_is_shown_who_runs_a_task(shops_own: Shop, inside: Program):
    listed = json.loads(inside("tasks", "list", "-o", "json").out)
    shown = json.loads(inside("orders", "show", "DH1", "-o", "json").out)

    assert [task["managed"] for task in listed] == [False, False, False, True]
    assert [task["managed"] for task in shown["tasks"]] == [True, False, False, False]
    assert json.loads(inside("tasks", "show", "2", "-o", "json").out)["managed"] is False
    assert inside("orders", "show", "DH1").out.count("the shop's own") == 3


def test_a_task_of_the_shop_s_own_workers_can_be_cancelled(shops_own: Shop, inside: Program):
    assert inside("tasks", "cancel", "2").status == 0
    assert inside("tasks", "cancel", "--failed", "--yes").status == 0

    assert [status for status, _ in statuses(shops_own)] == ["cancelled"] * 4
