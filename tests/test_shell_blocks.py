"""Every shell block of README.md and docs/*.md runs: in the order of its page, on a filled shop with the embedded default.

Programs of others (mysql, systemctl, pip ...) succeed and do nothing. Commands that run until they are stopped are
parsed, as all others are. What is not run, or does not exit with 0, stands with its reason in the tables below.
"""

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import click
import pytest
from click.exceptions import NoArgsIsHelpError

from orderctl import database, embedded
from orderctl.cli.main import PROGRAM, root
from orderctl.payments.transfer import Transfer
from orderctl.states import ErrorType
from tests.servers.databases import MigratedFile
from tests.servers.resident import Resident
from tests.shop import Shop

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Blocks that are not run, by their page and a part of their first command.
NOT_RUN: Final = {
    ("docs/developing.md", "git clone"): "needs the repository",
    ("docs/developing.md", "pytest tests/test_leases.py"): "needs the repository",
    ("docs/extending.md", "mkdir -p nas"): "tests/test_extending.py runs it, with the package of the page",
    (
        "docs/payments.md",
        "orders add --json orders.json",
    ): "test_payments_reconcile.py runs this and the next two, with the files of the page",
    (
        "docs/oncall.md",
        "worker start --metrics-port 9464",
    ): "a service; tests/worker/test_exposition.py starts one",
    ("docs/oncall.md", "worker start --metrics-file"): "as above",
    (
        "docs/oncall.md",
        "logs errors -f",
    ): "follows without end; tests/cli/commands/test_logs_search.py does, too",
    ("docs/payments.md", "reconcile --statement november.csv"): "as above",
    ("docs/payments.md", "match 2 --refuse"): "as above",
    (
        "docs/payments.md",
        "reconcile --statement export.csv --map",
    ): "the same test reads a file with these headers",
    ("docs/performance.md", "bench/migrate.py"): "needs the repository, and an hour",
}
#: Commands that do not exit with 0, by their page and their beginning.
EXPECTED: Final = {
    ("docs/oncall.md", "orderctl status"): (1, "tasks wait, and no worker runs"),
    ("docs/oncall.md", "orderctl doctor"): (1, "tasks are due, and no worker runs"),
    ("docs/oncall.md", "orderctl doctor --quiet"): (1, "the same"),
    ("docs/oncall.md", "orderctl why DH123456"): (1, "no worker is running"),
    ("docs/oncall.md", "orderctl why task 456"): (3, "there is no such task"),
    ("docs/oncall.md", "orderctl why DH123456 -o json | jq"): (1, "no worker is running"),
    ("docs/payments.md", "orderctl payments match 3 DH123459 --reason 'the code was misspelled'"): (
        4,
        "shown again, with the question; it was done above",
    ),
    ("docs/relay.md", "orderctl relay revoke 3f9b1c7d5e2a80647c1d9e"): (
        3,
        "the id of another secret's token",
    ),
    ("docs/relay.md", "orderctl relay revoke --from leaked.txt"): (2, "no token has leaked"),
    ("docs/running.md", "orderctl outbox test"): (78, "no receiver is configured"),
    ("docs/running.md", "orderctl worker rejected show"): (3, "no job was rejected"),
    ("docs/running.md", "orderctl worker rejected requeue"): (3, "no job was rejected"),
    ("docs/running.md", "orderctl worker rejected drop"): (3, "no job was rejected"),
    ("docs/running.md", "orderctl worker rejected dismiss"): (3, "no job was rejected"),
    ("docs/webhooks.md", "orderctl outbox list --kind webhook"): (1, "grep: no message has this id"),
}
#: Programs that are not there, or must not do anything.
STUBS: Final = [
    "sudo",
    "sudoedit",
    "make",
    "pip",
    "git",
    "mysql",
    "mysqldump",
    "redis-cli",
    "pm2",
    "curl",
    "systemctl",
    "journalctl",
    "promtool",
    "crontab",
    "pytest",
    "logger",
    "mail",
    "nginx",
]
PLACEHOLDERS: Final = {
    r"\bURL\b": "https://courses.example/one",
    r"(?<= )ID\b": "1",
    re.escape("mysql+pymysql://root:...@127.0.0.1/shop_trial"): "sqlite:///trial.db",
}
#: What stands for an argument in the text.
NAMED: Final = {"ID": "1", "N": "1", "EVENT": "1", "T": "1h"}
_WORDS: Final = r"(?:\$ |orderctl |\.venv/bin/|export |\(umask |python |openssl |echo |env |" + "|".join(
    f"{name} " for name in STUBS
)
_SHELL: Final = re.compile(_WORDS + ")")
_CRON: Final = re.compile(r"(?:[-*/,0-9]+ +){5}")


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes:
        page: The page's path in the repository.
        line: The number of its first line.
        commands: Its commands, without what they print.
    """

    page: str
    line: int
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def texts(page: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the blocks of a page: the number of the line, the language of a fenced one, and the text."""
    fence: str | None = None
    begin, found = 0, list[str]()
    for number, line in enumerate([*page.read_text(encoding="utf-8").splitlines(), "end"], 1):
        is_fence = line.startswith("```")
        if fence is not None and not is_fence:
            found.append(line)
        elif not is_fence and (line.startswith("    ") or (found and not line)):
            begin = begin if found else number
            found.append(line.strip())
        else:
            if found:
                yield begin, fence or "", "\n".join(found)
            fence = (line[3:] or "text") if is_fence and fence is None else None
            begin, found = number + 1, []


def commands(text: str) -> list[str]:
    """Return the commands of a block; where some follow a ``$``, the other lines are what they print."""
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [line for line in lines if line and not line.startswith("#")]


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for line, language, text in texts(page):
            first = next(iter(commands(text)), "")
            if language in {"sh", "bash", "console"} or (not language and _SHELL.match(first)):
                found.append(Block(name, line, tuple(commands(text))))
    return found


def cron_lines() -> list[tuple[str, str]]:
    """Return the commands of all lines for cron, as cron reads them, with their pages."""
    return [
        (str(page.relative_to(ROOT)), re.split(r"(?<!\\)%", line.split(maxsplit=5)[5])[0].replace(r"\%", "%"))
        for page in PAGES
        for _, _, text in texts(page)
        for line in text.splitlines()
        if _CRON.match(line)
    ]


BLOCKS: Final = blocks()
CRON: Final = cron_lines()
INLINE: Final = [
    (str(page.relative_to(ROOT)), span)
    for page in PAGES
    for span in re.findall(r"`(orderctl [^`]+)`", page.read_text(encoding="utf-8"))
]


def test_all_blocks_are_found():
    lines = [
        line
        for page in PAGES
        for _, _, text in texts(page)
        for line in text.splitlines()
        if line.removeprefix("$ ").startswith("orderctl ")
    ]
    assert len(lines) > 60
    found = {command for block in BLOCKS for command in block.commands}
    assert [line for line in lines if line.removeprefix("$ ").removesuffix("\\").strip() not in found] == []


# --- Parsing


def calls(line: str) -> list[list[str]]:
    """Return the arguments of each call of orderctl in a line for the shell."""
    for pattern, value in PLACEHOLDERS.items():
        line = re.sub(pattern, value, line)
    words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    words.whitespace_split = True
    found: list[list[str]] = []
    current: list[str] | None = None
    begins = True
    for word in words:
        if set(word) <= set("|&;<>()"):
            current, begins = None, True
        elif current is not None:
            current.append(word)
        elif begins and word.rpartition("/")[2] == PROGRAM and "=" not in word:
            found.append(current := [])
        elif " " in word:
            found += calls(word)  # sh -c '...'
        else:
            begins = begins and ("=" in word or word.startswith("-") or word in {"$", "xargs", "env"})
    return found


def parse(arguments: list[str]) -> None:
    """Parse as the program would, without running anything."""
    command, rest, parent = root, arguments, None
    while isinstance(command, click.Group):
        parent = command.make_context(command.name or PROGRAM, list(rest), parent=parent)
        _, command, rest = command.resolve_command(parent, [*parent._protected_args, *parent.args])
    with command.make_context(command.name, list(rest), parent=parent):  # closes the files that it has opened
        pass


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the commands name, in the current folder."""
    for name in ("orders.json", "leaked.txt", "FILE"):
        (tmp_path / name).write_text("[]")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("files")
def test_every_call_in_a_block_parses(subtests: pytest.Subtests):
    lines = [(block.page, line) for block in BLOCKS for line in block.commands] + CRON
    for page, line in lines:
        for arguments in calls(line):
            with subtests.test(page=page, line=line):
                parse(arguments)


@pytest.mark.usefixtures("files")
def test_every_command_in_the_text_exists(subtests: pytest.Subtests):
    """Those in the middle of a sentence may leave arguments out, or name them: ``orders pay CODE``."""
    for page, span in INLINE:
        words = [word for word in span.split() if word != "..."]
        if words[-1:] == ["orderctl"] or "|" in span or "/" in words[1]:
            continue
        with subtests.test(page=page, span=span):
            for arguments in calls(" ".join(words)):
                with contextlib.suppress(click.MissingParameter, NoArgsIsHelpError):
                    parse([NAMED.get(word, word) for word in arguments])


# --- Running


@pytest.fixture(scope="module")
def bin_folder() -> Iterator[Path]:
    """The folder of ``orderctl`` and the stubs; its path is short, since a socket is in it."""
    folder = Path(tempfile.mkdtemp(prefix="blocks"))
    resident = Resident(folder)
    for name in STUBS:
        (folder / name).write_text("#!/bin/sh\nexit 0\n")
        (folder / name).chmod(0o755)
    (folder / "curl").write_text("#!/bin/sh\ncat answer 2>/dev/null || true\n")
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    yield folder
    resident.close()
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Sandbox:
    """The home of one page's reader."""

    home: Path
    bin: Path

    @property
    def environ(self) -> dict[str, str]:
        path = f"{self.bin}:/usr/bin:/bin"
        return {"HOME": str(self.home), "PATH": path, "SHELL": "/bin/sh", "TMPDIR": str(self.home)}

    def run(self, *lines: str) -> tuple[list[int], str]:
        """Run lines in one shell; return their exit codes, and what they print."""
        script = "".join(f"{self.here(line)}\necho $? >&9\n" for line in lines)
        ended = subprocess.run(
            ["bash", "-c", f"set -o pipefail; exec 9>codes\n{script}wait"],
            cwd=self.home,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return [int(code) for code in (self.home / "codes").read_text().split()], ended.stdout

    def fill(self, work: Callable[[Shop], object]) -> None:
        """Let a shop be at work in the database."""
        engine = database.connect(f"sqlite:///{self.home}/.local/state/orderctl/orderctl.db")
        work(Shop(engine))
        engine.dispose()

    def here(self, line: str) -> str:
        """Return a line with the folders of the page inside of the home, and with values for its placeholders."""
        for pattern, value in PLACEHOLDERS.items():
            line = re.sub(pattern, value, line)
        for folder, place in (
            ("/etc/orderctl", self.home / "etc"),
            ("/var/lib/orderctl", self.home / ".local/state/orderctl"),
            ("/opt/orderctl/bin", self.bin),
            (".venv/bin", self.bin),
            ("/srv/bank", self.home),
        ):
            line = line.replace(str(folder), str(place))
        return line


@pytest.fixture
def sandbox(bin_folder: Path, migrated_file: MigratedFile, tmp_path: Path) -> Iterator[Sandbox]:
    state = tmp_path / ".local/state/orderctl"
    state.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    for file in (state / "orderctl.db", tmp_path / "trial.db"):
        migrated_file.copy(file)
    yield Sandbox(tmp_path, bin_folder)
    for alive in tmp_path.rglob("redis/alive"):
        embedded.stop(alive.parents[1])


def demo(shop: Shop) -> None:
    """Three paid orders; task 5 has failed."""
    for code, courses in (("DEMO-1", 2), ("DEMO-2", 2), ("DEMO-3", 1)):
        shop.paid(code, courses)
    shop.fail(5, ErrorType.NOT_FOUND)


def transfers(shop: Shop) -> None:
    """What the page on payments lists: the payments 3, 4 and 5 wait for a decision."""
    for code in ("DH123457", "DH123458", "DH123459"):
        shop.add(code)
    for content, amount in (
        ("one", 1),
        ("two", 1),
        ("DH12345", 1),
        ("DH123457", 200_000),
        ("DH123458 DH123459", 1),
    ):
        shop.receive(Transfer("plain", Decimal(amount), content=content, provider_id=content))


#: What a page takes for granted.
SETUPS: Final[dict[str, Callable[[Shop], object]]] = {
    "docs/payments.md": transfers,
    "docs/oncall.md": lambda shop: (demo(shop), shop.paid("DH123456")),
    "docs/running.md": lambda shop: (demo(shop), shop.paid("DH123456")),
    "docs/upgrading.md": lambda _: None,
}


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS}))
def test_the_blocks_of_a_page_run(page: str, sandbox: Sandbox):
    """In one shell: what an earlier block exports is there."""
    sandbox.fill(SETUPS.get(page, demo))
    wanted = [block for block in BLOCKS if block.page == page]
    keys = {
        block: {key for key in NOT_RUN if key[0] == page and key[1] in block.commands[0]} for block in wanted
    }
    lines = [line for block in wanted if not keys[block] for line in block.commands]

    codes, printed = sandbox.run(*lines)

    assert len(codes) == len(lines), printed
    odd = {(page, line): code for line, code in zip(lines, codes, strict=True) if code}
    expected = {
        next((one for one in odd if one[1].startswith(key[1])), key): code
        for key, (code, _) in EXPECTED.items()
        if key[0] == page
    }
    assert odd == expected, printed
    assert set().union(*keys.values()) == {key for key in NOT_RUN if key[0] == page}


@pytest.mark.parametrize(("page", "line"), CRON)
def test_a_line_for_cron_prints_nothing_when_all_is_well(page: str, line: str, sandbox: Sandbox):
    sandbox.fill(lambda shop: [shop.carry_out(task) for task in shop.paid("DH1")])
    last = datetime.now().astimezone() - timedelta(days=1)
    for name in (f"{last:%Y-%m}.csv", "answer"):
        (sandbox.home / name).write_text("date,amount,reference,content\n2026-01-05,-5000,FT1,charges\n")

    codes, said = sandbox.run(line)

    assert (codes, said) == ([0], "")
