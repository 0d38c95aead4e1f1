"""Records what a terminal shows while commands run in it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyte

_LOOK = 0.12
_KEY = 0.045
_LONGEST = 1.5


class Run(NamedTuple):
    """Characters of one style in a line."""

    column: int
    width: int
    text: str
    colour: str
    is_bold: bool


Line = tuple[Run, ...]


@dataclass
class Frame:
    """What the terminal shows, and for how many seconds."""

    lines: tuple[Line, ...]
    seconds: float


class Terminal:
    """A terminal of a fixed size, whose frames are kept."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self.frames: list[Frame] = []

    def type(self, text: str) -> None:
        """Show how a command is typed."""
        self._show("\x1b[1;32m$\x1b[0m ", 0.4)
        for start in range(0, len(text), 3):
            self._show(text[start : start + 3].replace("\n", "\r\n"), _KEY)
        self._show("\r\n", 0.25)

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
        """Run a command in the terminal; return its exit code."""
        for _ in self._output(argv, env, cwd):
            pass
        return self._code

    def rest(self, seconds: float) -> None:
        """Show the last frame for some time."""
        self.frames[-1].seconds += seconds

    def _output(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> Iterator[None]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=cwd, start_new_session=True
        )
        os.close(theirs)
        started = time.monotonic()
        while True:
            ready, _, _ = select.select([ours], [], [], _LOOK)
            try:
                data = os.read(ours, 65536) if ready else b""
            except OSError:  # the program has closed the terminal
                break
            self._stream.feed(data)
            now = time.monotonic()
            if not ready or now - started >= _LOOK:
                self._keep(now - started)
                started = now
            yield
        self._code = process.wait()
        self._keep(_LOOK)
        os.close(ours)

    def _show(self, text: str, seconds: float) -> None:
        self._stream.feed(text.encode())
        self._keep(seconds)

    def _keep(self, seconds: float) -> None:
        lines = tuple(self._line(number) for number in range(self._screen.lines))
        if self.frames and self.frames[-1].lines == lines:
            self.frames[-1].seconds = min(self.frames[-1].seconds + seconds, _LONGEST)
        else:
            self.frames.append(Frame(lines, seconds))

    def _line(self, number: int) -> Line:
        cells = [self._screen.buffer[number][column] for column in range(self._screen.columns)]
        runs, column = [], 0
        for (colour, is_bold), group in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            part = [cell.data for cell in group]
            size = len(part)
            while part and part[-1] == " ":
                part.pop()
            blank = next((at for at, cell in enumerate(part) if cell != " "), len(part))
            if text := "".join(part[blank:]):
                runs.append(Run(column + blank, len(part) - blank, text, colour, is_bold))
            column += size
        return tuple(runs)
