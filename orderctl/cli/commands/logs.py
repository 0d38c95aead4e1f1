"""``orderctl logs``: show and count the events of the audit log."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl.cli import locks, nothing, options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import EVENTS, ORDER_EVENTS
from orderctl.cli.lazy import Group
from orderctl.errors import InvalidInput
from orderctl.states import Severity, at_least
from orderctl.terminal.render import Column, Format

if TYPE_CHECKING:
    from datetime import datetime

    from orderctl.audit import Event
    from orderctl.audit_summary import Count

COUNTS: Final = (Column("category"), Column("severity"), Column("count", right=True))
MATRIX: Final = (
    Column("category", keep=True),
    *(Column(str(severity), right=True) for severity in Severity),
    Column("total", right=True, keep=True),
)
_FOLLOWED: Final = 10


class Pattern(click.ParamType[re.Pattern[str]]):
    """A regular expression. If it is all in lower case, it ignores case."""

    name = "pattern"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        """Return the compiled expression."""
        try:
            return re.compile(value, re.IGNORECASE if value == value.lower() else 0)
        except re.error as error:
            self.fail(f"{value!r} is not a valid regular expression: {error}", param, ctx)


@click.group(cls=Group, default="show")
def cli() -> None:
    """Search the audit log. 'orderctl logs ORDER' is 'orderctl logs show ORDER'.

    Example:
        orderctl logs DH123456
        orderctl logs errors --since yesterday
    """


@cli.command()
@click.argument("order")
@click.option(
    "--task", "task_id", type=options.WholeNumber(1), metavar="ID", help="Only events of this task."
)
@click.option("--severity", type=options.SEVERITY, help="Only events of this severity or higher.")
@click.option(
    "--category",
    type=options.CATEGORY,
    help="Only events of this category.",
)
@options.period
@click.option(
    "-g",
    "--grep",
    type=Pattern(),
    metavar="RE",
    help="Only events whose message or type matches this regular expression.",
)
@click.option(
    "-n",
    "--lines",
    type=options.WholeNumber(1, options.MOST_EVENTS),
    metavar="N",
    help="At most N events, the newest ones.",
)
@click.option("-f", "--follow", is_flag=True, help="Also show new events as they are written, until Ctrl-C.")
@click.option("-r", "--reverse", is_flag=True, help="Show the newest events first.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Start after the event whose id is in FILE; write the id of the last event shown into it.",
)
@options.output(EVENTS, times="local")
@pass_app
def show(
    app: App,
    order: str,
    *,
    task_id: int | None,
    severity: str | None,
    category: str | None,
    period: options.Period,
    grep: re.Pattern[str] | None,
    lines: int | None,
    follow: bool,
    reverse: bool,
    cursor_file: Path | None,
) -> None:
    """Show the events of an order, oldest first.

    Example:
        orderctl logs show DH123456 --severity warning
        orderctl logs show DH123456 -n 20 -f
        orderctl logs show DH123456 -g 'timed? out' -o jsonl
    """
    from orderctl import audit
    from orderctl.cli import log_reader

    if reverse and (follow or cursor_file):
        raise InvalidInput("--reverse cannot be combined with --follow or --cursor-file")
    wanted = audit.Search(task_id, None, category, period.since, period.until)
    if severity is not None:
        hidden = set(Severity) - set(at_least(Severity(severity)))
        wanted = replace(wanted, hidden_severities=hidden)
    if follow and lines is None and cursor_file is None:
        lines = _FOLLOWED
    found = log_reader.LogReader(app, order, wanted, grep, cursor_file, follow)
    log_reader.show(found, lines=lines, reverse=reverse)


@cli.command()
@click.option(
    "--severity",
    type=options.SEVERITY,
    default="error",
    show_default=True,
    help="Only events of this severity or higher.",
)
@click.option(
    "-S", "--since", type=options.MOMENT, metavar="TIME", help="Only from this time on (10m, 2h, yesterday)."
)
@click.option(
    "-n",
    "--lines",
    type=options.WholeNumber(1, options.MOST_ROWS),
    metavar="N",
    help=f"At most N events, the newest ones. Default: {options.DEFAULT_LIMIT}; with --cursor-file, all new ones.",
)
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Show only errors that no run with this FILE has shown, oldest first; FILE notes how far it came.",
)
@watch.option
@options.output(ORDER_EVENTS, times="local")
@pass_app
def errors(
    app: App,
    *,
    severity: str,
    since: datetime | None,
    lines: int | None,
    cursor_file: Path | None,
    watching: watch.Watching,
) -> None:
    """Show the newest errors of all paid orders, newest first.

    With --cursor-file the first run shows the newest errors, and each later run those that are new: without new ones
    it prints nothing, so that cron mails nothing. It exits 0 with and without new errors, 2 if FILE cannot be written, and
    69 if the database does not answer. After a crash, errors are shown again rather than left out. A second run at the
    same time says that it waits for the first one.

    Example:
        orderctl logs errors
        orderctl logs errors --severity warning --since 2h
        orderctl logs errors --cursor-file /var/lib/orderctl/errors-seen
    """
    from orderctl import audit
    from orderctl.cli import error_cursor

    if watching.watch and cursor_file is not None:
        raise InvalidInput("give --watch or --cursor-file, not both")
    severities = at_least(Severity(severity))[::-1]
    if cursor_file is not None:
        error_cursor.show(app, cursor_file, error_cursor.Wanted(severities, since, lines))
        return
    empty = nothing.of("events" if severity != Severity.ERROR else "errors")
    limit = lines or options.DEFAULT_LIMIT

    def read() -> list[Event]:
        with app.reading() as connection:
            return audit.errors(connection, severities=severities, since=since, limit=limit)

    if watching.watch:
        watch.watch(app, watching, lambda: watch.picture(app, read(), empty))
    app.render(read(), nothing=empty)


@cli.command()
@click.option(
    "-S", "--since", type=options.MOMENT, metavar="TIME", help="Only from this time on (10m, 2h, yesterday)."
)
@click.option(
    "--paid", is_flag=True, help="Only events of paid orders. This reads all events, which takes long."
)
@click.option(
    "--recount", is_flag=True, help="First count all events anew, after some were deleted or changed."
)
@options.output(COUNTS, MATRIX)
@locks.lock
@pass_app
def summary(app: App, *, since: Any, paid: bool, recount: bool) -> None:
    """Count the events by category and severity.

    Example:
        orderctl logs summary
        orderctl logs summary --since yesterday -o json
        orderctl logs summary --paid
    """
    from orderctl import audit_summary
    from orderctl.cli import event_counts

    if paid and recount:
        raise InvalidInput("--recount cannot be combined with --paid, which counts all events in any case")
    if paid:
        app.say("reading all events; with millions of them this takes minutes")
    else:
        event_counts.catch_up(app, anew=recount)
    with app.reading() as connection:
        found = (audit_summary.of_paid if paid else audit_summary.summary)(connection, since=since)
    if app.format in {Format.TABLE, Format.WIDE, Format.MARKDOWN} and not app.output.fields:
        unknown = sorted({count.severity for count in found} - set(map(str, Severity)))
        more = [Column(word, word.upper() or "NONE", right=True) for word in unknown]
        app.render(_matrix(found), (*MATRIX[:-1], *more, MATRIX[-1]), nothing=nothing.of("events"))
    else:
        app.render(found, nothing=nothing.of("events"))


def _matrix(counts: list[Count]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for count in counts:
        row = rows.setdefault(count.category, {"category": count.category, "total": 0})
        row[count.severity] = row.get(count.severity, 0) + count.count
        row["total"] += count.count
    return list(rows.values())
