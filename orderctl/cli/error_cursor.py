"""``logs errors --cursor-file``: only the errors that no earlier run has shown."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderctl.cli import log_reader, options
from orderctl.counting import counted
from orderctl.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from orderctl.audit import Event
    from orderctl.cli.app import App

_PAGE: Final = 500


@dataclass(slots=True)
class Position:
    """What the runs until now have read.

    Attributes:
        read_id: The highest id of an event, of any severity.
        shown: The ids of the errors among the last ``log_reader.OVERLAP`` ids. These are read again: an event may be
            committed after one with a higher id.
    """

    read_id: int
    shown: set[int] = field(default_factory=set)

    @property
    def begin(self) -> int:
        """The id after which events are read."""
        return self.read_id - log_reader.OVERLAP

    def note(self, events: Sequence[Event]) -> list[Event]:
        """Note events as shown; return those that were not."""
        fresh = [event for event in events if event.id not in self.shown]
        self.shown.update(event.id for event in fresh)
        return fresh

    def written(self) -> str:
        """Return the content of the file."""
        self.read_id = max(self.read_id, *self.shown, 0)
        kept = sorted(event_id for event_id in self.shown if event_id > self.begin)
        return " ".join(map(str, (self.read_id, *kept)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which errors are shown; the attributes are the options of ``logs errors``."""

    severities: Sequence[str]
    since: datetime | None
    lines: int | None


def show(app: App, file: Path, wanted: Wanted) -> None:
    """Show the errors that are new since the last run, oldest first; at the first run, the newest ones.

    The file is written when they have been shown: after a crash they are shown again.
    """
    from orderctl import audit

    log_reader.check_cursor(file)
    with _alone(app, file):
        position = _read(file)
        with app.reading() as connection:
            newest = audit.newest_id(connection)
        if position is None or position.read_id > newest:  # the first run, or the log was emptied
            position = Position(newest)
            _show_newest(app, position, wanted)
        else:
            _show_new(app, position, wanted)
            position.read_id = max(position.read_id, newest)
        log_reader.write_cursor(file, position.written())


def _show_newest(app: App, position: Position, wanted: Wanted) -> None:
    from orderctl import audit

    # These first: what is committed after they are read is noted only if it is shown, or else by the next run.
    for page in _pages(app, position.begin, wanted):
        position.note(page)
    with app.reading() as connection:
        found = audit.errors(
            connection,
            severities=wanted.severities,
            since=wanted.since,
            limit=wanted.lines or options.DEFAULT_LIMIT,
        )
    position.note(found)
    app.render_pages([found[::-1]] if found else [])


def _show_new(app: App, position: Position, wanted: Wanted) -> None:
    fresh = (new for page in _pages(app, position.begin, wanted) if (new := position.note(page)))
    if wanted.lines is None:
        app.render_pages(fresh)
        return
    newest: deque[Event] = deque(maxlen=wanted.lines)
    count = 0
    for page in fresh:
        newest.extend(page)
        count += len(page)
    app.render_pages([list(newest)] if newest else [])
    if count > len(newest):
        app.warn(  # even with -q: they are noted as shown, and no later run shows them
            f"{counted(count - len(newest), 'earlier error')} not shown: more than --lines {wanted.lines}."
        )


def _pages(app: App, after: int, wanted: Wanted) -> Iterator[list[Event]]:
    from orderctl import audit

    while True:
        with app.reading() as connection:
            page = audit.errors_after(
                connection, after, severities=wanted.severities, since=wanted.since, limit=_PAGE
            )
        if not page:
            return
        yield page
        after = page[-1].id


@contextmanager
def _alone(app: App, file: Path) -> Iterator[None]:
    """Let one run at a time read the file, show errors, and replace it; a second one waits."""
    while True:
        number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(app, file, number)
            if _is(file, number):
                yield
                return
        finally:
            os.close(number)


def _lock(app: App, file: Path, number: int) -> None:
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            app.say(f"waiting for another run with {file}")
            fcntl.flock(number, fcntl.LOCK_EX)
    except OSError as error:  # such as NFS without its lock service
        raise InvalidInput(f"cannot lock --cursor-file {file}: {error.strerror}") from None


def _is(file: Path, number: int) -> bool:
    """Whether the file that is open still has this name: the run before has replaced it."""
    try:
        return os.path.samestat(file.stat(), os.fstat(number))
    except FileNotFoundError:
        return False


def _read(file: Path) -> Position | None:
    """Return what the file says, None if it is empty: it was made by this run, or by one that ended at once."""
    words = file.read_text(encoding="utf-8", errors="replace").split()
    if not all(word.isascii() and word.isdigit() and len(word) <= log_reader.LONGEST_ID for word in words):
        raise InvalidInput(
            f"{file} does not contain ids of events", hint="remove it to begin with the newest errors"
        )
    return Position(int(words[0]), set(map(int, words[1:]))) if words else None
