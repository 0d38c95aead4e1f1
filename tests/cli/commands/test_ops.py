"""Operations on the command line: made by ``tasks retry`` and ``tasks cancel``, then listed, shown, followed, stopped."""

import json
import sys

import pytest
from sqlalchemy import update

from orderctl import broker, choices, database
from orderctl.cli import operation_following, operation_options
from orderctl.cli.app import App
from orderctl.operations import making, turns
from orderctl.operations.making import NewOperation
from orderctl.operations.records import ACTIVE, Kind, State
from orderctl.operations.turns import Turns
from orderctl.schema import operations
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

#: What is said of an operation whose command has died.
GONE = (
    "operation op is not complete, and the command that was making it is gone: it will change nothing; end it: orderctl"
    " ops stop op\n"
)


@pytest.fixture
def failed(shop: Shop, redis_url: str) -> list[int]:
    ids = shop.paid("DH1", 5)
    shop.execute(
        "UPDATE download_tasks SET status = 'failed', attempt = 3, error_type = 'NETWORK', ready = 0"
    )
    shop.execute("UPDATE orders SET order_status = 'failed'")
    return ids


def turn(shop: Shop, redis_url: str, times: int = 2) -> None:
    """Take turns of a supervisor."""
    with broker.brisk(redis_url) as client:
        for _ in range(times):
            one = Turns(shop.engine, "orderctl")
            one.turn(client)
            one.release()


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.08)
    monkeypatch.setattr(operation_following, "_ASK_SECONDS", 0.05)


def test_an_operation_from_its_beginning_to_its_end(
    shop: Shop, redis_url: str, failed: list[int], inside: Program
) -> None:
    made = inside(
        "tasks", "retry", "--failed", "--name", "op", "--canary", "2", "--rate", "1000/s", "--max-failures", "1",
        "--reason", "the CDN is back", "--yes",
    )  # fmt: skip
    assert made.status == 0
    assert made.out == (
        "Operation op: 5 tasks are retried, at 1000/s, after the first 2 of them have completed, stopped when more than 1"
        " fail again.\n"
    )
    assert made.err == "waits: no worker is running: orderctl worker start\nnext: orderctl ops show op\n"
    taken = inside("tasks", "cancel", "--failed", "--name", "op", "--yes")
    assert (taken.status, "an operation op exists already" in taken.err) == (4, True)

    turn(shop, redis_url)
    [row] = json.loads(inside("ops", "list", "--state", "canary", "-o", "json").out)
    assert (row["name"], row["total"], row["changed"], row["waiting"]) == ("op", 5, 2, 3)
    for one in failed[:2]:
        shop.carry_out(one)
    turn(shop, redis_url, 4)
    for one in failed[2:4]:
        shop.carry_out(one)
    shop.fail(failed[4])
    assert "all retried, 3 not ended yet" in inside("ops", "show", "op").out
    turn(shop, redis_url)

    waited = inside("ops", "wait", "op")
    assert (waited.status, waited.err.splitlines()[0]) == (
        1,
        "op: finished · 5 of 5 retried · 4 completed · 1 failed again",
    )
    shown = json.loads(inside("ops", "show", "op", "-o", "json").out)
    assert shown["failures"] == [{"error_type": "NETWORK", "tasks": 1}]
    assert [task["task_id"] for task in shown["last_tasks"]] == failed[::-1]
    assert "failed again: 1 NETWORK" in inside("ops", "show", "op").out
    assert "--failed" in inside("ops", "show", "op").out


@pytest.mark.usefixtures("failed")
def test_a_few_tasks_are_retried_at_once_and_many_are_an_operation(
    inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_options, "MOST_AT_ONCE", 3)
    few = inside("tasks", "retry", "--failed", "--max", "3", "--yes", "-o", "json")
    assert [row["changed"] for row in json.loads(few.out)] == [True] * 3
    assert inside("ops", "list", "-o", "json").out == "[]\n"
    monkeypatch.setattr(operation_options, "MOST_AT_ONCE", 1)
    many = inside("tasks", "retry", "--failed", "--yes", "-o", "json")
    [row] = json.loads(many.out)  # a list in both cases
    assert (row["total"], row["kind"]) == (2, "retry")
    ids = inside("tasks", "cancel", "1", "2", "99", "-o", "json")
    [row] = json.loads(ids.out)
    assert (row["total"], row["selection"]) == (3, {"ids": 3})


@pytest.mark.usefixtures("failed")
def test_consent_is_that_of_bulk_changes(shop: Shop, inside: Program) -> None:
    asked = inside("tasks", "retry", "--failed", "--rate", "50/m")
    assert (asked.status, 'cannot ask "Retry 5 tasks, at 50/m?"' in asked.err) == (2, True)
    for options, are in ((["--wait"], "make an operation: retry 5"), (["--no-wait"], "retry 5")):
        said = inside("tasks", "retry", "--failed", *options, "--dry-run").err
        assert said == f"Would {are} tasks; nothing was changed.\n"
    tried = inside("tasks", "retry", "--failed", "--rate", "50/m", "--dry-run")
    assert tried.err == "Would make an operation: retry 5 tasks, at 50/m; nothing was changed.\n"
    shop.execute("UPDATE download_tasks SET managed = 0 WHERE id IN (1, 2)")
    some = ("tasks", "retry", "--failed", "--dry-run", "-o", "json")
    tried = inside(*some, "--name", "op", "--max-failures", "2")
    assert (tried.status, tried.out) == (0, inside(*some).out)  # as a change at once shows them
    assert [row["id"] for row in json.loads(tried.out)] == [3, 4, 5]
    assert tried.err.splitlines() == [
        "Would make an operation: retry 3 tasks, stopped when more than 2 fail again; nothing was changed.",
        "2 tasks of the shop's own workers were skipped; --take includes them.",
    ]
    named = inside("tasks", "retry", "1", "3", "--rate", "1/s", "--dry-run", "-o", "json")
    assert ["own workers" in (row["error"] or "") for row in json.loads(named.out)] == [True, False]
    assert inside(
        "tasks", "retry", "--order", "DH1", "--error-type", "TIMEOUT", "--rate", "1/s", "--yes"
    ).err == ("No tasks match.\n")
    assert inside("ops", "list", "-o", "json").out == "[]\n"


def test_why_tasks_were_refused_is_shown(
    shop: Shop, redis_url: str, failed: list[int], inside: Program
) -> None:
    inside("tasks", "retry", "--failed", "--take", "--name", "op", "--yes")
    shop.execute("UPDATE orders SET payment_status = 'pending'")
    turn(shop, redis_url)
    reason = "the order is not paid, so its tasks cannot be retried"
    shown = json.loads(inside("ops", "show", "op", "-o", "json").out)
    assert (shown["failures"], shown["refusals"]) == ([], [{"note": reason, "tasks": 5}])
    card = inside("ops", "show", "op").out.splitlines()
    assert card[card.index("refused:") + 1] == f"  5  {reason}"
    assert "last tasks, those that failed again or were refused first:" in card


def test_a_stop_says_what_is_done(shop: Shop, redis_url: str, failed: list[int], inside: Program) -> None:
    inside("tasks", "retry", "--failed", "--name", "op", "--rate", "1/h", "--yes")
    turn(shop, redis_url)
    stopped = inside("ops", "stop", "op", "--reason", "lunch")
    assert (stopped.status, stopped.err) == (0, "op: stopping, 1 not ended yet · 1 of 5 retried\n")
    assert inside("ops", "stop", "op").status == 4
    assert inside("ops", "wait", "op", "--timeout", "0s").status == 124  # its task has not ended
    assert f"being stopped by {App().actor}: lunch" in inside("ops", "show", "op").out
    shop.carry_out(failed[0])
    turn(shop, redis_url)
    waited = inside("ops", "wait", "op")
    assert (waited.status, "operation op was stopped: lunch" in waited.err) == (1, True)
    assert f"\nstopped by {App().actor}: lunch" in inside("ops", "show", "op").out


@pytest.mark.usefixtures("failed")
def test_what_an_operation_waits_for_is_shown_in_each_state(shop: Shop, inside: Program) -> None:
    inside("tasks", "retry", "--failed", "--name", "op", "--yes")

    def write(**values: object) -> str:
        shop.transact(lambda c: c.execute(update(operations).values(values)))
        return inside("ops", "show", "op").err

    waits = "waits: no worker is running: orderctl worker start\n"
    for state in {*State} - {State.PREPARING}:
        assert write(state=state.value) == (waits if state in ACTIVE else ""), state
    assert write(state=State.PREPARING.value) == GONE  # its command has died
    # Its command is still writing it.
    assert write(state=State.PREPARING.value, lease_token="x", lease_until=database.utc_now(60)) == ""


@pytest.mark.usefixtures("failed")
def test_a_narrow_terminal_shows_the_numbers(inside: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    inside("tasks", "retry", "--failed", "--rate", "50/m", "--yes")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    head = inside("ops", "list").out.splitlines()[0].split()
    assert {"NAME", "STATE", "TASKS", "DONE", "FAILED"} <= set(head), head


@pytest.mark.usefixtures("failed")
def test_waiting_ends_at_its_time_and_tells_what_it_waits_for(
    inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_following, "_STILL_SECONDS", 0.1)
    inside("tasks", "retry", "--failed", "--name", "op", "--rate", "60/m", "--yes")
    waited = inside("ops", "wait", "op", "--timeout", "1s")
    assert waited.status == 124
    assert waited.err.splitlines() == [
        "op: running · 0 of 5 retried · 5 s left",
        "waits: no worker is running: orderctl worker start",
        "orderctl: timed out: op: running · 0 of 5 retried · 5 s left",
        "hint: orderctl ops show op",
    ]


def test_tasks_that_wait_in_an_operation_are_left_out_of_the_next(
    shop: Shop, failed: list[int], inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_options, "MOST_AT_ONCE", 2)
    retry = ("tasks", "retry", "--failed", "--yes")
    inside(*retry, "--max", "3", "--name", "op")
    rest = inside(*retry, "--name", "rest")
    assert rest.err.startswith("left out: 3 tasks wait in operation op already\n")
    assert "2 tasks are retried" in rest.out

    again = inside(*retry)
    assert (again.status, again.out, again.err) == (
        0,
        "",
        "all 5 tasks wait in operations op, rest already\n",
    )
    assert inside(*retry, "-q", "-o", "json").out == "[]\n"
    assert len(json.loads(inside("ops", "list", "-o", "json").out)) == 2

    shop.execute(f"UPDATE download_tasks SET attempt = 4 WHERE id = {failed[0]}")  # it has failed once more
    [row] = json.loads(inside(*retry, "-q", "-o", "json").out)
    assert row["total"] == 1
    other = inside("tasks", "cancel", "--failed", "--yes", "-q", "-o", "json")
    assert [row["total"] for row in json.loads(other.out)] == [5]


def write_half(shop: Shop, kind: Kind, ids: list[int], seen: choices.Seen) -> None:
    """Leave what a command that is killed before its operation is complete leaves."""
    number = making._begin(shop.engine, NewOperation(kind, "anna", "op"), "token")
    making._write(shop.engine, number, "token", [(one, seen) for one in ids])


@pytest.mark.parametrize("kind", Kind)
def test_a_command_that_died_while_it_made_an_operation_keeps_no_task_from_the_next(
    shop: Shop, redis_url: str, failed: list[int], inside: Program, kind: Kind
) -> None:
    write_half(shop, kind, failed[:4], choices.Seen("failed", 3))
    command = ("tasks", str(kind), "--failed", "--yes", "--name")
    living = inside(*command, "op")
    assert (living.status, living.out) == (4, "")
    assert living.err.startswith(
        "orderctl: an operation op is being made\nhint: if the command that was making"
    )
    assert inside(*command, "other").out.startswith("Operation other: 5 tasks are")  # in part in the first

    inside("ops", "stop", "other")
    shop.transact(lambda c: c.execute(update(operations).values(lease_until=database.utc_now(-1))))
    waited = inside("ops", "wait", "op", "--timeout", "0s")
    assert (waited.status, waited.err.startswith(GONE)) == (124, True)
    assert inside(*command, "op").out.startswith("Operation op: 5 tasks are")
    turn(shop, redis_url)
    assert {row.status for row in shop.task_rows()} == {"pending" if kind is Kind.RETRY else "cancelled"}
