"""Writes what each listing looks like at several widths."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shlex
import struct
import subprocess
import termios
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyte
from wcwidth import wcswidth

from orderctl.demo import Shop

WIDTHS = (60, 80, 200)
_ROWS = 50
_AT_ONCE = 2
#: Columns of the terminal that finds out what stays: it wraps no line, so that one that is too long is noticed.
_NO_WRAP = 400
COMMANDS = (
    "status",
    "orders list -L 12",
    "orders list --paid -L 8",
    "orders list --status failed",
    "orders list --stale 1h",
    "orders show {code}",
    "orders stats",
    "tasks list -L 12",
    "tasks list --failed",
    "tasks list --group-by error",
    "tasks show {task}",
    "logs show {code}",
    "logs errors",
    "logs search -n 6",
    "why {code}",
    "tail order {code}",
    "logs summary",
    "worker list",
    "worker rejected list",
    "payments list --open",
    "payments list -L 8",
    "outbox list -L 8",
    "outbox list --failed",
    "reconcile --check",
    "migrate status",
    "config show",
    "help exit-codes",
    "--help",
)


def write(folder: Path, shop: Shop, shown: Callable[[str], str]) -> list[str]:
    """Write a file for each width, and the index; return the commands with a line that is too long."""
    folder.mkdir(exist_ok=True)
    commands, too_long = _commands(shop), []
    for width in WIDTHS:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            texts = [shown(text) for text in pool.map(partial(_output, shop, width), commands)]
        screens = (f"$ orderctl {command}\n{text}" for command, text in zip(commands, texts, strict=True))
        (folder / f"{width}-columns.txt").write_text("\n".join(screens), encoding="utf-8")
        for command, text in zip(commands, texts, strict=True):
            if max(map(wcswidth, text.splitlines()), default=0) > width:
                too_long.append(f"{command} ({width} columns)")
    (folder / "README.md").write_text(_index(commands), encoding="utf-8")
    return too_long


def _commands(shop: Shop) -> list[str]:
    """Return the commands, for the newest failed task and its order."""
    listed = shop.command("tasks", "list", "--failed", "-L", "1", "-o", "json")
    done = subprocess.run(listed, env=shop.environ(), capture_output=True, check=True)
    [task] = json.loads(done.stdout)
    return [command.format(code=task["order_code"], task=task["id"]) for command in COMMANDS]


def _output(shop: Shop, width: int, command: str) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, width, 0, 0))
    env = shop.environ() | {"NO_COLOR": "1", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        shop.command(*shlex.split(command)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        cwd=shop.folder,
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            pieces.append(os.read(ours, 65536))
        except OSError:  # the program has closed the terminal
            break
    process.wait()
    os.close(ours)
    return last_frame(b"".join(pieces))


def last_frame(output: bytes) -> str:
    """Return what stands on a terminal at the end of an output."""
    screen = pyte.Screen(_NO_WRAP, output.count(b"\n") + 1)
    pyte.ByteStream(screen).feed(output)
    return "\n".join(line.rstrip() for line in screen.display).rstrip("\n") + "\n"


def _index(listed: Sequence[str]) -> str:
    files = "\n".join(f"- [{width} columns]({width}-columns.txt)" for width in WIDTHS)
    commands = "\n".join(f"- `orderctl {command}`" for command in listed)
    return (
        "# Screens\n\nWhat the listings look like in terminals of three widths, without colours. `make pictures` made "
        "them from a real\nshop. The address of the course server, the machine's name and the user's are replaced by names of the same length;\n"
        "nothing else was changed.\n\n"
        f"{files}\n\nEach file has these commands:\n\n{commands}\n"
    )
