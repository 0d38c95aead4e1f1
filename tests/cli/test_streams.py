"""Standard streams that are closed, full, without a reader, or without the characters of a text."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.script import SCRIPT

FULL = "No space left on device"
CLOSED = "Bad file descriptor"

#: Notes which files are open as 0, 1 and 2 after the start, in a file that it opens.
OPENS = r"""
import os, sys
from orderctl.cli import streams
streams.prepare()
with open(sys.argv[1], "w") as opened:
    for number in (0, 1, 2):
        print(os.readlink(f"/proc/self/fd/{number}"), os.get_inheritable(number), file=opened)
"""
LOGS = r"""
import logging
from orderctl.cli import streams
from orderctl.cli.app import App
streams.prepare()
App().log()
for _ in range(1000):
    logging.warning("a line of %d bytes", 20)
logging.warning("Đơn hàng 😀 \udcff")
print("done")
"""


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the shell, with ``$orderctl`` and ``$python``."""
    return subprocess.run(
        ["bash", "-c", command],
        env={"orderctl": str(SCRIPT), "python": sys.executable, "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("config show >&-", CLOSED),
        ("config show -o json >&-", CLOSED),
        ("config show -o csv <&- >&-", CLOSED),
        ("--help >&-", CLOSED),
        ("--version >/dev/full", FULL),
        ("completion bash >&-", CLOSED),
        ("completion bash >/dev/full", FULL),
        ("embedded status >&-", CLOSED),
    ],
)
def test_output_that_cannot_be_written_is_an_error(command: str, reason: str, home: Path):
    ended = shell(f"$orderctl {command}", HOME=str(home))

    assert (ended.returncode, ended.stderr) == (1, f"orderctl: cannot write the output: {reason}\n")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("embedded stop -q >&-", 0),
        ("config shwo 2>/dev/full", 2),
        ("config shwo 2>&-", 2),
        ("config shwo <&- >&- 2>&-", 2),
        ("orders list 2>/dev/full", 78),
        ("embedded stop 2>/dev/full", 0),
        ("config show <&- >&- 2>&-", 1),
    ],
)
def test_closed_and_full_streams_change_no_other_exit_code(command: str, status: int, home: Path):
    ended = shell(f"$orderctl {command}", HOME=str(home))

    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", "")


def test_completion_on_a_closed_stream_is_silent():
    asked = {"_ORDERCTL_COMPLETE": "bash_complete", "COMP_WORDS": "orderctl ord", "COMP_CWORD": "1"}

    ended = shell("$orderctl >&-", **asked)

    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """``script(text)`` writes a Python program into a file."""

    def write(text: str) -> Path:
        place = tmp_path / "program.py"
        place.write_text(text, encoding="utf-8")
        return place

    return write


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, script: Callable[[str], Path]):
    """A database that is opened as number 2 would get the messages."""
    opened = tmp_path / "opened"

    ended = shell(f"$python {script(OPENS)} {opened} <&- >&- 2>&-")

    assert ended.returncode == 0
    assert opened.read_text() == "/dev/null True\n" * 3


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "2> >(exit)"])
def test_a_log_that_cannot_be_written_ends_nothing(stderr: str, script: Callable[[str], Path]):
    ended = shell(f"$python {script(LOGS)} {stderr}")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_stays_json_in_every_encoding(encoding: str, home: Path):
    text = "/Đơn hàng 😀"

    ended = shell(
        "$orderctl config show -o json",
        HOME=str(home),
        PYTHONIOENCODING=encoding,
        ORDERCTL_STATE_DIR=text,
    )

    shown = {row["key"]: row["value"] for row in json.loads(ended.stdout)}
    assert shown["state_dir"] == text
