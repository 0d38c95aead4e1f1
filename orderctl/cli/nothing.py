"""What is said when no row matches: never nothing, and never into data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from orderctl.cli.app import App

#: Options that say how rows are shown, and not which.
_MANNERS: Final = frozenset(
    {
        "after",
        "cursor_file",
        "each",
        "exact",
        "follow",
        "group_by",
        "interval",
        "limit",
        "lines",
        "recount",
        "reverse",
        "time_limit",
        "timeline",
        "watch",
    }
)
#: The formats in which people read; the others go to programs, to which an empty answer is an answer.
_FOR_PEOPLE: Final = frozenset({"table", "wide", "markdown"})
_NEAREST: Final = 3
#: An argument that says which rows are meant.
_TEXT: Final = "text"


def of(things: str) -> str:
    """Return the sentence for a listing without rows: it names the filters that the user has given.

    Args:
        things: What is listed, such as "orders".
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("after") is not None:
        return f"There are no more {things}."
    named = [] if context is None else list(_filters(context))
    if context is None or not named:
        return f"There are no {things}."
    return " ".join([f"No {things} match: {', '.join(named)}.", *_unknown(context)])


def _unknown(context: click.Context) -> Iterator[str]:
    """Yield a sentence for each word of an option that is none of orderctl's own: it may be the shop's, or a slip."""
    for param in context.command.params:
        known, given = getattr(param.type, "words", ()), context.params.get(str(param.name))
        for word in given if known and isinstance(given, tuple) else ():
            if word not in known:
                import difflib

                near = difflib.get_close_matches(word.lower(), known, _NEAREST)
                yield f"orderctl knows no {word}" + (f"; near it: {', '.join(near)}." if near else ".")


def say(app: App, sentence: str) -> None:
    """Say a sentence about a listing without rows, if people read it."""
    if app.output.format in _FOR_PEOPLE:
        app.say(sentence)


def say_near_addresses(app: App, email: str) -> None:
    """Say which customers' addresses begin alike, for one that has no orders."""
    if app.quiet or app.output.format not in _FOR_PEOPLE:
        return
    import difflib

    from orderctl import listing

    with app.reading() as connection:
        found = listing.addresses_like(connection, email)
    _say_near(app, difflib.get_close_matches(email, found, _NEAREST, 0.5))


def say_near_codes(app: App, part: str) -> None:
    """Say which codes of orders resemble a part of a code that none has."""
    if app.quiet or app.output.format not in _FOR_PEOPLE:
        return
    from orderctl import similar

    with app.reading() as connection:
        _say_near(app, similar.codes(connection, part, most=_NEAREST))


def _say_near(app: App, found: Sequence[str]) -> None:
    if found:
        app.say(f"near it: {', '.join(found)}")


def _filters(context: click.Context) -> Iterator[str]:
    for param in context.command.params:
        name = str(param.name)
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name == _TEXT and context.params[name]:
            yield f"text {context.params[name]}"
        elif isinstance(param, click.Option) and param.expose_value and given and name not in _MANNERS:
            label = max(param.opts, key=len).lstrip("-")
            yield label if param.is_flag else f"{label} {_shown(context.params[name])}"


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        from orderctl import clock

        return clock.iso(value)
    if isinstance(value, timedelta):
        from orderctl.terminal import render

        return render.duration(value.total_seconds())
    if isinstance(value, tuple):
        return " or ".join(map(str, value))
    return str(getattr(value, "pattern", value))
