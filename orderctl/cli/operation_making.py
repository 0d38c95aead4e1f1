"""A bulk change of many tasks becomes an operation, which supervisors carry out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from orderctl.cli import bulk, operation_following, operation_lines, operation_options, options
from orderctl.cli.operation_options import Manner
from orderctl.counting import counted
from orderctl.errors import ExitStatus, OrderctlError

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.cli.options import Consent, Selection
    from orderctl.operations.making import Chosen
    from orderctl.operations.records import Kind, Operation
    from orderctl.tasks import TaskFilter

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """The operation that a command is to make.

    Attributes:
        kind: What it does.
        statuses: The statuses of the tasks that selectors select.
        only_managed: Whether selectors skip the tasks that the shop's own workers run.
        take: Whether tasks of the shop's own workers are retried, too.
        max_attempts: How many further attempts a task gets.
    """

    kind: Kind
    statuses: Sequence[str]
    only_managed: bool = False
    take: bool = False
    max_attempts: int = 0


def is_wanted(app: App, plan: Plan, selection: Selection, manner: Manner, consent: Consent) -> bool:
    """Whether a change is an operation: one is asked for, or it has many tasks."""
    if manner.asked:
        return True
    if consent.dry_run:  # it shows each task
        return False
    most = operation_options.MOST_AT_ONCE
    if (selection.max or options.MOST_CHANGES) <= most:
        return False
    if not selection.by_selector:
        return len(selection.task_ids[: selection.max]) > most
    from orderctl import tasks

    wanted = _filter(app, plan, selection)
    with app.reading() as connection:
        return len(tasks.choose(connection, wanted, limit=most + 1)) > most


def make(app: App, plan: Plan, selection: Selection, manner: Manner, consent: Consent) -> ExitStatus:
    """Ask for consent, make the operation, say who carries it out, and wait for its end if that is wanted.

    Args:
        app: The application.
        plan: The operation.
        selection: Its tasks.
        manner: How it is carried out.
        consent: Whether it may be made.

    Returns:
        As ``operation_following.follow``; DONE if the command does not wait.
    """
    already = _Already()
    number = _count(app, plan, selection, already)
    if already.left_out:
        app.say(already.said(every=not number))
    if already.left_out and not number:
        app.render([])
        return ExitStatus.DONE
    verb = str(plan.kind).capitalize()
    if consent.dry_run or not number:
        return _try(app, plan, selection, manner)
    consent.ask(app, f"{verb} {counted(number, 'task')}{_in_words(manner)}?", needed=selection.by_selector)
    operation = _make(app, plan, selection, manner, consent)
    if operation is None:  # all of them have changed since they were counted
        app.render([])
        app.say("No tasks match.")
        return ExitStatus.DONE
    waits = _waits(app, manner)
    _tell(app, operation, follows=waits)
    return operation_following.follow(app, operation.name) if waits else ExitStatus.DONE


def _try(app: App, plan: Plan, selection: Selection, manner: Manner) -> ExitStatus:
    """Show each task that the operation would have, as a change at once does."""
    choice = bulk.choose(app, selection, plan.statuses, only_managed=plan.only_managed)
    if not choice.tasks:
        app.render([])
        app.say(bulk.skipped(choice) or "No tasks match.")
        return ExitStatus.DONE
    what = f"{plan.kind} {counted(len(choice.tasks), 'task')}{_in_words(manner)}"
    bulk.preview(app, choice, f"Would make an operation: {what}; nothing was changed.")
    return ExitStatus.DONE


def _waits(app: App, manner: Manner) -> bool:
    if manner.wait is not None:
        return manner.wait
    return app.interactive and app.out.isatty()


def _tell(app: App, operation: Operation, *, follows: bool) -> None:
    from orderctl.terminal.render import Format

    app.output.columns = operation_lines.OPERATIONS
    if app.format is Format.JSON:  # a list, as of the tasks that are changed at once
        app.render([operation])
    else:
        app.render_one(operation, human=lambda _: operation_lines.made(operation) + "\n")
    with suppress(OrderctlError):
        if (why := operation_following.obstacle(app)) is not None:
            app.say(why)
    if follows:
        app.say("Supervisors carry it out: Ctrl-C ends only this display.")
    else:
        app.say(f"next: {operation_lines.show(operation.name)}")


def _in_words(manner: Manner) -> str:
    parts = []
    if manner.rate is not None:
        parts.append(f"at {manner.rate.text}")
    if manner.canary is not None:
        parts.append(f"with a canary of {manner.canary:,}")
    if manner.max_failures is not None:
        parts.append(f"stopped when more than {manner.max_failures:,} fail again")
    return "".join(f", {part}" for part in parts)


@dataclass(slots=True)
class _Already:
    """Tasks that are left out: they wait in an operation that does the same."""

    left_out: int = 0
    names: list[str] = field(default_factory=list)

    def said(self, *, every: bool) -> str:
        where = f"{'operation' if len(self.names) == 1 else 'operations'} {', '.join(self.names)}"
        tasks = counted(self.left_out, "task")
        verb = "waits" if self.left_out == 1 else "wait"
        return (
            f"all {tasks} {verb} in {where} already"
            if every
            else f"left out: {tasks} {verb} in {where} already"
        )


def _count(app: App, plan: Plan, selection: Selection, already: _Already) -> int:
    from orderctl import tasks
    from orderctl.operations import reading

    with app.reading() as connection:
        others = reading.unfinished(connection, plan.kind)
    if others:
        return sum(1 for _ in _chosen(app, plan, selection, already))
    most = selection.max or options.MOST_CHANGES
    if not selection.by_selector:
        return len(selection.task_ids[:most])
    wanted = _filter(app, plan, selection)
    with app.reading() as connection:
        return min(most, tasks.count(connection, wanted))


def _make(app: App, plan: Plan, selection: Selection, manner: Manner, consent: Consent) -> Operation | None:
    from orderctl.operations import making
    from orderctl.operations.making import NewOperation

    new = NewOperation(
        plan.kind,
        app.actor,
        manner.operation,
        _as_given(selection),
        consent.reason,
        take=plan.take,
        max_attempts=plan.max_attempts,
        rate=manner.rate,
        canary=manner.canary or 0,
        max_failures=manner.max_failures,
    )
    return making.make(app.engine, new, _chosen(app, plan, selection))


def _as_given(selection: Selection) -> dict[str, Any]:
    named: dict[str, Any] = {
        "failed": selection.failed,
        "order": selection.order,
        "error_type": selection.error_type,
    }
    named |= {"fingerprint": selection.fingerprint, "max": selection.max}
    given = {name: value for name, value in named.items() if value}
    return given if selection.by_selector else {**given, "ids": len(selection.task_ids)}


def _chosen(app: App, plan: Plan, selection: Selection, already: _Already | None = None) -> Iterator[Chosen]:
    """Yield the tasks that wait in no operation of this kind, with their states."""
    from orderctl.operations import reading

    already = already or _Already()
    with app.reading() as connection:
        others = reading.unfinished(connection, plan.kind)
    all_of_them = _selected(app, plan, selection)
    while page := dict(islice(all_of_them, _PAGE)):
        with app.reading() as connection:
            waiting = reading.waiting_in(connection, others, page)
        already.left_out += len(waiting)
        already.names += [
            others[one] for one in sorted({*waiting.values()}) if others[one] not in already.names
        ]
        yield from ((one, seen) for one, seen in page.items() if one not in waiting)


def _selected(app: App, plan: Plan, selection: Selection) -> Iterator[Chosen]:
    """Yield the tasks with their states, newest first, page by page."""
    from orderctl import tasks

    left = selection.max or options.MOST_CHANGES
    if not selection.by_selector:
        yield from _named(app, selection.task_ids[:left])
        return
    wanted = _filter(app, plan, selection)
    before = None
    while left > 0:
        with app.reading() as connection:
            page = tasks.choose(connection, wanted, limit=min(_PAGE, left), before_id=before)
        yield from page
        if len(page) < min(_PAGE, left):
            return
        left, before = left - len(page), page[-1][0]


def _named(app: App, ids: Sequence[int]) -> Iterator[Chosen]:
    """Yield tasks that are named; one that does not exist is refused when its turn comes."""
    from orderctl import tasks
    from orderctl.choices import Seen

    for start in range(0, len(ids), _PAGE):
        part = ids[start : start + _PAGE]
        with app.reading() as connection:
            found = dict(tasks.choose(connection, tasks.TaskFilter(ids=part), limit=len(part)))
        yield from ((one, found.get(one, Seen("", 0))) for one in part)


def _filter(app: App, plan: Plan, selection: Selection) -> TaskFilter:
    from orderctl import fingerprints, orders, tasks

    with app.reading() as connection:
        order = None if selection.order is None else orders.find(connection, selection.order).id
        wanted = tasks.TaskFilter(
            statuses=plan.statuses,
            order_id=order,
            error_type=selection.error_type,
            fingerprint=fingerprints.find(connection, selection.fingerprint),
        )
    return replace(wanted, managed=True) if plan.only_managed else wanted
