"""``orderctl logs``."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from orderctl import audit_counting, audit_hours
from orderctl.audit_frontier import Frontier
from orderctl.cli import log_cursor, log_reader
from orderctl.cli.app import App
from orderctl.errors import ExitStatus
from orderctl.states import Severity
from tests.cli.conftest import Program
from tests.script import SCRIPT
from tests.shop import Shop

ONE_KIND = pytest.mark.databases("sqlite")


def messages(ended) -> list[str]:
    assert ended.status == 0, ended.err
    return [json.loads(line)["message"] for line in ended.out.splitlines()]


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """An order with ten events after those of its creation and payment."""
    [task_id] = shop.paid("DH1", titled=True)
    for number in range(10):
        severity = list(Severity)[number % 5]
        of = task_id if number % 2 else None
        shop.record(1, "test_event", severity, message=f"event {number}", task_id=of)
    return shop


def test_events_have_the_promised_keys_oldest_first(busy: Shop, inside: Program):
    ended = inside("logs", "show", "DH1", "-o", "json")

    rows = json.loads(ended.out)
    assert (ended.status, ended.err) == (0, "")
    assert [row["event_type"] for row in rows[:3]] == ["task_created", "payment_received", "test_event"]
    assert set(rows[0]) == {
        "id", "order_id", "task_id", "event_type", "event_category", "severity", "message", "details",
        "previous_status", "new_status", "source", "actor", "created_at", "task_title", "course_url",
    }  # fmt: skip
    assert rows[0]["task_title"] == "Course 1"
    assert rows[0]["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["-n", "2"], [8, 9]),
        (["-n", "2", "-r"], [9, 8]),
        (["--severity", "error"], [3, 4, 8, 9]),
        (["--severity", "CRITICAL", "--task", "1"], [9]),
        (["--category", "system", "-g", "EVENT [1-3]"], []),
        (["--category", "system", "-g", "event [1-3]"], [1, 2, 3]),
        (["--category", "system", "-g", "event [0-5]", "-n", "2"], [4, 5]),
        (["--category", "system", "--since", "1h"], list(range(10))),
        (["--category", "system", "--until", "1h"], []),
        (["-g", "test_event", "-r"], list(range(9, -1, -1))),
    ],
)
@ONE_KIND
def test_events_are_chosen(options, numbers, busy: Shop, inside: Program):
    assert messages(inside("logs", "show", "DH1", "-o", "jsonl", *options)) == [
        f"event {number}" for number in numbers
    ]


@ONE_KIND
@pytest.mark.parametrize("lines", [2, 3, 8, 20, 1000, None])
@pytest.mark.parametrize("form", ["table", "json"])
def test_more_events_than_a_page_come_all_and_once(lines, form, shop: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr(log_reader, "_PAGE", 3)
    shop.paid("DH1")
    for number in range(20):
        shop.record(1, "test_event", message=f"<{number}>")
    write, pieces = App.write, []
    monkeypatch.setattr(App, "write", lambda app, text: (pieces.append(text), write(app, text)))

    def shown(*more: str) -> list[str]:
        pieces.clear()
        most = [] if lines is None else ["-n", str(lines)]
        return re.findall("<(.*?)>", inside("logs", "show", "DH1", "-o", form, *most, *more).out)

    newest = [str(number) for number in range(20)][-(lines or 20) :]
    for narrowed in (["--category", "system"], ["-g", "<"], ["-g", "test_event", "-r"]):
        assert shown(*narrowed) == (newest[::-1] if "-r" in narrowed else newest)
        assert max(piece.count("<") for piece in pieces) <= 3


@ONE_KIND
def test_a_cursor_file_goes_on_where_the_last_run_ended(busy: Shop, inside: Program, tmp_path):
    file = tmp_path / "cursor"

    first = messages(inside("logs", "show", "DH1", "-o", "jsonl", "--cursor-file", str(file)))
    again = messages(inside("logs", "show", "DH1", "-o", "jsonl", "--cursor-file", str(file)))
    busy.record(1, "test_event", message="new")
    new = messages(inside("logs", "show", "DH1", "-o", "jsonl", "--cursor-file", str(file)))

    assert (len(first), again, new) == (12, [], ["new"])
    file.write_text("nonsense")
    assert inside("logs", "show", "DH1", "--cursor-file", str(file)).status == 2


def following(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPT, "logs", "show", "DH1", "-f", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_following_shows_what_comes(busy: Shop, tmp_path):
    file = tmp_path / "cursor"
    process = following("-o", "jsonl", "-n", "1", "--cursor-file", str(file))
    try:
        assert json.loads(process.stdout.readline())["message"] == "event 9"
        busy.record(1, "test_event", message="later")
        assert json.loads(process.stdout.readline())["message"] == "later"
        busy.record(1, "test_event", message="last")
        assert json.loads(process.stdout.readline())["message"] == "last"
    finally:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "orderctl: interrupted\n")
    assert json.loads(file.read_text())["read_to"] >= busy.events("DH1")[-2].id


def test_interrupt_waits_until_the_cursor_is_written(tmp_path, monkeypatch):
    file, replace = tmp_path / "cursor", Path.replace

    def interrupted(path, target):
        signal.raise_signal(signal.SIGINT)  # to this thread: the test runner has more than one
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with log_cursor.opened(App(), file) as cursor, pytest.raises(KeyboardInterrupt):
        cursor.write(Frontier(7))

    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]
    assert json.loads(file.read_text()) == {"version": 1, "read_to": 7, "gaps": [], "marks": []}


@ONE_KIND
def test_following_writes_lines_for_people_and_ends_with_its_reader(busy: Shop):
    process = following("-n", "1", "--time-format", "iso")
    line = process.stdout.readline()
    process.stdout.close()
    for number in range(100):
        busy.record(1, "test_event", message=f"more {number}")
        if process.poll() is not None:
            break
        time.sleep(0.1)

    assert line.split()[1:] == ["critical", "test_event", "1", "event", "9"]
    assert (process.wait(timeout=120), process.stderr.read()) == (0, "")
    process.stderr.close()


@ONE_KIND
@pytest.mark.parametrize(
    "options", [["-f", "-r"], ["-f", "-o", "json"], ["-f", "-o", "markdown"], ["-g", "("], ["-n", "0"]]
)
def test_what_does_not_go_together_is_refused(options, busy: Shop, inside: Program):
    assert inside("logs", "show", "DH1", *options).status == 2


def test_errors_are_those_of_paid_orders_newest_first(busy: Shop, inside: Program):
    unpaid = busy.add("DH2", 1)
    busy.record(unpaid, "test_event", Severity.ERROR, message="nobody paid for it")

    rows = json.loads(inside("logs", "errors", "-o", "json").out)

    assert [row["message"] for row in rows] == ["event 9", "event 8", "event 4", "event 3"]
    assert rows[0]["order_code"] == "DH1"
    assert (
        len(json.loads(inside("logs", "errors", "--severity", "warning", "-n", "5", "-o", "json").out)) == 5
    )
    assert (
        json.loads(inside("logs", "errors", "--since", "2020-01-01", "-n", "1", "-o", "json").out) == rows[:1]
    )


def test_the_summary_counts(busy: Shop, inside: Program):
    rows = json.loads(inside("logs", "summary", "-o", "json").out)
    table = inside("logs", "summary").out

    assert {"category": "system", "severity": "error", "count": 2} in rows
    assert table.splitlines()[0].split() == [
        "CATEGORY",
        "DEBUG",
        "INFO",
        "WARNING",
        "ERROR",
        "CRITICAL",
        "TOTAL",
    ]
    assert ["system", "2", "2", "2", "2", "2", "10"] in [line.split() for line in table.splitlines()]
    assert inside("logs", "summary", "--since", "1s", "--fields", "count", "-o", "csv").status == 0


def test_the_summary_of_paid_orders_says_that_it_takes_long(busy: Shop, inside: Program):
    busy.add("DH2")

    paid = inside("logs", "summary", "--paid", "-o", "json")
    every = inside("logs", "summary", "-o", "json")

    assert "reading all events; with millions of them this takes minutes" in paid.err
    assert (every.status, every.err) == (0, "")
    task = {"category": "task", "severity": "info"}
    assert {**task, "count": 1} in json.loads(paid.out)
    assert {**task, "count": 2} in json.loads(every.out)
    assert inside("logs", "summary", "--paid", "--recount").status == ExitStatus.USAGE


def test_the_summary_counts_first_what_no_supervisor_has_counted(
    busy: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    before = inside("logs", "summary", "-o", "json")
    monkeypatch.setattr(audit_hours, "NEWEST", 2)
    monkeypatch.setattr(audit_counting, "MANY", 5)

    ended = inside("logs", "summary", "-o", "json")
    again = inside("logs", "summary", "-o", "json")

    assert "counting the events that are not counted yet" in ended.err
    assert (again.status, again.err) == (0, "")
    assert ended.out == again.out == before.out

    busy.execute("UPDATE order_audit_logs SET event_category = 'zalo' WHERE id = 2")
    assert "zalo" not in inside("logs", "summary").out
    anew = inside("logs", "summary", "--recount")
    assert "zalo" in anew.out
    assert "counting all events anew; with millions of them" in anew.err


@pytest.mark.databases("mariadb", "mysql")
def test_an_account_that_may_only_read_gets_the_same_summary(
    busy: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(audit_hours, "NEWEST", 2)
    monkeypatch.setattr(audit_counting, "MANY", 5)
    before = inside("logs", "summary", "-o", "json")
    busy.execute("DELETE FROM order_audit_logs WHERE id > 8")
    url = busy.engine.url
    account = f"reader_{url.database}"[:32]
    busy.execute(f"CREATE USER '{account}'@'%' IDENTIFIED BY 'secret'")
    busy.execute(f"GRANT SELECT ON `{url.database}`.* TO '{account}'@'%'")
    reading = url.set(username=account, password="secret").render_as_string(hide_password=False)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", reading)

    ended = inside("logs", "summary", "-o", "json")

    assert (ended.status, before.status) == (0, 0), ended.err
    assert sum(row["count"] for row in json.loads(ended.out)) == 8
    assert inside("logs", "summary", "--recount").status not in {0, ExitStatus.USAGE}


@ONE_KIND
def test_a_reader_that_closes_the_pipe_early_is_not_an_error(busy: Shop):
    for command in ("logs show DH1", "orders list -o json", "tasks list", "logs show DH1 -o jsonl"):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {SCRIPT} {command} | head -1"],
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.count("\n") == 1


@ONE_KIND
def test_a_file_on_a_full_disk_is_an_error(busy: Shop):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")

    done = subprocess.run(
        ["bash", "-c", f"{SCRIPT} logs show DH1 > /dev/full"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (
        1,
        "orderctl: cannot write the output: No space left on device\n",
    )


def test_an_order_in_the_commands_place_shows_its_events(shop: Shop, inside: Program):
    shop.paid("DH1")

    short = inside("logs", "DH1", "-n", "1", "-o", "jsonl")

    assert short == inside("logs", "show", "DH1", "-n", "1", "-o", "jsonl")
    assert (short.status, len(short.out.splitlines())) == (0, 1)
    assert inside("logs", "DH2").err.startswith("orderctl: order 'DH2' not found")


def test_a_mistyped_command_of_the_log_is_not_taken_for_an_order(inside: Program):
    ended = inside("logs", "eror")

    assert ended.status == 2
    assert ended.err.startswith("orderctl: no such command 'eror'. Did you mean 'errors'?\n")
