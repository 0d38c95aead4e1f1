"""``orderctl logs``: show and count the events of the audit log."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl.cli import locks, log_options, nothing, options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import EVENTS, FAILURES, FOUND_EVENTS
from orderctl.cli.lazy import Group
from orderctl.cli.log_options import Filters
from orderctl.errors import InvalidInput
from orderctl.states import Severity
from orderctl.terminal.render import Column, Format

if TYPE_CHECKING:
    from orderctl.audit_summary import Count

COUNTS: Final = (Column("category"), Column("severity"), Column("count", right=True))
MATRIX: Final = (
    Column("category", keep=True),
    *(Column(str(severity), right=True) for severity in Severity),
    Column("total", right=True, keep=True),
)
_FOLLOWED: Final = 10


@click.group(cls=Group, default="show")
def cli() -> None:
    """Search the audit log. 'orderctl logs ORDER' is 'orderctl logs show ORDER'.

    Example:
        orderctl logs DH123456
        orderctl logs search --actor anna --since yesterday
        orderctl logs errors --since yesterday
    """


@cli.command()
@click.argument("order")
@log_options.of_order
@log_options.lines(options.MOST_EVENTS, "At most N events, the newest ones.")
@log_options.follow
@log_options.reverse
@log_options.cursor_file("Show only events that no run with this FILE has shown; FILE notes how far it came.")
@options.output(EVENTS, times="local")
@pass_app
def show(
    app: App,
    order: str,
    *,
    filters: Filters,
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
    from orderctl import references
    from orderctl.cli import log_reader

    _require_direction(reverse=reverse, follow=follow, cursor_file=cursor_file)
    _require_open_end(filters, follow=follow)
    with app.reading() as connection:
        order_id = references.find(connection, order).id
    history = log_reader.OfOrder(app, order_id, filters.search(), filters.matching)
    if not follow and cursor_file is None:
        app.render_pages(history.pages(lines=lines, reverse=reverse), nothing=nothing.of("events"))
        return
    most = _FOLLOWED if follow and lines is None and cursor_file is None else lines
    log_reader.Showing(
        app,
        filters.search(order_id=order_id),
        filters.matching,
        lambda before: history.pages(lines=most, before=before),
        lines,
        nothing.of("events"),
    ).show(cursor_file, follow=follow)


@cli.command()
@click.argument("text", required=False)
@log_options.of_all
@log_options.lines(options.MOST_ROWS, f"At most N events, the newest ones. Default: {options.DEFAULT_LIMIT}.")
@log_options.after
@log_options.time_limit
@log_options.follow
@log_options.reverse
@log_options.cursor_file("Show only events that no run with this FILE has shown; FILE notes how far it came.")
@options.output(FOUND_EVENTS, times="local")
@pass_app
def search(
    app: App,
    text: str | None,
    *,
    filters: Filters,
    lines: int | None,
    after: int | None,
    time_limit: timedelta,
    follow: bool,
    reverse: bool,
    cursor_file: Path | None,
) -> None:
    """Search the events of all orders: the newest that match, oldest first.

    TEXT is looked for in the message and the type, in any case. With --actor, --type, --order, --task, a period, or
    --severity warning and higher, an index finds the events, however many there are. For anything else the events are
    looked through from the newest on; after --time-limit it says how far it came, and how to go on.

    Example:
        orderctl logs search --actor anna --since yesterday
        orderctl logs search 'connection reset' --type download_failed
        orderctl logs search --severity warning..error -f -o jsonl
    """
    from orderctl import references
    from orderctl.audit_search import Walk
    from orderctl.cli import log_reader

    _require_direction(reverse=reverse, follow=follow, cursor_file=cursor_file)
    _require_open_end(filters, follow=follow)
    _require_no_after(after, follow=follow, cursor_file=cursor_file)
    order_id = None
    if filters.order is not None:
        with app.reading() as connection:
            order_id = references.find(connection, filters.order).id
    wanted = filters.search(order_id=order_id, text=text or None)
    most = lines or (_FOLLOWED if follow and cursor_file is None else options.DEFAULT_LIMIT)
    found = log_reader.OfAll(app, Walk(wanted, after, pattern=filters.grep), most, time_limit)
    if not follow and cursor_file is None:
        rows = found.rows()
        app.render(rows if reverse else rows[::-1], nothing=nothing.of("events"))
        found.say_next(len(rows))
        return
    log_reader.Showing(app, wanted, filters.matching, found.before, lines).show(cursor_file, follow=follow)


def _require_direction(*, reverse: bool, follow: bool, cursor_file: Path | None) -> None:
    if reverse and (follow or cursor_file):
        raise InvalidInput("--reverse cannot be combined with --follow or --cursor-file")


def _require_open_end(filters: Filters, *, follow: bool) -> None:
    if follow and filters.until is not None:
        raise InvalidInput("--until cannot be combined with --follow, which shows what comes from now on")


def _require_no_after(after: int | None, *, follow: bool, cursor_file: Path | None) -> None:
    if after is not None and (follow or cursor_file):
        raise InvalidInput("--after cannot be combined with --follow or --cursor-file")


@cli.command()
@log_options.of_errors
@log_options.lines(
    options.MOST_ROWS,
    f"At most N failures, the newest ones. Default: {options.DEFAULT_LIMIT}; with --cursor-file, all new ones.",
)
@click.option("--all", "each", is_flag=True, help="Show each event, also where several tell of one failure.")
@log_options.after
@log_options.time_limit
@log_options.follow
@log_options.cursor_file(
    "Show only errors that no run with this FILE has shown, oldest first; FILE notes how far it came."
)
@watch.option
@options.output(FAILURES, times="local")
@pass_app
def errors(
    app: App,
    *,
    filters: Filters,
    lines: int | None,
    each: bool,
    after: int | None,
    time_limit: timedelta,
    follow: bool,
    cursor_file: Path | None,
    watching: watch.Watching,
) -> None:
    """Show the newest errors of all paid orders, newest first; each failure once.

    The order_failed that follows a task's last failure stands in the same line as this, and so do, with --severity
    warning, the failures of its earlier tries; event_ids in JSON has the ids of all. --all shows each event.

    With --cursor-file the first run shows the newest errors, and each later run those that are new: without new ones
    it prints nothing, so that cron mails nothing. It exits 0 with and without new errors, 2 if FILE cannot be written, and
    69 if the database does not answer. After a crash, errors are shown again rather than left out. A second run at the
    same time says that it waits for the first one.

    Example:
        orderctl logs errors
        orderctl logs errors --severity warning --since 2h
        orderctl logs errors -f
        orderctl logs errors --cursor-file /var/lib/orderctl/errors-seen
    """
    from orderctl import audit_failures
    from orderctl.audit_search import Walk
    from orderctl.cli import log_reader

    if watching.watch and (follow or cursor_file is not None):
        raise InvalidInput(f"give --watch or {'--follow' if follow else '--cursor-file'}, not both")
    _require_open_end(filters, follow=follow)
    _require_no_after(after, follow=follow, cursor_file=cursor_file)
    wanted = filters.search(paid=True)

    def found(most: int) -> log_reader.OfAll:
        merged = partial(audit_failures.newest_first, each=each)
        return log_reader.OfAll(app, Walk(wanted, after, pattern=filters.grep), most, time_limit, merged)

    most = lines or (_FOLLOWED if follow and cursor_file is None else options.DEFAULT_LIMIT)
    if follow or cursor_file is not None:
        merging = audit_failures.Merging(each)
        log_reader.Showing(
            app,
            wanted,
            lambda events: merging.add(filters.matching(events)),
            found(most).before,
            lines,
            thing="error",
            overlap=True,
        ).show(cursor_file, follow=follow)
        return
    empty = nothing.of(
        "events" if filters.severity is not None and str(filters.severity) != "error" else "errors"
    )
    if watching.watch:
        watch.watch(app, watching, lambda: watch.picture(app, found(most).rows(), empty))
    walk = found(most)
    rows = walk.rows()
    app.render(rows, nothing=empty)
    walk.say_next(len(rows))


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
