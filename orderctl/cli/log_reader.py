"""Reads events of the audit log: those of an order page by page, and the newest ones of all orders."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from orderctl.cli import log_cursor, log_follow
from orderctl.counting import counted

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from orderctl.audit import Event, Search
    from orderctl.audit_search import Walk
    from orderctl.cli.app import App

_PAGE: Final = 500
#: Where several events are one row, each step reads this many times as many as the one before.
_GROWTH: Final = 4

Chosen = Callable[[Sequence["Event"]], Sequence["Event"]]


@dataclass
class OfOrder:
    """The events of an order.

    Attributes:
        app: Has the database.
        order_id: The order.
        wanted: Which of its events.
        matching: Returns those of some events that are shown.
    """

    app: App
    order_id: int
    wanted: Search
    matching: Chosen = list

    def pages(
        self, *, lines: int | None = None, reverse: bool = False, before: int | None = None
    ) -> Iterator[Sequence[Event]]:
        """Yield pages of events, oldest first unless reversed; they may be empty.

        Args:
            lines: At most this many events, the newest ones.
            reverse: The newest events first.
            before: Only events with a lower id.
        """
        if lines is None:
            return self._newest_first(before) if reverse else self._oldest_first(0, before)
        newest = _at_most(lines, self._newest_first(before))
        return newest if reverse else self._turned(newest)

    def _turned(self, newest_first: Iterator[Sequence[Event]]) -> Iterator[Sequence[Event]]:
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

    def _oldest_first(self, after: int, before: int | None) -> Iterator[Sequence[Event]]:
        while page := self._page(replace(self.wanted, after_id=after, before_id=before, oldest_first=True)):
            yield self.matching(page)
            after = page[-1].id

    def _newest_first(self, before: int | None) -> Iterator[Sequence[Event]]:
        while page := self._page(replace(self.wanted, before_id=before)):
            yield self.matching(page)
            before = page[-1].id

    def _page(self, search: Search) -> list[Event]:
        from orderctl import audit

        with self.app.reading() as connection:
            return audit.search(connection, self.order_id, search, limit=_PAGE)


def _at_most(lines: int, pages: Iterator[Sequence[Event]]) -> Iterator[Sequence[Event]]:
    for page in pages:
        yield page[:lines]
        lines -= len(page)
        if lines <= 0:
            return


@dataclass
class OfAll:
    """The newest events of all orders.

    Attributes:
        app: Has the database.
        walk: The search.
        lines: The largest number of rows.
        limit: How long is looked for events that no index finds.
        merged: Returns the rows of events, both newest first.
        below: Only events with a lower id; None: all.
    """

    app: App
    walk: Walk
    lines: int
    limit: timedelta
    merged: Chosen = list
    below: int | None = None

    def rows(self) -> list[Event]:
        """Return the rows, newest first."""
        self.walk.until = time.monotonic() + self.limit.total_seconds()
        found: list[Event] = []
        rows: Sequence[Event] = []
        size = self.lines + 1
        while not self.walk.ended and len(rows) < self.lines + (self.merged is not list):
            with self.app.reading() as connection:
                step = self.walk.step(connection, size)
            found += [event for event in step if self.below is None or event.id < self.below]
            rows = self.merged(found)
            size = min(_PAGE, _GROWTH * size) if self.merged is not list else self.lines - len(rows) + 1
            if self.walk.stuck is not None or time.monotonic() >= self.walk.until:
                break
        return self._first(found, rows)

    def before(self, event_id: int) -> Iterator[Sequence[Event]]:
        """Yield a page of the rows, oldest first, without events that have this id or a higher one."""
        self.below = event_id
        rows = self.rows()
        yield rows[::-1]
        if len(rows) < self.lines:
            self._say_cut()

    def _say_cut(self) -> None:
        walk = self.walk
        if walk.stuck is not None:
            self.app.warn(
                f"earlier events are not shown: on event {walk.stuck} the regular expression takes too long"
            )
        elif not walk.ended and walk.after is not None:
            self.app.warn(  # even with -q: no later run with this cursor file shows them
                f"earlier events are not shown: looked at {walk.looked:,} events{self._place()}; look longer with"
                " --time-limit 1m"
            )

    def _first(self, found: Sequence[Event], rows: Sequence[Event]) -> list[Event]:
        """Return the rows of one page. The next one begins with the event of its first row, so that no row is lost."""
        if len(rows) > self.lines:
            place = [event.id for event in found].index(rows[self.lines].id)
            # A page that is full says nothing about an event that is stuck behind it.
            self.walk.after, self.walk.ended, self.walk.stuck = found[place - 1].id, False, None
        return list(rows[: self.lines])

    def say_next(self, shown: int) -> None:
        """Say how to go on, if there is more."""
        walk = self.walk
        if walk.stuck is not None:
            self.app.warn(
                f"stopped at event {walk.stuck}, on which the regular expression takes too long"
                + ("" if walk.ended else f"; go on behind it with --after {walk.after}")
            )
            return
        if walk.ended or walk.after is None:
            return
        if shown >= self.lines:
            self.app.say(f"next page: --after {walk.after}")
            return
        self.app.warn(  # even with -q: there may be more
            f"looked at {walk.looked:,} events{self._place()}; go on with --after {walk.after}, or look longer with"
            " --time-limit 1m"
        )

    def _place(self) -> str:
        from orderctl import audit_search
        from orderctl.terminal import render

        with self.app.reading() as connection:
            moment = audit_search.time_of(connection, self.walk.after)
        return "" if moment is None else f" down to {render.moment(moment, self.app.view)}"


@dataclass
class Showing:
    """Shows events that are new, with ``--follow`` or ``--cursor-file``.

    Attributes:
        app: Has the database and the terminal.
        wanted: Which events, for those that are new.
        chosen: Returns the rows of some new events, which it gets in the order of their ids.
        history: Yields pages of rows from before, oldest first, with ids below the one that it gets.
        lines: The largest number of rows that are new at the begin; None: all.
        nothing: What is said if there are none.
        thing: What a row is.
        overlap: See :meth:`orderctl.cli.log_cursor.CursorFile.read`.
    """

    app: App
    wanted: Search
    chosen: Chosen
    history: Callable[[int], Iterable[Sequence[Event]]]
    lines: int | None = None
    nothing: str | None = None
    thing: str = "event"
    overlap: bool = False

    def show(self, path: Path | None, *, follow: bool) -> None:
        """Show what no run with this cursor file has shown; at the first run, and without a file, the history.

        Args:
            path: ``--cursor-file``.
            follow: Also show what comes, without end.
        """
        if follow:
            log_follow.require_endless(self.app.format)
        with nullcontext() if path is None else log_cursor.opened(self.app, path) as file:
            follower, pages = self._begin(file, follow=follow)
            if follow:
                log_follow.show(follower, (event for page in pages for event in page))
                return
            self.app.render_pages(pages, nothing=self.nothing)
            follower.note()

    def _begin(
        self, file: log_cursor.CursorFile | None, *, follow: bool
    ) -> tuple[log_follow.Follower, Iterable[Sequence[Event]]]:
        from orderctl import audit_frontier

        known = None if file is None else file.read(self.app, overlap=self.overlap)
        if known is not None:
            follower = log_follow.Follower(self.app, self.wanted, known, self.chosen, file)
            return follower, () if follow and self.lines is None else self._newest(follower.rest())
        with self.app.reading() as connection:
            first = audit_frontier.begin(connection)
        follower = log_follow.Follower(self.app, self.wanted, first, self.chosen, file)
        return follower, self._noted(follower)

    def _noted(self, follower: log_follow.Follower) -> Iterator[Sequence[Event]]:
        """Yield the history. What was committed since the begin with a low id is not new any more when it was shown."""
        for page in self.history(follower.frontier.read_to + 1):
            follower.frontier = follower.frontier.without(ids_of(page))
            yield page

    def _newest(self, pages: Iterator[Sequence[Event]]) -> Iterator[Sequence[Event]]:
        if self.lines is None:
            yield from pages
            return
        newest: deque[Event] = deque(maxlen=self.lines)
        count = 0
        for page in pages:
            newest.extend(page)
            count += len(page)
        yield list(newest)
        if count > len(newest):
            self.app.warn(  # even with -q: they are noted as shown, and no later run shows them
                f"{counted(count - len(newest), f'earlier {self.thing}')} not shown: more than --lines {self.lines}."
            )


def ids_of(rows: Iterable[Any]) -> list[int]:
    """Return the ids of the events in some rows, lowest first."""
    return sorted(one for row in rows for one in getattr(row, "event_ids", (row.id,)))
