"""``--watch``: shows a table again and again until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from orderctl import clock
from orderctl.cli import nothing, options
from orderctl.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    import os

    from orderctl.cli.app import App
    from orderctl.cli.pages import Pages

_INTERVAL: Final = timedelta(seconds=2)
#: How long a change of the terminal's size may stay unnoticed.
_GLANCE_SECONDS: Final = 0.1
#: A second screen, without the cursor and without breaks of long lines; and back to the first one.
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
#: A frame is written over the one before, and shown when it is complete: so nothing flickers.
_BEGIN_FRAME: Final = "\x1b[?2026h\x1b[H"
_END_FRAME: Final = "\x1b[?2026l"
_CLEAR_REST: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\r\n\x1b[J"


@dataclass(frozen=True, slots=True)
class Watching:
    """What ``--watch`` and ``--interval`` ask for."""

    watch: bool = False
    interval: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse an interval without --watch."""
        if self.interval is not None and not self.watch:
            raise InvalidInput("--interval needs --watch")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown at a moment.

    Attributes:
        table: The table, or what is said when there are no rows.
        more: Whether there are rows that the table does not have.
    """

    table: str
    more: bool = False


option: Final[options.Decorator[Any]] = options.gathered(
    "watching",
    Watching,
    click.Option(
        ["--watch"], is_flag=True, help="Refresh the table until Ctrl-C; needs a terminal. See --interval."
    ),
    click.Option(
        ["--interval"],
        type=options.Span("1s", "1h"),
        metavar="TIME",
        help="With --watch: refresh after this time; by default 2s.",
    ),
)


def watch_pages(
    app: App,
    watching: Watching,
    pages: Pages[Any, Any],
    asked: options.Paging,
    things: str,
    shown: Callable[[Sequence[Any]], Sequence[Any]] = list,
) -> None:
    """Watch a list.

    Args:
        app: The application.
        watching: How often it is read.
        pages: The list; it is read anew for each picture.
        asked: The part of the list.
        things: What the rows are, such as "orders".
        shown: Returns what is shown of some rows.
    """
    asked.require_at_most(options.MOST_ROWS, "--watch")

    def draw() -> Picture:
        anew = pages.anew()
        rows = shown([row for page in anew for row in page])
        return picture(app, rows, nothing.of(things), more=anew.cursor is not None)

    watch(app, watching, draw)


def picture(
    app: App, rows: Sequence[Any], instead: str, *, columns: Sequence[Any] | None = None, more: bool = False
) -> Picture:
    """Return rows as a table, or a sentence if there are none."""
    from orderctl.terminal import sanitise
    from orderctl.terminal.widths import wrap

    if rows:
        return Picture(app.rendered(rows, columns), more)
    lines = [part for line in sanitise.block(instead).split("\n") for part in wrap(line, _size().columns)]
    return Picture("\n".join(lines), more)


def watch(app: App, watching: Watching, draw: Callable[[], Picture]) -> NoReturn:
    """Show what ``draw`` returns, again and again; while a store does not answer, also the error. The last one stays.

    Raises:
        InvalidInput: The output is not a terminal, or not a table.
        KeyboardInterrupt: The user has ended it.
    """
    _require_table(app)
    interval = (watching.interval or _INTERVAL).total_seconds()
    shown, note = draw(), ""
    with _screen(app) as show:
        while True:
            show(_frame(app, shown, note, interval))
            _wait(interval)
            try:
                shown, note = draw(), ""
            except Unavailable as error:
                note = str(error)


def _require_table(app: App) -> None:
    if not app.out.isatty() or app.ambient.terminal == "dumb":
        raise InvalidInput("--watch needs a terminal", hint="without --watch, the table is printed once")
    if app.output.format not in {"table", "wide"}:
        raise InvalidInput(f"--watch shows a table, not {app.output.format}", hint="leave -o or --watch out")


@contextmanager
def _screen(app: App) -> Iterator[Callable[[list[str]], None]]:
    """Give a function that shows lines on a screen of their own; afterwards the last of them stay on the usual one."""
    last: list[str] = []

    def show(lines: list[str]) -> None:
        last[:] = lines
        below = _CLEAR_BELOW if len(lines) < _size().lines else ""
        app.write(_BEGIN_FRAME + "\r\n".join(map(_cleared, lines)) + below + _END_FRAME)

    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        app.write(_ENTER)
        yield show
    finally:
        signal.signal(signal.SIGTERM, before)
        app.write(_LEAVE + "".join(f"{line}\n" for line in last))


def _cleared(line: str) -> str:
    """Return a line that clears what stood behind it. At the end of a full line that would be its own last letter."""
    from orderctl.terminal.widths import bare, width

    return line if width(bare(line)) >= _size().columns else line + _CLEAR_REST


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _frame(app: App, shown: Picture, note: str, interval: float) -> list[str]:
    """Return the lines that fit the terminal: the clock, an error, the table, and how many rows are left out."""
    from orderctl import masking
    from orderctl.terminal import sanitise
    from orderctl.terminal.widths import cut, paint, wrap

    size = _size()
    color = app.colored(app.out)
    now = datetime.now(app.zone).strftime("%H:%M:%S")
    head = cut(f"every {interval:g} s · {now} · Ctrl-C ends", size.columns)
    lines = [paint(head, "dim" if color else None)]
    if note:
        text = sanitise.line(masking.foreign(note))
        lines += wrap(paint(text, "red" if color else None), size.columns)
    table = shown.table.splitlines()
    room = max(size.lines - len(lines), 1)
    hidden = len(table) - room + 1 if len(table) > room or (shown.more and len(table) == room) else 0
    lines += table[: len(table) - hidden]
    if hidden or shown.more:
        lines.append(cut(_left_out(hidden, more=shown.more), size.columns))
    return lines[: size.lines]


def _left_out(hidden: int, *, more: bool) -> str:
    if hidden:
        return f"{hidden}{'+' if more else ''} more"
    return "more: --limit"


def _wait(seconds: float) -> None:
    """Wait, but no longer than until the terminal's size changes."""
    size, end = _size(), clock.elapsed() + seconds
    while (left := end - clock.elapsed()) > 0 and _size() == size:
        time.sleep(min(left, _GLANCE_SECONDS))


def _size() -> os.terminal_size:
    import shutil

    return shutil.get_terminal_size()
