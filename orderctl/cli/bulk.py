"""Change several tasks, each in a transaction of its own, and report what has become of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderctl.cli import bell, options
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
    from orderctl.tasks import Task

RESULTS: Final = (
    Column("id", keep=True, right=True),
    Column("order_code", "ORDER", keep=True),
    Column("title"),
    Column("status", style=status_style),
    Column("changed"),
    Column("note"),
    Column("error", style=lambda error: "red" if error else None),
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
class TaskOutcome:
    """The result of a bulk change for one task: changed, not changed because of ``note``, or an error."""

    id: int
    order_code: str | None = None
    title: str | None = None
    status: str | None = None
    changed: bool = False
    note: str | None = None
    error: str | None = None


def choose(app: App, selection: Selection, statuses: Sequence[str]) -> list[Chosen]:
    """Return the selected tasks, in the order of the arguments or oldest first.

    Args:
        app: The application.
        selection: Ids or selectors.
        statuses: The statuses of the tasks that selectors select.
    """
    from orderctl import orders, tasks
    from orderctl.choices import Seen

    ids = selection.task_ids[: selection.max]
    with app.reading() as connection:
        order = None if selection.order is None else orders.find(connection, selection.order).id
        wanted = tasks.TaskFilter(
            statuses=statuses,
            order_id=order,
            error_type=selection.error_type,
            fingerprint=selection.fingerprint,
        )
        limit = selection.max or options.MOST_CHANGES
        if not selection.by_selector:
            wanted, limit = tasks.TaskFilter(ids=ids), len(ids)
        found = {task.id: task for task in reversed(tasks.select_tasks(connection, wanted, limit=limit))}
    return [
        Chosen(one, task, Seen.of(task) if task else None, selected=selection.by_selector)
        for one in (found if selection.by_selector else ids)
        for task in [found.get(one)]
    ]


def change(
    app: App,
    verb: str,
    chosen: Sequence[Chosen],
    work: Callable[[Connection, Chosen], Moved],
    consent: Consent,
) -> ExitStatus:
    """Ask for consent, change the tasks, wake the workers, and show the results.

    Args:
        app: The application.
        verb: What is done, with a capital: Retry or Cancel.
        chosen: The tasks.
        work: Changes one task in a transaction.
        consent: Whether the change may be made.

    Returns:
        FAILED if a task could not be changed. That there was nothing left to do is no failure.

    Raises:
        OrderctlError: The only task cannot be changed, or the user does not consent.
    """
    if not chosen:
        app.render([])
        app.say("No tasks match.")
        return ExitStatus.DONE
    count = counted(len(chosen), "task")
    consent.ask(app, f"{verb} {count}?", needed=chosen[0].selected)
    if consent.dry_run:
        app.render([_would(one) for one in chosen])
        app.say(f"Would {verb.lower()} {count}; nothing was changed.")
        return ExitStatus.DONE
    results, moved = _carry_out(app, chosen, work)
    bell.ring(app, moved)
    app.render(results)
    _suggest_next(app, results, verb)
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


def _would(one: Chosen) -> TaskOutcome:
    if one.task is None:
        return TaskOutcome(one.id, error=f"task {one.id} not found")
    return TaskOutcome(one.id, one.task.order_code, one.task.name, one.task.status)


def _suggest_next(app: App, results: Sequence[TaskOutcome], verb: str) -> None:
    done = [result for result in results if result.changed]
    unchanged = sum(result.note is not None for result in results)
    if unchanged:
        app.say(f"{counted(unchanged, 'task')} stayed as before: nothing was left to do.")
    if verb == "Retry" and done:
        subject = f"task {done[0].id}" if len(done) == 1 else f"order {done[0].order_code}"
        app.say(f"next: orderctl tail {subject}")
