"""Sends messages of the outbox again, in small transactions, and reports what has become of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderctl.cli import message_lines, options
from orderctl.cli.app import App
from orderctl.cli.columns import status_style
from orderctl.cli.message_options import Messages
from orderctl.cli.options import Consent
from orderctl.counting import counted
from orderctl.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    ExitStatus,
    OrderctlError,
    Superseded,
)
from orderctl.terminal.render import Column

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.audit import Origin
    from orderctl.outgoing import Message, Seen

RESULTS: Final = (
    Column("id", keep=True, right=True),
    Column("kind"),
    Column("order_code", "ORDER"),
    Column("event", priority=1),
    Column("receiver", "TO", priority=3),
    Column("state", "WAS", style=status_style, priority=4),
    Column("changed", priority=7),
    Column("note", priority=8),
    Column("error", priority=9, style=lambda error: "red" if error else None),
)
#: Messages of one transaction: it holds their rows, on SQLite the whole database.
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of one message: it is due now, it stayed as it was because of ``note``, or an error."""

    id: int
    kind: str | None = None
    order_code: str | None = None
    event: str | None = None
    endpoint: str | None = None
    receiver: str | None = None
    state: str | None = None
    changed: bool = False
    note: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The messages that are to be sent again.

    Attributes:
        ids: Their ids, in the order of the arguments or oldest first.
        seen: What they are compared with; empty if they are named by their ids.
        is_cut: Whether there are more messages of this selection.
    """

    ids: Sequence[int]
    seen: Sequence[Seen] = ()
    is_cut: bool = False


def choose(app: App, messages: Messages) -> Choice:
    """Return the selected messages.

    Args:
        app: The application.
        messages: Ids or selectors.
    """
    from orderctl import outgoing

    if not messages.by_selector:
        return Choice(messages.ids[: messages.max])
    limit = messages.max or options.MOST_CHANGES
    with app.reading() as connection:
        found = outgoing.choose(connection, messages.filter(connection), limit=limit)
    cut = messages.max is None and len(found) == limit
    return Choice([one.id for one in found], found, cut)


def question(choice: Choice) -> str:
    """Return the question before selected messages are sent again, with their numbers by kind and endpoint."""
    counts = Counter((one.kind, one.endpoint) for one in choice.seen)
    parts = [
        f"{number:,} {kind}{f' to {endpoint}' if endpoint else ''}"
        for (kind, endpoint), number in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    ]
    return f"Send {counted(len(choice.ids), 'message')} again ({', '.join(parts)})?"


def preview(app: App, choice: Choice) -> None:
    """Show what would be sent again."""
    from orderctl import outgoing

    results: list[Outcome] = []
    for ids in _batches(choice.ids):
        with app.reading() as connection:
            found = {message.id: message for message in outgoing.read(connection, ids)}
        results += [
            _outcome(found[one]) if one in found else Outcome(one, error=f"message {one} not found")
            for one in ids
        ]
    app.render(results)
    count = counted(sum(result.error is None for result in results), "message")
    app.say(f"Would send {count} again; nothing was changed.")


def resend(app: App, choice: Choice, consent: Consent, origin: Origin) -> list[Outcome]:
    """Make messages due now, a batch in a transaction; a failure is reported and does not stop the others.

    Args:
        app: The application.
        choice: The messages.
        consent: The reason for the audit log.
        origin: Who wants it.

    Raises:
        OrderctlError: The only message cannot be sent again.
        DatabaseUnavailable: None can be, because the database is away. If it goes away later, the remaining messages
            are reported, and not tried.
    """
    from orderctl import resending

    seen = {one.id: one for one in choice.seen}
    alone = len(choice.ids) == 1 and not seen
    results: list[Outcome] = []
    outage: OrderctlError | None = None
    for ids in _batches(choice.ids):

        def work(connection: Connection, ids: Sequence[int] = ids) -> list[Message | OrderctlError]:
            return resending.resend(connection, ids, reason=consent.reason, origin=origin, seen=seen)

        try:
            if outage is not None:
                raise outage
            done = app.transact(work)
        except DatabaseUnavailable as error:
            away = not isinstance(error, DatabaseBusy)
            if alone or (away and not results):
                raise
            outage = error if away else None
            results += [Outcome(one, error=str(error)) for one in ids]
            continue
        if alone and isinstance(done[0], OrderctlError):
            raise done[0]
        results += [_result(one, found) for one, found in zip(ids, done, strict=True)]
    return results


def _result(message_id: int, found: Message | OrderctlError) -> Outcome:
    if isinstance(found, Superseded):  # it does not belong to the selection any more
        return Outcome(message_id, note=str(found))
    if isinstance(found, OrderctlError):
        return Outcome(message_id, error=str(found))
    return _outcome(found, changed=True)


def _outcome(message: Message, *, changed: bool = False) -> Outcome:
    return Outcome(
        message.id,
        message.kind,
        message.order_code,
        message.event,
        message.endpoint,
        message.receiver,
        message.state,
        changed=changed,
    )


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH))


def report(app: App, results: Sequence[Outcome], choice: Choice) -> ExitStatus:
    """Show what has become of the messages, and who sends them.

    Returns:
        FAILED if a message could not be sent again. That there was nothing left to do is no failure.
    """
    app.render(results)
    done = [result for result in results if result.changed]
    unchanged = sum(result.note is not None for result in results)
    if unchanged:
        app.say(f"{counted(unchanged, 'message')} stayed as before: another process was first.")
    if choice.is_cut:
        app.say(
            f"One command sends at most {options.MOST_CHANGES:,} messages again: run it once more for the others."
        )
    if done:
        _say_who_sends(app, done)
    return ExitStatus.FAILED if any(result.error for result in results) else ExitStatus.DONE


def _say_who_sends(app: App, done: Sequence[Outcome]) -> None:
    for endpoint in message_lines.removed(app, (one.endpoint for one in done)):
        app.warn(
            f"warning: the endpoint {endpoint} is not configured any more: its messages will be given up again\n"
            "hint: orderctl config show"
        )
    number = counted(len(done), "message")
    app.say(
        f"{number} {'is' if len(done) == 1 else 'are'} due now; the courier of 'worker start' sends what is due."
    )
    if lack := _lack_of_workers(app):
        app.warn(f"warning: {lack}\nhint: orderctl worker start, or once: orderctl reconcile")
    else:
        shown = f"show {done[0].id}" if len(done) == 1 else "list --waiting"
        app.say(f"next: orderctl outbox {shown}")


def _lack_of_workers(app: App) -> str | None:
    """Return why nothing may be sent now; None if a worker runs."""
    from orderctl.worker import fleet

    try:
        with app.reading() as connection:
            found = fleet.find_all(connection, app.running_redis)
    except OrderctlError as error:
        return f"cannot find out whether a worker runs: {error}"
    return (
        None
        if any(one.alive and not one.draining for one in found)
        else "no worker runs, so nothing is sent now"
    )
