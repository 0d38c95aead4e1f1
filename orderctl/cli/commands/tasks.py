"""``orderctl tasks``: list, show, retry and cancel tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from orderctl import texts
from orderctl.cli import bell, options
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import ERROR_GROUPS, EVENTS, TASKS, status_style
from orderctl.cli.lazy import Group
from orderctl.cli.options import Consent, Selection
from orderctl.counting import counted
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, ExitStatus, InvalidInput, OrderctlError
from orderctl.states import UNFINISHED, TaskStatus
from orderctl.terminal.render import Column, Where, record

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.lifecycle import Moved

_MOST_EVENTS: Final = 200
_LONGEST_ID: Final = 40

RESULTS: Final = (
    Column("id", keep=True, right=True),
    Column("order_code", "ORDER", keep=True),
    Column("title"),
    Column("status", style=status_style),
    Column("changed"),
    Column("error", style=lambda error: "red" if error else None),
)
DETAIL: Final = (
    *TASKS,
    Column("events", get=lambda found: [record(event, EVENTS) for event in found.events], where=Where.DATA),
)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """The result of a bulk change for one task."""

    id: int
    order_code: str | None
    title: str | None
    status: str | None
    changed: bool
    error: str | None = None


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
@click.option("--fingerprint", metavar="HEX", help="Only tasks that failed with this error.")
@click.option("--group-by", type=click.Choice(["error"]), help="Count failed tasks by error instead.")
@options.paging
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
    page: options.Paging,
) -> None:
    """List tasks, newest first.

    Example:
        orderctl tasks list --failed
        orderctl tasks list --failed --group-by error
        orderctl tasks list --order DH123456 -o json
    """
    from orderctl import statuses, tasks
    from orderctl.cli import live

    if failed and status:
        raise InvalidInput("give --failed or --status, not both")
    with app.reading() as connection:
        statuses.require_of_tasks(connection, status or ())
        wanted = tasks.TaskFilter(
            statuses=(TaskStatus.FAILED,) if failed else status,
            order_id=_order_id(connection, order),
            error_type=error_type,
            fingerprint=fingerprint,
        )
        if group_by:
            app.render(tasks.group_errors(connection, wanted, limit=page.limit), ERROR_GROUPS)
            return
        before = None if page.after is None else _task_id(page.after)
        found = tasks.select_tasks(connection, wanted, limit=page.limit + 1, before_id=before)
    app.render(live.tasks(app, found[: page.limit]))
    if len(found) > page.limit:
        app.say(f"next page: --after {found[page.limit - 1].id}")


@cli.command()
@click.argument("task_id", metavar="ID", type=options.WholeNumber(1))
@options.output(DETAIL)
@pass_app
def show(app: App, task_id: int) -> None:
    """Show a task with its events.

    Example:
        orderctl tasks show 456
        orderctl tasks show 456 -o json
    """
    from orderctl import audit, tasks
    from orderctl.cli import live, order_tree

    with app.reading() as connection:
        task = tasks.find(connection, task_id)
        search = audit.Search(task_id=task_id)
        events = audit.search(connection, task.order_id, search, limit=_MOST_EVENTS)[::-1]
    [shown] = live.tasks(app, [task])
    found = order_tree.TaskWithEvents(shown, events)
    app.render_one(found, human=lambda view: order_tree.draw_task(shown, events, view))
    if task.status == TaskStatus.FAILED:
        app.say(f"next: orderctl tasks retry {task_id}")


@cli.command()
@click.argument("task_ids", metavar="[ID]...", type=options.WholeNumber(1), nargs=-1)
@options.selection
@options.consent
@options.output(RESULTS)
@pass_app
def retry(app: App, task_ids: tuple[int, ...], selection: Selection, consent: Consent) -> ExitStatus:
    """Queue failed tasks again.

    Cancelled tasks, and tasks that wait for their next attempt, can be named by ID.

    Example:
        orderctl tasks retry 41 42
        orderctl tasks retry --failed --error-type NETWORK --yes
        orderctl tasks retry --order DH123456 --dry-run
    """
    from orderctl import tasks

    attempts = app.settings.worker.max_attempts

    def change(connection: Connection, task_id: int) -> Moved:
        return tasks.retry(connection, task_id, max_attempts=attempts, actor=app.actor, reason=consent.reason)

    chosen = _choose(app, selection.with_ids(task_ids), (TaskStatus.FAILED,))
    return _change(app, "Retry", chosen, change, selection, consent)


@cli.command()
@click.argument("task_ids", metavar="[ID]...", type=options.WholeNumber(1), nargs=-1)
@options.selection
@options.consent
@options.output(RESULTS)
@pass_app
def cancel(app: App, task_ids: tuple[int, ...], selection: Selection, consent: Consent) -> ExitStatus:
    """Cancel tasks; a worker stops the download of a cancelled task.

    --order alone selects the order's tasks that have not ended. --failed, --error-type and --fingerprint
    select failed tasks.

    Example:
        orderctl tasks cancel 41 --reason "course withdrawn"
        orderctl tasks cancel --order DH123456 --yes
    """
    from orderctl import tasks

    def change(connection: Connection, task_id: int) -> Moved:
        return tasks.cancel(connection, task_id, actor=app.actor, reason=consent.reason)

    only_failed = selection.failed or selection.error_type or selection.fingerprint
    statuses = (TaskStatus.FAILED,) if only_failed else UNFINISHED
    chosen = _choose(app, selection.with_ids(task_ids), statuses)
    return _change(app, "Cancel", chosen, change, selection, consent)


def _choose(app: App, selection: Selection, statuses: Sequence[TaskStatus]) -> list[int]:
    """Return the ids of the selected tasks, in the order of the arguments or oldest first."""
    from orderctl import tasks

    if not selection.by_selector:
        return list(selection.task_ids)[: selection.max]
    with app.reading() as connection:
        wanted = tasks.TaskFilter(
            statuses=statuses,
            order_id=_order_id(connection, selection.order),
            error_type=selection.error_type,
            fingerprint=selection.fingerprint,
        )
        found = tasks.select_tasks(connection, wanted, limit=selection.max or options.MOST_CHANGES)
    return [task.id for task in reversed(found)]


def _change(
    app: App,
    verb: str,
    chosen: Sequence[int],
    change: Callable[[Connection, int], Moved],
    selection: Selection,
    consent: Consent,
) -> ExitStatus:
    if not chosen:
        app.render([])
        app.say("No tasks match.")
        return ExitStatus.DONE
    count = counted(len(chosen), "task")
    consent.ask(app, f"{verb} {count}?", needed=selection.by_selector)
    if consent.dry_run:
        app.render(_would(app, chosen))
        app.say(f"Would {verb.lower()} {count}; nothing was changed.")
        return ExitStatus.DONE
    results, moved = _carry_out(app, chosen, change)
    bell.ring(app, moved)
    app.render(results)
    _suggest_next(app, results, verb)
    return ExitStatus.DONE if all(result.changed for result in results) else ExitStatus.FAILED


def _carry_out(
    app: App, chosen: Sequence[int], change: Callable[[Connection, int], Moved]
) -> tuple[list[TaskOutcome], list[Moved]]:
    """Change each task in a transaction of its own; a failure is reported and does not stop the others.

    Raises:
        OrderctlError: The only task cannot be changed.
        DatabaseUnavailable: None can be, because the database is away. If it goes away later, the remaining tasks
            are reported, and not tried.
    """
    results: list[TaskOutcome] = []
    moved: list[Moved] = []
    outage: OrderctlError | None = None
    for task_id in chosen:
        try:
            if outage is not None:
                raise outage
            one = app.transact(lambda connection, task_id=task_id: change(connection, task_id))  # type: ignore[misc]
        except OrderctlError as error:
            away = isinstance(error, DatabaseUnavailable) and not isinstance(error, DatabaseBusy)
            if len(chosen) == 1 or (away and not moved):
                raise
            outage = error if away else None
            results.append(TaskOutcome(task_id, None, None, None, changed=False, error=str(error)))
            continue
        moved.append(one)
        [task] = one.tasks
        results.append(TaskOutcome(task_id, task.order_code, task.name, task.status, changed=True))
    return results, moved


def _would(app: App, chosen: Sequence[int]) -> list[TaskOutcome]:
    from orderctl import tasks

    with app.reading() as connection:
        found = {
            task.id: task
            for task in tasks.select_tasks(connection, tasks.TaskFilter(ids=chosen), limit=len(chosen))
        }
    return [
        TaskOutcome(task_id, task.order_code, task.name, task.status, changed=False)
        if (task := found.get(task_id))
        else TaskOutcome(task_id, None, None, None, changed=False, error=f"task {task_id} not found")
        for task_id in chosen
    ]


def _suggest_next(app: App, results: Sequence[TaskOutcome], verb: str) -> None:
    done = [result for result in results if result.changed]
    if verb == "Retry" and done:
        subject = f"task {done[0].id}" if len(done) == 1 else f"order {done[0].order_code}"
        app.say(f"next: orderctl tail {subject}")


def _order_id(connection: Connection, reference: str | None) -> int | None:
    from orderctl import orders

    return None if reference is None else orders.find(connection, reference).id


def _task_id(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST_ID):
        raise InvalidInput(
            f"{texts.shown(cursor)} is not a valid cursor", hint="use the one that the previous page printed"
        )
    return int(cursor)
