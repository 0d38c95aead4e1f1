"""Every text, number, time and file that a command takes: an odd one is never an internal error."""

import io
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import click
import pytest

from orderctl import environment, setting_sections, settings
from orderctl.cli.app import App
from orderctl.cli.main import run
from orderctl.errors import ExitStatus, Misconfigured
from tests.cli.conftest import Program
from tests.cli.test_commands import LEAVES
from tests.script import SCRIPT
from tests.shop import Shop

sqlite = pytest.mark.databases("sqlite")

NUMBERS = ["0", "-1", "1e3", "٣", str(2**31), str(2**63), str(2**64), "9" * 20, "9" * 5000, "-" + "9" * 20]
AMOUNTS = [
    "1e99999999999999999999",
    "1e999999999999999999",
    "-1e400",
    "1e-400",
    "nan",
    "sNaN123",
    "Infinity",
    "0.001",
]
TIMES = [
    "1e999d",
    "999999999w",
    "999999999d",
    "99999d",
    "@1e308",
    "@nan",
    "@-1e15",
    "0001-01-01",
    "9999-12-31T23:59:59",
]
TEXTS = [
    "",
    " ",
    "\ud800",
    "\udcff",
    "\x1b[31m",
    "\u202e",
    "'",
    "%s%(x)d{}",
    "(" * 300,
    "x" * 5000,
    "ồ" * 300,
    "\U0001f600",
]
FILES = ["/", "/dev/null", "/does/not/exist", "/etc/shadow/x", "."]
ODD = NUMBERS + AMOUNTS + TIMES + TEXTS + FILES
#: Commands that run until they are stopped: only their arguments are read.
ENDLESS = {
    ("orders", "wait"),
    ("worker", "start"),
    ("relay", "start"),
    ("demo",),
    ("tail", "all"),
    ("tail", "pattern"),
}
#: A valid argument of each kind, for the arguments that a command requires.
VALID = {
    "order": "DH1",
    "task_id": "1",
    "task_ids": "1",
    "payment_id": "1",
    "message_id": "1",
    "message_ids": "1",
    "pattern": "task:*:progress",
    "shell": "bash",
    "topic": "times",
}
DOCUMENTED = set(ExitStatus) - {ExitStatus.INTERNAL}


def arguments_of(command: click.Command) -> Iterator[tuple[click.Parameter, list[str]]]:
    """Each parameter that takes a value, and the other arguments that the command needs."""
    for param in command.params:
        if isinstance(param, click.Option) and (param.is_flag or param.count or param.hidden):
            continue
        others = [
            VALID.get(str(other.name), "1")
            for other in command.params
            if isinstance(other, click.Argument) and other is not param and other.required
        ]
        yield param, others


def spelled(param: click.Parameter, value: str, others: list[str]) -> list[str]:
    if not isinstance(param, click.Option):
        return [*others, "--", value]
    name = param.opts[-1]
    return [*others, f"{name}={value}"] if name.startswith("--") else [*others, name, value]


@sqlite
@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_an_odd_value_has_a_documented_exit_code(path, command, shop: Shop, monkeypatch, capsys, tmp_path):
    shop.paid("DH1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    if path in ENDLESS:
        monkeypatch.setattr(command, "callback", lambda *_, **__: None)
    bad = []
    for param, others in arguments_of(command):
        for value in ODD:
            if value == "\ud800" and isinstance(param.type, click.Path | click.File):
                continue  # no argument of a process can be this, and no file has such a name
            app = App()
            app.__dict__["engine"] = shop.engine
            monkeypatch.setattr(app, "close", lambda: None)
            words = [*path, *spelled(param, value, others)]
            status = run(words, app)
            said = capsys.readouterr().err
            if (
                status not in DOCUMENTED
                or "internal error" in said
                or "the database reports" in said
                or "Traceback" in said
            ):
                bad.append((param.name, value[:40], status, said[:300]))
    assert bad == []


#: Values as JSON.
JSON = [
    "1e99999999999999999999", "1e999999999999999999", "-1e400", "1e-400", "NaN", "-Infinity", "9" * 5000, "99.999",
    "9" * 30, "true", "null", "[]", "{}", "[[]]", "[1e99999999999999999999]", '"\\ud800"', '"a\\u0000b"', '"\\u202e"',
    f'"{"x" * 5000}"', f'"http://a/{"x" * 5000}"', '["http://a/\\ud800"]', '["http://a/\\u0000"]', '[{"url": "http://a/"}]',
    '[{"url": "http://a/", "title": "\\ud800"}]', '[{"url": "http://a/", "title": "a\\u0000b"}]',
    '[{"url": "http://a/", "title": 7}]', "[" * 100_000, '{"a":' * 100_000,
]  # fmt: skip
DOCUMENTS = [
    b"", b" ", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\x00" * 100, b"\x80", b"[]", b"null", b"7", b'"x"',
    b'{"code": "DH1", "code": "DH2", "transferAmount": 1}', b'[{"order_code": 1}]', b"{" * 100_000,
]  # fmt: skip


def refused(inside: Program, command: str, document: bytes, tmp_path) -> None:
    (tmp_path / "document").write_bytes(document)

    ended = inside("orders", command, "--json", str(tmp_path / "document"))

    assert ended.status in {ExitStatus.USAGE, ExitStatus.NOT_FOUND}, (document[:200], ended)
    assert "internal" not in ended.err
    assert len(ended.err) < 1000


@sqlite
def test_an_odd_value_in_a_document_is_refused(shop: Shop, inside: Program, tmp_path):
    good = {
        "add": {
            "order_code": '"A1"',
            "user_email": '"a@b.vn"',
            "total_amount": "1",
            "courses": '["http://a/"]',
        },
        "pay": {"code": '"A1"', "transferAmount": "1", "bankName": '"ACB"', "id": '"T1"'},
    }
    accepted = {("courses", '[{"url": "http://a/"}]'), ("bankName", "null"), ("id", "null")}
    for command, fields in good.items():
        for name in fields:
            for value in JSON:
                if (name, value) not in accepted:
                    written = ", ".join(
                        f'"{field}": {other}' for field, other in (fields | {name: value}).items()
                    )
                    refused(inside, command, f"{{{written}}}".encode(), tmp_path)
        for document in DOCUMENTS:
            refused(inside, command, document, tmp_path)
    assert shop.order_rows() == []


@sqlite
@pytest.mark.parametrize("file", ["/", "/dev/full", "/proc/self/mem", "/does/not/exist"])
def test_a_document_that_cannot_be_read_is_2(file, shop: Shop, inside: Program):
    ended = inside("orders", "add", "--json", file)

    assert ended.status == ExitStatus.USAGE
    assert "internal" not in ended.err


@sqlite
def test_closed_streams_and_bytes_that_are_not_utf8(shop: Shop):
    def ended(words: str) -> tuple[int, str]:
        shell = f'exec "$0" {words}'
        done = subprocess.run(
            ["bash", "-c", shell, str(SCRIPT)], capture_output=True, text=True, check=False, errors="replace"
        )
        return done.returncode, done.stderr

    status, said = ended("orders add --json - <&-")
    assert (status, "the document is empty" in said) == (ExitStatus.USAGE, True)
    status, said = ended("orders show $'a\\xff'")
    assert (status, "not text in UTF-8" in said) == (ExitStatus.USAGE, True)
    status, said = ended("orders list >&- <&- 2>&-")
    assert status == ExitStatus.DONE


@pytest.mark.parametrize("key", [*setting_sections.declared(), "state_dir"])
def test_an_odd_value_of_a_setting_is_78(key):
    for value in ODD:
        with suppress(Misconfigured):
            settings.load(environ={environment.variable(key): value})
    with pytest.raises(Misconfigured, match=f"setting {key} "):
        settings.load(environ={environment.variable(key): "a\udcff"})
