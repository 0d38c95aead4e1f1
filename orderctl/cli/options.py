"""Options that several commands share, as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from orderctl import clock, texts
from orderctl.cli import times
from orderctl.cli.app import App
from orderctl.cli.global_options import setting as make_setting
from orderctl.errors import InvalidInput
from orderctl.states import Category, ErrorType, OrderStatus, PaymentOutcome, Severity, TaskStatus

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orderctl.terminal.render import Column

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

DEFAULT_LIMIT = 50
MOST_ROWS = 10_000
#: The largest number of tasks that one command changes, and of events that one shows.
MOST_CHANGES = 100_000
MOST_EVENTS = 1_000_000


def setting(key: str, *names: str, help: str, **extra: Any) -> Decorator[Any]:
    """Add an option that overrides a setting for this command; the function gets no argument for it."""

    def decorate(function: F) -> F:
        _attach(function, make_setting(key, *names, help=help, **extra))
        return function

    return decorate


def _attach(function: Any, *params: click.Parameter) -> None:
    if isinstance(function, click.Command):
        function.params.extend(params)
        return
    known = getattr(function, "__click_params__", [])
    function.__click_params__ = [*known, *reversed(params)]


# --- Output


def output(columns: Sequence[Column], *others: Sequence[Column], times: str = "relative") -> Decorator[Any]:
    """Add ``-o``, ``--fields`` and ``--time-format`` to a command that shows rows.

    Args:
        columns: The columns of its rows.
        others: The columns of other rows that it can show instead.
        times: The default of ``--time-format``.
    """
    names = list(dict.fromkeys(column.name for offered in (columns, *others) for column in offered))

    def decorate(function: F) -> F:
        _attach(function, _format_option(columns), _fields_option(names), _times_option(times))
        return function

    return decorate


def _format_option(columns: Sequence[Column]) -> click.Option:
    from orderctl.terminal.render import Format

    def store(ctx: click.Context, _param: click.Parameter, value: str) -> None:
        shown = ctx.ensure_object(App).output
        shown.columns, shown.format = columns, value

    return click.Option(
        ["-o", "--output"],
        type=click.Choice(tuple(map(str, Format))),
        default=str(Format.TABLE),
        expose_value=False,
        callback=store,
        show_default=True,
        help="Output format.",
    )


def _fields_option(names: Sequence[str]) -> click.Option:
    def store(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is None or ctx.resilient_parsing:
            return
        if not value:
            click.echo("\n".join(names))
            ctx.exit()
        chosen = tuple(name.strip() for name in value.split(",") if name.strip())
        unknown = [name for name in chosen if name not in names]
        if unknown or not chosen:
            raise click.BadParameter(
                f"no column {', '.join(unknown) or repr(value)}; the columns are {', '.join(names)}",
                ctx,
                param,
            )
        ctx.ensure_object(App).output.fields = chosen

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return _complete_list(names, incomplete)

    return click.Option(
        ["--fields"],
        metavar="NAME,...",
        is_flag=False,
        flag_value="",
        expose_value=False,
        callback=store,
        shell_complete=complete,
        help="Show only these columns; without a name, list all columns.",
    )


def _times_option(default: str) -> click.Option:
    def store(ctx: click.Context, _param: click.Parameter, value: str) -> None:
        ctx.ensure_object(App).output.times = value

    return click.Option(
        ["--time-format"],
        type=click.Choice(["relative", "iso", "local"]),
        default=default,
        expose_value=False,
        callback=store,
        show_default=True,
        help="How tables show times; data is always in UTC.",
    )


# --- Kinds of values


class Moment(click.ParamType[datetime]):
    """A time, as :func:`orderctl.cli.times.moment` reads it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return an aware datetime in UTC."""
        if isinstance(value, datetime):
            return value
        zone = self.zone(ctx) if ctx is not None and not ctx.resilient_parsing else UTC
        try:
            return times.moment(value, now=datetime.now(UTC), zone=zone)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def zone(self, ctx: click.Context) -> tzinfo | None:
        """Return the zone of times without one; None is the machine's own."""
        return ctx.ensure_object(App).zone


class Span(click.ParamType[timedelta]):
    """A length of time, as :func:`orderctl.cli.times.span` reads it.

    Args:
        shortest: The shortest one that is allowed, as text.
        longest: The longest one that is allowed, as text.
    """

    name = "duration"

    def __init__(self, shortest: str = "0s", longest: str = times.LONGEST) -> None:
        self._shortest, self._longest = shortest, longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return a timedelta."""
        if isinstance(value, timedelta):
            return value
        try:
            found = times.span(value)
        except times.TooLong as error:
            self.fail(str(error) if self._longest == times.LONGEST else self._limits, param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not times.span(self._shortest) <= found <= times.span(self._longest):
            self.fail(self._limits, param, ctx)
        return found

    @property
    def _limits(self) -> str:
        return f"needs a length of time from {self._shortest} to {self._longest}"


class WholeNumber(click.IntRange):
    """A whole number in a range, with a name that messages can use."""

    name = "whole number"


class _Vocabulary:
    """The words that orderctl knows, which the shell completes."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(str(word) for word in words)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Complete the word, or the last one of a list."""
        return _complete_list(self.words, incomplete)


class Words(_Vocabulary, click.ParamType[tuple[str, ...]]):
    """One or more words, separated by commas: those that orderctl knows, in any case, or the shop's own."""

    name = "words"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the words."""
        return f"[{'|'.join(self.words)}],..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return a tuple with each word once, in the given order."""
        if isinstance(value, tuple):
            return value
        folded = {word.casefold(): word for word in self.words}
        given = [word.strip() for word in value.split(",") if word.strip()]
        if not given:
            self.fail(f"needs one or more of {', '.join(self.words)}, not {value!r}", param, ctx)
        return tuple(dict.fromkeys(folded.get(word.casefold(), word) for word in given))


class ClosedWords(Words):
    """One or more words, separated by commas: only those that orderctl knows, in any case."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return a tuple with each word once, in the given order."""
        given = super().convert(value, param, ctx)
        if unknown := [word for word in given if word not in self.words]:
            self.fail(
                f"needs one or more of {', '.join(self.words)}, not {texts.shown(unknown[0])}", param, ctx
            )
        return given


class Provider(click.ParamType[str]):
    """The name of a payment provider: an installed one, or one from before."""

    name = "provider"

    def __init__(self, *more: str) -> None:
        self._more = more

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the name, in lower case as all names of providers."""
        return str(value).strip().lower()

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Complete the names of the installed providers."""
        from click.shell_completion import CompletionItem

        from orderctl.payments.providers import registry

        names = [*registry.installed(), *self._more]
        return [CompletionItem(name) for name in names if name.startswith(incomplete.lower())]


class Word(_Vocabulary, click.ParamType[str]):
    """One word: one that orderctl knows, in any case, or one of the shop's own."""

    name = "word"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the words."""
        return f"[{'|'.join(self.words)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the word."""
        known = {word.casefold(): word for word in self.words}
        return known.get(str(value).strip().casefold(), str(value))


def _complete_list(words: Sequence[str], incomplete: str) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{word}")
        for word in words
        if word.startswith(last) and word not in taken
    ]


MOMENT = Moment()
SPAN = Span()
ORDER_STATUSES = Words(tuple(OrderStatus))
TASK_STATUSES = Words(tuple(TaskStatus))
PAYMENT_OUTCOMES = ClosedWords(tuple(PaymentOutcome))
CATEGORY = Word(tuple(Category))
ERROR_TYPE = click.Choice([str(kind) for kind in ErrorType], case_sensitive=False)
#: Lowest severity first. A command that takes one also shows all higher ones.
SEVERITY = click.Choice([str(severity) for severity in Severity], case_sensitive=False)


# --- Groups of options that reach the command as one value


def gathered(name: str, kind: Callable[..., Any], *params: click.Option) -> Decorator[Any]:
    """Return a decorator that adds options and passes their values as one argument.

    Args:
        name: The name of the argument.
        kind: Returns the argument; it is called with the values by the names of the options.
        params: The options.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            values = {str(param.name): kwargs.pop(str(param.name)) for param in params}
            return function(*args, **kwargs, **{name: kind(**values)})

        _attach(call, *params)
        return call  # type: ignore[return-value]

    return decorate


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks that a bulk change selects.

    Attributes:
        failed: ``--failed``: all failed tasks, unless the other attributes narrow the selection.
        order: ``--order``: id or code of an order.
        error_type: ``--error-type``.
        fingerprint: ``--fingerprint``: fingerprint of the error.
        max: ``--max``: the largest number of tasks.
        task_ids: Ids that were given as arguments.
    """

    failed: bool = False
    order: str | None = None
    error_type: str | None = None
    fingerprint: str | None = None
    max: int | None = None
    task_ids: tuple[int, ...] = ()

    @property
    def by_selector(self) -> bool:
        """Whether tasks are selected by their properties, and not by id."""
        return bool(self.failed or self.order or self.error_type or self.fingerprint)

    def with_ids(self, task_ids: Sequence[int]) -> Selection:
        """Return the selection with ids from the arguments; ids and selectors exclude each other.

        Raises:
            InvalidInput: When there are neither ids nor selectors, or both.
        """
        if task_ids and self.by_selector:
            raise InvalidInput("give ids or selectors, not both")
        if not task_ids and not self.by_selector:
            raise InvalidInput(
                "no task is selected: without a selection nothing is changed",
                hint="give ids, or --failed, --order, --error-type, --fingerprint",
            )
        return replace(self, task_ids=tuple(dict.fromkeys(task_ids)))


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether a change may be made.

    Attributes:
        dry_run: ``--dry-run``: only show what would be done.
        yes: ``--yes``: do not ask.
        reason: ``--reason``: goes into the audit log; only of commands that write it.
    """

    dry_run: bool = False
    yes: bool = False
    reason: str | None = None

    def ask(self, app: App, question: str, *, needed: bool = True) -> None:
        """Ask for confirmation, unless ``--yes`` or ``--dry-run`` was given or it is not needed.

        Args:
            app: The application, which has the terminal.
            question: The question, with its question mark.
            needed: Whether this change needs a confirmation.

        Raises:
            InvalidInput: When standard input or standard error is not a terminal.
            OrderctlError: When the user's answer is no.
        """
        if needed and not self.yes and not self.dry_run:
            app.confirm(question)


@dataclass(frozen=True, slots=True)
class Paging:
    """A part of a long list.

    Attributes:
        limit: ``-L``: the largest number of rows; 0: no limit.
        after: ``--after``: the cursor that the previous page printed.
    """

    limit: int = DEFAULT_LIMIT
    after: str | None = None

    def require_at_most(self, most: int, name: str) -> None:
        """Refuse a limit that is too high for an option whose rows have to be in memory at once.

        Raises:
            InvalidInput: There is no limit, or a higher one.
        """
        if not 1 <= self.limit <= most:
            raise InvalidInput(f"with {name}, --limit needs a number from 1 to {most:,}")


@dataclass(frozen=True, slots=True)
class Period:
    """A period of time; an open end is None."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a period that no time is in.

        Raises:
            InvalidInput: It ends before it begins.
        """
        require_order(self.since, self.until)


def require_order(since: datetime | None, until: datetime | None) -> None:
    """Check that a period has a time in it.

    Args:
        since: Its begin; None: it is open.
        until: Its end, exclusive; None: it is open.

    Raises:
        InvalidInput: There is none.
    """
    if since is not None and until is not None and since >= until:
        raise InvalidInput(
            f"--since ({clock.iso(since)}) is not before --until ({clock.iso(until)})",
            hint="--since is the earlier time, --until the later one",
        )


def _reason(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    return value.strip() or None if value else None


selection: Decorator[Any] = gathered(
    "selection",
    Selection,
    click.Option(["--failed"], is_flag=True, help="All failed tasks; the options below narrow this down."),
    click.Option(["--order"], metavar="ORDER", help="Tasks of this order (id or code)."),
    click.Option(["--error-type"], type=ERROR_TYPE, help="Tasks that failed with this type of error."),
    click.Option(
        ["--fingerprint"],
        metavar="HEX",
        help="Tasks that failed with this error, of which the first digits suffice; 'tasks list --group-by error' lists"
        " fingerprints.",
    ),
    click.Option(
        ["--max"], type=WholeNumber(1, MOST_CHANGES), metavar="N", help="At most N tasks, the newest ones."
    ),
)

_DRY_RUN: Final = click.Option(["--dry-run"], is_flag=True, help="Only show what would be done.")
_YES: Final = click.Option(["-y", "--yes"], is_flag=True, help="Do not ask for confirmation.")

consent: Decorator[Any] = gathered("consent", Consent, _DRY_RUN, _YES)

audited_consent: Decorator[Any] = gathered(
    "consent",
    Consent,
    _DRY_RUN,
    _YES,
    click.Option(["--reason"], metavar="TEXT", callback=_reason, help="Reason for the audit log."),
)

paging: Decorator[Any] = gathered(
    "page",
    Paging,
    click.Option(
        ["-L", "--limit"],
        type=WholeNumber(0),
        default=DEFAULT_LIMIT,
        show_default=True,
        metavar="N",
        help="At most N rows; 0: all of them.",
    ),
    click.Option(
        ["--after"], metavar="CURSOR", help="Show the next page; each page prints the CURSOR for it."
    ),
)

period: Decorator[Any] = gathered(
    "period",
    Period,
    click.Option(
        ["-S", "--since"],
        type=MOMENT,
        metavar="TIME",
        help="Only from this time on (10m, 2h, yesterday, 2026-05-01).",
    ),
    click.Option(["-U", "--until"], type=MOMENT, metavar="TIME", help="Only before this time."),
)
