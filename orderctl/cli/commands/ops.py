"""``orderctl ops``: list, show, follow and stop operations."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from orderctl.cli import locks, nothing, operation_lines, options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.cli.operation_lines import DETAIL, OPERATIONS
from orderctl.errors import ExitStatus
from orderctl.operations.records import ACTIVE, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from orderctl.operations.records import Operation

_LAST: int = 10


@click.group(cls=Group)
def cli() -> None:
    """List, show, follow and stop operations: bulk changes that supervisors carry out.

    'orderctl tasks retry' and 'orderctl tasks cancel' make them: of more than 200 tasks, or with --name, --rate,
    --canary, --max-failures or --wait.

    Example:
        orderctl tasks retry --failed --error-type NETWORK --canary 3 --rate 50/m
        orderctl ops list
        orderctl ops stop retry-20260131-1
    """


@cli.command("list")
@click.option(
    "--state", type=options.ClosedWords(tuple(State)), help="Only operations in one of these states."
)
@options.paging
@watch.option
@options.output(OPERATIONS)
@pass_app
def list_(app: App, *, state: tuple[str, ...] | None, page: options.Paging, watching: watch.Watching) -> None:
    """List operations, newest first.

    DONE counts the tasks that were retried or cancelled. COMPLETED and FAILED say what has become of those that were
    retried.

    An operation is preparing (its tasks are being written), canary (the first tasks go), running, settling (all were
    retried, some have not ended), finished, stopping (stopped, some have not ended) or stopped.

    Example:
        orderctl ops list
        orderctl ops list --state running,canary --watch
        orderctl ops list -o json
    """
    from orderctl.cli.pages import Pages

    pages = Pages(app, page, lambda _: state, _read)
    if watching.watch:
        watch.watch_pages(app, watching, pages, page, "operations")
    app.render_pages(pages, nothing=nothing.of("operations"))
    pages.say_next()


def _read(
    connection: Connection, states: Sequence[str] | None, limit: int, after: str | None
) -> tuple[list[Operation], str | None]:
    from orderctl.operations import reading

    found = reading.page(connection, states, limit=limit, after=after)
    return found.operations, found.cursor


@cli.command()
@click.argument("name", metavar="NAME")
@options.output(DETAIL)
@pass_app
def show(app: App, name: str) -> None:
    """Show how far an operation is, why it was stopped, what failed again or was refused, and its last tasks.

    Tasks that failed again or were refused stand before all others.

    Example:
        orderctl ops show retry-20260131-1
        orderctl ops show retry-20260131-1 -o json
    """
    from orderctl.operations import reading

    with app.reading() as connection:
        operation = reading.find(connection, name)
        failures = reading.failures(connection, operation.id)
        refusals = reading.refusals(connection, operation.id)
        items = reading.last_items(connection, operation.id, limit=_LAST)
    detail = operation_lines.Detail(operation, failures, refusals, items)
    app.render_one(detail, human=lambda view: operation_lines.draw(detail, view))
    if operation.orphaned:
        app.say(operation_lines.orphan(operation))
    elif operation.state in ACTIVE and operation.state != State.PREPARING:  # else its command is at it
        _say_obstacle(app)


def _say_obstacle(app: App) -> None:
    from contextlib import suppress

    from orderctl.cli import operation_following
    from orderctl.errors import OrderctlError

    with suppress(OrderctlError):
        if (why := operation_following.obstacle(app)) is not None:
            app.say(why)


@cli.command()
@click.argument("name", metavar="NAME")
@click.option("--timeout", type=options.SPAN, metavar="TIME", help="Give up after this time (exit code 124).")
@pass_app
def wait(app: App, name: str, *, timeout: timedelta | None) -> ExitStatus:
    """Wait until an operation has ended, and show how far it is. Ctrl-C leaves it running.

    It exits 0 when all its tasks were changed and those that were retried have completed or were cancelled, and 1 when
    it was stopped, or when tasks failed again or could not be changed. One that is stopped has ended when all tasks that
    it has retried have ended, too.

    Example:
        orderctl ops wait retry-20260131-1
        orderctl ops wait retry-20260131-1 --timeout 2h
    """
    from orderctl.cli import operation_following

    return operation_following.follow(app, name, timeout)


@cli.command()
@click.argument("name", metavar="NAME")
@click.option("--reason", metavar="TEXT", help="Why; 'orderctl ops show' tells it.")
@locks.lock
@pass_app
def stop(app: App, name: str, *, reason: str | None) -> None:
    """Stop an operation: what is done stays, and nothing more is changed. It does not go on again.

    Tasks that were retried and have not ended go on: until their end it is stopping, and then stopped. One that is still
    preparing can be stopped, too: the command that makes it gives up.

    Example:
        orderctl ops stop retry-20260131-1
        orderctl ops stop retry-20260131-1 --reason 'the CDN is away again'
    """
    from orderctl.operations import stopping

    reason = reason.strip() or None if reason else None
    now = app.transact(lambda c: stopping.stop(c, name, actor=app.actor, reason=reason))
    app.say(operation_lines.progress(now))
