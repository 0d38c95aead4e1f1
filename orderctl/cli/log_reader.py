"""Reads the events of an order page by page, and new ones as they are written."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderctl.cli import nothing
from orderctl.errors import InvalidInput, Unavailable
from orderctl.terminal import render, widths
from orderctl.terminal.render import Format

if TYPE_CHECKING:
    from orderctl.audit import Event, Search
    from orderctl.cli.app import App

_PAGE: Final = 500
_POLL_SECONDS: Final = 0.5
#: An event may be committed after one with a higher id, so this number of ids is read again.
OVERLAP: Final = 1000
#: Digits of the longest id of an event.
LONGEST_ID: Final = 19
_FURTHER: Final = "  "
_WIDTHS: Final = {"severity": 8, "event_type": 20, "task_id": 5}


@dataclass
class LogReader:
    """Reads the events of one order that match a search.

    Attributes:
        order: The order's code or id.
        follow: Whether to read new events, too.
    """

    app: App
    order: str
    wanted: Search
    grep: re.Pattern[str] | None = None
    cursor_file: Path | None = None
    follow: bool = False
    _read_id: int = 0  # the last event that was read
    _seen: set[int] = field(default_factory=set)
    _horizon: int | None = None

    def __post_init__(self) -> None:
        from orderctl import references

        with self.app.reading() as connection:
            self.order_id = references.find(connection, self.order).id
        self.begin = self._read_id = _read_cursor(self.cursor_file)
        if self.follow:
            # Events that exist now belong to history(), all later ones to coming().
            newest = self._page(self.wanted, OVERLAP)
            self._horizon = newest[0].id if newest else self.begin
            self._seen = {event.id for event in newest}

    def history(self, *, lines: int | None, reverse: bool) -> Iterator[list[Event]]:
        """Return the events that exist, oldest first unless reversed, in pages that may be empty.

        Args:
            lines: Return at most this many events, the newest ones.
            reverse: Return the newest events first.
        """
        if lines is None:
            begin, end = self.begin, self._history_end()
            return self._newest_first() if reverse else self._oldest_first(begin, end)
        newest = _at_most(lines, self._newest_first())
        return newest if reverse else self._turned(newest)

    def _turned(self, newest_first: Iterator[list[Event]]) -> Iterator[list[Event]]:
        """Yield events oldest first; if they are more than a page, they are read again, and not kept in memory."""
        kept: list[Event] | None = []
        first, last = 0, 0
        for page in newest_first:
            if page:
                first, last = page[-1].id, max(last, page[0].id)
            fits = kept is not None and len(kept) + len(page) <= _PAGE
            kept = [*kept, *page] if kept is not None and fits else None
        if kept is None:
            yield from self._oldest_first(first - 1, last + 1)
        else:
            yield kept[::-1]

    def coming(self) -> Iterator[Event]:
        """Yield new events as they are written, without end."""
        warned = False
        while True:
            try:
                page = self._page(self._overlapping(), OVERLAP + _PAGE)
                warned = False
            except Unavailable as error:
                page = []
                if not warned:
                    self.app.warn(f"{error}; trying again")
                warned = True
            fresh = [event for event in page if event.id not in self._seen]
            yield from self._matching(fresh)
            self._seen = {known for known in self._seen if known > self._read_id - OVERLAP}
            time.sleep(_POLL_SECONDS)

    def leave_cursor(self, shown_id: int | None = None) -> None:
        """Write the id of the last event shown into the cursor file; by default that of the last one read."""
        if self.cursor_file is not None:
            write_cursor(self.cursor_file, str(self._read_id if shown_id is None else shown_id))

    def _oldest_first(self, after: int, before: int | None) -> Iterator[list[Event]]:
        while page := self._page(replace(self.wanted, after_id=after, before_id=before, oldest_first=True)):
            yield self._matching(page)
            after = page[-1].id

    def _newest_first(self) -> Iterator[list[Event]]:
        before = self._history_end()
        while page := self._page(replace(self.wanted, before_id=before, after_id=self.begin)):
            yield self._matching(page)
            before = page[-1].id

    def _history_end(self) -> int | None:
        return None if self._horizon is None else self._horizon + 1

    def _overlapping(self) -> Search:
        since = max(self.begin, self._read_id - OVERLAP, (self._horizon or 0) - OVERLAP)
        return replace(self.wanted, after_id=since, oldest_first=True)

    def _page(self, search: Search, limit: int | None = None) -> list[Event]:
        from orderctl import audit

        with self.app.reading() as connection:
            found = audit.search(connection, self.order_id, search, limit=limit or _PAGE)
        self._read_id = max([self._read_id, *(event.id for event in found)])
        return found

    def _matching(self, events: list[Event]) -> list[Event]:
        if self._horizon is not None:  # only these are read again
            self._seen.update(event.id for event in events if event.id > self._horizon - OVERLAP)
        return [event for event in events if self._matches(event)]

    def _matches(self, event: Event) -> bool:
        grep = self.grep
        return grep is None or bool(grep.search(event.message) or grep.search(event.event_type))


def _at_most(lines: int, pages: Iterator[list[Event]]) -> Iterator[list[Event]]:
    for page in pages:
        yield page[:lines]
        lines -= len(page)
        if lines <= 0:
            return


def show(reader: LogReader, *, lines: int | None, reverse: bool) -> None:
    """Show the events in the format of ``-o``.

    Raises:
        InvalidInput: When new events are followed in a format that is printed only at the end.
    """
    history = reader.history(lines=lines, reverse=reverse)
    if not reader.follow:
        reader.app.render_pages(history, nothing=nothing.of("events"))
        reader.leave_cursor()
        return
    form = reader.app.format
    events = _noting(reader, itertools.chain(itertools.chain.from_iterable(history), reader.coming()))
    if form in {Format.JSON, Format.MARKDOWN}:
        raise InvalidInput(
            f"--follow does not end, and -o {form} prints only at the end", hint="use -o jsonl"
        )
    if form in {Format.TABLE, Format.WIDE}:
        for event in events:
            reader.app.write(_line(reader.app, event))
    else:
        reader.app.render(events)


def _noting(reader: LogReader, events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events; note each in the cursor file when the caller, having shown it, asks for the next."""
    shown_id = reader.begin
    for event in events:
        yield event
        shown_id = max(shown_id, event.id)
        reader.leave_cursor(shown_id)


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


def check_cursor(file: Path) -> None:
    """Refuse a cursor file that is something else, such as /dev/null: it would be replaced by a file.

    Raises:
        InvalidInput: It exists, and is not a file; or it cannot be replaced: each run would show the same again.
    """
    if file.exists() and not file.is_file():
        raise InvalidInput(f"--cursor-file {file} is not a regular file")
    if not file.parent.is_dir():
        raise InvalidInput(f"the folder of --cursor-file {file} does not exist")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise InvalidInput(f"cannot write to the folder of --cursor-file {file}")


def _read_cursor(file: Path | None) -> int:
    if file is None:
        return 0
    check_cursor(file)
    if not file.exists():
        return 0
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_ID):
        raise InvalidInput(
            f"{file} does not contain the id of an event", hint="remove it to begin with the first event"
        )
    return int(text)


def write_cursor(file: Path, text: str) -> None:
    """Replace the content of a cursor file."""
    # Written beside the file, then renamed: a crash leaves the old content or the new one.
    fresh = file.with_name(f"{file.name}.new")
    # Ctrl-C is delayed: an event that was shown is noted, and no file is left open or half written.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        fresh.write_text(f"{text}\n", encoding="utf-8")
        fresh.replace(file)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
