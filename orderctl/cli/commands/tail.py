"""``orderctl tail``: show live progress as bars on a terminal, and as lines elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl import channels
from orderctl.cli import options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.errors import ExitStatus, InvalidInput, OrderNotFound
from orderctl.terminal.render import Column

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.follow import Patience
    from orderctl.subjects import Subject
    from orderctl.watched import Watched

LINES: Final = (
    Column("scope"),
    Column("id", right=True),
    Column("type"),
    Column("snapshot"),
    Column("data"),
)


class _OrdersByDefault(Group):
    """A group whose command ``order`` may be left out: ``tail DH1`` is ``tail order DH1``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command before the arguments, if there is none."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            named = next((word for word in args if word in self.commands), None)
            if named is not None and args[0].startswith("-"):
                args.remove(named)
            else:
                named = "order"
            args = [named, *args]
        return super().parse_args(ctx, args)


patience = [
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
_of_subjects = [
    click.option("--exit-status", is_flag=True, help="Exit 1 when one of them failed or was cancelled."),
    click.option("--fail-fast", is_flag=True, help="Exit 1 as soon as one of them failed or was cancelled."),
    click.option(
        "--events/--no-events",
        default=None,
        help="Also show new events of the audit log. On a terminal they are shown above the bars by default.",
    ),
    *patience,
]
_of_everything = [
    click.option(
        "--history",
        is_flag=True,
        help="Begin with the last message of each channel in the last hour; without it a pipe gets new ones only.",
    ),
    *patience,
]


def _options(those: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(those):
            function = option(function)
        return function

    return decorate


@click.group(cls=_OrdersByDefault, subcommand_metavar="COMMAND|ORDER... [ARGS]...")
def cli() -> None:
    """Watch a task, an order or everything live.

    'tail ORDER...' is 'tail order ORDER...'. Tasks and orders are watched until they have ended. On a terminal
    they are bars: a bar glides to what the newest message says, and never beyond. Elsewhere there is one line
    for each message, or one JSON document with -o jsonl.

    What waits says what it waits for: on a terminal below the bars, else on stderr. With -o jsonl this is a
    record of the type 'waiting' with cause, text and hint. Events of the audit log have the type 'event', and
    the last record of each task or order has the type 'end'.

    Example:
        orderctl tail DH123456
        orderctl tail task 456
        orderctl tail order DH123456 DH123457 --fail-fast
    """


@cli.command()
@click.argument("task_ids", metavar="ID...", type=options.WholeNumber(min=1), nargs=-1, required=True)
@_options(_of_subjects)
@options.output(LINES)
@pass_app
def task(app: App, /, task_ids: tuple[int, ...], **chosen: Any) -> ExitStatus:
    """Watch tasks until they have ended.

    Example:
        orderctl tail task 456
        orderctl tail task 456 457 -o jsonl --timeout 10m
    """
    from orderctl import subjects

    return _watch(app, subjects.find_task, task_ids, **chosen)


@cli.command()
@click.argument("orders", metavar="ORDER...", nargs=-1, required=True)
@_options(_of_subjects)
@options.output(LINES)
@pass_app
def order(app: App, /, orders: tuple[str, ...], **chosen: Any) -> ExitStatus:
    """Watch orders (ids or codes) and their tasks until they have ended.

    Example:
        orderctl tail order DH123456
        orderctl tail order DH123456 DH123457 --exit-status --stall-timeout 5m
    """
    from orderctl import subjects

    try:
        return _watch(app, subjects.find_order, orders, **chosen)
    except OrderNotFound as error:
        raise _with_hint(error, orders) from None


def _with_hint(error: OrderNotFound, words: Sequence[str]) -> OrderNotFound:
    """Return the error; with the command that was meant, if the first word looks like one."""
    meant = get_close_matches(words[0].lower(), cli.commands, n=1)
    if meant:
        error.hint = shlex.join(["orderctl", "tail", meant[0], *words[1:]])
    elif words[0].isascii() and words[0].isdecimal():
        error.hint = shlex.join(["orderctl", "tail", "task", *words])
    return error


def _watch(
    app: App,
    find: Callable[[Connection, Any], Subject],
    references: Sequence[Any],
    *,
    exit_status: bool,
    fail_fast: bool,
    events: bool | None,
    timeout: timedelta | None,
    stall_timeout: timedelta | None,
) -> ExitStatus:
    from orderctl import follow
    from orderctl.cli import tail_output, waiting_lines

    with app.reading() as connection:
        found = {one.key: one for one in (find(connection, reference) for reference in references)}
    shown = follow.watch(
        app.engine,
        lambda: app.redis_url,
        list(found.values()),
        _patience(timeout, stall_timeout),
        why=waiting_lines.of_subjects(app),
        events=tail_output.draws_bars(app) if events is None else events,
        fail_fast=fail_fast,
    )
    failed = tail_output.show(app, shown, names={key: one.name for key, one in found.items()})
    return ExitStatus.FAILED if failed and (exit_status or fail_fast) else ExitStatus.DONE


@cli.command("all")
@_options(_of_everything)
@options.output(LINES)
@pass_app
def all_(app: App, /, **chosen: Any) -> ExitStatus:
    """Watch every order and task until Ctrl-C.

    On a terminal it begins with the tasks that are running. What has ended stays for some seconds.

    Example:
        orderctl tail all
        orderctl tail all -o jsonl | jq .data.percent
    """
    return _watch_patterns(app, channels.PATTERNS, **chosen)


@cli.command()
@click.argument("pattern")
@_options(_of_everything)
@options.output(LINES)
@pass_app
def pattern(app: App, /, pattern: str, **chosen: Any) -> ExitStatus:
    """Watch the channels {scope}:{id}:{type} that match a pattern, until Ctrl-C.

    Example:
        orderctl tail pattern 'task:*:progress'
        orderctl tail pattern 'order:*:complete' -o jsonl
    """
    if not pattern.startswith((*(f"{scope}:" for scope in channels.KINDS), "*")):
        raise InvalidInput(
            f"{pattern!r} matches no channel: their names are {{scope}}:{{id}}:{{type}}",
            hint="such as 'task:*:progress' or 'order:7:*'",
        )
    return _watch_patterns(app, [pattern], **chosen)


def _watch_patterns(
    app: App,
    patterns: Sequence[str],
    *,
    history: bool,
    timeout: timedelta | None,
    stall_timeout: timedelta | None,
) -> ExitStatus:
    from orderctl import follow
    from orderctl.cli import tail_output, waiting_lines

    begin = tail_output.draws_bars(app)
    events: Iterable[Watched] = follow.watch_patterns(
        app.engine,
        lambda: app.redis_url,
        patterns,
        _patience(timeout, stall_timeout),
        begin=begin,
        history=history,
        why=waiting_lines.of_everything(app),
    )
    tail_output.show(app, events)
    return ExitStatus.DONE


def _patience(timeout: timedelta | None, stall_timeout: timedelta | None) -> Patience:
    from orderctl.follow import Patience

    return Patience(_seconds(timeout), _seconds(stall_timeout))


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
