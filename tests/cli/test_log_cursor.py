import errno
import fcntl
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orderctl import audit_frontier, audit_search
from orderctl.cli import log_cursor
from orderctl.cli.app import App
from orderctl.cli.main import run
from orderctl.states import Severity
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def failing(shop: Shop) -> Shop:
    """A shop with three errors."""
    shop.paid("DH1")
    for number in range(3):
        fail(shop, f"old {number}")
        shop.record(1)
    return shop


def fail(shop: Shop, message: str, **more: Any) -> None:
    shop.record(1, "test_event", Severity.ERROR, message=message, **more)


@pytest.fixture
def new(inside: Program, tmp_path: Path):
    """``new(*options)`` returns the messages of the errors that a run shows."""

    def call(*options: str) -> list[str]:
        file = str(tmp_path / "seen")
        ended = inside("logs", "errors", "--cursor-file", file, "-o", "jsonl", *options)
        assert (ended.status, ended.err if "-n" not in options else "") == (0, "")
        return [json.loads(line)["message"] for line in ended.out.splitlines()]

    return call


def test_each_error_is_shown_once_oldest_first(failing: Shop, new):
    assert new() == ["old 0", "old 1", "old 2"]
    assert new() == []
    fail(failing, "new 0")
    fail(failing, "new 1")
    failing.record(1)
    assert new() == ["new 0", "new 1"]
    assert new() == []


def test_without_new_errors_nothing_is_printed(failing: Shop, inside: Program, tmp_path: Path):
    arguments = ("logs", "errors", "--cursor-file", str(tmp_path / "seen"))
    assert "old 2" in inside(*arguments).out

    ended = inside(*arguments)

    assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_the_first_run_shows_the_newest(failing: Shop, new):
    assert new("-n", "2") == ["old 1", "old 2"]
    assert new() == []


def test_a_log_without_errors_is_read_from_then_on(shop: Shop, new):
    shop.paid("DH1")
    assert new() == []
    fail(shop, "new")
    assert new() == ["new"]


def test_an_error_that_is_committed_late_is_shown(failing: Shop, new):
    failing.execute("UPDATE order_audit_logs SET id = id + 100 WHERE message = 'old 2'")
    assert new() == ["old 0", "old 1", "old 2"]
    fail(failing, "late", id=50)

    assert new() == ["late"]
    assert new() == []


def test_an_error_is_shown_again_after_a_run_that_could_not_print(
    failing: Shop, new, monkeypatch: pytest.MonkeyPatch
):
    new()
    fail(failing, "new")
    with monkeypatch.context() as broken:
        broken.setattr(App, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(AssertionError):
            new()

    assert new() == ["new"]


def test_runs_at_once_show_each_error_once(
    failing: Shop, new, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    new()
    for number in range(20):
        fail(failing, f"new {number}")
    arguments = ["logs", "errors", "--cursor-file", str(tmp_path / "seen"), "-o", "jsonl"]

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: run(arguments), range(8)))

    assert set(ended) == {0}
    shown = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert shown == [f"new {number}" for number in range(20)]


def test_many_are_shown_page_by_page(failing: Shop, new, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_frontier, "CHUNK", 2)
    new()
    for number in range(5):
        fail(failing, f"new {number}")
    assert new() == [f"new {number}" for number in range(5)]


def test_what_lines_leaves_out_is_counted(failing: Shop, inside: Program, new, tmp_path: Path):
    new()
    for number in range(3):
        fail(failing, f"new {number}")

    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "seen"), "-n", "2", "--quiet")

    assert "new 0" not in ended.out
    assert ended.err == "1 earlier error not shown: more than --lines 2.\n"
    assert new() == []


def test_severity_and_since_choose(failing: Shop, new):
    new()
    failing.record(1, "test_event", Severity.WARNING, message="warned")
    fail(failing, "ancient", created_at=datetime(2001, 1, 1, tzinfo=UTC))
    fail(failing, "new")
    assert new("--severity", "warning", "--since", "2002-01-01") == ["warned", "new"]


ANEW = "the log was emptied, or restored: beginning anew\n"


@pytest.mark.parametrize("kept", ["this version", "an earlier version"])
def test_after_the_log_was_emptied_all_of_it_is_new(
    kept: str, failing: Shop, inside: Program, new, tmp_path: Path
):
    new()
    if kept != "this version":
        (tmp_path / "seen").write_text("1000\n")
    failing.execute("DELETE FROM order_audit_logs")
    last = 60 if kept == "this version" else 55  # it also grows beyond what was read
    for number in range(1, last):
        fail(failing, f"new {number}", id=number)

    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "seen"), "-o", "jsonl", "-q")

    assert (ended.status, ended.err) == (0, ANEW)
    shown = [json.loads(line)["message"] for line in ended.out.splitlines()]
    assert shown == [f"new {number}" for number in range(1, last)]
    assert new() == []


def test_when_only_the_newest_events_are_gone_little_is_shown_again(
    failing: Shop, inside: Program, new, tmp_path: Path
):
    for number in range(30):
        fail(failing, f"more {number}")
    new()
    failing.execute("DELETE FROM order_audit_logs WHERE message = 'more 29'")

    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "seen"), "-o", "jsonl")

    assert ended.err.startswith("the log was emptied, or restored: going on after event ")
    assert ended.out == ""


@pytest.mark.parametrize("text", ["nonsense", "-1", "1 x", "9" * 5000, "\u0661"])
def test_a_file_with_something_else_is_refused(text: str, failing: Shop, inside: Program, tmp_path: Path):
    (tmp_path / "seen").write_text(text)

    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "seen"))

    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"orderctl: {tmp_path}/seen does not contain ids of events\nhint: remove it")
    assert (tmp_path / "seen").read_text() == text


def test_the_file_of_logs_show_can_be_taken_over(failing: Shop, inside: Program, new, tmp_path: Path):
    assert inside("logs", "show", "DH1", "--cursor-file", str(tmp_path / "seen")).status == 0
    assert json.loads((tmp_path / "seen").read_text())["read_to"] == failing.events("DH1")[-1].id
    fail(failing, "new")
    assert "new" in new()


def test_a_folder_that_does_not_exist_is_named(failing: Shop, inside: Program, tmp_path: Path):
    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "no" / "seen"))

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"orderctl: the folder of --cursor-file {tmp_path}/no/seen does not exist\n"


@pytest.mark.parametrize("command", [("errors",), ("show", "DH1")])
def test_a_device_or_the_like_is_not_replaced(
    command: tuple[str, ...], failing: Shop, inside: Program, tmp_path: Path
):
    os.mkfifo(tmp_path / "seen")

    ended = inside("logs", *command, "--cursor-file", str(tmp_path / "seen"))

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"orderctl: --cursor-file {tmp_path}/seen is not a regular file\n"
    assert (tmp_path / "seen").is_fifo()


def test_an_error_that_is_committed_during_the_first_run_is_shown_once(
    failing: Shop, new, monkeypatch: pytest.MonkeyPatch
):
    step, late = audit_search.Walk.step, ["late"]

    def then_fail(*arguments: Any) -> Any:
        found = step(*arguments)
        if late:
            fail(failing, late.pop())
        return found

    monkeypatch.setattr(audit_search.Walk, "step", then_fail)

    assert [*new(), *new()] == ["old 0", "old 1", "old 2", "late"]
    assert new() == []


def test_a_file_that_cannot_be_written_is_refused_before_errors_are_shown(
    failing: Shop, inside: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)  # root can write anywhere
    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "seen"))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"orderctl: cannot write to the folder of --cursor-file {tmp_path}/seen\n"


def test_a_run_that_waits_for_another_one_says_so(
    failing: Shop, new, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    new()
    fail(failing, "new")
    other = os.open(tmp_path / "seen", os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    said: list[str] = []
    monkeypatch.setattr(App, "say", lambda _, text: (said.append(text), os.close(other)))

    assert new() == ["new"]
    assert said == [f"waiting for another run with {tmp_path}/seen"]


def test_a_run_that_waits_for_several_others_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(App, "say", lambda _, text: said.append(text))
    file, turns = tmp_path / "seen", [2, 1, 0]

    def wait(_: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError
        if turns.pop(0):
            file.unlink()  # replaced by the run that had it
            file.touch()

    monkeypatch.setattr(fcntl, "flock", wait)

    with log_cursor.opened(App(), file):
        assert turns == []
    assert said == [f"waiting for another run with {file}"]


def test_a_file_that_cannot_be_locked_is_named(
    failing: Shop, inside: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    ended = inside("logs", "errors", "--cursor-file", str(tmp_path / "seen"))

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"orderctl: cannot lock --cursor-file {tmp_path}/seen: No locks available\n"


def test_a_link_is_followed_and_the_mode_is_kept(failing: Shop, new, tmp_path: Path):
    there = tmp_path / "there"
    there.mkdir()
    file = there / "kept"
    file.touch(0o600)
    (tmp_path / "seen").symlink_to(file)

    new()

    assert (tmp_path / "seen").readlink() == file
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in there.iterdir()] == ["kept"]
    assert new() == []


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fchmod", "replace"])
@pytest.mark.parametrize("follow", [[], ["-f"]])
def test_a_full_disk_below_the_file_is_said(
    call, follow, failing: Shop, inside: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "orderctl.cli.log_cursor.os.fchmod", full
    ) if call == "fchmod" else monkeypatch.setattr(Path, "replace", full)
    file = tmp_path / "seen"

    ended = inside("logs", "errors", "--cursor-file", str(file), "-o", "jsonl", *follow)

    assert (ended.status, ended.out.count("\n")) == (2, 3)
    assert f"cannot write --cursor-file {file}: No space left on device" in ended.err
    assert [one.name for one in tmp_path.iterdir() if "seen" in one.name] == ["seen"]


def test_a_file_that_cannot_be_written_is_refused(failing: Shop, inside: Program, tmp_path: Path):
    (tmp_path / "seen.new").mkdir()
    os.mkfifo(tmp_path / "pipe.new")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    long = (tmp_path / ("n" * length) for length in (252, 255, 256, 5000))
    for file in (tmp_path / "seen", Path("/proc/x"), tmp_path / "circle", tmp_path / "pipe", *long):
        ended = inside("logs", "errors", "--cursor-file", str(file))
        assert (file, ended.status, ended.out) == (file, 2, "")
        assert f"--cursor-file {file}" in ended.err


def test_a_folder_that_was_removed_is_said(
    failing: Shop, inside: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "folder" / "seen"
    file.parent.mkdir()
    write = App.write
    monkeypatch.setattr(
        App, "write", lambda *given: (shutil.rmtree(file.parent, ignore_errors=True), write(*given))[1]
    )
    ended = inside("logs", "errors", "--cursor-file", str(file), "-o", "jsonl")
    assert (ended.status, f"cannot write --cursor-file {file}: No such file or directory" in ended.err) == (
        2,
        True,
    )
