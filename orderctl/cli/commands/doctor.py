"""``orderctl doctor``: check the installation, with measured values and what repairs each fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

import click

from orderctl.cli import check_lines, options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.doctor.checks import Area, Check
from orderctl.errors import ExitStatus, OrderctlError
from orderctl.terminal.render import Column, Format, Where
from orderctl.terminal.table import STAYS

CHECKS: Final = (
    Column("area", keep=True),
    Column("name", "CHECK", keep=True),
    Column("verdict", keep=True, style=check_lines.style),
    Column("text", "FOUND", priority=STAYS),
    Column("repair", where=Where.WIDE),
    Column("explanation", where=Where.WIDE),
    Column("value", where=Where.WIDE, right=True),
    Column("unit", where=Where.WIDE),
)


@click.command(cls=Command)
@click.option(
    "--only",
    type=options.ClosedWords(tuple(Area)),
    default=tuple(Area),
    help="Make only the checks of these areas.",
)
@click.option(
    "--listen",
    type=options.Span("0.1s", "10m"),
    default="2s",
    show_default=True,
    help="How long to listen to the channels, for misnamed ones and for floods of progress.",
)
@options.output(CHECKS)
@pass_app
def cli(app: App, only: tuple[str, ...], listen: timedelta) -> ExitStatus:
    """Check the installation: what is wrong, and what repairs it.

    Each check says what it has measured, and for a fault or a warning what repairs it: a command, an SQL statement or
    a setting that can be pasted. It changes nothing and starts no server, and an account that may only read suffices.
    What cannot be looked at is skipped, with the right that is missing. With --quiet only faults and warnings are
    shown.

    It exits 0 when there is no fault (there may be warnings), 1 when there is one, 69 when the database or Redis does
    not answer, and 78 when a setting is wrong or the database is not migrated.

    Example:
        orderctl doctor
        orderctl doctor --only database,audit
        orderctl doctor --only channels --listen 30s
        orderctl doctor --quiet     # from cron
        orderctl doctor -o json
    """
    counts = check_lines.Counts()
    areas = [Area(name) for name in only]
    made = counts.of(_checks(app, areas, listen.total_seconds()))
    shown = check_lines.unwell(made) if app.quiet else made
    if app.format is Format.TABLE and not app.output.fields:
        for text in check_lines.lines(shown, app.view):
            app.write(text)
        app.say(counts.summary)
    else:
        app.render(shown)
    return counts.status


def _checks(app: App, areas: Iterable[Area], listen: float) -> Iterator[Check]:
    from orderctl import setting_sources
    from orderctl.cli import collector
    from orderctl.doctor import examination, surroundings
    from orderctl.doctor.ahead import Peers

    collector.resume()
    try:
        settings = app.settings
    except OrderctlError as error:
        yield from examination.without_settings(error, list(areas))
        return
    begun = examination.begin(Peers(settings, listen=listen), list(areas))
    with surroundings.opened(settings, setting_sources.files(app.config)) as around:
        yield from examination.run(around, list(areas), begun=begun)
