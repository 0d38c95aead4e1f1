import errno
import fcntl
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import Final

import click
import pytest

from orderctl import embedded
from orderctl.cli.locks import held
from orderctl.errors import LockHeld
from tests.cli.conftest import Program
from tests.cli.test_commands import LEAVES

#: The commands without --lock: they change nothing in the stores, unless a reason says otherwise.
WITHOUT: Final = {
    "orders list",
    "orders show",
    "orders stats",
    "orders wait",
    "payments list",
    "payments show",
    "tasks list",
    "tasks show",
    "logs show",
    "logs search",  # as logs errors
    "logs errors",  # the file of --cursor-file is locked itself, and a second run waits for it
    "doctor",
    "tail all",
    "tail order",
    "tail pattern",
    "tail task",
    "why",
    "outbox list",
    "outbox show",
    "outbox test",  # what it sends is not in the outbox
    "status",
    "ops list",
    "ops show",
    "ops wait",
    "worker list",
    "worker rejected list",
    "worker rejected show",
    "relay start",  # a service, and its port is a lock
    "relay token",
    "relay inspect",
    "relay revoked",
    "relay probe",
    "migrate status",
    "migrate history",
    "migrate check",
    "migrate sql",
    "embedded status",
    "demo",  # its shop is in a folder of its own
    "config show",
    "config check",
    "config path",
    "config init",  # it never replaces a file
    "completion",
    "help",
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_every_command_that_changes_something_takes_a_lock():
    having = {
        " ".join(path)
        for path, command in LEAVES
        if any("--lock" in param.opts for param in command.params if isinstance(param, click.Option))
    }

    assert {" ".join(path) for path, _ in LEAVES} - having == WITHOUT


def test_a_lock_that_is_held_ends_the_command_with_75_and_one_line(state: Path, inside: Program):
    with held(state, "nightly"):
        ended = inside("migrate", "up", "--lock", "nightly")
        other = inside("migrate", "up", "--lock", "another", "--quiet")

    assert (ended.status, ended.out) == (75, "")
    assert ended.err == f"orderctl: the lock nightly is held by process {os.getpid()}: nothing was done\n"
    assert (other.status, other.err) == (0, "")
    assert inside("migrate", "up", "--lock", "nightly", "--quiet").status == 0


def test_a_lock_is_free_after_a_command_that_failed(state: Path, inside: Program):
    assert inside("tasks", "retry", "1", "--lock", "a").status == 78
    assert inside("tasks", "retry", "1", "--lock", "a").status == 78


def test_a_usage_error_comes_before_the_lock(state: Path, inside: Program):
    with held(state, "a"):
        assert inside("tasks", "retry", "x", "--lock", "a").status == 2


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/tmp/a", ".hidden", "a b", "ậ", "x" * 65, "a\n", "-a"]
)
def test_a_name_that_cannot_be_that_of_a_file_is_refused(name: str, state: Path, inside: Program):
    ended = inside("migrate", "up", f"--lock={name}")

    assert ended.status == 2
    assert "1 to 64 ASCII letters, digits, '_', '-' and '.', no '-' or '.' in front\n" in ended.err
    assert not state.exists()


def test_the_folder_and_the_file_are_private(state: Path):
    before = os.umask(0)
    try:
        with held(state, "x" * 64):
            pass
    finally:
        os.umask(before)

    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (state, state / "locks", *(state / "locks").iterdir())
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_a_lock_of_a_killed_process_is_free(state: Path):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with held(state, "a"):
            os.write(writer, b"!")
            signal.pause()
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    with pytest.raises(LockHeld, match=f"is held by process {child}"), held(state, "a"):
        pass

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    with held(state, "a"):
        pass


def test_programs_that_are_started_meanwhile_do_not_keep_the_lock(state: Path):
    with held(state, "a"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
        embedded.ensure(state)
    try:
        with held(state, "a"):
            assert child.poll() is None
            assert embedded.status(state).running
    finally:
        child.kill()
        child.wait()
        embedded.stop(state)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path, inside: Program):
    (tmp_path / "file").write_text("")

    ended = inside("--state-dir", str(tmp_path / "file" / "state"), "migrate", "up", "--lock", "a")

    assert ended.status == 78
    assert ended.err.startswith(f"orderctl: cannot use the folder {tmp_path}/file/state/locks: ")


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("flock", errno.ENOLCK),
        ("flock", errno.EOPNOTSUPP),
        ("ftruncate", errno.EIO),
        ("pwrite", errno.ENOSPC),
    ],
)
def test_a_file_system_that_cannot_lock_is_named(
    call: str, number: int, state: Path, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl if call == "flock" else os, call, refuse)

    ended = inside("migrate", "up", "--lock", "a")

    assert (ended.status, ended.out) == (78, "")
    assert ended.err.startswith(
        f"orderctl: cannot use the folder {state}/locks: {os.strerror(number)}\nhint: "
    )
