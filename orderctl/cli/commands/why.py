"""``orderctl why``: why an order or a task hangs, and what repairs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl import texts
from orderctl.cli import options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.errors import ExitStatus, InvalidInput, OrderctlError, OrderDeleted, OrderNotFound, TaskNotFound
from orderctl.terminal.render import Column, Where

if TYPE_CHECKING:
    from orderctl.terminal.render import View
    from orderctl.why.chain import Diagnosis, Step
    from orderctl.why.scene import Scene

DIAGNOSIS: Final = (
    Column("subject", keep=True),
    Column("state"),
    Column("link"),
    Column("cause"),
    Column("text"),
    Column("repair"),
    Column("explanation", where=Where.WIDE),
    Column("steps", where=Where.DATA),
)
_STYLES: Final = {"holds": "green", "waits": "yellow", "broken": "red", "unknown": "yellow", "ahead": "dim"}
#: The columns of a state and of a link, with the blanks around them.
_STATE_ROOM, _LINK_ROOM = 9, 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a subject hangs.

    Attributes:
        subject: ``order DH1`` or ``task 456``.
        found: What was found of all links.
        course: What is said where all of them hold: whether it runs, or how it has ended.
    """

    subject: str
    found: Diagnosis
    course: str = "every link holds"

    @property
    def steps(self) -> list[dict[str, Any]]:
        """All links, as they stand in JSON."""
        return [step.record for step in self.found.steps]

    @property
    def state(self) -> str:
        """The state of the first link that does not hold; ``holds`` if all do."""
        return str(self.found.first.state) if self.found.first is not None else "holds"

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the first link that does not hold, None if all do."""
        return getattr(self.found.first, name, None)

    @property
    def is_broken(self) -> bool:
        """Whether somebody has to do something."""
        return self.state in {"broken", "unknown"}


@click.command(cls=Command)
@click.argument("references", metavar="ORDER|task ID", nargs=-1, required=True)
@options.output(DIAGNOSIS)
@watch.option
@pass_app
def cli(app: App, references: tuple[str, ...], watching: watch.Watching) -> ExitStatus:
    """Say why an order or a task hangs, and print the command that repairs it.

    It looks at each link of the order's way: payment, match, managed, doorbell, queue, worker, lease, handler, end,
    mail, webhook, relay. Of the first one that does not hold it shows the evidence, and the command that repairs it; or,
    where no command can, who can and how. It changes nothing, and starts no server.

    'why DH123456' and 'why 123' are about an order (code, id, or the e-mail address of a customer with a single order),
    'why task 456' about a task. An order with the code "task" is 'why order task'.

    It exits 0 when nothing is broken: it runs, has ended, or only waits for its time. It exits 1 when a link is broken,
    or could not be looked at; that Redis is down is such a cause. Without the database it exits 69.

    Example:
        orderctl why DH123456
        orderctl why task 456
        orderctl why DH123456 -o json | jq -r .repair
    """
    scope, name = _subject(references)
    if watching.watch:
        watch.watch(app, watching, lambda: watch.Picture(_drawn(_ask(app, scope, name), app.view)))
    answer = _ask(app, scope, name)
    app.render_one(answer, human=lambda view: _drawn(answer, view) + "\n")
    return ExitStatus.FAILED if answer.is_broken else ExitStatus.DONE


def _subject(words: tuple[str, ...]) -> tuple[str, str]:
    """Return what is asked about: ``order`` or ``task``, and its name."""
    if len(words) == 1:
        return "order", words[0]
    scope, *names = words
    if scope not in {"order", "task"} or len(names) > 1:
        raise InvalidInput(
            "give one order, or the word task and the id of one",
            hint=f"orderctl why {texts.arguments(words[0])}",
        )
    if scope == "task" and not (
        names[0].isascii() and names[0].isdigit() and len(names[0]) < len(str(2**63))
    ):
        raise InvalidInput(f"{texts.shown(names[0])} is not the id of a task", hint="orderctl tasks list")
    return scope, names[0]


def _ask(app: App, scope: str, name: str) -> Answer:
    from orderctl.cli import outlook
    from orderctl.why import inquiry

    with outlook.client(app) as client, _reading(app) as connection:
        find = _of_task if scope == "task" else _of_order
        found = find(connection, client, app.settings, name)
        return Answer(_called(found), inquiry.of_scene(found), _course(found))


@contextmanager
def _reading(app: App) -> Iterator[Any]:
    """Return a connection that waits as short as that of status and doctor: the database may hang."""
    from orderctl import database
    from orderctl.health import stores

    engine = stores.engine(app.settings)
    try:
        with database.reading(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def _of_task(connection: Any, client: Any, settings: Any, name: str) -> Scene:
    from orderctl.why import scene

    return scene.of_task(connection, client, settings, int(name))


def _of_order(connection: Any, client: Any, settings: Any, name: str) -> Scene:
    from orderctl import references
    from orderctl.why import scene

    try:
        order = references.find(connection, name)
    except OrderDeleted:
        order = references.find(connection, name, deleted=True)
    except OrderNotFound as error:
        raise _with_hint(connection, error, name) from None
    except OrderctlError as error:
        error.hint = error.hint and error.hint.replace("orderctl orders show", "orderctl why")
        raise
    return scene.of_order(connection, client, settings, order.id)


def _with_hint(connection: Any, error: OrderNotFound, name: str) -> OrderNotFound:
    """Return the error with the command about what was meant: the task with this number, or a similar order."""
    from orderctl import tasks

    if error.hint is not None:
        error.hint = error.hint.replace("orderctl orders show", "orderctl why")
    if name.isascii() and name.isdigit() and len(name) < len(str(2**63)):
        with suppress(TaskNotFound):
            task = tasks.find(connection, int(name))
            error.hint = f"orderctl why task {task.id}"
    return error


def _course(found: Scene) -> str:
    """Return what is said of a subject of which nothing is broken: it runs, or how it has ended."""
    from orderctl.states import UNFINISHED

    status = found.task.status if found.task else found.order and found.order.order_status
    running = not found.has_ended and any(one.status in UNFINISHED for one in found.asked)
    return "running, every link holds" if running else str(status or "every link holds")


def _called(found: Scene) -> str:
    if found.task is not None:
        return f"task {found.task.id}"
    return f"order {(found.order and (found.order.order_code or found.order.id)) or ''}"


def _drawn(answer: Answer, view: View) -> str:
    """Return all links, the evidence of the first one that does not hold, and what repairs it."""
    from orderctl.terminal import render
    from orderctl.terminal.widths import wrap

    first = answer.found.first
    said = answer.course if first is None else f"{first.text} ({first.link})"
    lines = wrap(f"{render.human(answer.subject)}: {render.human(said)}", view.width)
    for step in answer.found.steps:
        lines += _lines(step, view, evidence=step is first)
    lines += _advice(first, view)
    return "\n".join(lines)


def _lines(step: Step, view: View, *, evidence: bool) -> Iterator[str]:
    """Yield the line of a link, what is too long for it, and its evidence."""
    from orderctl.terminal import render
    from orderctl.terminal.widths import paint, wrap

    state = str(step.state).upper() if step.state == "broken" else str(step.state)
    mark = paint(state, _STYLES[step.state] if view.color else None) + " " * (_STATE_ROOM - len(state))
    begin, indent = f"{mark}{step.link:<{_LINK_ROOM}}", " " * (_STATE_ROOM + _LINK_ROOM)
    room = view.width and max(view.width - len(indent), 2)
    for text in (step.text, *(step.evidence if evidence else ())):
        for piece in wrap(render.human(text), room):
            yield f"{begin}{piece}"
            begin = indent


def _advice(step: Step | None, view: View) -> Iterator[str]:
    from orderctl.terminal import render
    from orderctl.terminal.widths import wrap

    if step is None or not (step.repair or step.explanation):
        return
    yield ""
    if step.explanation:  # before the command: it may say on which condition to paste it
        yield from wrap(render.human(step.explanation), view.width)
    if step.repair:
        yield f"repair: {render.human(step.repair)}"  # on one line, so that it can be pasted
