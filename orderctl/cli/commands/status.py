"""``orderctl status``: the whole installation on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import click

from orderctl.cli import options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.errors import ExitStatus
from orderctl.terminal.render import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderctl.health.causes import Trouble
    from orderctl.health.overview import Overview

PARTS: Final = tuple(
    Column(name, keep=name == "state")
    for name in (
        "state", "causes", "database", "redis", "relays", "workers", "queue", "orders", "tasks", "failures", "outbox",
        "payments", "operations", "at_least",
    )
)  # fmt: skip
_STATES: Final = {
    ExitStatus.DONE: "well",
    ExitStatus.FAILED: "degraded",
    ExitStatus.UNAVAILABLE: "down",
    ExitStatus.CONFIGURATION: "misconfigured",
}


class _Seen(NamedTuple):
    overview: Overview
    causes: Sequence[Trouble]
    status: ExitStatus


@click.command(cls=Command)
@options.output(PARTS)
@watch.option
@pass_app
def cli(app: App, watching: watch.Watching) -> ExitStatus:
    """Show whether all is well, on one screen.

    It looks at both stores, the workers, the queue, the relays, the outbox, the payments and the operations. It
    exits 0 when all is well. It exits 1 when something is not: tasks wait and no worker takes them, or the oldest
    has waited for an hour; the queue is paused; 10 tasks have failed in the last hour; messages were given up, or
    are due for 5 minutes; payments wait for a decision; a store is read-only. It exits 69 when a store is down, and
    78 when a setting is wrong or the database is not migrated. Each cause is shown with a command.

    With --quiet nothing is printed but the causes, on stderr, so that cron mails only then. Numbers such as 24+ are
    lower bounds.

    Example:
        orderctl status
        orderctl status --quiet    # from cron
        orderctl status -o json
    """
    from orderctl.cli import status_lines

    def draw() -> watch.Picture:
        overview, causes, _ = _look(app)
        return watch.Picture(status_lines.screen(overview, causes, app.view))

    if watching.watch:
        watch.watch(app, watching, draw)
    overview, causes, status = _look(app)
    if app.quiet:
        for cause in causes:
            app.warn(cause.line)
        return status
    app.render_one(
        status_lines.record(overview, causes, _STATES[status]),
        lambda view: status_lines.screen(overview, causes, view),
    )
    return status


def _look(app: App) -> _Seen:
    from orderctl.cli import collector, log_lines
    from orderctl.health import causes, overview

    collector.resume()
    log_lines.mask_warnings()
    seen = overview.look(app.settings)
    found = causes.find(seen)
    return _Seen(seen, found, causes.exit_status(seen, found))
