"""Draws live bars on a terminal, with rich."""

from __future__ import annotations

import os
import termios
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from orderctl import clock
from orderctl.cli import bar_lines
from orderctl.cli.board import Board
from orderctl.terminal.widths import cut
from orderctl.watched import End, Found, Happened, Update, Waiting, Watched, in_words

_PER_SECOND: Final = 8


def draw(
    stream: TextIO,
    events: Iterable[Watched],
    *,
    color: bool,
    subjects: bool = True,
    line: Callable[[Happened], str] = str,
) -> None:
    """Draw the events as bars until they end; the last frame stays.

    Args:
        stream: A terminal.
        events: From ``follow``.
        color: Whether to use colours.
        subjects: Whether some orders and tasks are watched, and not everything.
        line: Returns an audit event as a line, which is printed above the bars.
    """
    console = Console(file=stream, no_color=not color, highlight=False)
    screen = _Screen(console, Board(subjects=subjects))
    with _silent_keys(stream), Live(screen, console=console, refresh_per_second=_PER_SECOND) as live:
        for event in events:
            if isinstance(event, Happened):
                console.print(Text(cut(line(event), console.width - 1)))
                continue
            screen.show(event)
            if isinstance(event, Found) and event.first:
                live.refresh()


@contextmanager
def _silent_keys(stream: TextIO) -> Iterator[None]:
    """Keep keys that are pressed, also the ^C of an interruption, out of the bars."""
    if not _is_in_front(stream):
        yield
        return
    before = termios.tcgetattr(stream)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(stream, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        if _is_in_front(stream):
            termios.tcsetattr(stream, termios.TCSADRAIN, before)


def _is_in_front(stream: TextIO) -> bool:
    """Whether this process may change the terminal: in the background it would be stopped."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # not a terminal, or another session's
        return False


class _Screen:
    """The bars as rich asks for them, in a thread of its own."""

    def __init__(self, console: Console, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._columns = console.width

    def show(self, event: Watched) -> None:
        """Take in one event."""
        now = clock.elapsed()
        with self._lock:
            match event:
                case Found():
                    self._board.find(event)
                case Update():
                    self._board.update(event, now, in_words(event.channel, event.data))
                case Waiting():
                    self._board.wait(event)
                case End():
                    self._board.end(event, now)
                case _:
                    pass

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines for the size that the terminal has now."""
        columns, rows = console.size
        if columns < self._columns and console.is_terminal:
            console.clear()  # the terminal has wrapped the lines of the last frame
        self._columns = columns
        with self._lock:
            lines = bar_lines.lines(self._board, clock.elapsed(), columns, rows - 1)
        for line in lines:
            yield Text.assemble(*line, no_wrap=True, overflow="crop")
