"""``orderctl tasks``: list, show, retry and cancel tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from orderctl import texts
from orderctl.cli import bulk, locks, nothing, operation_options, options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import ERROR_GROUPS, EVENTS, TASKS, WAITING
from orderctl.cli.lazy import Group
from orderctl.cli.operation_lines import OPERATIONS
from orderctl.cli.operation_options import Manner
from orderctl.cli.options import Consent, Selection
from orderctl.errors import ExitStatus, InvalidInput
from orderctl.states import UNFINISHED, TaskStatus
from orderctl.terminal.render import Column, Where, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from orderctl.error_groups import ErrorGroup
    from orderctl.lifecycle import Moved
    from orderctl.tasks import Task, TaskFilter

_MOST_EVENTS: Final = 200
_LONGEST_ID: Final = 40

DETAIL: Final = (
    *TASKS,
    WAITING,
    Column("events", get=lambda found: [record(event, EVENTS) for event in found.events], where=Where.DATA),
)


@click.group(cls=Group)
def cli() -> None:
    """List, show, retry and cancel tasks.

    Example:
        orderctl tasks list --failed
        orderctl tasks retry --failed --error-type NETWORK
    """


@cli.command("list")
@click.option("--failed", is_flag=True, help="Only failed tasks.")
@click.option("--status", type=options.TASK_STATUSES, help="Only tasks with one of these statuses.")
@click.option("--order", metavar="ORDER", help="Only tasks of this order (id or code).")
@click.option("--error-type", type=options.ERROR_TYPE, help="Only tasks that failed with this type of error.")
@click.option(
    "--fingerprint", metavar="HEX", help="Only tasks that failed with this error; its first digits suffice."
)
@click.option("--group-by", type=click.Choice(["error"]), help="Count failed tasks by error instead.")
@click.option("--exact", is_flag=True, help="With --group-by: count all failed tasks, which may take long.")
@options.period
@options.paging
@watch.option
@options.output(TASKS, ERROR_GROUPS)
@pass_app
def list_(
    app: App,
    *,
    failed: bool,
    status: tuple[str, ...] | None,
    order: str | None,
    error_type: str | None,
    fingerprint: str | None,
    group_by: str | None,
    exact: bool,
    period: options.Period,
    page: options.Paging,
    watching: watch.Watching,
) -> None:
    """List tasks, newest first. --since and --until are about the last change: when a failed task failed.

    Of more than a thousand failed tasks with one error, --group-by counts a thousand; of more than a hundred with each of
    more than ten errors, a hundred. Of more than a hundred errors it shows those of the newest 200 tasks.

    Example:
        orderctl tasks list --failed --since 2h
        orderctl tasks list --failed --group-by error
        orderctl tasks list --order DH123456 -o json
    """
    from orderctl import fingerprints, statuses, tasks

    if failed and status:
        raise InvalidInput("give --failed or --status, not both")
    if exact and not group_by:
        raise InvalidInput("--exact needs --group-by", hint="orderctl tasks list --group-by error --exact")

    def begin(connection: Connection) -> TaskFilter:
        statuses.require_of_tasks(connection, status or ())
        return tasks.TaskFilter(
            statuses=(TaskStatus.FAILED,) if failed else status,
            order_id=_order_id(connection, order),
            error_type=error_type,
            fingerprint=fingerprints.find(connection, fingerprint),
            since=period.since,
            until=period.until,
        )

    if group_by:
        _list_groups(app, page, begin, watching, exact=exact)
    else:
        _list(app, page, begin, watching)


def _list_groups(
    app: App,
    page: options.Paging,
    begin: Callable[[Connection], TaskFilter],
    watching: watch.Watching,
    *,
    exact: bool,
) -> None:
    from orderctl import tasks

    page.require_at_most(options.MOST_ROWS, "--group-by")
    empty = nothing.of("failed tasks")

    def read() -> list[ErrorGroup]:
        with app.reading() as connection:
            return tasks.group_errors(connection, begin(connection), limit=page.limit, exact=exact)

    if watching.watch:
        watch.watch(app, watching, lambda: watch.picture(app, read(), empty, columns=ERROR_GROUPS))
    found = read()
    app.render(found, ERROR_GROUPS, nothing=empty)
    if any(group.capped for group in found):
        app.say("some numbers are not complete: --exact counts all failed tasks")


def _list(
    app: App,
    page: options.Paging,
    begin: Callable[[Connection], TaskFilter],
    watching: watch.Watching,
) -> None:
    from orderctl import tasks
    from orderctl.cli.live import Live
    from orderctl.cli.pages import Pages

    def read(
        connection: Connection, wanted: TaskFilter, limit: int, after: str | None
    ) -> tuple[list[Task], str | None]:
        before = None if after is None else _task_id(after)
        found = tasks.select_tasks(connection, wanted, limit=limit + 1, before_id=before)
        if len(found) <= limit and (end := tasks.looked_at(connection, wanted, before_id=before)):
            app.say(f"looked at {tasks.LOOKED:,} tasks, newest first; the others: --after {end}")
        return found[:limit], str(found[limit - 1].id) if len(found) > limit else None

    pages = Pages(app, page, begin, read)
    if watching.watch:
        watch.watch_pages(app, watching, pages, page, "tasks", lambda rows: Live(app).tasks(rows))
    app.render_pages(map(Live(app).tasks, pages), nothing=nothing.of("tasks"))
    pages.say_next()


@cli.command()
@click.argument("task_id", metavar="ID", type=options.WholeNumber(1))
@options.output(DETAIL)
@pass_app
def show(app: App, task_id: int) -> None:
    """Show a task with its events, and what it waits for.

    In JSON, 'waiting' has cause, text and hint (a command, or null); it is null when nothing is waited for.

    Example:
        orderctl tasks show 456
        orderctl tasks show 456 -o json
    """
    from orderctl import audit, tasks
    from orderctl.cli import live, order_tree, outlook

    with app.reading() as connection:
        task = tasks.find(connection, task_id)
        search = audit.Search(task_id=task_id)
        events = audit.search(connection, task.order_id, search, limit=_MOST_EVENTS)[::-1]
    reason = outlook.of_tasks(app, [task]).get(task_id)
    [shown] = live.tasks(app, [task])
    found = order_tree.TaskWithEvents(shown, events, reason)
    app.render_one(found, human=lambda view: order_tree.draw_task(found, view))
    if task.status == TaskStatus.FAILED or task.retry_at is not None:
        ours = task.managed or app.settings.worker.take == "all"
        app.say(f"next: orderctl tasks retry {task_id}{'' if ours else ' --take'}")


@cli.command()
@click.argument("task_ids", metavar="[ID]...", type=options.WholeNumber(1), nargs=-1)
@options.selection
@click.option(
    "--take",
    is_flag=True,
    help="Also retry tasks of the shop's own workers: orderctl's workers run them from now on.",
)
@operation_options.watched
@options.audited_consent
@options.output(bulk.RESULTS, OPERATIONS)
@locks.lock
@pass_app
def retry(
    app: App, task_ids: tuple[int, ...], selection: Selection, *, take: bool, manner: Manner, consent: Consent
) -> ExitStatus:
    """Queue failed tasks again.

    Cancelled tasks, and tasks that wait for their next attempt, can be named by ID.

    Each failure is retried once: tasks that another command has retried since they were selected, or that are due
    already, stay as they are, and the command ends with 0.

    Tasks that the shop's own workers run are left to them, unless --take is given or worker.take is "all".
    Selectors skip them; one that is named by ID is a conflict (exit 4, or 1 if there are several tasks).

    When no task matches, it exits 0 and with --quiet prints nothing; with -o json it prints []. It exits 1 when a task
    could not be retried.

    More than 200 tasks, or those of a command with --name, --rate, --canary, --max-failures or --wait, are an operation:
    supervisors retry them, also when this command or its terminal ends. 'orderctl ops' shows, follows and stops it. If
    one task of the canary fails or is cancelled, it is stopped; --max-failures N is about the tasks after it. Into a
    pipe the command ends when the operation is made, unless --wait is given.

    Example:
        orderctl tasks retry 41 42
        orderctl tasks retry --failed --error-type NETWORK --yes
        orderctl tasks retry --failed --error-type NETWORK --max 50 --yes --quiet --lock retry    # from cron
        orderctl tasks retry --failed --canary 3 --rate 50/m --max-failures 20
        orderctl tasks retry --order DH123456 --dry-run
        orderctl tasks retry 43 --take
    """
    from orderctl import tasks

    attempts = app.settings.worker.max_attempts
    take = take or app.settings.worker.take == "all"

    def change(connection: Connection, one: bulk.Chosen) -> Moved:
        return tasks.retry(
            connection,
            one.id,
            max_attempts=attempts,
            actor=app.actor,
            reason=consent.reason,
            seen=one.seen,
            take=take,
        )

    from orderctl.cli import operation_making
    from orderctl.operations.records import Kind

    selection = selection.with_ids(task_ids)
    plan = operation_making.Plan(
        Kind.RETRY, (TaskStatus.FAILED,), only_managed=not take, take=take, max_attempts=attempts
    )
    if operation_making.is_wanted(app, plan, selection, manner, consent):
        return operation_making.make(app, plan, selection, manner, consent)
    chosen = bulk.choose(app, selection, (TaskStatus.FAILED,), only_managed=not take)
    return bulk.change(app, "Retry", chosen, change, consent)


@cli.command()
@click.argument("task_ids", metavar="[ID]...", type=options.WholeNumber(1), nargs=-1)
@options.selection
@operation_options.paced
@options.audited_consent
@options.output(bulk.RESULTS, OPERATIONS)
@locks.lock
@pass_app
def cancel(
    app: App, task_ids: tuple[int, ...], selection: Selection, manner: Manner, consent: Consent
) -> ExitStatus:
    """Cancel tasks, also those of the shop's own workers; a worker of orderctl's stops the download.

    --order alone selects the order's tasks that have not ended. --failed, --error-type and --fingerprint
    select failed tasks. Selected tasks that have ended or were retried in the meantime stay as they are.

    More than 200 tasks, or those of a command with --name, --rate or --wait, are an operation, as with 'orderctl tasks retry'.

    Example:
        orderctl tasks cancel 41 --reason "course withdrawn"
        orderctl tasks cancel --order DH123456 --yes
    """
    from orderctl import tasks

    def change(connection: Connection, one: bulk.Chosen) -> Moved:
        # A task that is named is to be cancelled in whatever state it is by now.
        seen = one.seen if one.selected else None
        return tasks.cancel(connection, one.id, actor=app.actor, reason=consent.reason, seen=seen)

    only_failed = selection.failed or selection.error_type or selection.fingerprint
    statuses = (TaskStatus.FAILED,) if only_failed else UNFINISHED
    from orderctl.cli import operation_making
    from orderctl.operations.records import Kind

    selection = selection.with_ids(task_ids)
    plan = operation_making.Plan(Kind.CANCEL, statuses)
    if operation_making.is_wanted(app, plan, selection, manner, consent):
        return operation_making.make(app, plan, selection, manner, consent)
    return bulk.change(app, "Cancel", bulk.choose(app, selection, statuses), change, consent)


def _order_id(connection: Connection, reference: str | None) -> int | None:
    from orderctl import references

    return None if reference is None else references.find(connection, reference).id


def _task_id(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST_ID):
        raise InvalidInput(
            f"{texts.shown(cursor)} is not a valid cursor", hint="use the one that the previous page printed"
        )
    return int(cursor)
