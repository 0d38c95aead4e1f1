"""``orderctl outbox``: list and show what is sent, was sent or was given up, send it again, and try the receivers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from orderctl.cli import locks, message_bulk, message_lines, message_options, nothing, options, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import MESSAGE_DETAIL, MESSAGES, TRIALS
from orderctl.cli.lazy import Group
from orderctl.cli.message_options import Messages
from orderctl.cli.options import Consent
from orderctl.errors import ExitStatus
from orderctl.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from orderctl.outgoing import Filter, Message


@click.group(cls=Group)
def cli() -> None:
    """List and show mails, webhooks and completion messages, and send them again.

    A message is waiting (to be sent, or to be tried again), sent, failed (given up after 30 tries, or at once where no
    further try can succeed) or skipped (there was nothing to send: no receiver is configured, for example).

    Example:
        orderctl outbox list --failed
        orderctl outbox resend --failed --endpoint crm --since yesterday
        orderctl outbox test
    """


@cli.command("list")
@message_options.listed
@options.paging
@watch.option
@options.output(MESSAGES)
@pass_app
def list_(app: App, *, messages: Messages, page: options.Paging, watching: watch.Watching) -> None:
    """List messages, newest first.

    WHEN is the time of the next try, or that at which the message was sent or given up. ERROR is why the last try
    failed, or why nothing was sent.

    Example:
        orderctl outbox list --failed
        orderctl outbox list --waiting --kind webhook
        orderctl outbox list --order DH123456 -o json
    """
    from orderctl.cli.pages import Pages

    failed = False

    def shown(found: Sequence[Message]) -> list[Message]:
        nonlocal failed
        failed = failed or any(message.state == MessageState.FAILED for message in found)
        return message_lines.explained(app, found)

    pages = Pages(app, page, messages.filter, _read)
    if watching.watch:
        watch.watch_pages(app, watching, pages, page, "messages", shown)
    app.render_pages(map(shown, pages), nothing=nothing.of("messages"))
    pages.say_next()
    if failed:
        app.say(f"next: {messages.resend_failed()}")


def _read(
    connection: Connection, wanted: Filter, limit: int, after: str | None
) -> tuple[list[Message], str | None]:
    from orderctl import outgoing

    found = outgoing.page(connection, wanted, limit=limit, after=after)
    return found.messages, found.cursor


@cli.command()
@click.argument("message_id", metavar="ID", type=options.WholeNumber(1))
@click.option(
    "--text", "as_text", is_flag=True, help="Print the text that the mail would have if it were sent now."
)
@options.output(MESSAGE_DETAIL)
@pass_app
def show(app: App, message_id: int, *, as_text: bool) -> None:
    """Show all that is known of a message, with its payload: the data that it says.

    Example:
        orderctl outbox show 41
        orderctl outbox show 41 --text
    """
    from orderctl import outgoing

    with app.reading() as connection:
        message = outgoing.find(connection, message_id)
        payload = outgoing.payload(connection, message_id)
        if as_text:
            app.write(_text(app, connection, message, payload))
            return
    [explained] = message_lines.explained(app, [message])
    app.render_one({**asdict(explained), "payload": payload})
    if message.state == MessageState.FAILED:
        app.say(f"next: orderctl outbox resend {message_id}")


def _text(app: App, connection: Any, message: Any, payload: Any) -> str:
    from orderctl.terminal import sanitise
    from orderctl.worker import drafts

    return sanitise.block(drafts.text_of(connection, message, payload, app.settings.mail))


@cli.command()
@click.argument("message_ids", metavar="[ID]...", type=options.WholeNumber(1), nargs=-1)
@message_options.selection
@options.audited_consent
@options.output(message_bulk.RESULTS)
@locks.lock
@pass_app
def resend(app: App, message_ids: tuple[int, ...], messages: Messages, consent: Consent) -> ExitStatus:
    """Send messages again: they are due now, and have all their tries again.

    Selectors select messages that were given up; others only with --state, as in --state sent. A message that waits is
    tried earlier. A mail that was sent gets a new Message-ID; a webhook keeps its id, by which its receiver recognises
    it. The courier sends them: it runs with 'orderctl worker start'; 'orderctl reconcile' sends once.

    The audit log of the order says who had them sent again, and why.

    Example:
        orderctl outbox resend 41 42
        orderctl outbox resend --failed --endpoint crm --dry-run
        orderctl outbox resend --failed --since yesterday --yes --reason 'the CRM was away'
        orderctl outbox resend --state sent --order DH123456 --kind summary
    """
    from orderctl.audit import Origin
    from orderctl.states import Source

    choice = message_bulk.choose(app, messages.with_ids(message_ids))
    if not choice.ids:
        app.render([])
        app.say("No messages match.")
        return ExitStatus.DONE
    consent.ask(app, message_bulk.question(choice), needed=bool(choice.seen))
    if consent.dry_run:
        message_bulk.preview(app, choice)
        return ExitStatus.DONE
    results = message_bulk.resend(app, choice, consent, Origin(Source.CLI, app.actor))
    return message_bulk.report(app, results, choice)


@cli.command()
@click.option("--endpoint", type=message_options.Endpoint(), metavar="NAME", help="Only to this endpoint.")
@click.option("--mail", "only_mail", is_flag=True, help="Only the mail.")
@click.option(
    "--to", "recipient", metavar="ADDRESS", help="Send the mail to this address; by default to mail.admin."
)
@options.output(TRIALS)
@pass_app
def test(app: App, *, endpoint: str | None, only_mail: bool, recipient: str | None) -> ExitStatus:
    """Send a sample to each endpoint and to the admin, now and from here.

    The webhook has the event "test", the endpoint's signature and a webhook-id of its own. The mail is that of an
    invented order, with the shop's templates. Neither the database nor a worker is needed. Ten receivers are tried at
    the same time.

    It exits 0 if all samples were accepted, 1 if one was not, 78 if there is no receiver.

    Example:
        orderctl outbox test
        orderctl outbox test --endpoint crm
        orderctl outbox test --mail --to me@example.com
    """
    from orderctl.cli import message_trials

    found = message_trials.carry_out(app, endpoint, recipient, only_mail=only_mail)
    app.render(found)
    return ExitStatus.DONE if all(one.accepted for one in found) else ExitStatus.FAILED
