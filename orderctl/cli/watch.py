"""Refreshes a table until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from orderctl.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from orderctl.cli.app import App


def watch(app: App, draw: Callable[[], str], *, seconds: float) -> None:
    """Show the text that ``draw`` returns, again and again; while a store does not answer, also the error.

    Raises:
        InvalidInput: When the output is not a terminal.
    """
    if not app.out.isatty():
        raise InvalidInput("--watch needs a terminal", hint="without --watch, the table is printed once")
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=app.out, no_color=not app.colored(app.out), highlight=False)
    shown = draw()
    with Live(Text.from_ansi(shown), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(seconds)
            note = ""
            try:
                shown = draw()
            except Unavailable as error:
                note = f"\n{error}"
            live.update(Text.from_ansi(shown + note), refresh=True)
