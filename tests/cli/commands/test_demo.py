"""``orderctl demo``."""

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import pytest

from orderctl.cli.commands import demo
from tests.cli.conftest import Program
from tests.servers.strict import DEVELOPMENT, complaints
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")


def test_the_demo_shows_the_whole_job_and_leaves_nothing(orderctl: Program, home: Path, monkeypatch):
    (place := home / "t").mkdir()  # short, so that a socket's path fits
    monkeypatch.setenv("TMPDIR", str(place))
    for name, value in DEVELOPMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql://nobody@127.0.0.1:1/production")

    with ThreadPoolExecutor(1) as running:
        demo = running.submit(orderctl, "demo")
        logs = [opened_when_there(place, name) for name in ("worker.log", "relay.log")]
        ended = demo.result()

    assert ended.status == 0, ended.err
    for log in logs:
        with log:
            assert complaints(log.read()) == []
    assert len({line for line in ended.out.splitlines() if " %  lesson-" in line}) > 1  # progress advances
    assert '/api/payment/webhook\n{"code": "DEMO-1"' in ended.out
    assert '-> 200 {"success":true' in ended.out
    assert "NOT_FOUND  HTTP 404" in ended.out
    assert "task_retried" in ended.out
    assert "order_completed" in ended.out
    assert [
        line for line in ended.out.splitlines() if len(line) > 60 and line[:2] in {"$ ", "# ", "  "}
    ] == []
    assert list(place.iterdir()) == []
    assert not any(str(place).encode() in _environ(path) for path in Path("/proc").glob("[0-9]*/environ"))


def test_a_long_command_is_printed_on_lines_that_a_shell_joins():
    arguments = [
        "orders",
        "add",
        "--email",
        "customer@example.com",
        "--course",
        f"http://{'x' * 34}",
        "-o",
        "a b",
    ]

    printed = demo._wrapped(arguments)

    assert max(map(len, printed.splitlines())) <= 60
    assert [word for word in shlex.split(printed) if word.strip()] == ["orderctl", *arguments]


def opened_when_there(place: Path, name: str) -> TextIO:
    """Open a file in the demo's folder as soon as it exists; it can be read after it was removed."""
    return eventually(lambda: next(place.glob(f"*/{name}"), None), name, 120).open()


def _environ(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended meanwhile
        return b""
