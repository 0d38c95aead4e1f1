"""What pytest reports about tests that cannot run, checked by a run in a separate folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest
from tests.servers.availability import UnavailableError, needed

@pytest.mark.parametrize("number", range(30))
def test_page(number):
    with needed():
        raise UnavailableError("no chromium: sudo apt install chromium")

@pytest.mark.skipif(True, reason="needs root, to mount")
def test_mount():
    pass

@pytest.mark.xfail
def test_of_an_open_bug():
    assert False

def test_here():
    pass
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["-p", "tests.servers.skipping", "-p", "no:cacheprovider", "-n", "2", "-c", "pytest.ini"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={name: text for name, text in os.environ.items() if name != "CI"}
        | {"PYTHONPATH": str(ROOT), **environment},
    )


def test_each_reason_is_printed_once_with_its_count(tmp_path: Path) -> None:
    done = run(tmp_path)

    assert done.returncode == 0, done.stdout
    assert " 31 skipped " in done.stdout
    assert "   30  no chromium: sudo apt install chromium\n" in done.stdout
    assert "    1  needs root, to mount\n" in done.stdout
    assert done.stdout.count("no chromium") == 1


@pytest.mark.parametrize("value", ["true", "1"])
def test_every_skip_but_for_want_of_root_is_a_failure_in_ci(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, CI=value)

    assert done.returncode == 1
    assert "no chromium: sudo apt install chromium (not skipped, because CI is set)" in done.stdout
    assert "30 failed, 1 passed, 1 skipped, 1 xfailed" in done.stdout
