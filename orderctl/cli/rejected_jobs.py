"""``orderctl worker rejected``: the jobs of other programs that stood in the queue of orderctl's workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import click

from orderctl.cli import bell, locks, options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.counting import counted
from orderctl.errors import InvalidInput
from orderctl.terminal.render import Column, Where
from orderctl.terminal.table import UUID


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


COLUMNS: Final = (
    Column("job_id", keep=True, least=UUID),
    Column("queue"),
    Column("function"),
    Column("reason"),
    Column("at", "REJECTED", get=lambda job: _moment(job.at)),
    Column("origin", where=Where.WIDE),
    Column("format", where=Where.WIDE),
)
DETAILS: Final = (
    *(Column(column.name, column.header, column.get) for column in COLUMNS),
    Column("status"),
    Column("created_at"),
    Column("enqueued_at"),
    Column("timeout"),
    Column("ttl", "EXPIRES IN", show=lambda seconds: f"{seconds} s"),
    Column("data_bytes", "SIZE OF THE CALL", show=lambda size: f"{size} bytes"),
    Column(
        "extras",
        "CALLBACKS AND THE LIKE",
        show=lambda extras: ", ".join(f"{name}: {value}" for name, value in extras.items()) or "-",
    ),
)
_NONE: Final = "No jobs were rejected, or they are gone."
REQUEUED: Final = (Column("job_id", keep=True, least=UUID), Column("queue"))


@click.group("rejected", cls=Group)
def cli() -> None:
    """List, show, requeue, dismiss and drop jobs that are not orderctl's.

    The workers run only orderctl's own jobs. Another program's job in their queue is kept as it is; only its id leaves
    the queue.

    Example:
        orderctl worker rejected list
        orderctl worker rejected requeue 5d3c2e --to default
    """


@cli.command("list")
@click.option(
    "-L",
    "--limit",
    type=options.WholeNumber(1, options.MOST_ROWS),
    default=options.DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="At most N jobs, the newest.",
)
@options.output(COLUMNS)
@pass_app
def list_(app: App, limit: int) -> None:
    """List the rejected jobs that still exist, the newest first.

    A job that its program has queued again, cancelled or run since is not listed.

    Example:
        orderctl worker rejected list
        orderctl worker rejected list -L 1000 -o json
    """
    show_newest(app, limit)


def show_newest(app: App, limit: int) -> None:
    """Show the newest rejected jobs."""
    from orderctl.worker import rejected

    found = rejected.find_newest(app.running_redis, limit + 1)
    app.render(found[:limit], COLUMNS, nothing=_NONE)
    if len(found) > limit:
        app.say(f"There are more than {limit}: use --limit.")


@cli.command()
@click.argument("job_id", metavar="ID")
@options.output(DETAILS)
@pass_app
def show(app: App, job_id: str) -> None:
    """Show what a rejected job calls and where it comes from.

    Its arguments, description and result are not shown, because they may contain secrets.

    Example:
        orderctl worker rejected show 5d3c2e
        orderctl worker rejected show 5d3c2e -o json
    """
    from orderctl.worker import rejected

    app.render_one(rejected.find(app.running_redis, job_id))


@cli.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--to", metavar="QUEUE", help="RQ queue; by default the one that the job was made for.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@options.output(REQUEUED)
@locks.lock
@pass_app
def requeue(app: App, job_ids: tuple[str, ...], to: str | None, dry_run: bool) -> None:
    """Put rejected jobs into the queue that they were made for, or into another one.

    Example:
        orderctl worker rejected requeue 5d3c2e
        orderctl worker rejected requeue 5d3c2e 77aa01 --to default
    """
    from orderctl.worker import rejected

    if to is not None and (to != to.strip() or not to or not to.isprintable()):
        raise InvalidInput("--to needs the name of a queue, without control characters or spaces around it")
    own = app.settings.worker.queue
    with bell.naming_rights(app):
        queues = rejected.requeue(app.redis, job_ids, own_queue=own, to=to, dry_run=dry_run)
    rows: list[dict[str, Any]] = [{"job_id": job_id, "queue": queue} for job_id, queue in queues.items()]
    app.render(rows)
    if dry_run:
        app.say(f"Would put {counted(len(rows), 'job')} into these queues; nothing was changed.")


@cli.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All rejected jobs.")
@options.consent
@locks.lock
@pass_app
def drop(app: App, job_ids: tuple[str, ...], everything: bool, consent: options.Consent) -> None:
    """Delete rejected jobs for good; they are another program's.

    Write -- before an id that begins with a hyphen.

    Example:
        orderctl worker rejected drop 5d3c2e --yes
        orderctl worker rejected drop --all --dry-run
    """
    from orderctl.worker import rejected

    named = _named(job_ids, everything=everything)
    _remove(app, partial(rejected.drop, app.redis, named), "delete", "Delete {} of other programs?", consent)


@cli.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All rejected jobs.")
@options.consent
@locks.lock
@pass_app
def dismiss(app: App, job_ids: tuple[str, ...], everything: bool, consent: options.Consent) -> None:
    """Take rejected jobs off the list, and leave the jobs as they are; they are in no queue any more.

    Write -- before an id that begins with a hyphen.

    Example:
        orderctl worker rejected dismiss 5d3c2e
        orderctl worker rejected dismiss --all --yes
    """
    from orderctl.worker import rejected

    named = _named(job_ids, everything=everything)
    _remove(
        app, partial(rejected.dismiss, app.redis, named), "dismiss", "Dismiss {}?", consent, asks=everything
    )


def _named(job_ids: tuple[str, ...], *, everything: bool) -> tuple[str, ...] | None:
    """Return the ids that are named; None means all rejected jobs."""
    if bool(job_ids) == everything:
        raise InvalidInput("give the ids of jobs, or --all", hint="orderctl worker rejected list")
    return None if everything else job_ids


def _remove(
    app: App,
    remove: Callable[..., int],
    verb: str,
    question: str,
    consent: options.Consent,
    *,
    asks: bool = True,
) -> None:
    """Count the jobs, ask, remove them, and say how many there were.

    Args:
        app: The application.
        remove: Removes the jobs, or counts them with ``dry_run=True``; returns their number.
        verb: What is done.
        question: The question, with ``{}`` for the number of jobs.
        consent: Whether it may be done.
        asks: Whether it needs a confirmation.
    """
    number = remove(dry_run=True)
    found = counted(number, "job")
    if consent.dry_run:
        app.say(f"Would {verb} {found}; nothing was changed.")
        return
    if not number:
        app.say(_NONE)
        return
    consent.ask(app, question.format(found), needed=asks)
    with bell.naming_rights(app):
        removed = remove()
    app.say(f"{verb.capitalize().removesuffix('e')}ed {counted(removed, 'job')}.")
