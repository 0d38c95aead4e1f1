"""Change several tasks, each in a transaction of its own, and report what has become of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from orderctl.cli import bell, options, outlook, pages
from orderctl.cli.app import App
from orderctl.cli.columns import status_style
from orderctl.cli.options import Consent, Selection
from orderctl.counting import counted
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, ExitStatus, OrderctlError, Superseded
from orderctl.terminal.render import Column

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.choices import Seen
    from orderctl.lifecycle import Moved
    from orderctl.tasks import Task, TaskFilter

RESULTS: Final = (
    Column("id", keep=True, right=True),
    Column("order_code", "ORDER", keep=True),
    Column("title", priority=4),
    Column("status", style=status_style, priority=6),
    Column("changed", priority=7),
    Column("note", priority=8),
    Column("error", priority=9, style=lambda error: "red" if error else None),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A task that is to be changed.

    Attributes:
        id: Its id.
        task: The task when it was chosen; None if there is no such task.
        seen: What the change is compared with; None if there is no such task.
        selected: Whether it was selected by its properties, and not named by its id.
    """

    id: int
    task: Task | None
    seen: Seen | None
    selected: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What a command is to change.

    Attributes:
        tasks: The tasks, in the order of the arguments or oldest first.
        skipped: The number of tasks of the shop's own workers that were not selected for that reason.
        only_managed: Whether tasks of the shop's own workers are left to them.
    """

    tasks: Sequence[Chosen]
    skipped: int = 0
    only_managed: bool = False


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """The result of a bulk change for one task: changed, not changed because of ``note``, or an error."""

    id: int
    order_code: str | None = None
    title: str | None = None
    status: str | None = None
    changed: bool = False
    note: str | None = None
    error: str | None = None


def choose(app: App, selection: Selection, statuses: Sequence[str], *, only_managed: bool = False) -> Choice:
    """Return the selected tasks.

    Args:
        app: The application.
        selection: Ids or selectors.
        statuses: The statuses of the tasks that selectors select.
        only_managed: Whether selectors skip the tasks that the shop's own workers run.
    """
    from orderctl import fingerprints, orders, tasks

    if not selection.by_selector:
        return _named(app, selection.task_ids[: selection.max], only_managed=only_managed)
    with app.reading() as connection:
        order = None if selection.order is None else orders.find(connection, selection.order).id
        wanted = tasks.TaskFilter(
            statuses=statuses,
            order_id=order,
            error_type=selection.error_type,
            fingerprint=fingerprints.find(connection, selection.fingerprint),
            managed=True if only_managed else None,
        )
        chosen = _newest(connection, wanted, selection.max or options.MOST_CHANGES)
        skipped = tasks.count(connection, replace(wanted, managed=False)) if only_managed else 0
    return Choice(chosen[::-1], skipped, only_managed)


def _newest(connection: Connection, wanted: TaskFilter, most: int) -> list[Chosen]:
    """Return tasks, newest first, without the texts of their errors: they are long, and not shown."""
    from orderctl import tasks
    from orderctl.choices import Seen

    chosen: list[Chosen] = []
    before = None
    while limit := min(pages.SIZE, most - len(chosen)):
        found = tasks.select_tasks(connection, wanted, limit=limit, before_id=before)
        chosen += [
            Chosen(task.id, replace(task, error_log=None), Seen.of(task), selected=True) for task in found
        ]
        if len(found) < limit:
            break
        before = found[-1].id
    return chosen


def _named(app: App, ids: Sequence[int], *, only_managed: bool) -> Choice:
    from orderctl import tasks
    from orderctl.choices import Seen

    with app.reading() as connection:
        wanted = tasks.TaskFilter(ids=ids)
        found = {task.id: task for task in tasks.select_tasks(connection, wanted, limit=len(ids))}
    chosen = [
        Chosen(one, task, Seen.of(task) if task else None, selected=False)
        for one in ids
        for task in [found.get(one)]
    ]
    return Choice(chosen, only_managed=only_managed)


def change(
    app: App,
    verb: str,
    choice: Choice,
    work: Callable[[Connection, Chosen], Moved],
    consent: Consent,
) -> ExitStatus:
    """Ask for consent, change the tasks, wake the workers, and show the results.

    Args:
        app: The application.
        verb: What is done, with a capital: Retry or Cancel.
        choice: The tasks.
        work: Changes one task in a transaction.
        consent: Whether the change may be made.

    Returns:
        FAILED if a task could not be changed. That there was nothing left to do is no failure.

    Raises:
        OrderctlError: The only task cannot be changed, or the user does not consent.
    """
    chosen = choice.tasks
    if not chosen:
        app.render([])
        app.say(skipped(choice) or "No tasks match.")
        return ExitStatus.DONE
    consent.ask(app, f"{verb} {counted(len(chosen), 'task')}?", needed=chosen[0].selected)
    if consent.dry_run:
        would = counted(sum(_would(one, choice).error is None for one in chosen), "task")
        preview(app, choice, f"Would {verb.lower()} {would}; nothing was changed.")
        return ExitStatus.DONE
    results, moved = _carry_out(app, chosen, work)
    try:
        bell.ring(app, moved)
    finally:  # it is saved, whatever Redis says
        app.render(results)
        _suggest_next(app, results, verb, choice)
    return ExitStatus.FAILED if any(result.error for result in results) else ExitStatus.DONE


def _carry_out(
    app: App, chosen: Sequence[Chosen], work: Callable[[Connection, Chosen], Moved]
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
    for one in chosen:
        try:
            if outage is not None:
                raise outage
            done = app.transact(lambda connection, one=one: work(connection, one))  # type: ignore[misc]
        except OrderctlError as error:
            if one.selected and isinstance(error, Superseded):  # it does not belong to the selection any more
                results.append(TaskOutcome(one.id, note=str(error)))
                continue
            away = isinstance(error, DatabaseUnavailable) and not isinstance(error, DatabaseBusy)
            if len(chosen) == 1 or (away and not moved):
                raise
            outage = error if away else None
            results.append(TaskOutcome(one.id, error=str(error)))
            continue
        moved.append(done)
        results.append(_outcome(done))
    return results, moved


def _outcome(done: Moved) -> TaskOutcome:
    [task] = done.tasks
    changed = done.note is None
    return TaskOutcome(task.id, task.order_code, task.name, task.status, changed=changed, note=done.note)


def preview(app: App, choice: Choice, would: str) -> None:
    """Show each task that a command would change, and change nothing.

    Args:
        app: The application.
        choice: The tasks.
        would: What the command would do, as a sentence.
    """
    results = [_would(one, choice) for one in choice.tasks]
    app.render(results)
    app.say(would)
    if choice.skipped:
        app.say(skipped(choice))
    _suggest_take(app, results)


def _would(one: Chosen, choice: Choice) -> TaskOutcome:
    from orderctl import tasks

    if one.task is None:
        return TaskOutcome(one.id, error=f"task {one.id} not found")
    if choice.only_managed and not one.task.managed:
        return TaskOutcome(one.id, error=str(tasks.not_managed(one.id)))
    return TaskOutcome(one.id, one.task.order_code, one.task.name, one.task.status)


def skipped(choice: Choice) -> str:
    """Return what to say about the tasks that were skipped; nothing if there are none."""
    if not choice.skipped:
        return ""
    was = "was" if choice.skipped == 1 else "were"
    it = "it" if choice.skipped == 1 else "them"
    return f"{counted(choice.skipped, 'task')} of the shop's own workers {was} skipped; --take includes {it}."


def _suggest_next(app: App, results: Sequence[TaskOutcome], verb: str, choice: Choice) -> None:
    done = [result for result in results if result.changed]
    unchanged = sum(result.note is not None for result in results)
    if unchanged:
        app.say(f"{counted(unchanged, 'task')} stayed as before: nothing was left to do.")
    if choice.skipped:
        app.say(skipped(choice))
    _suggest_take(app, results)
    if verb == "Retry" and done:
        outlook.say_of_tasks(app, [one.id for one in done])
        app.say(f"next: {_watch(done)}")


def _watch(done: Sequence[TaskOutcome]) -> str:
    """Return the command that watches the changed tasks."""
    if len(done) == 1:
        return f"orderctl tail task {done[0].id}"
    return outlook.watch_orders(one.order_code for one in done if one.order_code is not None)


def _suggest_take(app: App, results: Sequence[TaskOutcome]) -> None:
    """Say how the named tasks that are left to the shop's own workers can be retried."""
    from orderctl import tasks

    left = [str(one.id) for one in results if one.error and one.error == str(tasks.not_managed(one.id))]
    if left:
        app.say(f"hint: orderctl tasks retry {' '.join(left)} --take")
