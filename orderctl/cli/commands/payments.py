"""``orderctl payments``: list and show payments, give them to orders, or set them aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orderctl.cli import locks, nothing, options, statement_input, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import DIFFERENCES, PAYMENT_DETAIL, PAYMENTS
from orderctl.cli.lazy import Group
from orderctl.cli.options import Consent
from orderctl.errors import ExitStatus, InvalidInput, NotFound
from orderctl.payments.transfer import WITHOUT_SENDER
from orderctl.states import UNDECIDED, PaymentOutcome

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Connection

    from orderctl.audit import Origin
    from orderctl.payments.intake import Receipt
    from orderctl.payments.ledger import Filter, Payment


@click.group(cls=Group)
def cli() -> None:
    """List and show payments, and decide about those that paid no order.

    Each transfer that orderctl learns of is kept with its outcome: paid, partial (a part of an order's amount),
    surplus (its order is paid already, or takes no money), mismatch (the amount is wrong), unmatched (it names no
    order), ignored (outgoing, or a test) or refused (set aside).

    Example:
        orderctl payments list --open
        orderctl payments match 7 DH123456 --reason 'agreed by phone'
        orderctl payments reconcile --statement november.csv
    """


@cli.command("list")
@click.option("--unmatched", is_flag=True, help="Only payments without an order.")
@click.option(
    "--open",
    "undecided",
    is_flag=True,
    help="Only payments that wait for a decision: unmatched, mismatch and surplus.",
)
@click.option("--outcome", type=options.PAYMENT_OUTCOMES, help="Only payments with one of these outcomes.")
@click.option(
    "--provider",
    type=options.Provider(*WITHOUT_SENDER),
    metavar="NAME",
    help="Only payments of this provider; 'manual' are those of 'orders pay', 'statement' those that only a bank's"
    " statement had.",
)
@options.period
@options.paging
@watch.option
@options.output(PAYMENTS)
@pass_app
def list_(
    app: App,
    *,
    unmatched: bool,
    undecided: bool,
    outcome: tuple[str, ...] | None,
    provider: str | None,
    period: options.Period,
    page: options.Paging,
    watching: watch.Watching,
) -> None:
    """List payments, newest first.

    Example:
        orderctl payments list --open
        orderctl payments list --outcome mismatch,surplus --since yesterday
        orderctl payments list --provider sepay -o json
    """
    from orderctl.cli.pages import Pages
    from orderctl.payments import ledger

    if sum((unmatched, undecided, outcome is not None)) > 1:
        raise InvalidInput("give only one of --unmatched, --open and --outcome")
    if unmatched:
        outcome = (PaymentOutcome.UNMATCHED,)
    elif undecided:
        outcome = UNDECIDED
    wanted = ledger.Filter(outcome, provider, period.since, period.until)
    pages = Pages(app, page, lambda _: wanted, _read)
    if watching.watch:
        watch.watch_pages(app, watching, pages, page, "payments")
    app.render_pages(pages, nothing=nothing.of("payments"))
    pages.say_next()


def _read(
    connection: Connection, wanted: Filter, limit: int, after: str | None
) -> tuple[list[Payment], str | None]:
    from orderctl.payments import ledger

    found = ledger.page(connection, wanted, limit=limit, after=after)
    return found.payments, found.cursor


@cli.command()
@click.argument("payment_id", metavar="ID", type=options.WholeNumber(1))
@click.option("--raw", is_flag=True, help="Print what the provider has sent instead, as JSON.")
@options.output(PAYMENT_DETAIL)
@pass_app
def show(app: App, payment_id: int, *, raw: bool) -> None:
    """Show all that is known of a payment.

    What the provider has sent may contain personal data of the customer. Only --raw shows it, as long as the setting
    payments.keep_raw_days says.

    Example:
        orderctl payments show 7
        orderctl payments show 7 --raw
    """
    from orderctl.cli import payment_lines
    from orderctl.payments import ledger

    with app.reading() as connection:
        payment = ledger.find(connection, payment_id)
        sent = ledger.raw(connection, payment_id) if raw else None
    if raw:
        if sent is None:
            raise _not_kept(app, payment)
        app.write_document(sent)
        return
    app.render_one(payment)
    if payment.outcome in {PaymentOutcome.UNMATCHED, PaymentOutcome.MISMATCH}:
        app.say(f"next: {payment_lines.match(payment, payment.order_code)}")
    elif payment.outcome == PaymentOutcome.SURPLUS:
        app.say(f"next: orderctl payments match {payment.id} --refuse --reason WHY")


def _not_kept(app: App, payment: Payment) -> NotFound:
    if payment.provider in WITHOUT_SENDER:
        return NotFound(
            f"no provider has sent payment {payment.id}: it was recorded by a person, or found in the audit log or a statement",
            hint=f"orderctl payments show {payment.id}",
        )
    days = app.settings.payments.keep_raw_days
    return NotFound(
        f"what the provider has sent for payment {payment.id} was deleted: it is kept for {days} days"
        " (the setting payments.keep_raw_days)",
        hint=f"orderctl payments show {payment.id}",
    )


@cli.command()
@click.argument("payment_id", metavar="ID", type=options.WholeNumber(1))
@click.argument("order", metavar="[ORDER]", required=False)
@click.option("--refuse", is_flag=True, help="Set the payment aside: it pays no order.")
@options.audited_consent
@locks.lock
@pass_app
def match(app: App, payment_id: int, order: str | None, *, refuse: bool, consent: Consent) -> None:
    """Give a payment to an order, which it pays whatever its amount; or set it aside with --refuse.

    ORDER is an order's code or its id. The payment is one that paid no order: unmatched, mismatch, surplus, partial or
    refused. Both amounts are shown before the question. Where payments.accept is "sum", a payment that is too small
    for the order becomes a part of its amount.

    --reason is required. It goes into the audit log and stands beside the payment.

    Example:
        orderctl payments match 7 DH123456 --reason 'the code was misspelled'
        orderctl payments match 8 --refuse --reason 'sent back on 3 May' --yes
    """
    from orderctl.audit import Origin
    from orderctl.states import Source

    if (order is not None) is refuse:
        raise InvalidInput(
            "give an order, or --refuse to set the payment aside: one of them",
            hint=f"orderctl payments match {payment_id} ORDER --reason WHY",
        )
    if consent.reason is None and not consent.dry_run:
        raise InvalidInput(
            "a reason is required: the audit log keeps who has decided about money, and why",
            hint="add --reason WHY",
        )
    origin = Origin(Source.CLI, app.actor)
    if order is None:
        _refuse(app, payment_id, consent, origin)
    else:
        _give(app, payment_id, order, consent, origin)


def _give(app: App, payment_id: int, order: str, consent: Consent, origin: Origin) -> None:
    from orderctl.cli import payment_lines
    from orderctl.payments import decisions
    from orderctl.payments.amounts import Rules

    rules = Rules.of(app.settings)
    with app.reading() as connection:
        proposal = decisions.propose(connection, payment_id, order, rules=rules)
    if not consent.yes:
        payment_lines.show_proposal(app, proposal)
    consent.ask(app, payment_lines.question(proposal))
    if consent.dry_run:
        app.say(payment_lines.effect(proposal))
        return

    def work(connection: Connection) -> Receipt:
        return decisions.match(
            connection, payment_id, order, reason=consent.reason, rules=rules, origin=origin, seen=proposal
        )

    payment_lines.report(app, [app.transact(work)])


def _refuse(app: App, payment_id: int, consent: Consent, origin: Origin) -> None:
    from orderctl.cli import payment_lines
    from orderctl.payments import decisions

    with app.reading() as connection:
        payment = decisions.find_refusable(connection, payment_id)
    if not consent.yes:
        payment_lines.show(app, payment)
    consent.ask(app, f"Set payment {payment.id} of {payment_lines.amount(payment)} aside?")
    if consent.dry_run:
        app.say(f"Payment {payment_id} would be set aside.")
        return
    app.transact(
        lambda connection: decisions.refuse(connection, payment_id, reason=consent.reason, origin=origin)
    )
    app.say(f"Payment {payment_id} is set aside.")


@cli.command()
@click.option(
    "--statement",
    "paths",
    type=click.Path(allow_dash=True),
    multiple=True,
    required=True,
    metavar="FILE",
    help="The bank's statement, in CSV or JSON; - is standard input.",
)
@statement_input.notation
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="NUMBER",
    help="The shop's account, if the statement does not name it; may be repeated.",
)
@statement_input.period
@click.option(
    "--late-after",
    type=options.SPAN,
    default="1h",
    show_default=True,
    metavar="SPAN",
    help="A payment is late if orderctl got it later than this after the transfer.",
)
@click.option(
    "--only",
    type=statement_input.KINDS,
    help="Only differences of these kinds; --apply needs 'missing' among them.",
)
@click.option(
    "--apply", is_flag=True, help="Record the missing payments, as if the bank's webhook had sent them."
)
@options.consent
@options.output(DIFFERENCES)
@locks.lock
@pass_app
def reconcile(
    app: App,
    paths: tuple[str, ...],
    *,
    notation: statement_input.Notation,
    accounts: tuple[str, ...],
    period: options.Period,
    late_after: timedelta,
    only: tuple[str, ...] | None,
    apply: bool,
    consent: Consent,
) -> ExitStatus:
    """Compare a bank's statement with the payments and the orders.

    It finds transfers that orderctl does not know (missing), that were recorded twice (double) or with a wrong amount
    (wrong-amount), that it got late (late), and paid orders whose transfer is not in the statement (without-transfer).
    It exits 1 when it finds something, 0 otherwise.

    FILE is what the bank lets you download: CSV with a header in any order, or JSON. Columns with the usual English and
    Vietnamese names are recognised; --map names others.

    --apply records what is missing. Each payment pays the order that it names, or waits for a decision like one from
    the bank's webhook. It is safe to repeat. It exits 1 when something is left that it cannot repair.

    Example:
        orderctl payments reconcile --statement november.csv
        orderctl payments reconcile --statement november.csv --only missing --apply
        orderctl payments reconcile --statement export.csv --map 'Ref. No.=reference' --dates dmy
        curl -sS https://bank.example/statement | orderctl payments reconcile --statement - -o json
    """
    from orderctl.cli import statement_comparison
    from orderctl.payments.reconciliation import Scope

    if len(paths) > 1:
        raise InvalidInput("give one --statement at a time")
    if consent.yes and not apply:
        raise InvalidInput("--yes confirms --apply", hint="add --apply, or leave --yes out")
    scope = Scope(late_after.total_seconds(), period.since, period.until, accounts)
    asked = statement_comparison.Request(paths[0], notation, scope, only)
    if not apply:
        return statement_comparison.show(app, asked)
    return statement_comparison.apply(app, asked, consent)
