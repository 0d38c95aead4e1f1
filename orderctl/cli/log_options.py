"""The options of ``orderctl logs show``, ``search`` and ``errors``: which events are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl import texts
from orderctl.channels import MAX_ID
from orderctl.cli import options
from orderctl.states import EventType, Severity

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orderctl.audit import Actor, Event, Search

_WORDS: Final = tuple(map(str, Severity))
_BETWEEN: Final = ".."
#: CPU time, in seconds, that a regular expression may take on one event.
_EVENT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Severities:
    """Some severities.

    Attributes:
        words: Those that orderctl knows.
        open: Whether those that it does not know are meant, too.
        given: What the user has given.
    """

    words: frozenset[Severity]
    open: bool
    given: str

    def __str__(self) -> str:
        """Return what the user has given."""
        return self.given


class SeverityRange(click.ParamType[Severities]):
    """A severity and all higher ones, a range (``warning..error``), or a list (``info,error``)."""

    name = "severity"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the words."""
        return f"[{'|'.join(_WORDS)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Severities:
        """Return the severities."""
        if isinstance(value, Severities):
            return value
        parts = [part.strip() for part in str(value).lower().split(",") if part.strip()]
        if not parts:
            self._refuse(value, param, ctx)
        found: set[Severity] = set()
        open_ends = []
        for part in parts:
            low, between, high = part.partition(_BETWEEN)
            open_ends.append(not high and (bool(between) or len(parts) == 1))
            if not between and len(parts) > 1:
                high = low
            if not low and not high:
                self._refuse(value, param, ctx)
            found |= self._range(low or _WORDS[0], high or _WORDS[-1], value, param, ctx)
        return Severities(frozenset(found), any(open_ends), str(value).strip().lower())

    def _range(self, low: str, high: str, value: Any, param: Any, ctx: Any) -> set[Severity]:
        if low not in _WORDS or high not in _WORDS or _WORDS.index(low) > _WORDS.index(high):
            self._refuse(value, param, ctx)
        return set(tuple(Severity)[_WORDS.index(low) : _WORDS.index(high) + 1])

    def _refuse(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> None:
        self.fail(
            f"{texts.shown(str(value))} is not a severity ({', '.join(_WORDS)}), a range such as warning..error, or a"
            " list such as info,error",
            param,
            ctx,
        )

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Complete the last word of a range or a list."""
        from click.shell_completion import CompletionItem

        before = re.match(r"(?:.*(?:\.\.|,))?", incomplete)
        head = before.group() if before else ""
        last = incomplete[len(head) :].lower()
        return [CompletionItem(f"{head}{word}") for word in _WORDS if word.startswith(last)]


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


class Name(click.ParamType[str]):
    """A name, which is not empty: no event has an empty one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if not str(value).strip():
            self.fail("needs a name", param, ctx)
        return str(value)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events are shown; the attributes are options."""

    severity: Severities | None = None
    category: str | None = None
    event_types: Sequence[str] | None = None
    actor: str | None = None
    source: str | None = None
    operation: str | None = None
    order: str | None = None
    task_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    grep: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        """Refuse a period that no time is in."""
        options.require_order(self.since, self.until)

    def search(self, **more: Any) -> Search:
        """Return the filter of the audit log; ``more`` has what the command itself knows."""
        from orderctl.audit import Search

        chosen = self.severity
        if chosen is not None and chosen.open:
            more["hidden_severities"] = set(Severity) - chosen.words
        elif chosen is not None:
            more["severities"] = chosen.words
        return Search(
            task_id=self.task_id,
            category=self.category,
            since=self.since,
            until=self.until,
            event_types=self.event_types,
            actor=None if self.actor is None else actor(self.actor),
            source=self.source,
            operation=self.operation,
            **more,
        )

    def matching(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that match ``--grep``.

        Raises:
            PatternTooSlow: The regular expression takes too long on one of them.
        """
        grep = self.grep
        if grep is None:
            return list(events)
        from orderctl import patterns

        def matches(event: Event) -> bool:
            texts = event.message, event.event_type
            return patterns.matches(grep, texts, seconds=_EVENT_SECONDS, place=f"event {event.id}")

        return [event for event in events if matches(event)]


def actor(name: str) -> Actor:
    """Return which actors a name means.

    ``*`` is each. ``anna@host`` is that one. ``anna`` is also anna on every machine, ``anna@`` only that; ``worker-1*`` are those whose
    names begin so.
    """
    from orderctl.audit import Actor

    if name.endswith("*"):
        return Actor(prefix=name[:-1]) if name[:-1] else Actor()
    if name.endswith("@"):
        return Actor(prefix=name)
    return Actor(exact=name) if "@" in name else Actor(name, f"{name}@")


SEVERITIES: Final = SeverityRange()
EVENT_TYPES: Final = options.Words(tuple(EventType))


def severity(default: str | None = None) -> click.Option:
    """Return ``--severity``."""
    return click.Option(
        ["--severity"],
        type=SEVERITIES,
        default=default,
        show_default=default is not None,
        help="Only events of this severity or higher; of a range (warning..error, ..info) or a list (info,error).",
    )


_CATEGORY: Final = click.Option(["--category"], type=options.CATEGORY, help="Only events of this category.")
_TYPE: Final = click.Option(
    ["--type", "event_types"],
    type=EVENT_TYPES,
    metavar="TYPE,...",
    help="Only events of these types, such as order_failed.",
)
_ACTOR: Final = click.Option(
    ["--actor"],
    type=Name(),
    metavar="NAME",
    help="Only what this actor caused: anna@host, anna (on every machine), or worker-* (names that begin so).",
)
_SOURCE: Final = click.Option(
    ["--source"],
    type=Name(),
    metavar="NAME",
    help="Only events that this program wrote, such as orderctl_worker.",
)
_ORDER: Final = click.Option(["--order"], metavar="ORDER", help="Only events of this order (id or code).")
_OPERATION: Final = click.Option(
    ["--operation"], type=Name(), metavar="NAME", help="Only changes of this operation."
)
_TASK: Final = click.Option(
    ["--task", "task_id"], type=options.WholeNumber(1, MAX_ID), metavar="ID", help="Only events of this task."
)
_PERIOD: Final = (
    click.Option(
        ["-S", "--since"],
        type=options.MOMENT,
        metavar="TIME",
        help="Only from this time on (10m, 2h, yesterday, 2026-05-01).",
    ),
    click.Option(["-U", "--until"], type=options.MOMENT, metavar="TIME", help="Only before this time."),
)
_GREP: Final = click.Option(
    ["-g", "--grep"],
    type=Pattern(),
    metavar="RE",
    help="Only events whose message or type matches this regular expression.",
)

of_order: options.Decorator[Any] = options.gathered(
    "filters", Filters, _TASK, severity(), _CATEGORY, _TYPE, _ACTOR, *_PERIOD, _GREP
)
of_all: options.Decorator[Any] = options.gathered(
    "filters",
    Filters,
    _ACTOR,
    _TYPE,
    severity(),
    _CATEGORY,
    _SOURCE,
    _ORDER,
    _TASK,
    _OPERATION,
    *_PERIOD,
    _GREP,
)
of_errors: options.Decorator[Any] = options.gathered(
    "filters", Filters, severity("error"), _TYPE, *_PERIOD, _GREP
)

follow: options.Decorator[Any] = click.option(
    "-f", "--follow", is_flag=True, help="Also show new events as they are written, until Ctrl-C."
)
reverse: options.Decorator[Any] = click.option(
    "-r", "--reverse", is_flag=True, help="Show the newest events first."
)


def lines(most: int, help: str) -> options.Decorator[Any]:
    """Add ``--lines``."""
    return click.option("-n", "--lines", type=options.WholeNumber(1, most), metavar="N", help=help)


def cursor_file(help: str) -> options.Decorator[Any]:
    """Add ``--cursor-file``."""
    return click.option(
        "--cursor-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=help
    )


after: options.Decorator[Any] = click.option(
    "--after",
    type=options.WholeNumber(1, MAX_ID),
    metavar="ID",
    help="Go on with the events before this one.",
)
time_limit: options.Decorator[Any] = click.option(
    "--time-limit",
    type=options.Span("0.1s", "1d"),
    default="1s",
    show_default=True,
    metavar="TIME",
    help="How long events are looked at that no index finds; then it says how far it came.",
)
