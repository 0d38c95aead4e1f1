"""``orderctl tasks``."""

import json
import re
from typing import Any

import pytest
import redis

from orderctl import clock, error_groups, failures, tasks
from orderctl.failures import Failure
from orderctl.states import ErrorType
from tests.cli.conftest import Program
from tests.shop import Shop

ONE_KIND = pytest.mark.databases("sqlite")


def ids(ended) -> list[int]:
    return [row["id"] for row in json.loads(ended.out)]


def test_failed_tasks_are_listed_with_the_promised_keys(shop: Shop, inside: Program):
    shop.paid("DH1", 3, titled=True)
    shop.fail(2)

    ended = inside("tasks", "list", "--failed", "-o", "json")

    (row,) = json.loads(ended.out)
    assert (ended.status, ended.err) == (0, "")
    assert {
        "id", "order_id", "order_code", "title", "course_url", "status", "attempt", "max_attempts",
        "error_type", "error_log", "error_fingerprint", "drive_link", "worker", "updated_at",
    } <= set(row)  # fmt: skip
    assert (row["id"], row["order_code"], row["title"], row["error_type"]) == (
        2,
        "DH1",
        "Course 2",
        "NETWORK",
    )


@ONE_KIND
def test_the_list_is_narrowed_and_paged(shop: Shop, inside: Program):
    shop.paid("DH1", 3)
    shop.paid("DH2", 2)
    shop.fail(1)
    shop.fail(4, ErrorType.TIMEOUT, "too slow", fingerprint="def456")

    def listed(*options: str) -> list[int]:
        return ids(inside("tasks", "list", "-o", "json", *options))

    assert listed() == [5, 4, 3, 2, 1]
    assert listed("--order", "DH2") == [5, 4]
    assert listed("--failed", "--error-type", "timeout") == [4]
    assert listed("--fingerprint", "abc123") == [1]
    assert listed("--status", "pending,completed") == [5, 3, 2]
    first = inside("tasks", "list", "-L", "2", "-o", "json")
    assert first.err == "next page: --after 4\n"
    assert listed("-L", "2", "--after", "4") == [3, 2]
    assert inside("tasks", "list", "--after", "x").status == 2
    assert listed("--after", "9" * 30) == [5, 4, 3, 2, 1]
    assert inside("tasks", "list", "--failed", "--status", "failed").status == 2
    assert inside("tasks", "list", "--order", "NOPE").status == 3


def test_failures_are_grouped(shop: Shop, inside: Program):
    shop.paid("DH1", 3)
    shop.fail(1)
    shop.fail(2, message="the latest")
    shop.fail(3, ErrorType.TIMEOUT, "too slow", fingerprint="def456")

    groups = json.loads(inside("tasks", "list", "--group-by", "error", "-o", "json").out)

    assert groups == [
        {
            "fingerprint": "abc123",
            "error_type": "NETWORK",
            "count": 2,
            "capped": False,
            "latest_task_id": 2,
            "example": "NETWORK: the latest",
        },
        {
            "fingerprint": "def456",
            "error_type": "TIMEOUT",
            "count": 1,
            "capped": False,
            "latest_task_id": 3,
            "example": "TIMEOUT: too slow",
        },
    ]
    assert inside("tasks", "list", "--group-by", "error", "-o", "name").out == "abc123\ndef456\n"
    assert inside("tasks", "list", "--group-by", "error", "--fields", "count").out == "TASKS\n    2\n    1\n"
    assert inside("tasks", "list", "--group-by", "error", "--fields", "title").status == 2


@ONE_KIND
def test_a_number_at_which_counting_stopped_says_so(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    shop.paid("DH1", 3)
    for task in (1, 2, 3):
        shop.fail(task)
    monkeypatch.setattr(error_groups, "CAP_OF_FEW", 2)
    groups = ("tasks", "list", "--group-by", "error")

    capped = inside(*groups, "--fields", "count")
    assert (capped.out, capped.err) == (
        "TASKS\n   2+\n",
        "some numbers are not complete: --exact counts all failed tasks\n",
    )
    [group] = json.loads(inside(*groups, "-o", "json").out)
    assert (group["count"], group["capped"], group["latest_task_id"]) == (2, True, 3)
    assert inside(*groups, "--exact", "--fields", "count").out == "TASKS\n    3\n"
    assert inside("tasks", "list", "--exact").status == 2


@ONE_KIND
def test_a_task_is_shown_with_its_events(shop: Shop, inside: Program):
    shop.paid("DH1", 2, titled=True)
    shop.fail(2)

    shown = inside("tasks", "show", "2")
    document = json.loads(inside("tasks", "show", "2", "-o", "json").out)

    assert shown.out.startswith("task 2  failed  Course 2  attempt 1 of 3\nNETWORK: connection refused\n")
    assert shown.err == "next: orderctl tasks retry 2\n"
    assert document["error_fingerprint"] == "abc123"
    assert [event["event_type"] for event in document["events"]] == ["task_created", "download_failed"]
    assert inside("tasks", "show", "99").status == 3


@ONE_KIND
def test_a_task_that_waits_for_its_next_try_says_when_and_since_when(shop: Shop, inside: Program, redis_url):
    [task_id] = shop.paid("DH1", titled=True)
    claim, failure = (
        shop.claimed(task_id),
        Failure(ErrorType.NETWORK, "connection refused", "f", retry_after=600),
    )
    shop.transact(lambda c: failures.fail(c, claim, failure, retry_transient=True))

    [row] = json.loads(inside("tasks", "list", "-o", "json").out)
    table = inside("tasks", "list").out
    shown = inside("tasks", "show", "1")
    timeline = inside("orders", "show", "DH1", "--timeline").err

    task = shop.task(task_id)
    assert (row["retry_at"], row["failing_since"]) == tuple(
        map(clock.iso, (task.retry_at, task.failing_since))
    )
    assert "NEXT TRY" in table
    order = inside("orders", "show", "DH1").out
    said = re.compile(r"attempt 1 of 4\n.*next try .*, failing since .*\n.*NETWORK: connection refused\n")
    assert said.search(shown.out)
    assert said.search(order)
    assert f"task 1: next try {row['retry_at']}, failing since {row['failing_since']}\n" in timeline
    assert shown.err == "next: orderctl tasks retry 1\n"
    assert inside("tasks", "retry", "1", "--yes").status == 0
    task = shop.task(task_id)
    assert (task.retry_at, task.failing_since) == (None, None)
    assert task.available_at <= shop.now()


def test_a_task_is_retried_by_id(shop: Shop, inside: Program, redis_url):
    shop.paid("DH1", 2, titled=True)
    shop.carry_out(1)
    shop.fail(2)
    assert shop.order("DH1").order_status == "failed"

    ended = inside("tasks", "retry", "2", "--reason", "server repaired", "-o", "json")

    assert ended.status == 0
    assert json.loads(ended.out) == [
        {
            "id": 2,
            "order_code": "DH1",
            "title": "Course 2",
            "status": "pending",
            "changed": True,
            "note": None,
            "error": None,
        }
    ]
    assert ended.err == "waits: no worker is running: orderctl worker start\nnext: orderctl tail task 2\n"
    assert (shop.task(2).attempt, shop.task(2).max_attempts) == (1, 4)
    assert shop.order("DH1").order_status == "processing"
    retried = next(event for event in shop.events("DH1") if event.event_type == "task_retried")
    assert retried.details["reason"] == "server repaired"
    assert "@" in retried.actor
    assert redis.from_url(redis_url).lrange("rq:queue:orderctl", 0, -1) == [b"task-2-1"]


@ONE_KIND
def test_a_retry_by_selector_takes_failed_ones_only(shop: Shop, inside: Program):
    shop.paid("DH1", 3)
    shop.paid("DH2", 2)
    for task_id, kind in ((1, "NETWORK"), (2, "TIMEOUT"), (4, "NETWORK")):
        shop.fail(task_id, ErrorType(kind))

    assert ids(inside("tasks", "retry", "--failed", "--dry-run", "-o", "json")) == [1, 2, 4]
    assert shop.task(1).status == "failed"
    assert ids(inside("tasks", "retry", "--failed", "--max", "1", "--dry-run", "-o", "json")) == [4]
    assert ids(
        inside("tasks", "retry", "--order", "DH1", "--error-type", "TIMEOUT", "--yes", "-o", "json")
    ) == [2]
    assert ids(inside("tasks", "retry", "--failed", "--yes", "-o", "json")) == [1, 4]
    assert [shop.task(task_id).status for task_id in (1, 2, 3, 4, 5)] == ["pending"] * 5


@ONE_KIND
@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_a_bulk_needs_consent_and_takes_ids_or_selectors(verb, shop: Shop, inside: Program):
    shop.paid("DH1", 2)
    shop.fail(1)

    assert inside("tasks", verb, "1", "--failed", "--yes").status == 2
    unasked = inside("tasks", verb, "--failed")
    assert unasked.status == 2
    assert "1 task?" in unasked.err
    assert shop.task(1).status == "failed"


@ONE_KIND
def test_an_empty_selection_is_not_an_error(shop: Shop, inside: Program):
    shop.paid("DH1", 2)

    ended = inside("tasks", "retry", "--failed", "--yes", "-o", "json")

    assert (ended.status, ended.out, ended.err) == (0, "[]\n", "No tasks match.\n")


@ONE_KIND
def test_a_failed_part_of_a_bulk_change_is_reported_and_does_not_stop_the_rest(shop: Shop, inside: Program):
    shop.paid("DH1", 3)
    shop.fail(1)
    shop.carry_out(2)
    shop.fail(3)

    ended = inside("tasks", "retry", "1", "2", "99", "3", "-o", "json")

    assert ended.status == 1
    rows = {row["id"]: row for row in json.loads(ended.out)}
    assert [rows[task_id]["changed"] for task_id in (1, 2, 99, 3)] == [True, False, False, True]
    assert rows[2]["error"] == "task 2 is completed: only failed, cancelled or waiting tasks can be retried"
    assert rows[99]["error"] == "task 99 not found"


@ONE_KIND
@pytest.mark.parametrize(("task_id", "status"), [("99", 3), ("2", 4), ("0", 2), ("x", 2)])
def test_a_single_task_that_cannot_be_retried_has_its_own_exit_code(
    task_id, status, shop: Shop, inside: Program
):
    shop.paid("DH1", 2)
    shop.carry_out(2)

    assert inside("tasks", "retry", task_id).status == status


def test_the_last_task_that_is_cancelled_ends_the_order(shop: Shop, inside: Program):
    shop.paid("DH1", 2)

    one = inside("tasks", "cancel", "1", "--reason", "withdrawn")
    rest = inside("tasks", "cancel", "--order", "DH1", "--yes", "-o", "json")

    assert (one.status, rest.status) == (0, 0)
    assert ids(rest) == [2]
    assert shop.order("DH1").order_status == "cancelled"
    assert inside("tasks", "cancel", "1").status == 4


@ONE_KIND
def test_a_retry_counts_although_redis_is_away(shop: Shop, inside: Program, monkeypatch):
    shop.paid("DH1", 2)
    shop.fail(1)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")

    ended = inside("tasks", "retry", "1")

    assert ended.status == 0, ended.err
    assert ended.err.startswith("warning: ")
    assert shop.task(1).status == "pending"


def test_a_task_without_its_order_is_shown_counted_and_reported(inside: Program, shop: Shop):
    [lost, kept] = shop.paid("DH1", 2)
    shop.fail(lost)
    shop.orphan(lost)

    def told(*arguments: str) -> Any:
        return json.loads(inside(*arguments, "-o", "json").out)

    assert [(task["id"], task["order_id"], task["order_code"]) for task in told("tasks", "list")] == [
        (kept, 1, "DH1"),
        (lost, 999_999, None),
    ]
    assert told("tasks", "show", str(lost))["order_code"] is None
    assert [group["latest_task_id"] for group in told("tasks", "list", "--group-by", "error")] == [lost]
    assert [(event["task_id"], event["order_code"]) for event in told("logs", "errors")] == [(lost, None)]
    assert {"category": "download", "severity": "error", "count": 1} in told("logs", "summary")
    for stats in (told("orders", "stats"), told("orders", "stats", "--exact")):
        assert (stats["tasks"]["failed"], stats["tasks"]["pending"]) == (1, 1)
    found = [finding for finding in told("reconcile", "--check") if finding["kind"] == "orphan"]
    assert [(finding["task_id"], finding["order_id"]) for finding in found] == [(lost, 999_999)]
    for verb in ("cancel", "retry"):
        ended = inside("tasks", verb, str(lost))
        assert (ended.status, ended.err.splitlines()[0]) == (
            4,
            f"orderctl: task {lost} belongs to order 999999, which does not exist",
        )
    assert shop.task(lost).status == "failed"


def test_a_lost_worker_of_a_task_without_its_order_is_no_finding_of_every_second(inside: Program, shop: Shop):
    [lost] = shop.paid()
    shop.claimed(lost)
    shop.expire(lost)
    shop.orphan(lost)

    assert inside("reconcile", "--quiet").err == ""


@pytest.mark.databases("sqlite")
def test_tasks_without_their_order_are_named_and_counted_up_to_a_limit(
    inside: Program, shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    for task in shop.paid("DH1", 25):
        shop.orphan(task)

    def texts() -> list[str]:
        found = json.loads(inside("reconcile", "--check", "-o", "json").out)
        return [finding["text"] for finding in found if finding["kind"] == "orphan"]

    assert texts()[::19] == ["task 25: its order does not exist", "task 6: its order does not exist"]
    assert texts()[20:] == ["5 further tasks have no order"]
    monkeypatch.setattr("orderctl.findings._MOST_ORPHANS", 22)
    assert texts()[20:] == ["22+ further tasks have no order"]


@ONE_KIND
def test_tasks_of_a_period_are_those_that_changed_last_in_it(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    shop.paid("DH1", 4)
    for number in range(1, 5):
        shop.fail(number)
    shop.execute("UPDATE download_tasks SET updated_at = '2026-05-01 00:00:00' WHERE id IN (1, 3)")

    def listed(*options: str) -> list[int]:
        return ids(inside("tasks", "list", "-o", "json", *options))

    assert listed("--since", "1h") == [4, 2]
    assert listed("--failed", "--since", "2026-04-30", "--until", "2026-05-02") == [3, 1]
    assert listed("--order", "DH1", "--until", "2026-05-02") == [3, 1]
    assert listed("--failed", "--since", "1h", "--after", "4") == [2]
    [group] = json.loads(inside("tasks", "list", "--group-by", "error", "--since", "1h", "-o", "json").out)
    assert group["count"] == 2
    monkeypatch.setattr(tasks, "LOOKED", 2)
    cut = inside("tasks", "list", "--failed", "--since", "1h", "-o", "json")
    assert (ids(cut), cut.err) == ([4], "looked at 2 tasks, newest first; the others: --after 3\n")
    assert listed("--failed", "--since", "1h", "--after", "3") == [2]


@ONE_KIND
def test_the_first_digits_of_a_fingerprint_name_it(shop: Shop, inside: Program):
    shop.paid("DH1", 3)
    for number, mark in enumerate(("abcd1234", "abcd9999", "beef0000"), 1):
        shop.fail(number, fingerprint=mark)

    assert ids(inside("tasks", "list", "--fingerprint", "beef", "-o", "json")) == [3]
    assert ids(inside("tasks", "list", "--fingerprint", "abcd1", "-o", "json")) == [1]
    assert ids(inside("tasks", "list", "--fingerprint", "0123", "-o", "json")) == []
    several = inside("tasks", "retry", "--fingerprint", "abcd", "--yes")
    assert several.status == 2
    assert several.err.startswith(
        "orderctl: several fingerprints begin with 'abcd': abcd1234, abcd9999\nhint: "
    )
    assert inside("tasks", "cancel", "--fingerprint", "bee", "--yes").status == 2
    assert inside("tasks", "retry", "--fingerprint", "beef", "--yes").status == 0
    assert [task.status for task in shop.tasks(1)] == ["failed", "failed", "pending"]


@ONE_KIND
@pytest.mark.parametrize("typed", ["xyz1", "abcd-", "", "abc d", "\u0661234"])
@pytest.mark.parametrize(
    "command", [("list",), ("list", "--group-by", "error"), ("retry", "-y"), ("cancel", "-y")]
)
def test_a_fingerprint_that_is_not_hexadecimal_is_refused(
    typed: str, command: tuple[str, ...], shop: Shop, inside: Program
):
    shop.paid()
    shop.fail(1, fingerprint="abcd1234")

    ended = inside(
        "tasks", *command, *(["--failed"] if command[0] == "retry" else []), "--fingerprint", typed
    )

    assert (ended.status, ended.out) == (2, "")
    if typed or command[0] != "cancel":  # an empty selection is refused as that
        assert ended.err.startswith(
            f"orderctl: {typed!r} is not a fingerprint: it has hexadecimal digits only\nhint: "
        )
    assert shop.task(1).status == "failed"


@ONE_KIND
def test_a_fingerprint_is_found_in_any_case_and_one_of_no_task_is_no_mistake(shop: Shop, inside: Program):
    shop.paid()
    shop.fail(1, fingerprint="abcd1234")

    assert ids(inside("tasks", "list", "--fingerprint", "ABCD", "-o", "json")) == [1]
    ended = inside("tasks", "retry", "--fingerprint", "abcd9", "--yes")
    assert (ended.status, ended.err.startswith("No tasks match")) == (0, True)
