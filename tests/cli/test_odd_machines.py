"""The whole program on machines that are set up in odd ways: folders, homes, locales."""

import json
import os
import shlex
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from orderctl.cli.main import PROGRAM
from orderctl.errors import ExitStatus
from tests.cli.conftest import Program
from tests.cli.test_commands import LEAVES
from tests.cli.test_locks import WITHOUT
from tests.script import SCRIPT

REFUSED = "http://127.0.0.1:9/course"  # an address of a private network: the attempt ends at once


@pytest.fixture
def odd_dir(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose name has what separates words, fields and parts of URLs."""
    folder = home / "a b=c'd\"e%41#f?g:Đ"
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(folder))
    return folder


def test_what_comes_next_can_be_pasted(odd_dir: Path, inside: Program):
    inside("migrate", "up")

    added = inside(
        "orders", "add", "--code", "A;ls", "--email", "a@b.vn", "--amount", "1", "--course", REFUSED
    )
    wrong = inside("orders", "pay", "A;ls", "--amount", "2")
    paid = inside("orders", "pay", "A;ls", "--amount", "1")
    inside("embedded", "stop")

    for ended in (added, wrong, paid):
        *_, last = ended.err.splitlines()
        assert "'A;ls'" in last, ended.err


def test_a_state_folder_may_have_any_name(odd_dir: Path, inside: Program, orderctl: Program):
    """The unix socket's path is in the answers of Redis, the file's in the URL of the database."""
    assert inside("migrate", "up").status == 0
    added = inside("orders", "add", "--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", REFUSED)
    assert (added.status, inside("orders", "pay", "A", "--amount", "1").status) == (0, 0)

    ended = orderctl("worker", "start", "--burst")

    assert ended.status == 0, ended.err
    order = json.loads(inside("orders", "show", "A", "-o", "json").out)
    assert order["order_status"] == "failed"
    assert (
        "127.0.0.1, which is not public; set download.allow_private_hosts" in order["tasks"][0]["error_log"]
    )
    assert str(odd_dir) in inside("embedded", "status").out
    assert inside("tail", "order", "A").status == 0
    assert (odd_dir / "orderctl.db").exists()
    assert inside("embedded", "stop").status == 0


@pytest.mark.parametrize("given", ["", "relative"])
def test_without_a_home_folder_the_state_folder_has_to_be_named(
    given: str, tmp_path: Path, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    def unknown(_user: int) -> object:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setenv("HOME", given)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name)

    ended = inside("orders", "list")
    created = inside("config", "init")
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(tmp_path / "state"))

    assert (ended.status, ended.err) == (
        78,
        (
            "orderctl: setting state_dir is not set, and this user has no home folder: HOME is not an absolute path\n"
            "hint: set HOME, or ORDERCTL_STATE_DIR\n"
        ),
    )
    assert (created.status, created.err.splitlines()[1]) == (78, "hint: orderctl config init --config FILE")
    assert inside("migrate", "up").status == 0
    assert inside("orders", "list").status == 0
    monkeypatch.setenv("ORDERCTL_STATE_DIR", "~/state")
    assert inside("orders", "list").status == 78


@pytest.mark.parametrize("name", ["a\nb", "a\udcffb"])
def test_a_home_folder_that_no_url_can_name_is_refused(
    name: str, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", f"/{name}")
    monkeypatch.delenv("XDG_STATE_HOME")

    ended = inside("migrate", "up")

    assert ended.status == 78
    assert ended.err.startswith("orderctl: setting state_dir (default: the home folder, or XDG_STATE_HOME): ")


@pytest.mark.parametrize(
    ("setting", "status"), [("ORDERCTL_STATE_DIR=x", 78), ("ORDERCTL_DATABASE_URL=sqlite:///x.db", 1)]
)
def test_a_current_folder_that_is_gone_is_an_error_only_where_it_is_needed(
    setting: str, status: int, tmp_path: Path
):
    (tmp_path / "gone").mkdir()
    inside = [
        "sh",
        "-c",
        f'cd {tmp_path}/gone && rmdir ../gone && "$0" config check && {setting} "$0" orders list',
    ]

    ended = subprocess.run([*inside, SCRIPT], capture_output=True, text=True, check=False)

    assert ended.returncode == status
    assert "all valid" in ended.stderr
    assert "the current folder no longer exists" in ended.stderr
    assert "internal error" not in ended.stderr


def test_names_are_read_where_python_knows_only_ascii(home: Path):
    """Such as in the locale C, with Python's UTF-8 mode switched off."""
    place = home / "Đơn"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "ORDERCTL_STATE_DIR": str(place)}
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | ascii_only

    def run(*arguments: str) -> str:
        done = subprocess.run([SCRIPT, *arguments], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("migrate", "up")
    run("orders", "add", "--code", "A", "--email", "đ@b.vn", "--amount", "1", "--course", REFUSED)

    assert (place / "orderctl.db").exists()
    assert run("orders", "list", "--fields", "user_email", "-o", "jsonl") == '{"user_email":"\\u0111@b.vn"}\n'


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 250}/{'y' * 250}"])
@pytest.mark.parametrize("command", ["migrate up", "orders list"])
def test_a_path_that_is_too_long_is_a_wrong_setting(
    name: str, command: str, home: Path, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    """For a folder, which may have 255 characters, and for SQLite, which knows 512 bytes."""
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(home / name))

    ended = inside(*command.split())

    assert ended.status == 78, ended.err
    assert "set database.url or state_dir to a " in ended.err


EXAMPLES = [
    (" ".join(path), list(takewhile(lambda word: word not in {"|", "<", ">"}, words[1:])))
    for path, command in LEAVES
    for line in command.example.splitlines()
    if (words := shlex.split(line, comments=True))[:1] == [PROGRAM]
    if path != ("demo",)  # its shop is in a temporary folder
]


@pytest.mark.parametrize("lock", [[], ["--lock", "a"]], ids=["free", "locked"])
def test_every_command_ends_with_a_documented_code_where_nothing_can_be_written(
    lock: list[str],
    inside: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
):
    """As from cron: nothing is known of a terminal or a locale, stdin is empty, and here the home is read-only."""
    for name in os.environ:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/proc/self")
    monkeypatch.chdir(tmp_path)  # config init may write there
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", nothing)
        for path, arguments in EXAMPLES:
            if lock and path in WITHOUT:
                continue
            with subtests.test(arguments=arguments):
                ended = inside(*arguments, *lock)
                assert ended.status in set(ExitStatus) - {ExitStatus.INTERNAL}
                assert ended.status == 78 or not lock
                assert [line for line in ended.err.splitlines() if line[:1] == " "] == []
                assert ended.out + ended.err or ended.status == 0
