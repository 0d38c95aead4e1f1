"""``orderctl reconcile``: repair what crashes leave behind in the database, Redis and the queue."""

from __future__ import annotations

from typing import Final

import click

from orderctl.cli import locks, options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.counting import counted
from orderctl.errors import ExitStatus, InvalidInput
from orderctl.terminal.render import Column
from orderctl.terminal.table import STAYS

FINDINGS: Final = (
    Column("kind", keep=True),
    Column("order_id", "ORDER", right=True, priority=6),
    Column("task_id", "TASK", right=True),
    Column("text", "FINDING", priority=STAYS),
    Column(
        "repaired",
        show=lambda repaired: "yes" if repaired else "no",
        style=lambda ok: "green" if ok else "red",
    ),
)
_NOTHING: Final = "Nothing to repair."


@click.command(cls=Command)
@click.option("--fix", is_flag=True, help="Also end orders whose tasks have all ended.")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when something is wrong.")
@options.output(FINDINGS)
@locks.lock
@pass_app
def cli(app: App, fix: bool, check: bool) -> ExitStatus:
    """Repair what crashes and outages have left behind.

    It recovers the tasks of lost workers, wakes workers for due tasks that have no job in the queue, and
    sends overdue messages. It deletes what payment providers sent longer ago than payments.keep_raw_days.
    It is idempotent and safe to run from cron; every supervisor does the same all the time. It exits 0 when
    nothing is wrong afterwards, and 1 when something is left. With --quiet it prints only what is left.

    Of each kind, one run looks at the first 500; the next run goes on.

    Example:
        orderctl reconcile --check
        orderctl reconcile --quiet --lock reconcile    # from cron, every five minutes
    """
    from orderctl import reconcile

    if fix and check:
        raise InvalidInput("give --fix or --check, not both")
    app.require_database()
    if check:
        found = reconcile.check(app.engine, app.running_redis, app.settings)
        app.render(found, nothing=_NOTHING)
        return ExitStatus.FAILED if found else ExitStatus.DONE
    from orderctl.payments import retention
    from orderctl.worker import courier

    found = reconcile.run(app.engine, app.redis, app.settings, fix=fix)
    report = courier.send_due(app.engine, app.redis, app.settings)
    forgotten = retention.forget(app.engine, app.settings.payments.keep_raw_days)
    left = [finding for finding in found if not finding.repaired]
    if left or not app.quiet:
        app.render(left if app.quiet else found, nothing=_NOTHING)
    if report.sent or report.postponed:
        app.say(f"outbox: {counted(len(report.sent), 'message')} sent, {len(report.postponed)} postponed")
    if forgotten:
        app.say(f"deleted what the provider sent of {counted(forgotten, 'payment')}")
    return ExitStatus.FAILED if left else ExitStatus.DONE
