"""``orderctl orders``: list, show, count, wait for, add, pay and cancel orders."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from orderctl import money, texts
from orderctl.cli import locks, nothing, options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import CANCELLED_ORDERS, EVENTS, ORDER_DETAIL, ORDERS
from orderctl.cli.lazy import Group
from orderctl.errors import ExitStatus, InvalidInput, SubjectFailed
from orderctl.states import ENDED_ORDER, OrderStatus
from orderctl.terminal.render import Column, Format

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.listing import OrderFilter
    from orderctl.order_stats import Stats
    from orderctl.orders import Order

STATS: Final = (
    Column("scope", keep=True),
    Column("status", keep=True),
    Column("count", right=True, keep=True),
)
_SLOW_SECONDS: Final = 2.0


class Amount(click.ParamType[Decimal]):
    """An amount of money."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return an exact number; ``300,000`` and ``300_000`` are 300000."""
        try:
            return money.parse(str(value).replace(",", ""))
        except ValueError:
            self.fail(f"needs an amount such as 300000 or 12.50, not {texts.shown(value)}", param, ctx)


@click.group(cls=Group)
def cli() -> None:
    """List, show, add, pay and cancel orders.

    ORDER is an order's code or its id. Commands that only read also take the e-mail address of a customer who has a
    single order.

    Example:
        orderctl orders list --paid
        orderctl orders show DH123456
    """


@cli.command("list")
@click.option("--paid", is_flag=True, help="Only paid orders.")
@click.option("--status", type=options.ORDER_STATUSES, help="Only orders with one of these statuses.")
@click.option(
    "--stale",
    type=options.SPAN,
    metavar="TIME",
    help="Only paid, unfinished orders whose tasks have not changed for this time.",
)
@click.option("--email", metavar="EMAIL", help="Only orders of this customer.")
@click.option(
    "--search",
    metavar="PART",
    help="Only orders whose code or e-mail address contains this, in any case.",
)
@click.option(
    "--deleted", is_flag=True, help="Only orders that the shop has deleted (in its column deleted_at)."
)
@options.period
@options.paging
@watch.option
@options.output(ORDERS)
@pass_app
def list_(
    app: App,
    *,
    paid: bool,
    status: tuple[str, ...] | None,
    stale: timedelta | None,
    email: str | None,
    search: str | None,
    deleted: bool,
    period: options.Period,
    page: options.Paging,
    watching: watch.Watching,
) -> None:
    """List orders, newest first. Orders that the shop has deleted are left out, except with --deleted.

    In a large shop, --search looks at the newest 10,000 orders, and at the last 1,000 codes and addresses that begin
    with PART.

    Example:
        orderctl orders list --paid --status processing,failed
        orderctl orders list --search 7002
        orderctl orders list --stale 10m
        orderctl orders list --paid --since yesterday -o json
    """
    from orderctl.listing import OrderFilter

    stale_seconds = None if stale is None else stale.total_seconds()
    wanted = OrderFilter(
        paid, status, stale_seconds, email, period.since, period.until, deleted, _part(search)
    )
    _list(app, wanted, page, watching)


def _part(search: str | None) -> str | None:
    if search is None or search.strip():
        return search and search.strip()
    raise InvalidInput("--search needs a part of a code or an address", hint="orderctl orders list")


def _list(app: App, wanted: OrderFilter, page: options.Paging, watching: watch.Watching) -> None:
    from orderctl import listing, searching, statuses
    from orderctl.cli.live import Live
    from orderctl.cli.pages import Pages

    def begin(connection: Connection) -> OrderFilter:
        statuses.require_of_orders(connection, wanted.statuses or ())
        if wanted.search and not searching.is_complete(connection):
            app.say(
                f"searched: the newest {searching.NEWEST:,} orders, and the last {searching.BEGINNING:,} codes and"
                f" addresses that begin with {texts.shown(wanted.search)}"
            )
        return wanted

    def read(
        connection: Connection, chosen: OrderFilter, limit: int, after: str | None
    ) -> tuple[list[Order], str | None]:
        found = listing.page(connection, chosen, limit=limit, after=after)
        return found.orders, found.cursor

    pages = Pages(app, page, begin, read)
    if watching.watch:
        watch.watch_pages(app, watching, pages, page, "orders", lambda rows: Live(app).orders(rows))
    app.render_pages(map(Live(app).orders, pages), nothing=nothing.of("orders"))
    if not pages.count and wanted.email is not None:
        nothing.say_near_addresses(app, wanted.email)
    elif not pages.count and wanted.search is not None:
        nothing.say_near_codes(app, wanted.search)
    pages.say_next()


@cli.command()
@click.argument("order")
@click.option("--timeline", is_flag=True, help="Show only the order's events, oldest first.")
@click.option("--deleted", is_flag=True, help="Show an order that the shop has deleted.")
@options.output(ORDER_DETAIL, EVENTS)
@pass_app
def show(app: App, order: str, *, timeline: bool, deleted: bool) -> None:
    """Show an order with its tasks, its payments and its events, and what it waits for.

    In JSON, 'waiting' of an order and of each of its tasks has cause, text and hint (a command, or null); it is null
    when nothing is waited for.

    Example:
        orderctl orders show DH123456
        orderctl orders show customer@example.com
        orderctl orders show DH123456 --timeline
        orderctl orders show DH123456 -o json
    """
    from orderctl.cli import order_tree

    with app.reading() as connection:
        stored = order_tree.find(connection, order, deleted=deleted)
    found = order_tree.enliven(app, stored)
    if timeline:
        app.render(found.events, EVENTS, nothing=nothing.of("events"))
        for line in order_tree.next_tries(found):
            app.say(line)
    else:
        app.render_one(found, human=lambda view: order_tree.draw(found, view))
    if found.cut:
        app.say(
            f"Only the newest {len(found.events):,} events are shown.\nall: orderctl logs show {texts.arguments(found.order_code)}"
        )


@cli.command()
@click.option("--exact", is_flag=True, help="Count every row, which takes seconds with a million orders.")
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Print the numbers and exit 1 when this condition is met, otherwise nothing; can be repeated.",
)
@options.output(STATS)
@pass_app
def stats(app: App, *, exact: bool, conditions: tuple[str, ...]) -> None:
    """Count paid orders and their tasks by status.

    Counting stops where it would take long. A number such as 24+ is a lower bound: there are 24 or more.

    A CONDITION such as 'failed>5' compares the number of orders with this status with a limit. 'total' is
    the number of all paid orders. 'tasks.failed>5' compares the number of tasks instead. If a lower bound cannot
    decide it, every row is counted.

    With --fail-if, whatever the format, nothing is printed as long as no condition is met: cron mails only then.

    Example:
        orderctl orders stats
        orderctl orders stats --fail-if 'failed>5' --fail-if 'tasks.pending>100'
    """
    from orderctl.cli.conditions import Condition

    wanted = [Condition.parse(text) for text in conditions]
    found = _count(app, exact=exact)
    if any(condition.is_met(found.numbers, found.at_least) is None for condition in wanted):
        found = _count(app, exact=True)
    for condition in wanted:
        condition.check(found.numbers)
    numbers = found.numbers, found.at_least
    met = [condition.explain(*numbers) for condition in wanted if condition.is_met(*numbers)]
    if met or not wanted:
        _show_stats(app, found)
    if met:
        raise SubjectFailed(f"condition met: {', '.join(met)}")


def _count(app: App, *, exact: bool) -> Stats:
    from orderctl import order_stats

    waiting = threading.Timer(_SLOW_SECONDS, app.say, ["counting all rows"])
    waiting.daemon = True
    if exact and app.err.isatty():  # cron would mail it
        waiting.start()
    try:
        with app.reading() as connection:
            return order_stats.count(connection, exact=exact)
    finally:
        waiting.cancel()


def _show_stats(app: App, found: Stats) -> None:
    from orderctl.statuses import COUNT_LIMIT

    def shown(scope: str, status: str, number: int) -> int | str:
        return f"{min(number, COUNT_LIMIT)}+" if f"{scope}.{status}" in found.at_least else number

    def stored(scope: str, status: str, number: int) -> int:
        return min(number, COUNT_LIMIT) if f"{scope}.{status}" in found.at_least else number

    if app.format is Format.JSON:
        counts = {
            scope: {status: stored(scope, status, number) for status, number in group.items()}
            for scope, group in found.numbers.items()
        }
        app.write_document({**counts, "capped": found.capped, "at_least": sorted(found.at_least)})
        return
    app.render(
        {"scope": scope, "status": status, "count": shown(scope, status, number)}
        for scope, group in found.numbers.items()
        for status, number in group.items()
    )
    if not any(found.numbers["orders"].values()):
        nothing.say(app, "There are no paid orders.")


@cli.command()
@click.argument("order")
@click.option(
    "--for",
    "statuses",
    type=options.ORDER_STATUSES,
    help="Wait for one of these statuses instead of the end.",
)
@click.option("--timeout", type=options.SPAN, metavar="TIME", help="Give up after this time and exit 124.")
@options.output(ORDERS)
@pass_app
def wait(app: App, order: str, *, statuses: tuple[str, ...] | None, timeout: timedelta | None) -> None:
    """Wait until an order has ended; exit 1 when it failed or was cancelled.

    On stderr it says what the order waits for, whenever that changes.

    Example:
        orderctl orders wait DH123456 --timeout 30m
        orderctl orders wait DH123456 --for processing,completed
    """
    from orderctl import statuses as there
    from orderctl.cli import waiting

    with app.reading() as connection:
        there.require_of_orders(connection, statuses or ())
    found = waiting.for_order(app, order, statuses or tuple(map(str, ENDED_ORDER)), timeout)
    app.render([found])
    wanted = statuses or (OrderStatus.COMPLETED,)
    if found.order_status not in wanted:
        raise SubjectFailed(
            f"order {found.order_code} is {found.order_status}",
            hint=f"orderctl orders show {texts.arguments(found.order_code)}",
        )


@cli.command()
@click.option("--code", metavar="CODE", help="The order's code.")
@click.option("--email", metavar="EMAIL", help="The customer's e-mail address.")
@click.option("--amount", type=Amount(), metavar="N", help="Total amount of the order.")
@click.option(
    "--course", "courses", multiple=True, metavar="URL", help="URL of a course to download; can be repeated."
)
@click.option(
    "--json",
    "document",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Read orders from a file, or - for stdin.",
)
@options.output(ORDERS)
@locks.lock
@pass_app
def add(
    app: App,
    *,
    code: str | None,
    email: str | None,
    amount: Decimal | None,
    courses: tuple[str, ...],
    document: TextIO | None,
) -> None:
    """Add an order with its tasks.

    With --json, FILE contains one object or a list of objects with order_code, user_email, total_amount and
    courses. A course is a URL, or an object with url and title. Either all orders are added, or none.

    Example:
        orderctl orders add --code DH123456 --email customer@example.com --amount 300000 --course https://example.com/a.zip
        orderctl orders add --json - < orders.json
    """
    from orderctl import masking, orders
    from orderctl.cli import order_input

    options_of_one = {"--code": code, "--email": email, "--amount": amount, "--course": courses}
    order_input.check_alone(document, **options_of_one)
    new = (
        order_input.read_orders(document)
        if document
        else [order_input.one_order(code, email, amount, courses)]
    )
    for warning in order_input.check_urls(new, app.settings):
        app.warn(f"warning: {warning}")
    if any(map(masking.carries_secret, courses)):
        app.warn(
            "warning: other users of this machine could read the password of --course in the list of processes;"
            " --json - reads it from stdin"
        )
    attempts = app.settings.worker.max_attempts

    def work(connection: Any) -> list[orders.Order]:
        ids = [orders.add(connection, order, max_attempts=attempts, actor=app.actor) for order in new]
        return [orders.get(connection, order_id) for order_id in ids]

    added = app.transact(work)
    app.render(added)
    for order, asked in zip(added[:1], new, strict=False):
        app.say(f"next: {orders.payment_command(order.order_code, asked.total_amount)}")


@cli.command()
@click.argument("references", metavar="ORDER...", nargs=-1, required=True)
@options.audited_consent
@locks.lock
@options.output(CANCELLED_ORDERS)
@pass_app
def cancel(app: App, references: tuple[str, ...], consent: options.Consent) -> ExitStatus:
    """Cancel orders that have not ended, paid or not; a worker of orderctl's stops the download.

    Tasks that have not ended are cancelled, and the order ends as cancelled; completed and failed tasks stay as they
    are. The payment stays as it is, too: the shop sends the money back. An order that has ended is a conflict (exit
    4, or 1 if there are several orders). 'tasks retry' reopens a cancelled order.

    Example:
        orderctl orders cancel DH123456 --reason "the customer has withdrawn"
        orderctl orders cancel DH123456 DH123457 --dry-run
    """
    from orderctl.cli import order_cancel

    return order_cancel.cancel(app, references, consent)


@cli.command()
@click.argument("code", required=False)
@click.option("--amount", type=Amount(), metavar="N", help="Amount that was paid.")
@click.option("--bank", metavar="BANK", help="Name of the bank.")
@click.option(
    "--transaction",
    metavar="ID",
    help="The bank's id of the payment; a payment with the same id counts once.",
)
@click.option(
    "--json",
    "document",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Read the bank's webhook, or a list of them, from a file, or - for stdin.",
)
@click.option(
    "--provider",
    type=options.Provider(),
    metavar="NAME",
    help="The provider whose webhook --json reads; without it, the fields tell.",
)
@locks.lock
@pass_app
def pay(
    app: App,
    code: str | None,
    *,
    amount: Decimal | None,
    bank: str | None,
    transaction: str | None,
    document: TextIO | None,
    provider: str | None,
) -> None:
    """Record the payment of an order, and wake the workers.

    Recording the same payment again changes nothing. If the amount is wrong, the order stays unpaid and the
    command exits 1; if the order is paid already, the payment is kept as surplus and the command exits 4.

    With --json, FILE is what a bank sends to the relay: of the shop's own kind, of SePay or of Casso; or a list of
    that, of which each item is recorded by itself, and none if one of them cannot be read. A payment that names no
    order is kept as unmatched, and the command exits 3, or 1 if there are several. 'orderctl payments list --open'
    lists what waits for a decision.

    Example:
        orderctl orders pay DH123456 --amount 300000 --bank ACB --transaction FT26014
        echo '{"code":"DH123456","transferAmount":300000,"id":7}' | orderctl orders pay --json -
    """
    from orderctl.audit import Origin
    from orderctl.cli import order_input, payment_lines, payment_recording
    from orderctl.payments import intake
    from orderctl.payments.amounts import Rules
    from orderctl.states import Source

    options_of_one = {"CODE": code, "--amount": amount, "--bank": bank, "--transaction": transaction}
    order_input.check_alone(document, **options_of_one)
    if provider is not None and document is None:
        raise InvalidInput(
            "--provider says who has sent the document of --json", hint="add --json FILE, or leave it out"
        )
    rules, origin = Rules.of(app.settings), Origin(Source.CLI, app.actor)
    if document:
        deliveries = order_input.read_deliveries(document, provider)
        payment_recording.record(app, deliveries, rules, origin)
    else:
        transfer = order_input.one_payment(code, amount, bank, transaction)
        order = transfer.code or ""
        receipt = app.transact(lambda connection: intake.pay(connection, order, transfer, rules, origin))
        payment_lines.report(app, [receipt])
