"""``orderctl embedded``: show and stop the embedded Redis."""

from __future__ import annotations

from typing import Final

import click

from orderctl.cli import locks, options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.errors import ExitStatus
from orderctl.terminal.render import Column

STATUS: Final = (Column("running"), Column("answers"), Column("pid"), Column("folder"), Column("socket"))


@click.group(cls=Group)
def cli() -> None:
    """Show whether the embedded Redis runs, and stop it.

    The embedded Redis is used when the setting redis.url is not set.

    Example:
        orderctl embedded status
        orderctl embedded stop
    """


@cli.command()
@options.output(STATUS)
@pass_app
def status(app: App) -> ExitStatus:
    """Show whether the embedded Redis runs; exit 1 when it does not.

    Example:
        orderctl embedded status
        orderctl embedded status -o json
    """
    from orderctl import embedded

    found = embedded.status(app.settings.state_dir)
    app.render_one(found)
    return ExitStatus.DONE if found.answers else ExitStatus.FAILED


@cli.command()
@locks.lock
@pass_app
def stop(app: App) -> None:
    """Stop the embedded Redis; the next command that needs it starts it again, with its data.

    Example:
        orderctl embedded stop
        orderctl embedded stop --quiet
    """
    from orderctl import embedded

    stopped = embedded.stop(app.settings.state_dir)
    app.say("The embedded Redis has stopped." if stopped else "The embedded Redis was not running.")
