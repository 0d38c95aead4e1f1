"""No process that tests start outlives them, however they end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.reaper import is_running
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

#: A test that starts a server, orderctl's daemon, a child process, and an orphan in a new session.
TESTS = """
import json, os, subprocess, sys, time
from pathlib import Path
from orderctl import embedded
from tests.servers.process import short_folder

def test_starts_a_lot(own_redis, home, tmp_path):
    server = own_redis()
    for folder in (home / "state", tmp_path):
        embedded.ensure(folder)
    child = subprocess.Popen(["sleep", "600"])
    orphan = subprocess.check_output(["sh", "-c", "setsid sleep 600 >/dev/null & echo $!"], cwd="/", text=True)
    pids = [os.getpid(), server.pid, child.pid, int(orphan)]
    pids += [embedded.status(folder).pid for folder in (home / "state", tmp_path)]
    Path(os.environ["REPORT"]).write_text(json.dumps({"pids": pids, "folder": str(home.parent)}))
    WHAT_NEXT
"""
HANG, FAIL, PASS = "time.sleep(600)", "raise AssertionError('it failed')", ""


@contextmanager
def running(folder: Path, what_next: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start pytest with that test, and wait until it has started everything."""
    (folder / "test_it.py").write_text(TESTS.replace("WHAT_NEXT", what_next))
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["-p", "tests.servers.fixtures", "-p", "no:cacheprovider", "-c", "pytest.ini", *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *words, f"--basetemp={folder}/base"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "REPORT": f"{folder}/report"},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        eventually(lambda: (folder / "report").exists() and (folder / "report").read_text(), "its start")
        yield process
    finally:
        process.kill()
        process.communicate()


def left(folder: Path) -> list[object]:
    report = json.loads((folder / "report").read_text())
    return [what for what in [*report["pids"], report["folder"]] if is_there(what)]


def is_there(what: int | str) -> bool:
    return Path(what).exists() if isinstance(what, str) else is_running(what)


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_run_that_is_ended(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    with running(tmp_path, HANG, *options) as process:
        assert len(left(tmp_path)) == 7

        process.send_signal(number)

        eventually(lambda: not left(tmp_path), "the end of everything")


def test_nothing_outlives_a_whole_group_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, HANG, "-n", "1") as process:
        os.killpg(process.pid, signal.SIGKILL)

        eventually(lambda: not left(tmp_path), "the end of everything")


@pytest.mark.parametrize("what_next", [PASS, FAIL])
def test_what_a_test_leaves_ends_with_the_run_and_is_an_error(tmp_path: Path, what_next: str) -> None:
    with running(tmp_path, what_next) as process:
        output, _ = process.communicate(timeout=120)

        assert process.returncode == 1
        assert "still running after the tests" in output
        assert output.count("sleep 600") >= 2
        assert left(tmp_path) == []
