"""New events of the audit log, each once: ``--follow`` and ``--cursor-file`` of ``orderctl logs``."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from orderctl.errors import InvalidInput, Unavailable
from orderctl.terminal import render, widths
from orderctl.terminal.render import Format

if TYPE_CHECKING:
    from orderctl.audit import Event, Search
    from orderctl.audit_frontier import Frontier, Look
    from orderctl.cli.app import App
    from orderctl.cli.log_cursor import CursorFile

_POLL_SECONDS: Final = 0.5
_FURTHER: Final = "  "
_WIDTHS: Final = {"severity": 8, "event_type": 20, "task_id": 5, "order_code": 12, "actor": 16}


@dataclass
class Follower:
    """Reads the events that appear behind a frontier.

    Attributes:
        app: Has the database.
        wanted: Which events.
        frontier: How far was read.
        chosen: Returns what is shown of some events, which it gets in the order of their ids.
        file: Notes how far was shown; None: nothing does.
    """

    app: App
    wanted: Search
    frontier: Frontier
    chosen: Callable[[Sequence[Event]], Sequence[Event]] = list
    file: CursorFile | None = None
    _is_cut: bool = field(default=False, init=False)

    def rest(self) -> Iterator[Sequence[Event]]:
        """Yield pages of the events that have appeared until now, which may be empty."""
        more, every = True, True
        while more:
            with self.app.reading() as connection:
                found = self._look(connection, every=every)
            yield self.chosen(found.events)
            self.frontier = found.frontier
            more, every = found.more, False

    def coming(self) -> Generator[Event]:
        """Yield events as they are written, without end; what was shown is noted."""
        for found in self._looks():
            before, shown = self.frontier, None
            try:
                for event in self.chosen(found.events):
                    yield event
                    shown = event.id
                shown, self.frontier = None, found.frontier
                if found.events:
                    self.note()
            finally:
                if shown is not None:  # it was interrupted between two events
                    self.frontier = found.frontier.at(shown, before)
                    self.note()

    def note(self) -> None:
        """Write into the cursor file how far the events were shown."""
        if self.file is not None:
            self.file.write(self.frontier)

    def _looks(self) -> Iterator[Look]:
        from orderctl import audit_frontier

        is_away = False
        while True:
            try:
                with self.app.reading() as connection:
                    found = self._look(connection)
            except Unavailable as error:
                if not is_away:
                    self.app.warn(f"{error}; trying again")
                found, is_away = audit_frontier.Look([], self.frontier, more=False), True
            else:
                if is_away:
                    self.app.say("the database answers again")
                is_away = False
            yield found
            if not found.more:
                time.sleep(_POLL_SECONDS)
                _require_reader(self.app)

    def _look(self, connection: Any, *, every: bool = False) -> Look:
        from orderctl import audit_frontier

        found = audit_frontier.look(connection, self.frontier, self.wanted, every=every)
        self._warn_of(found)
        return found

    def _warn_of(self, found: Look) -> None:
        """Say what may be surprising, even with -q."""
        if found.anew:
            to = found.frontier.read_to
            place = f"going on after event {to}" if to else "beginning anew"
            self.app.warn(f"the log was emptied, or restored: {place}")
        if found.cut and not self._is_cut:
            self.app.warn(
                "too many ids have no event yet: an event whose transaction takes long may not be shown"
            )
        self._is_cut = self._is_cut or found.cut


def require_endless(form: Format) -> None:
    """Refuse a format that is printed only at the end.

    Raises:
        InvalidInput: It is one.
    """
    if form in {Format.JSON, Format.MARKDOWN}:
        raise InvalidInput(
            f"--follow does not end, and -o {form} prints only at the end", hint="use -o jsonl"
        )


def _require_reader(app: App) -> None:
    """Notice that nobody reads any more, as behind ``| head -1``: a write would, but the next event may be far off.

    Raises:
        BrokenPipeError: The pipe is closed.
    """
    try:
        number = app.out.fileno()
    except (OSError, ValueError):  # not a real file
        return
    poll = select.poll()
    poll.register(number, 0)  # POLLERR and POLLHUP are always reported
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def show(follower: Follower, history: Iterator[Event]) -> None:
    """Show events, and new ones as they are written, until the program is interrupted."""
    app = follower.app
    with _ending_well(follower), closing(_all(follower, history)) as events:
        if app.format in {Format.TABLE, Format.WIDE}:
            for event in events:
                app.write(_line(app, event))
        else:
            app.render(events)


def _all(follower: Follower, history: Iterator[Event]) -> Generator[Event]:
    yield from history
    follower.note()
    with closing(follower.coming()) as coming:
        yield from coming


@contextmanager
def _ending_well(follower: Follower) -> Iterator[None]:
    """Let SIGTERM end it as Ctrl-C does, if there is something to note."""
    if follower.file is None:
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _line(app: App, event: Event) -> str:
    """Return an event as one line, in columns that are wide enough for most values; a narrow terminal has more lines."""
    view = app.view
    cells = [(column.name, render.cell(column, event, view)) for column in app.columns]
    padded = (
        widths.paint(cell.text, cell.style) + " " * (_WIDTHS.get(name, 0) - widths.width(cell.text))
        for name, cell in cells
    )
    lines = widths.wrap("  ".join(padded).rstrip(), view.width and view.width - len(_FURTHER))
    return f"\n{_FURTHER}".join(lines) + "\n"
