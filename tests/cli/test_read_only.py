"""Roles of the command line: accounts that may only read suffice for all commands that read, and ``--read-only``."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
import redis

from orderctl import settings, sqlite_files
from orderctl.cli import effects
from orderctl.cli.app import App
from orderctl.cli.main import root
from orderctl.errors import ExitStatus, Misconfigured
from orderctl.relay import tokens
from tests.cli.conftest import Program
from tests.cli.test_commands import LEAVES
from tests.relay.conftest import SECRET
from tests.shop import Shop

#: What the commands that need arguments are given, and commands that look although others of their name change.
ARGUMENTS = {
    "orders show": "DH1",
    "orders wait": "DH1 --timeout 1s",
    "payments show": "1",
    "tasks show": "1",
    "logs show": "DH1",
    "tail task": "1 --timeout 1s",
    "tail order": "DH1 --timeout 1s",
    "tail all": "--timeout 0.2s",
    "tail pattern": "task:* --timeout 0.2s",
    "outbox show": "1",
    "ops show": "none",
    "ops wait": "none",
    "why": "DH1",
    "doctor": "--listen 0.1s",
    "worker rejected show": "1",
    "relay inspect": "--from {token}",
    "relay probe": "--timeout 0.1s --port 1",
    "completion": "bash",
}
LOOKING = [
    "reconcile --check",
    "config init --stdout",
    "tasks retry --failed --dry-run",
    "outbox resend --failed --dry-run",
]
#: How those end that do not end with 0.
STATUSES = {
    "doctor": 1, "embedded status": 1, "ops show": 3, "ops wait": 3, "reconcile --check": 1, "relay probe": 69,
    "status": 1, "tail all": 124, "tail pattern": 124, "why": 1, "worker rejected show": 3,
}  # fmt: skip
#: What an account of Redis needs for commands that read, as docs/oncall.md says.
RULES = "~* &* -@all +@read +@connection +subscribe +psubscribe +unsubscribe +punsubscribe +info +role +multi +discard"


def reading() -> list[str]:
    leaves = {" ".join(path) for path, _ in LEAVES}
    return [*sorted(leaves & effects.READING), *LOOKING]


@pytest.fixture
def filled(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with an order that has ended, a failed one, and one that waits."""
    for number in (1, 2, 3):
        [task] = shop.paid(f"DH{number}")
        if number == 1:
            shop.carry_out(task)
        if number == 2:
            shop.fail(task)
    made = tokens.mint(SECRET, scopes=["admin"], subject="x", issued=1, ttl=60)
    (tmp_path / "token").write_text(made)
    monkeypatch.setenv("ORDERCTL_RELAY_TOKEN_SECRET", SECRET)
    return shop


def line(command: str, tmp_path: Path) -> list[str]:
    return shlex.split(f"{command} {ARGUMENTS.get(command, '')}".format(token=tmp_path / "token"))


@pytest.fixture
def reader(redis_url: str) -> Iterator[str]:
    """The URL of Redis for an account that may only read."""
    parts = urlsplit(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", *RULES.split())
        yield f"redis://reader:secret@{parts.hostname}:{parts.port}{parts.path}"
        client.execute_command("ACL", "DELUSER", "reader")


@pytest.mark.databases("mysql", "mariadb")
def test_accounts_that_may_only_read_suffice_for_every_command_that_reads(
    filled: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reader: str
):
    url = filled.engine.url
    account = f"r_{url.database}"[:32]
    filled.execute(f"CREATE USER '{account}'@'%' IDENTIFIED BY 'secret'")
    filled.execute(f"GRANT SELECT ON `{url.database}`.* TO '{account}'@'%'")
    limited = url.set(username=account, password="secret").render_as_string(hide_password=False)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", limited)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", reader)

    ended = {command: inside(*line(command, tmp_path)) for command in reading()}

    filled.execute(f"DROP USER '{account}'@'%'")
    wrong = {
        command: one
        for command, one in ended.items()
        if one.status != STATUSES.get(command, 0) or re.search("denied|permission|lacks|missing", one.err)
    }
    assert wrong == {}
    assert "cannot tell whether these are there" in ended["migrate status"].err
    assert "DH1" in ended["orders list"].out
    assert "DH3" in ended["orders list"].out


@pytest.mark.databases("sqlite")
def test_a_sqlite_file_that_may_only_be_read_suffices_too(
    filled: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Root may write everywhere, so that the file is read-only has to be pretended."""
    path = tmp_path / "copy.db"
    with closing(sqlite3.connect(str(filled.engine.url.database))) as connection:
        connection.execute(f"VACUUM INTO '{path}'")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.setattr(sqlite_files, "is_writable", lambda _: False)
    content = path.read_bytes()

    ended = {command: inside(*line(command, tmp_path)) for command in reading()}
    changed = inside("tasks", "retry", "2")

    assert {command: one for command, one in ended.items() if one.status != STATUSES.get(command, 0)} == {}
    assert (changed.status, "the file or its folder cannot be written" in changed.err) == (78, True)
    assert path.read_bytes() == content
    assert [one.name for one in tmp_path.glob("copy.db*")] == ["copy.db"]


def invoke(path: tuple[str, ...], app: App, **params: object) -> object:
    """Call a command as Click does after it has read the arguments."""
    command, ctx = root, click.Context(root, info_name="orderctl", obj=app)
    for name in path:
        command = command.get_command(ctx, name)
        ctx = click.Context(command, info_name=name, parent=ctx)
    ctx.params = params
    return command.invoke(ctx)


def test_every_command_that_changes_something_is_refused():
    app = App(flags={"read_only": "true"})
    changing = [path for path, _ in LEAVES if " ".join(path) in effects.CHANGING]
    looked = {"reconcile": "check", "payments reconcile": "apply"}
    assert len(changing) > 20

    for path in changing:
        name = " ".join(path)
        params = {looked[name]: name.startswith("pay")} if name in looked else {}
        with pytest.raises(
            Misconfigured, match=f"^{name} changes something, and read_only is set \\(command line\\)"
        ):
            invoke(path, app, **params)


@pytest.mark.databases("sqlite")
def test_a_change_is_refused_in_one_line_and_nothing_is_done(
    filled: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    before = filled.task_rows()
    line = "orderctl: tasks retry changes something, and read_only is set ({}): nothing was done\nhint: orderctl config show\n"
    config = tmp_path / "config.toml"
    config.write_text("read_only = true\n")

    flag = inside("--read-only", "tasks", "retry", "2")
    behind = inside("tasks", "retry", "2", "--read-only")
    monkeypatch.setenv("ORDERCTL_READ_ONLY", "1")
    variable = inside("tasks", "retry", "2")
    monkeypatch.setenv("ORDERCTL_READ_ONLY", "0")
    forced = inside("tasks", "retry", "2", "--config", str(config))
    recount = inside("logs", "summary", "--recount", "--read-only")

    ended = [flag, behind, variable, forced]
    assert {one.status for one in (*ended, recount)} == {ExitStatus.CONFIGURATION}
    origins = ["command line", "command line", "environment ORDERCTL_READ_ONLY", f"file {config}"]
    assert [one.err for one in ended] == [line.format(origin) for origin in origins]
    assert filled.task_rows() == before
    for command in (*LOOKING, "orders list", "logs summary", "payments reconcile --help"):
        assert inside("--read-only", *shlex.split(command)).status in {0, 1}, command


def test_read_only_is_a_setting_that_stays_true_once_it_is(tmp_path: Path):
    config = tmp_path / "config.toml"

    def load(text: str, variable: str, flag: str | None = None) -> bool:
        config.write_text(text)
        environ = {"ORDERCTL_CONFIG_ALONE": "1", "ORDERCTL_READ_ONLY": variable, "ORDERCTL_STATE_DIR": "/x"}
        return settings.load({"read_only": flag} if flag else {}, config=config, environ=environ).read_only

    assert [load("", ""), load("", "0"), load("read_only = false", "")] == [False] * 3
    assert [load("read_only = true", "0"), load("", "1", "false"), load("", "", "true")] == [True] * 3
    with pytest.raises(Misconfigured, match="setting read_only"):
        load("", "perhaps")


def test_a_wrong_setting_does_not_keep_the_list_of_settings_away(
    inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ORDERCTL_RELAY_PORT", "x")

    assert inside("config", "init", "--stdout").status == 0
    assert inside("tasks", "retry", "1").status == ExitStatus.CONFIGURATION


def test_the_page_names_the_rights_that_are_tried_here():
    page = (Path(__file__).parents[2] / "docs/oncall.md").read_text()

    assert f"ACL SETUSER reader on >SECRET {RULES}" in page
    assert "GRANT SELECT ON shop.* TO" in page
