"""The program on a real terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orderctl.operations import reading
from orderctl.orders import NewCourse
from orderctl.terminal import table
from tests.script import SCRIPT
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


class Terminal:
    """A program on a terminal of 60 columns."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.master = master
        self.shown = b""

    def until(self, text: str, seconds: float = 120) -> str:
        """Read until the program prints a text."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if not self._read(0.2) and self.process.poll() is not None:
                break
        assert text.encode() in self.shown, self.shown
        return self.shown.decode()

    def end(self) -> str:
        """Read until the program ends."""
        while self.process.poll() is None or select.select([self.master], [], [], 0)[0]:
            if not self._read(0.2) and self.process.poll() is not None:
                break
        return self.shown.decode().replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.master, text.encode())

    def interrupt(self) -> str:
        """Press Ctrl-C until the program reacts, and read to the end.

        If a signal arrives between readline's check for signals and its wait for a key, readline notices it
        only at the next key.
        """
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            deadline = time.monotonic() + 5
            while self.process.poll() is None and time.monotonic() < deadline:
                self._read(0.1)
        return self.end()

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # the program has closed its side of the terminal
            return False
        self.shown += piece
        return bool(piece)


@contextmanager
def on_terminal(*arguments: str, program: Path = SCRIPT, **env: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [program, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env=surroundings | {"TERM": "xterm-256color"} | env,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)


@pytest.mark.parametrize(("answer", "status", "after"), [("n", 1, "failed"), ("y", 0, "pending")])
def test_a_bulk_asks_and_does_what_is_answered(answer, status, after, shop: Shop):
    shop.paid("DH1", 2)
    shop.fail(1)

    with on_terminal("tasks", "retry", "--failed") as terminal:
        terminal.until("Retry 1 task? [y/N]: ")
        terminal.type(f"{answer}\n")
        shown = terminal.end()
        assert terminal.process.wait() == status

    assert ("orderctl: not confirmed: nothing was changed\n" in shown) is (answer == "n")
    assert shop.task(1).status == after


def test_ctrl_c_leaves_an_operation_running(shop: Shop):
    shop.paid("DH1", 2)
    shop.fail(1)

    with on_terminal("tasks", "retry", "--failed", "--name", "op", "--canary", "1") as terminal:
        terminal.until("Retry 1 task, with a canary of 1? [y/N]: ")
        terminal.type("y\n")
        terminal.until("op: canary, 0 of 1 have completed")
        shown = terminal.interrupt()
        assert terminal.process.wait() == 130

    assert "operation op goes on: orderctl ops show op\n" in shown
    assert shop.read(lambda c: reading.find(c, "op")).state == "canary"


def test_ctrl_c_at_the_question_changes_nothing(shop: Shop):
    shop.paid("DH1", 2)
    shop.fail(1)

    with on_terminal("tasks", "retry", "--failed") as terminal:
        terminal.until("[y/N]: ")
        terminal.interrupt()
        assert terminal.process.wait() == 130

    assert shop.task(1).status == "failed"


def test_a_table_is_coloured_and_cut_to_the_terminal(shop: Shop):
    shop.paid("DH1", 2, email="somebody-with-a-very-long-name@a-very-long-domain.example.com")
    shop.paid("DH2", 1)
    shop.carry_out(3)

    with on_terminal(
        "orders", "list", "--fields", "order_code,order_status,user_email,total_amount"
    ) as terminal:
        shown = terminal.end()

    assert "\x1b[32mcompleted\x1b[0m" in shown
    plain = re.sub("\x1b\\[[0-9;]*m", "", shown)
    assert "…" in plain
    assert max(map(table.width, plain.splitlines())) <= 60


def test_no_color_is_respected(shop: Shop):
    shop.paid("DH1", 2)

    with on_terminal("orders", "list", NO_COLOR="1") as terminal:
        assert "\x1b" not in terminal.end()


def test_a_watched_list_shows_what_changes_until_ctrl_c(shop: Shop):
    shop.paid("DH1", 2)

    with on_terminal("orders", "list", "--watch", "--fields", "order_code") as terminal:
        terminal.until("DH1")
        shop.paid("DH2", 2)
        terminal.until("DH2")
        terminal.process.send_signal(signal.SIGINT)
        shown = terminal.end()
        assert terminal.process.wait() == 130

    assert shown.rstrip().endswith("orderctl: interrupted")
    assert "\x1b[?1049l" in shown  # the screen is as it was before
    assert "\x1b[?25h" in shown  # and the cursor is visible


def test_what_waits_is_drawn_at_once_and_the_last_frame_stays(shop: Shop):
    shop.add("DH1", [NewCourse("http://courses.example/one", "Khóa học tiếng Việt nâng cao 🎬🎬 rất dài")])

    with on_terminal("tail", "DH1", "--no-events") as terminal:
        terminal.until("DH1 ")
        terminal.until("  orderctl orders pay DH1 --amount 300000")
        shown = terminal.interrupt()
        assert terminal.process.wait() == 130

    frame = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", shown[shown.rindex("DH1  ") :]).splitlines()
    assert "Khóa học" in frame[1]
    assert frame[2].startswith("Waiting: ")
    assert all(table.width(line) < 60 for line in frame)
