"""``orderctl migrate``: create the tables, or adopt those of a shop."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import click

from orderctl.cli import locks, options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.errors import ExitStatus
from orderctl.terminal.render import Column

REVISIONS: Final = (
    Column("id", "REVISION", keep=True),
    Column("about", "WHAT IT ADDS", priority=6),
    Column("is_applied", "APPLIED", show=lambda applied: "yes" if applied else "pending", keep=True),
    Column("applied_at", "WHEN"),
    Column("applied_by", "BY"),
    Column("version"),
)
KNOWN: Final = (Column("id", "REVISION", keep=True), Column("about", "WHAT IT ADDS"))


@click.group(cls=Group)
def cli() -> None:
    """Create the tables, or adopt a shop's existing ones.

    Migrations only add: they remove nothing and rewrite no row. They are safe on a database in use, and safe
    to run again.

    Example:
        orderctl migrate up
        orderctl migrate status
    """


@cli.command()
@click.option(
    "--lock-timeout",
    type=options.Span(longest="1d"),  # SQLite's own limit, 2^31 ms, would become 0
    default="10s",
    show_default=True,
    metavar="TIME",
    help="How long to wait for another migration, and for other transactions.",
)
@locks.lock
@pass_app
def up(app: App, lock_timeout: timedelta) -> None:
    """Bring the database to the newest revision.

    Missing parts of older revisions are added again. Without the right to create views or procedures, these
    are left out with a warning. Without an essential right, nothing is changed.

    Example:
        orderctl migrate up
        orderctl migrate up --lock-timeout 1m
    """
    from orderctl import migrate

    report = migrate.up(
        app.engine,
        lock_timeout=lock_timeout.total_seconds(),
        actor=app.actor,
        on_step=lambda step: app.say(f"adding {step.what}"),
    )
    for warning in report.warnings:
        app.warn(f"warning: {warning}")
    nothing_to_do = "; nothing to do" if report.up_to_date else ""
    app.say(f"The database is up to date{nothing_to_do}.")


@cli.command()
@options.output(REVISIONS)
@pass_app
def status(app: App) -> ExitStatus:
    """Show which revisions are applied, and which of their parts are missing.

    It exits 1 when 'orderctl migrate up' has something to do.

    Example:
        orderctl migrate status
        orderctl migrate status -o json
    """
    from orderctl import migrate

    found = migrate.status(app.engine)
    app.render(found.revisions)
    for step in found.drift:
        app.warn(f"missing: {step.what}; orderctl migrate up adds it, or by hand: {step.statements[0]}")
    for step in found.wanting:
        app.warn(f"missing, not essential: {step.what}; orderctl migrate up adds it")
    for text in (*found.obstacles, *found.warnings):
        app.warn(f"warning: {text}")
    return ExitStatus.FAILED if found.pending or found.drift else ExitStatus.DONE


@cli.command()
@options.output(KNOWN)
@pass_app
def history(app: App) -> None:
    """List the revisions that this version knows; needs no database.

    Example:
        orderctl migrate history
        orderctl migrate history -o json
    """
    from orderctl import migrate

    app.render(migrate.history())


@cli.command()
@pass_app
def check(app: App) -> None:
    """Check that the database is up to date; exit 1 and say what is missing when it is not.

    Example:
        orderctl migrate check
        orderctl migrate check --quiet
    """
    from orderctl import migrate

    migrate.check(app.engine)
    app.say("The database is up to date.")


@cli.command()
@pass_app
def sql(app: App) -> None:
    """Print the SQL that 'up' would run on this database; nothing is changed.

    Example:
        orderctl migrate sql > upgrade.sql
        orderctl migrate sql | mysql --user admin shop
    """
    from orderctl import migrate

    app.write(migrate.sql(app.engine))
