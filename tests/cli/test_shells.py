"""The TAB key in bash, zsh and fish: what it offers, and that what it puts into the line is what was meant."""

import os
import subprocess
from pathlib import Path

import click
import pytest

from orderctl.cli import completing, shells
from orderctl.cli.main import PROGRAM, root
from orderctl.environment import COMPLETION
from tests.cli.test_commands import LEAVES
from tests.cli.test_terminal import on_terminal
from tests.script import SCRIPT
from tests.servers.availability import needed
from tests.servers.programs import find
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

#: A code that each shell has to quote, and that bash splits at the colon.
ODD = "a:7 $b'c,d"


@pytest.fixture
def odd(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with an odd code."""
    monkeypatch.setenv("PATH", f"{SCRIPT.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ENV", raising=False)
    shop.paid("DH70025", titled=True)
    shop.add("DH80000", email="an@example.com")
    shop.execute("UPDATE orders SET order_code = :code WHERE order_code = 'DH80000'", code=ODD)
    shop.execute("UPDATE orders SET order_status = 'on_hold' WHERE order_code = :code", code=ODD)
    return shop


@pytest.mark.parametrize(
    ("shell", "options", "ready"),
    [
        ("bash", ("--norc", "--noprofile", "-i"), "PS1='ok''> '"),
        ("zsh", ("-f", "-i"), "bindkey -e; autoload -U compinit; compinit -D -u; PS1='ok''> '"),
    ],
)
def test_tab_completes_what_stands_in_the_shop(
    shell: str, options: tuple[str, ...], ready: str, odd: Shop, tmp_path: Path
) -> None:
    with needed():
        program = find(shell) if shell != "bash" else Path("/bin/bash")
    script = tmp_path / "script"
    script.write_text(shells.SHELLS[shell].source_template)

    with on_terminal(*options, program=program) as terminal:
        terminal.type(f"{ready}; . {script}\n")
        terminal.until("ok> ")
        for line, shown in (
            ("orderctl orders show DH\t", "<DH70025>"),
            ("orderctl orders show a:7\t", f"<{ODD}>"),
            ("orderctl tasks list --order=D\t", "<--order=DH70025>"),
            ("orderctl orders list --email an@\t", "<an@example.com>"),
            ("orderctl orders list --status failed,on\t", "<failed,on_hold>"),
            ("orderctl config pa\t", "<path>"),
        ):
            # To the beginning of the line: the completed words are printed, and not run.
            terminal.type(f"{line}\x01printf '<%s>' \n")
            terminal.until(shown, seconds=20)


def test_tab_completes_in_fish(odd: Shop, tmp_path: Path) -> None:
    with needed():
        program = find("fish")
    script = tmp_path / "script"
    script.write_text(shells.SHELLS["fish"].source_template)

    def complete(*lines: str) -> list[str]:
        asked = "; ".join(f"complete -C {line!r}" for line in lines)
        env = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
        command = [program, "--no-config", "-c", f"source {script}; {asked}"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
        assert done.stderr == ""
        return done.stdout.splitlines()

    assert complete(
        "orderctl orders show DH",
        "orderctl orders show a:",
        "orderctl tasks list --order=D",
        "orderctl orders list --status failed,on",
        "orderctl tasks show ",
        "orderctl logs D",
    ) == [
        "DH70025\tpending, paid",
        f"{ODD}\ton_hold, pending",
        "--order=DH70025\tpending, paid",
        "failed,on_hold",
        "2\tpending",
        "1\tpending, Course 1",
        "DH70025\tpending, paid",
    ]


@pytest.mark.parametrize(
    ("line", "words", "raw", "quote"),
    [
        ("", [""], "", ""),
        ("orderctl", ["orderctl"], "orderctl", ""),
        ("orderctl ", ["orderctl", ""], "", ""),
        ("a  b\\ c d", ["a", "b c", "d"], "d", ""),
        ("a 'b c", ["a", "b c"], "'b c", "'"),
        ('a "b\\"c', ["a", 'b"c'], '"b\\"c', '"'),
        ("a ''", ["a", ""], "''", ""),
        ("a b:c=d", ["a", "b:c=d"], "b:c=d", ""),
        ("a b\\", ["a", "b"], "b\\", ""),
    ],
)
def test_a_line_is_split_as_bash_splits_it(line: str, words: list[str], raw: str, quote: str) -> None:
    assert shells.split(line) == (words, raw, quote)


@pytest.mark.parametrize(
    ("value", "raw", "quote", "put"),
    [
        ("DH1", "D", "", "DH1"),
        ("a b", "a", "", "a\\ b"),
        ("a:b=c", "a:", "", "b=c"),
        ("a:b=c", "a:b=", "", "c"),
        ("a:b", "'a", "'", "a:b"),
        ("a$b", '"a', '"', "a\\$b"),
        ("--order=a@b", "--order=", "", "a@b"),
        ("a@b.c", "a@b", "", "@b.c"),
        ("Đơn 5 🎓", "Đ", "", "Đơn\\ 5\\ 🎓"),
    ],
)
def test_a_value_is_quoted_for_bash(value: str, raw: str, quote: str, put: str) -> None:
    assert shells.quoted(value, raw, quote, " \t\n\"'@><=;|&(:") == put


def ask(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | {"_ORDERCTL_COMPLETE": "zsh_complete"} | env
    return subprocess.run([SCRIPT, *words], capture_output=True, text=True, env=surroundings, check=False)


@pytest.mark.parametrize(
    "stores",
    [
        {"ORDERCTL_DATABASE_URL": "mysql://root:hunter2@192.0.2.1/shop"},  # answers nothing, ever
        {"ORDERCTL_DATABASE_URL": "mysql://root:hunter2@127.0.0.1:1/shop"},
        {"ORDERCTL_DATABASE_URL": "sqlite:////nonexistent/shop.db"},
        {"ORDERCTL_DATABASE_URL": "nonsense"},
        {"ORDERCTL_REDIS_URL": "redis://192.0.2.1"},
    ],
    ids=["silent", "refused", "missing", "wrong", "redis"],
)
def test_tab_is_silent_where_a_store_is_away(stores: dict[str, str], tmp_path: Path) -> None:
    stores = {"ORDERCTL_STATE_DIR": str(tmp_path / "state")} | stores
    words = ("orders", "show", "") if "ORDERCTL_DATABASE_URL" in stores else ("worker", "stop", "")

    ended = ask(*words, **stores)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "\n", "")
    assert list(tmp_path.iterdir()) == []


def test_tab_leaves_a_database_as_it_is(migrated_url: str, tmp_path: Path) -> None:
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    before = state()

    ended = ask("orders", "list", "--status", "", ORDERCTL_DATABASE_URL=migrated_url)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert state() == before


def test_every_order_and_id_of_a_command_is_completed() -> None:
    left = []
    for path, command in LEAVES:
        with click.Context(root, info_name=PROGRAM) as above:
            ctx = click.Context(command, parent=above, info_name=" ".join(path))
        for param in command.params:
            metavar = param.make_metavar(ctx).strip("[]. ")
            if metavar in {"ORDER", "ID", "HEX"} and completing.kind(ctx, param) is None:
                left.append((" ".join(path), param.name))

    # Places in the audit log, jobs of other programs, tokens that no table lists, and what a bank calls a transfer.
    assert {name for _, name in left} == {"after", "job_id", "job_ids", "token_ids", "transaction"}


def test_every_script_asks_the_program() -> None:
    assert all(
        f"{COMPLETION}={name}_complete" in kind.source_template for name, kind in shells.SHELLS.items()
    )
