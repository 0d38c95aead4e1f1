"""Waits for an operation's end and shows how far it is; to end that leaves the operation running."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orderctl import clock, texts
from orderctl.cli import operation_lines, outlook
from orderctl.errors import ExitStatus, OrderctlError, TimedOut, Unavailable
from orderctl.operations.records import CHANGING, OVER, Operation, State

if TYPE_CHECKING:
    from orderctl.cli.app import App

_ASK_SECONDS: Final = 0.5
#: An operation that gets no further for this time may have no supervisor, in seconds.
_STILL_SECONDS: Final = 5.0
_CLEAR: Final = "\r\x1b[K"


def follow(app: App, name: str, timeout: timedelta | None = None) -> ExitStatus:
    """Wait until an operation has ended: one that is stopped, too, has ended when all that it has retried has.

    Args:
        app: The application.
        name: The operation.
        timeout: How long to wait; None: as long as it takes.

    Returns:
        FAILED if it was stopped, or if tasks failed again or could not be changed.

    Raises:
        OperationNotFound: There is none of this name.
        TimedOut: The time is over.
    """
    line = _Line(app)
    try:
        operation = _wait(app, name, line, timeout)
    except KeyboardInterrupt:
        line.clear()
        app.warn(f"operation {name} goes on: {operation_lines.show(name)}")
        if line.can_stop:
            app.warn(f"hint: orderctl ops stop {texts.arguments(name)}")
        raise
    finally:
        line.clear()
    return ended(app, operation)


def ended(app: App, operation: Operation) -> ExitStatus:
    """Say how an operation has ended, and return the exit code."""
    app.say(operation_lines.progress(operation))
    if operation.why:
        app.warn(f"operation {operation.name} was stopped: {operation.why}")
    good = operation.state == State.FINISHED and not (operation.failed or operation.refused)
    if not good:
        app.say(f"next: {operation_lines.show(operation.name)}")
    return ExitStatus.DONE if good else ExitStatus.FAILED


def _wait(app: App, name: str, line: _Line, timeout: timedelta | None) -> Operation:
    deadline = None if timeout is None else clock.elapsed() + timeout.total_seconds()
    operation = _ask(app, name)
    while operation.state not in OVER:
        line.show(operation)
        if deadline is not None and clock.elapsed() >= deadline:
            raise TimedOut(
                f"timed out: {operation_lines.progress(operation)}", hint=operation_lines.show(name)
            )
        time.sleep(_ASK_SECONDS)
        try:
            operation = _ask(app, name)
        except Unavailable as error:  # it may come back
            line.note(str(error))
    return operation


def _ask(app: App, name: str) -> Operation:
    from orderctl.operations import reading

    with app.reading() as connection:
        return reading.find(connection, name)


class _Line:
    """On a terminal one line that is written over; else a line for each state."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._live = app.err.isatty() and app.ambient.terminal != "dumb" and not app.quiet
        self._shown = False
        self._said: set[str] = set()
        self._numbers: object = None
        self._since = clock.elapsed()
        self.can_stop = False

    def show(self, operation: Operation) -> None:
        """Show how far the operation is, and what keeps it from going on."""
        self.can_stop = operation.state in (State.PREPARING, *CHANGING)
        if operation.orphaned:
            self.note(operation_lines.orphan(operation))
        numbers = (operation.state, operation.changed, operation.completed, operation.failed)
        if numbers != self._numbers:
            self._numbers, self._since = numbers, clock.elapsed()
        elif clock.elapsed() - self._since > _STILL_SECONDS:
            self._since = clock.elapsed()
            self._look()
        if self._live:
            self._draw(operation_lines.progress(operation))
        elif operation.state not in self._said:
            self._said.add(operation.state)
            self._app.say(operation_lines.progress(operation))

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self._said:
            self._said.add(text)
            self.clear()
            self._app.say(text)

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            self._app.err.write(_CLEAR)
            self._app.err.flush()
            self._shown = False

    def _draw(self, text: str) -> None:
        import shutil

        from orderctl.terminal import sanitise
        from orderctl.terminal.widths import cut

        width = shutil.get_terminal_size().columns
        self._app.err.write(_CLEAR + cut(sanitise.line(text), max(width - 1, 1)))
        self._app.err.flush()
        self._shown = True

    def _look(self) -> None:
        try:
            text = obstacle(self._app)
        except OrderctlError:
            return
        if text is not None:
            self.note(text)


def obstacle(app: App) -> str | None:
    """Return why no supervisor carries operations out, with the command that helps; None: one does."""
    why = outlook.of_queue(app).reason
    return None if why is None else outlook.line(why)
