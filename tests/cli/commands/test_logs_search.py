"""``orderctl logs search``, and what ``logs errors`` has in common with it."""

import json
import signal
import subprocess
from itertools import count

import pytest

from orderctl import audit_search
from orderctl.cli import log_follow, log_options
from orderctl.cli.app import App
from orderctl.errors import DatabaseUnavailable
from orderctl.states import ErrorType, Severity
from orderctl.terminal.widths import bare
from tests.cli.conftest import Program
from tests.script import SCRIPT
from tests.shop import Shop
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")


def messages(ended) -> list[str]:
    assert (ended.status, ended.err) == (0, "")
    return [json.loads(line)["message"] for line in ended.out.splitlines()]


@pytest.fixture
def busy(shop: Shop) -> Shop:
    for number in range(6):
        shop.add(f"DH{number // 3 + 1}") if number % 3 == 0 else None
        shop.record(
            1 + number // 3,
            "test_event",
            list(Severity)[number % 5],
            message=f"event {number}",
            actor=("anna@one", "bob")[number % 2],
        )
    return shop


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["event"], [0, 1, 2, 3, 4, 5]),
        (["EVENT", "-r", "-n", "3"], [5, 4, 3]),
        (["event", "-n", "2"], [4, 5]),
        (["--type", "test_event", "--actor", "anna"], [0, 2, 4]),
        (["--actor", "anna@"], [0, 2, 4]),
        (["event", "--actor", "*"], [0, 1, 2, 3, 4, 5]),
        (["--actor", "b*"], [1, 3]),
        (["event", "--order", "DH2", "--since", "1h"], [3, 4, 5]),
        (["--severity", "warning"], [2, 3, 4]),
        (["--severity", "warning..ERROR"], [2, 3]),
        (["--severity", "..info", "--type", "TEST_EVENT"], [0, 1, 5]),
        (["--severity", "debug,critical"], [0, 4, 5]),
        (["-g", "event [1-3]"], [1, 2, 3]),
        (["-g", "event [1-5]", "-n", "2"], [4, 5]),
        (["--source", "shop", "--category", "system", "--until", "1h"], []),
    ],
)
def test_events_of_all_orders_are_chosen(options, numbers, busy: Shop, inside: Program):
    if options == ["--actor", "b*"]:
        numbers = [1, 3, 5]
    ended = inside("logs", "search", "-o", "jsonl", *options)
    assert ended.status == 0
    assert [json.loads(line)["message"] for line in ended.out.splitlines()] == [f"event {n}" for n in numbers]


def test_the_next_page_goes_on(busy: Shop, inside: Program):
    first = inside("logs", "search", "event", "-n", "2", "-r", "--fields", "message", "-o", "tsv")
    after = first.err.strip().removeprefix("next page: ").split()
    second = inside("logs", "search", "event", "-n", "2", "-r", "--fields", "message", "-o", "tsv", *after)

    assert first.out.splitlines()[1:] == ["event 5", "event 4"]
    assert second.out.splitlines()[1:] == ["event 3", "event 2"]
    assert inside("logs", "search", "--after", "4711").status == 2


def test_who_changed_what_stands_in_80_columns(shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch):
    [task] = shop.paid("DH123456")
    shop.fail(task, ErrorType.NETWORK, "reset")
    actor = App().actor
    assert inside("tasks", "retry", str(task), "--reason", "asked by the customer").status == 0
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    lines = inside(
        "logs", "search", "--actor", actor, "--since", "1h", "--type", "task_retried"
    ).out.splitlines()

    assert bare(lines[0]).split() == ["TIME", "ORDER", "TASK", "MESSAGE", "ACTOR"]
    row = json.loads(inside("logs", "search", "--actor", actor, "--type", "task_retried", "-o", "jsonl").out)
    assert (row["order_code"], row["task_id"], row["actor"]) == ("DH123456", task, actor)
    assert row["message"].endswith("(asked by the customer)")


def test_a_search_stops_after_a_while_and_says_how_far_it_came(
    busy: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    for number in range(8):
        busy.record(1, "test_event", message=f"other {number}")
    busy.execute("UPDATE order_audit_logs SET created_at = '2026-05-03 10:12:00.000000' WHERE id < 10")
    monkeypatch.setattr(audit_search, "_FEWEST", 8)
    monkeypatch.setattr(audit_search.Walk, "_grow", lambda *_: None)
    monkeypatch.setattr("orderctl.cli.log_reader.time.monotonic", count().__next__)

    ended = inside(
        "logs",
        "search",
        "event 1",
        "-n",
        "1",
        "--time-format",
        "iso",
        "--time-limit",
        "1s",
        "-q",
        "-o",
        "json",
    )

    assert (ended.status, json.loads(ended.out)) == (0, [])
    assert ended.err.startswith("looked at 8 events down to 2026-05-03T10:12:00Z; go on with --after ")
    assert "; go on with --after " in ended.err
    after = ended.err.split("--after ")[1].split(",")[0]
    assert "event 1" in inside("logs", "search", "event 1", "--after", after, "--time-limit", "1m").out


@pytest.mark.parametrize(
    "options",
    [
        ["--severity", "bad"],
        ["--severity", "error..warning"],
        ["--severity", ".."],
        ["--severity", ","],
        ["-f", "-r"],
        ["-f", "-o", "json"],
        ["-f", "--after", "1"],
        ["-g", "("],
        ["--actor", ""],
        ["--source", " "],
        ["--operation", ""],
        ["--since", "1h", "--until", "2h"],
        ["--time-limit", "0s"],
    ],
)
def test_what_does_not_go_together_is_refused(options, busy: Shop, inside: Program):
    ended = inside("logs", "search", *options)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("orderctl: ")


@pytest.mark.parametrize("command", [["search"], ["show", "DH1"], ["errors"]])
def test_an_end_is_refused_when_following(command, busy: Shop, inside: Program, polls, tmp_path):
    polls()
    ended = inside("logs", *command, "-f", "--until", "1h")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("orderctl: --until cannot be combined with --follow")
    file = str(tmp_path / "seen")
    assert inside("logs", *command, "--until", "1h", "--cursor-file", file).status == 0


def test_one_failure_is_one_line(shop: Shop, inside: Program):
    [task] = shop.paid("DH1")
    shop.fail(task, ErrorType.NETWORK, "reset")
    shop.record(1, "email_failed", Severity.ERROR)

    [mail, failure] = json.loads(inside("logs", "errors", "-o", "json").out)
    every = json.loads(inside("logs", "errors", "--all", "-o", "json").out)

    assert (mail["event_type"], failure["event_type"]) == ("email_failed", "download_failed")
    assert [row["event_type"] for row in every] == ["email_failed", "order_failed", "download_failed"]
    assert failure["event_ids"] == sorted(row["id"] for row in every[1:])
    assert [row["event_ids"] for row in every] == [[row["id"]] for row in every]
    assert len(json.loads(inside("logs", "errors", "-n", "1", "-o", "json").out)) == 1
    assert len(json.loads(inside("logs", "errors", "--type", "email_failed", "-o", "json").out)) == 1
    assert json.loads(inside("logs", "errors", "-g", "nothing", "-o", "json").out) == []


def pages(inside: Program, *options: str) -> list[list[dict]]:
    """Return the rows of each page of ``logs errors``."""
    found, after = [], []
    while len(found) < 20:
        ended = inside("logs", "errors", "-o", "jsonl", *options, *after)
        found.append([json.loads(line) for line in ended.out.splitlines()])
        if not ended.err:
            return found
        assert ended.err.startswith("next page: --after ")
        after = ended.err.removeprefix("next page: ").split()
    raise AssertionError(found)


@pytest.mark.parametrize("size", ["1", "2", "3"])
def test_no_failure_is_lost_between_pages(size: str, shop: Shop, inside: Program):
    tasks = [*shop.paid("DH1"), *shop.paid("DH2")]
    for number in range(1, 4):
        severity = Severity.ERROR if number == 3 else Severity.WARNING
        for order, task in enumerate(tasks, 1):
            shop.record(order, "download_failed", severity, message=f"{order}/{number}", task_id=task)
    for order in (1, 2):
        shop.record(order, "order_failed", Severity.ERROR)

    found = pages(inside, "--severity", "warning", "-n", size)

    rows = [row for page in found for row in page]
    assert [row["message"] for row in rows if row["message"].endswith("/3")] == ["2/3", "1/3"]
    assert {one for row in rows for one in row["event_ids"]} >= {
        event.id for order in ("DH1", "DH2") for event in shop.events(order, event_types=["download_failed"])
    }


def test_a_failure_that_stands_together_is_on_one_page(busy: Shop, inside: Program):
    busy.pay("DH1")
    [task] = busy.paid("DH3")
    for severity in (Severity.WARNING, Severity.WARNING, Severity.ERROR):
        busy.record(3, "download_failed", severity, task_id=task)
    busy.record(3, "order_failed", Severity.ERROR)

    found = pages(inside, "--severity", "warning", "-n", "1")

    assert [[len(row["event_ids"]) for row in page] for page in found] == [[4], [1]]


def test_new_events_of_a_search_are_shown_once(busy: Shop, inside: Program, tmp_path):
    arguments = ("logs", "search", "--actor", "bob", "-o", "jsonl", "--cursor-file", str(tmp_path / "seen"))

    assert messages(inside(*arguments)) == ["event 1", "event 3", "event 5"]
    assert messages(inside(*arguments)) == []
    busy.record(1, "test_event", message="new", actor="bob", id=500)
    busy.record(1, "test_event", message="other", actor="carl")
    assert messages(inside(*arguments)) == ["new"]
    busy.record(1, "test_event", message="late", actor="bob", id=300)
    assert messages(inside(*arguments)) == ["late"]
    assert messages(inside(*arguments)) == []


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch):
    """``polls(*actions)`` carries them out, one at each pause of a follower, and then interrupts it."""

    def plan(*actions) -> None:
        left = list(actions)

        def pause(_: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(log_follow.time, "sleep", pause)

    return plan


def test_following_survives_an_outage_without_a_gap(
    busy: Shop, inside: Program, polls, monkeypatch: pytest.MonkeyPatch
):
    reading = App.reading

    def away(_: App) -> None:
        raise DatabaseUnavailable("the database does not answer")

    def goes() -> None:
        busy.record(1, "test_event", message="before")
        monkeypatch.setattr(App, "reading", away)

    def comes() -> None:
        busy.record(1, "test_event", message="during")
        monkeypatch.setattr(App, "reading", reading)

    polls(goes, lambda: None, comes, lambda: busy.record(1, "test_event", message="after"))
    ended = inside("logs", "search", "-f", "-n", "1", "-o", "jsonl")

    assert [json.loads(line)["message"] for line in ended.out.splitlines()] == [
        "event 5",
        "before",
        "during",
        "after",
    ]
    assert ended.err.splitlines() == [
        "the database does not answer; trying again",
        "the database answers again",
        "orderctl: interrupted",
    ]


def test_following_goes_on_after_a_restart(busy: Shop, inside: Program, polls, tmp_path):
    arguments = ("logs", "search", "-f", "-o", "jsonl", "--cursor-file", str(tmp_path / "seen"))
    polls(lambda: busy.record(1, "test_event", message="high", id=200))
    assert inside(*arguments).out.count("\n") == 9
    busy.record(1, "test_event", message="late", id=150)
    busy.record(1, "test_event", message="higher")
    polls()

    ended = inside(*arguments)

    assert [json.loads(line)["message"] for line in ended.out.splitlines()] == ["late", "higher"]


@pytest.mark.parametrize("cursor", [True, False])
@pytest.mark.parametrize("command", [["search"], ["show", "DH1"], ["errors", "--all"]])
def test_following_goes_on_in_a_log_that_was_emptied(
    command, cursor, busy: Shop, inside: Program, polls, tmp_path
):
    busy.pay("DH1")

    def empty() -> None:
        busy.execute("DELETE FROM order_audit_logs")
        busy.record(1, "test_event", Severity.ERROR, message="new", id=1)

    polls(empty, lambda: busy.record(1, "test_event", Severity.ERROR, message="newer"))
    file = ["--cursor-file", str(tmp_path / "seen")] if cursor else []
    ended = inside("logs", *command, "-f", "-q", "-o", "jsonl", *file)

    assert [json.loads(line)["message"] for line in ended.out.splitlines()][-2:] == ["new", "newer"]
    assert ended.err.splitlines()[0] == "the log was emptied, or restored: beginning anew"
    assert ended.err.count("emptied") == 1


def test_ids_that_are_not_watched_are_said_once(
    busy: Shop, inside: Program, polls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("orderctl.audit_frontier.MOST_YOUNG", 0)
    polls(*(lambda number=number: busy.record(1, id=number) for number in (100, 200)))

    ended = inside("logs", "search", "-f", "-o", "jsonl", "-q")

    assert ended.err.count("too many ids have no event yet") == 1


def test_what_was_shown_before_an_interruption_is_not_shown_again(
    busy: Shop, inside: Program, polls, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    arguments = ("logs", "errors", "-f", "--all", "-o", "jsonl", "--cursor-file", str(tmp_path / "seen"))
    busy.pay("DH1")
    polls()
    inside(*arguments)
    for number in range(3):
        busy.record(1, "test_event", Severity.ERROR, message=f"new {number}")
    write, written = App.write, []

    def then_interrupt(app: App, text: str) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write(app, text)
        written.append(text)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(App, "write", then_interrupt)
        first = inside(*arguments)
    second = inside(*arguments)

    shown = [json.loads(line)["message"] for ended in (first, second) for line in ended.out.splitlines()]
    assert shown == ["new 0", "new 1", "new 2"]


def test_sigterm_ends_following_with_its_cursor_file(busy: Shop, tmp_path):
    file = tmp_path / "seen"
    process = subprocess.Popen(
        [SCRIPT, "logs", "search", "-f", "-n", "1", "-o", "jsonl", "--cursor-file", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert json.loads(process.stdout.readline())["message"] == "event 5"
    eventually(file.read_text, "the cursor file")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "orderctl: interrupted\n")
    assert json.loads(file.read_text())["version"] == 1


def test_a_regular_expression_is_looked_for_in_few_steps(
    busy: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    for number in range(60):
        busy.record(1, "test_event", Severity.ERROR, message=f"other {number}")
    busy.pay("DH1")
    step, steps = audit_search.Walk.step, []
    monkeypatch.setattr(
        audit_search.Walk, "step", lambda walk, *given: (steps.append(walk), step(walk, *given))[1]
    )

    for command in (["search"], ["search", "--type", "test_event"], ["search", "e"], ["errors", "--all"]):
        steps.clear()
        ended = inside("logs", *command, "-n", "1", "-g", "nothing", "-o", "json")
        assert (ended.status, json.loads(ended.out)) == (0, [])
        assert (command, len(steps)) == (command, 1)


@pytest.mark.parametrize("command", [["search"], ["search", "a"], ["errors"]])
def test_a_regular_expression_that_takes_too_long_ends_the_search(
    command, busy: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(audit_search, "_EVENT_SECONDS", 0.02)
    busy.pay("DH1")
    busy.record(1, "test_event", Severity.ERROR, message="aaa", id=100)
    busy.record(1, "test_event", Severity.ERROR, message=f"{'a' * 40}!", id=110)
    busy.record(1, "test_event", Severity.ERROR, message="a", id=120)

    ended = inside("logs", *command, "-g", "^(a+)+$", "-o", "jsonl")
    rest = inside("logs", *command, "-g", "^(a+)+$", "-o", "jsonl", "--after", "110")

    assert (ended.status, [json.loads(line)["message"] for line in ended.out.splitlines()]) == (0, ["a"])
    assert ended.err.startswith("stopped at event 110, on which the regular expression takes too long; go on")
    assert ended.err.endswith(" --after 110\n")
    assert messages(rest) == ["aaa"]


def test_a_regular_expression_that_takes_too_long_on_an_order_is_refused(
    busy: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log_options, "_EVENT_SECONDS", 0.02)
    busy.record(1, "test_event", message=f"{'a' * 40}!", id=110)
    ended = inside("logs", "show", "DH1", "-g", "^(a+)+$")
    assert (ended.status, ended.out) == (2, "")
    assert "the regular expression takes longer than 0.02 s on event 110" in ended.err


@pytest.mark.parametrize("command", [["search"], ["errors"], ["show", "DH1"]])
def test_a_slip_in_a_type_is_noticed(command, busy: Shop, inside: Program):
    near = inside("logs", *command, "--type", "Order_faild,nonsense").err
    assert near.startswith("No e")
    assert " orderctl knows no Order_faild; near it: order_failed" in near
    assert near.endswith(" orderctl knows no nonsense.\n")
    assert "knows no" not in inside("logs", *command, "--type", "EMAIL_failed").err


@pytest.mark.parametrize("command", ["search", "errors"])
@pytest.mark.parametrize("follow", [True, False])
def test_a_history_that_is_cut_is_said(
    command, follow, busy: Shop, inside: Program, polls, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(8):
        busy.record(1, "test_event", Severity.ERROR, message=f"other {number}")
    busy.pay("DH1")
    polls()
    monkeypatch.setattr(audit_search, "_TEXTS", 4)
    monkeypatch.setattr(audit_search, "_FEWEST", 8)
    monkeypatch.setattr("orderctl.cli.log_reader.time.monotonic", count().__next__)
    arguments = ["logs", command, "-q", "-g", "event 1", "-n", "1", "-o", "jsonl", "--time-limit", "1s"]
    ended = inside(*arguments, *(["-f"] if follow else ["--cursor-file", str(tmp_path / "seen")]))
    assert ended.out == ""
    assert ended.err.startswith("earlier events are not shown: looked at ")
    assert "; look longer with --time-limit 1m\n" in ended.err


@pytest.mark.parametrize("command", [["search"], ["show", "DH1"], ["errors", "--all"]])
def test_lines_hold_for_what_is_new_when_following_goes_on(
    command, busy: Shop, inside: Program, polls, tmp_path
):
    arguments = ("logs", *command, "-f", "-o", "jsonl", "--cursor-file", str(tmp_path / "seen"))
    busy.pay("DH1")
    polls()
    inside(*arguments)
    for number in range(3):
        busy.record(1, "test_event", Severity.ERROR, message=f"new {number}")
    polls(lambda: busy.record(1, "test_event", Severity.ERROR, message="newer"))

    ended = inside(*arguments, "-n", "1")

    assert [json.loads(line)["message"] for line in ended.out.splitlines()] == ["new 2", "newer"]
    assert "2 earlier e" in ended.err
    polls()
    assert inside(*arguments).out == ""


def test_following_ends_when_nobody_reads(busy: Shop):
    process = subprocess.Popen(
        [SCRIPT, "logs", "search", "-f", "-n", "1", "-o", "jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    try:
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
