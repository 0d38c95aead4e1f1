"""``orderctl tail``: show live progress as bars on a terminal, and as lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl import channels
from orderctl.channels import MessageKind, Scope
from orderctl.cli import options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.errors import ExitStatus, InvalidInput
from orderctl.terminal import render
from orderctl.terminal.render import Column, Format

if TYPE_CHECKING:
    from orderctl.follow import End, Patience, Remark, Update

LINES: Final = (
    Column("scope"),
    Column("id", right=True),
    Column("type"),
    Column("snapshot"),
    Column("data"),
)
_FAILED: Final = {"failed", "cancelled"}

waiting = [
    click.option(
        "--timeout", type=options.SPAN, metavar="TIME", help="Give up after this time and exit 124."
    ),
    click.option(
        "--stall-timeout",
        type=options.SPAN,
        metavar="TIME",
        help="Give up and exit 124 when no message arrives for this time.",
    ),
]


def _patient(function: Any) -> Any:
    for option in reversed(waiting):
        function = option(function)
    return function


@click.group(cls=Group)
def cli() -> None:
    """Watch a task, an order or everything live.

    'tail task' and 'tail order' end when the task or the order ends. On a terminal they draw bars. Elsewhere
    they write one line for each message, or one JSON document with -o jsonl.

    Example:
        orderctl tail task 456
        orderctl tail order DH123456 --exit-status
    """


@cli.command()
@click.argument("task_id", metavar="ID", type=options.WholeNumber(min=1))
@click.option("--exit-status", is_flag=True, help="Exit 1 when the task failed or was cancelled.")
@_patient
@options.output(LINES)
@pass_app
def task(
    app: App,
    task_id: int,
    exit_status: bool,
    timeout: timedelta | None,
    stall_timeout: timedelta | None,
) -> ExitStatus:
    """Watch one task until it ends.

    Example:
        orderctl tail task 456
        orderctl tail task 456 -o jsonl --timeout 10m
    """
    from orderctl import follow

    subject = follow.find_task(app.engine, task_id)
    events = follow.watch(app.engine, app.redis_url, subject, _patience(timeout, stall_timeout))
    return _show(app, events, exit_status, subject.labels)


@cli.command()
@click.argument("order", metavar="ORDER")
@click.option("--exit-status", is_flag=True, help="Exit 1 when the order failed or was cancelled.")
@_patient
@options.output(LINES)
@pass_app
def order(
    app: App,
    order: str,
    exit_status: bool,
    timeout: timedelta | None,
    stall_timeout: timedelta | None,
) -> ExitStatus:
    """Watch an order (id or code) and its tasks until it ends.

    Example:
        orderctl tail order DH123456
        orderctl tail order DH123456 --exit-status --stall-timeout 5m
    """
    from orderctl import follow

    subject = follow.find_order(app.engine, order)
    events = follow.watch(app.engine, app.redis_url, subject, _patience(timeout, stall_timeout))
    return _show(app, events, exit_status, subject.labels)


@cli.command("all")
@_patient
@options.output(LINES)
@pass_app
def all_(app: App, timeout: timedelta | None, stall_timeout: timedelta | None) -> ExitStatus:
    """Watch every order and task until Ctrl-C.

    Example:
        orderctl tail all
        orderctl tail all -o jsonl | jq .data.percent
    """
    from orderctl import follow

    patience = _patience(timeout, stall_timeout)
    events = follow.watch_patterns(app.engine, app.redis_url, channels.PATTERNS, patience)
    return _show(app, events, exit_status=False)


@cli.command()
@click.argument("pattern")
@_patient
@options.output(LINES)
@pass_app
def pattern(app: App, pattern: str, timeout: timedelta | None, stall_timeout: timedelta | None) -> ExitStatus:
    """Watch the channels {scope}:{id}:{type} that match a pattern, until Ctrl-C.

    Example:
        orderctl tail pattern 'task:*:progress'
        orderctl tail pattern 'order:*:complete' -o jsonl
    """
    from orderctl import follow

    if not pattern.startswith((*(f"{scope}:" for scope in channels.KINDS), "*")):
        raise InvalidInput(
            f"{pattern!r} matches no channel: their names are {{scope}}:{{id}}:{{type}}",
            hint="such as 'task:*:progress' or 'order:7:*'",
        )
    events = follow.watch_patterns(app.engine, app.redis_url, [pattern], _patience(timeout, stall_timeout))
    return _show(app, events, exit_status=False)


def _patience(timeout: timedelta | None, stall_timeout: timedelta | None) -> Patience:
    from orderctl.follow import Patience

    return Patience(_seconds(timeout), _seconds(stall_timeout))


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _show(
    app: App,
    events: Iterable[Update | Remark | End],
    exit_status: bool,
    labels: Mapping[tuple[channels.Scope, int], str] | None = None,
) -> ExitStatus:
    """Show the events in the chosen format, and return the exit status."""
    from orderctl.follow import End, Remark

    ends: list[End] = []

    def noted() -> Iterator[Update | End]:
        for event in events:
            if isinstance(event, Remark):
                app.say(event.text)
                continue
            if isinstance(event, End):
                ends.append(event)
            yield event

    if app.format is not Format.TABLE:
        app.render(_record(event) for event in noted())
    elif app.out.isatty() and app.ambient.terminal != "dumb":
        from orderctl.cli import bars

        bars.draw(app.out, noted(), labels or {}, color=app.colored(app.out))
    else:
        for event in noted():
            app.write(f"{line(event)}\n")
    failed = any(end.status in _FAILED for end in ends)
    return ExitStatus.FAILED if exit_status and failed else ExitStatus.DONE


def _record(event: Update | End) -> dict[str, Any]:
    from orderctl.follow import End

    if isinstance(event, End):
        data = {"status": event.status, "detail": event.detail}
        return {"scope": event.scope, "id": event.id, "type": "end", "snapshot": False, "data": data}
    channel = event.channel
    return {
        "scope": channel.scope,
        "id": channel.id,
        "type": channel.kind,
        "snapshot": event.snapshot,
        "data": event.data,
    }


def line(event: Update | End) -> str:
    """Return an event as one line for people."""
    from orderctl.follow import End, in_words
    from orderctl.terminal import sanitise

    if isinstance(event, End):
        detail = f": {event.detail}" if event.detail else ""
        return sanitise.line(f"{event.scope} {event.id} {event.status}{detail}")
    data, channel = event.data, event.channel
    draw = _DRAWN.get((channel.scope, channel.kind)) or _DRAWN.get((None, channel.kind))
    return sanitise.line(f"{channel.scope} {channel.id}  {draw(data) if draw else in_words(channel, data)}")


def _progress(data: Mapping[str, Any]) -> str:
    speed = data.get("speed")
    rate = f"  {render.size(speed)}/s" if speed else ""
    return f"{data['percent']:5.1f} %  {data.get('currentFile') or ''}{rate}"


def _status(data: Mapping[str, Any]) -> str:
    error = f": {data['error']}" if data.get("error") else ""
    return f"{data.get('previousStatus') or '-'} -> {data['newStatus']}{error}"


def _complete(data: Mapping[str, Any]) -> str:
    return f"complete: {data['completedTasks']} of {data['totalTasks']} tasks"


_DRAWN: Final[Mapping[tuple[Scope | None, MessageKind], Callable[[Mapping[str, Any]], str]]] = {
    (None, MessageKind.PROGRESS): _progress,
    (None, MessageKind.STATUS): _status,
    (Scope.ORDER, MessageKind.COMPLETE): _complete,
}
