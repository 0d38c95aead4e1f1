"""Operations as people read them: a sentence, a line of progress, a card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orderctl import texts
from orderctl.counting import counted
from orderctl.operations.records import CHANGING, Item, ItemState, Kind, Operation, State
from orderctl.terminal import render, sanitise
from orderctl.terminal.render import Column, View, Where
from orderctl.terminal.widths import wrap

if TYPE_CHECKING:
    from orderctl.operations.reading import Failures, Refusals

_STYLES: Final = {
    "canary": "blue",
    "running": "blue",
    "settling": "blue",
    "finished": "green",
    "stopping": "yellow",
    "stopped": "yellow",
    "preparing": "dim",
}
#: Fewer tasks than this do not tell how fast an operation without a rate is.
_ENOUGH: Final = 20
#: Such tasks need somebody.
_BAD: Final = (ItemState.REFUSED, ItemState.FAILED)
#: People see so many reasons why tasks were refused.
_MOST_REASONS: Final = 10


def ends_at(operation: Operation) -> datetime | None:
    """Return when the last task will be changed, as far as is known."""
    left = operation.waiting
    if operation.state not in CHANGING or not left:
        return None
    if operation.per_hour is not None:
        return operation.now + timedelta(hours=left / operation.per_hour)
    done = operation.total - left
    if operation.started_at is None or done < _ENOUGH or operation.state == State.CANARY:
        return None
    return operation.now + (operation.now - operation.started_at) * (left / done)


OPERATIONS: Final = (
    Column("name", keep=True),
    Column("kind", priority=3),
    Column("state", keep=True, style=lambda state: _STYLES.get(str(state))),
    Column("total", "TASKS", right=True, priority=10),
    Column("changed", "DONE", right=True, keep=True),
    Column("waiting", where=Where.WIDE, right=True),
    Column("completed", right=True, priority=9),
    Column("failed", right=True, priority=10, style=lambda number: "red" if number else None),
    Column("cancelled", where=Where.WIDE, right=True),
    Column("unfinished", where=Where.WIDE, right=True),
    Column("unchanged", where=Where.WIDE, right=True),
    Column("refused", where=Where.WIDE, right=True),
    Column("rate", priority=5),
    Column("canary", where=Where.WIDE, right=True),
    Column("max_failures", where=Where.WIDE, right=True),
    Column("actor", priority=2),
    Column("reason", where=Where.WIDE),
    Column("why", where=Where.WIDE),
    Column("stopped_by", where=Where.WIDE),
    Column("created_at", "CREATED", priority=3),
    Column("started_at", where=Where.WIDE),
    Column("ended_at", where=Where.WIDE),
    Column("ends_at", get=lambda found: ends_at(getattr(found, "operation", found)), where=Where.WIDE),
    Column("selection", where=Where.DATA),
)


@dataclass(frozen=True, slots=True)
class Detail:
    """An operation with what its tasks came to."""

    operation: Operation
    failures: Sequence[Failures]
    refusals: Sequence[Refusals]
    items: Sequence[Item]


def _of_operation(name: str) -> Column:
    [column] = [column for column in OPERATIONS if column.name == name]
    get = column.get or (lambda detail: getattr(detail.operation, name))
    return Column(name, column.header, get, where=Where.TABLE)


DETAIL: Final = (
    *(_of_operation(column.name) for column in OPERATIONS),
    Column("failures", get=lambda detail: [one._asdict() for one in detail.failures], where=Where.DATA),
    Column("refusals", get=lambda detail: [one._asdict() for one in detail.refusals], where=Where.DATA),
    Column(
        "last_tasks",
        get=lambda detail: [
            {"task_id": item.task_id, "state": item.state, "note": item.note, "changed_at": item.changed_at}
            for item in detail.items
        ],
        where=Where.DATA,
    ),
)


def made(operation: Operation) -> str:
    """Return what is said of an operation that was made."""
    parts = [f"{counted(operation.total, 'task')} are {Kind(operation.kind).done}"]
    if operation.total == 1:
        parts = [f"1 task is {Kind(operation.kind).done}"]
    if operation.rate:
        parts.append(f"at {operation.rate}")
    if operation.canary:
        first = operation.canaries
        parts.append(
            f"after the first {first} of them have completed"
            if first > 1
            else "after the first has completed"
        )
    if operation.max_failures is not None:
        parts.append(f"stopped when more than {operation.max_failures:,} fail again")
    if (end := ends_at(operation)) is not None and end - operation.now >= timedelta(seconds=1):
        parts.append(f"in about {length(end - operation.now)}")
    return f"Operation {operation.name}: {', '.join(parts)}."


def length(time: timedelta) -> str:
    """Return a length of time in its two largest units: ``1 h 40 min``."""
    seconds = max(0, round(time.total_seconds()))
    units = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts = []
    for size, unit in units:
        if seconds >= size:
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def progress(operation: Operation) -> str:
    """Return one line that says how far an operation is."""
    return " · ".join([f"{operation.name}: {state(operation)}", *_numbers(operation), *_left(operation)])


def _numbers(operation: Operation) -> Iterator[str]:
    yield f"{operation.changed:,} of {operation.total:,} {Kind(operation.kind).done}"
    for number, word in (
        (operation.completed, "completed"),
        (operation.failed, "failed again"),
        (operation.cancelled, "cancelled"),
        (operation.unchanged, "were left as they were"),
        (operation.refused, "refused"),
    ):
        if number:
            yield f"{number:,} {word}"


def _left(operation: Operation) -> Iterator[str]:
    if (end := ends_at(operation)) is not None:
        yield f"{length(end - operation.now)} left"


def state(operation: Operation) -> str:
    """Return an operation's state in words."""
    if operation.state == State.CANARY:
        return f"canary, {operation.completed} of {operation.canaries} have completed"
    if operation.state == State.SETTLING:
        return f"all {Kind(operation.kind).done}, {operation.unfinished:,} not ended yet"
    if operation.state == State.STOPPING:
        return f"stopping, {operation.unfinished:,} not ended yet"
    return operation.state


def draw(detail: Detail, view: View) -> str:
    """Return all about an operation for people."""
    operation = detail.operation
    lines = [progress(operation)]
    if operation.why:
        by = f" by {operation.stopped_by}" if operation.stopped_by else ""
        being = "being " if operation.state == State.STOPPING else ""
        lines.append(f"{being}stopped{by}: {operation.why}")
    card = render.card(detail, [*_told(detail)], view)
    head = [part for line in lines for part in wrap(sanitise.line(line), view.width)]
    more = [part for line in _of_tasks(detail) for part in wrap(sanitise.line(line), view.width)]
    return "\n".join([*head, "", card.rstrip("\n"), *more]) + "\n"


def _told(detail: Detail) -> Iterator[Column]:
    """Yield the columns of the card: no number that says nothing, and nothing that stands above it."""
    above = {"state", "why", "stopped_by", "selection"}
    always = {"name", "kind", "total"}
    for column in DETAIL:
        if column.where is Where.TABLE and column.name not in above:
            if column.name in always or column.value(detail):
                yield column
            if column.name == "name":
                yield Column("selection", get=lambda found: _selected(found.operation))


def _selected(operation: Operation) -> str:
    """Return what was selected, as options."""
    parts = []
    for name, value in operation.selection.items():
        if name == "ids":
            parts.append(f"{value} ids")
        else:
            option = f"--{str(name).replace('_', '-')}"
            parts.append(option if value is True else f"{option} {texts.arguments(str(value))}")
    return " ".join(parts)


def _of_tasks(detail: Detail) -> Iterator[str]:
    if detail.failures:
        yield ""
        yield "failed again: " + ", ".join(f"{one.tasks:,} {one.error_type}" for one in detail.failures)
    if detail.refusals:
        yield ""
        yield "refused:"
        for refusal in detail.refusals[:_MOST_REASONS]:
            yield f"  {refusal.tasks:,}  {refusal.note}"
        if (left := len(detail.refusals) - _MOST_REASONS) > 0:
            yield f"  and {counted(left, 'other reason')}: -o json"
    if detail.items:
        yield ""
        bad = any(item.state in _BAD for item in detail.items)
        yield "last tasks, those that failed again or were refused first:" if bad else "last tasks:"
    for item in detail.items:
        yield f"  {item.task_id}  {item.state}{f': {item.note}' if item.note else ''}"


def show(name: str) -> str:
    """Return the command that shows an operation."""
    return f"orderctl ops show {texts.arguments(name)}"


def orphan(operation: Operation) -> str:
    """Return what is said of an operation whose command ended while it was being made."""
    return (
        f"operation {operation.name} is not complete, and the command that was making it is gone: it will change nothing;"
        f" end it: orderctl ops stop {texts.arguments(operation.name)}"
    )


def record(operation: Operation) -> dict[str, Any]:
    """Return an operation as it stands in JSON."""
    return render.record(operation, OPERATIONS)
