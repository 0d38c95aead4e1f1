"""Options that select messages of the outbox, and what they select."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl import clock, texts
from orderctl.cli import options
from orderctl.cli.app import App
from orderctl.cli.options import Decorator
from orderctl.errors import InvalidInput, OrderctlError
from orderctl.states import MessageState

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from sqlalchemy import Connection

    from orderctl.outgoing import Filter

#: As :class:`orderctl.outbox.EntryKind` has them, which the TAB key must not import.
KINDS: Final = ("completion", "summary", "alert", "webhook")
STATES: Final = options.ClosedWords(tuple(MessageState))


class Endpoint(click.ParamType[str]):
    """The name of a webhook's endpoint: a configured one, or one from before."""

    name = "endpoint"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Complete the names of the configured endpoints."""
        from click.shell_completion import CompletionItem

        from orderctl import webhook_endpoints

        try:
            found = webhook_endpoints.of(ctx.ensure_object(App).settings.notify)
        except OrderctlError:  # the command itself will say which setting is wrong
            return []
        return [CompletionItem(one.name) for one in found if one.name.startswith(incomplete)]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if not texts.is_storable(value):
            self.fail(f"{texts.shown(value)} is not the name of an endpoint", param, ctx)
        return str(value).strip()


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages that options select.

    Attributes:
        failed: ``--failed``: those that were given up.
        waiting: ``--waiting``: those that have not been sent yet.
        states: ``--state``.
        kinds: ``--kind``.
        endpoint: ``--endpoint``.
        order: ``--order``: id or code of an order.
        since: ``--since``.
        until: ``--until``: exclusive.
        max: ``--max``: the largest number of messages.
        ids: Ids that were given as arguments.
    """

    failed: bool = False
    waiting: bool = False
    states: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    endpoint: str | None = None
    order: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    max: int | None = None
    ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a period that ends before it begins."""
        options.require_order(self.since, self.until)

    @property
    def by_selector(self) -> bool:
        """Whether messages are selected by their properties, and not by id."""
        named = (self.failed, self.waiting, self.states, self.kinds, self.endpoint, self.order)
        return any((*named, self.since, self.until))

    def with_ids(self, ids: Sequence[int]) -> Messages:
        """Return the selection with ids from the arguments; ids and selectors exclude each other.

        Selectors without a state select the messages that were given up.

        Raises:
            InvalidInput: There are neither ids nor selectors, or both.
        """
        if ids and self.by_selector:
            raise InvalidInput("give ids or selectors, not both")
        if not ids and not self.by_selector:
            raise InvalidInput(
                "no message is selected: without a selection nothing is sent again",
                hint="give ids, or --failed, --state, --kind, --endpoint, --order, --since, --until",
            )
        if ids:
            return replace(self, ids=tuple(dict.fromkeys(ids)))
        return replace(self, failed=self.failed or self.states is None)

    def filter(self, connection: Connection) -> Filter:
        """Return the filter of the selectors.

        Raises:
            InvalidInput: More than one option names states.
            OrderNotFound: The order does not exist.
        """
        from orderctl import orders
        from orderctl.outgoing import Filter

        if self.failed + self.waiting + (self.states is not None) > 1:
            raise InvalidInput("give only one of --waiting, --failed and --state")
        states = (
            (MessageState.FAILED,)
            if self.failed
            else (MessageState.WAITING,)
            if self.waiting
            else self.states
        )
        order = None if self.order is None else orders.find(connection, self.order).id
        return Filter(states, self.kinds, self.endpoint, order, self.since, self.until)

    def resend_failed(self) -> str:
        """Return the command that sends those of these messages again that were given up."""
        words = ["orderctl", "outbox", "resend", "--failed"]
        values = {
            "--kind": ",".join(self.kinds or ()),
            "--endpoint": self.endpoint,
            "--order": self.order,
            "--since": self.since and clock.iso(self.since),
            "--until": self.until and clock.iso(self.until),
        }
        for name, value in values.items():
            words += [name, value] if value else []
        return shlex.join(words)


_FAILED: Final = click.Option(["--failed"], is_flag=True, help="Messages that were given up.")
_NARROW: Final = (
    click.Option(
        ["--state", "states"],
        type=STATES,
        help="Messages in one of these states; skipped are those for which no receiver is configured, for example.",
    ),
    click.Option(
        ["--kind", "kinds"],
        type=options.ClosedWords(KINDS),
        help="Messages of these kinds: mails to customers (summary) and to the admin (alert), webhooks, "
        "completion messages.",
    ),
    click.Option(["--endpoint"], type=Endpoint(), metavar="NAME", help="Webhooks to this endpoint."),
    click.Option(["--order"], metavar="ORDER", help="Messages of this order (id or code)."),
    click.Option(
        ["-S", "--since"],
        type=options.MOMENT,
        metavar="TIME",
        help="Only from this time on (10m, 2h, yesterday, 2026-05-01).",
    ),
    click.Option(["-U", "--until"], type=options.MOMENT, metavar="TIME", help="Only before this time."),
)

#: The argument ``messages`` of a command that lists messages.
listed: Final[Decorator[Any]] = options.gathered(
    "messages",
    Messages,
    click.Option(["--waiting"], is_flag=True, help="Messages that have not been sent yet."),
    _FAILED,
    *_NARROW,
)

#: The argument ``messages`` of a command that changes messages.
selection: Final[Decorator[Any]] = options.gathered(
    "messages",
    Messages,
    _FAILED,
    *_NARROW,
    click.Option(
        ["--max"],
        type=options.WholeNumber(1, options.MOST_CHANGES),
        metavar="N",
        help="At most N messages, the newest ones.",
    ),
)
