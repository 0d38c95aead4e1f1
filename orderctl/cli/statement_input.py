"""Reads a bank's statement from a file or a pipe, and the options that say how it is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from orderctl import texts
from orderctl.cli import options
from orderctl.cli.app import App
from orderctl.errors import InvalidInput
from orderctl.terminal import render

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orderctl.payments.statements import Statement

#: About 200,000 lines, which take a minute and 600 MB of memory; a device such as /dev/zero never ends.
MOST_BYTES: Final = 16_000_000
#: A statement of this size takes seconds.
_SLOW_BYTES: Final = 1_000_000
STDIN: Final = "-"
#: The kinds of :class:`orderctl.payments.differences.Kind`, which is slow to import.
KINDS: Final = options.ClosedWords(("missing", "double", "wrong-amount", "late", "without-transfer"))


class Column(click.ParamType[tuple[str, str]]):
    """A column of a statement and the field that it is read as: ``COLUMN=FIELD``."""

    name = "column"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the column's name and the field. The name may contain ``=``."""
        if isinstance(value, tuple):
            return value
        from orderctl.payments.statements import FIELDS

        column, _, field = value.rpartition("=")
        column, field = column.strip(), field.strip().lower()
        if not column or field not in FIELDS:
            self.fail(
                f"{texts.shown(value)} is not COLUMN=FIELD; the fields are {', '.join(FIELDS)}", param, ctx
            )
        return column, field

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Complete the field."""
        from click.shell_completion import CompletionItem

        from orderctl.payments.statements import FIELDS

        column, equals, begun = incomplete.rpartition("=")
        fields = FIELDS if equals else ()
        return [CompletionItem(f"{column}={field}") for field in fields if field.startswith(begun)]


class Zone(click.ParamType[tzinfo]):
    """A time zone: UTC, an offset, or a name of the IANA database."""

    name = "time zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """Return the zone."""
        if isinstance(value, tzinfo):
            return value
        from orderctl import moments, setting_types

        try:
            return moments.zone(setting_types.database_zone(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Booked(options.Moment):
    """A time in the zone of the statement."""

    def zone(self, ctx: click.Context) -> tzinfo | None:
        """Return the zone of ``--time-zone``, or that of Vietnam's banks."""
        from orderctl.payments.statements.options import LOCAL

        given = ctx.params.get("time_zone")
        return given if isinstance(given, tzinfo) else LOCAL  # Click has a value of its own for nothing


@dataclass(frozen=True, slots=True)
class Notation:
    """How a statement is written, where the file does not say it itself.

    Attributes:
        columns: ``--map``.
        encoding: ``--encoding``.
        dates: ``--dates``.
        decimal: ``--decimal``.
        time_zone: ``--time-zone``; None: that of Vietnam's banks.
    """

    columns: Mapping[str, str]
    encoding: str | None = None
    dates: str | None = None
    decimal: str | None = None
    time_zone: tzinfo | None = None


def _columns(
    ctx: click.Context, param: click.Parameter, value: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Return the field of each column; refuse two fields for one column."""
    found: dict[str, str] = {}
    for column, field in value:
        if found.setdefault(column, field) != field:
            raise click.BadParameter(f"the column {texts.shown(column)} is given two fields", ctx, param)
    return found


notation: options.Decorator[Any] = options.gathered(
    "notation",
    Notation,
    click.Option(
        ["--map", "columns"],
        type=Column(),
        multiple=True,
        callback=_columns,
        metavar="COLUMN=FIELD",
        help="Read this column as this field: date, time, amount, credit, debit, direction, content, code, reference,"
        " id, account, bank, currency, balance or ignore.",
    ),
    click.Option(
        ["--encoding"],
        metavar="NAME",
        help="The encoding of FILE, such as cp1258; UTF-8 and UTF-16 are recognised.",
    ),
    click.Option(
        ["--dates"],
        type=click.Choice(["dmy", "mdy", "ymd"]),
        help="The order of day, month and year, if the dates of the statement do not show it.",
    ),
    click.Option(
        ["--decimal"],
        type=click.Choice([".", ","]),
        help="What begins the decimals of an amount, if the amounts of the statement do not show it.",
    ),
    click.Option(
        ["--time-zone"],
        type=Zone(),
        is_eager=True,  # --since and --until are read in it
        metavar="ZONE",
        help="The zone of times without one, such as UTC or Asia/Ho_Chi_Minh.  [default: +07:00]",
    ),
)

period: options.Decorator[Any] = options.gathered(
    "period",
    options.Period,
    click.Option(
        ["-S", "--since"],
        type=Booked(),
        metavar="TIME",
        help="Compare from this time on, in the statement's zone; by default the days of the statement.",
    ),
    click.Option(["-U", "--until"], type=Booked(), metavar="TIME", help="Compare only before this time."),
)


def read(app: App, path: str, how: Notation) -> Statement:
    """Read a statement.

    Args:
        app: The application, whose settings name the shop's currency.
        path: The path of its file, or ``-`` for standard input.
        how: How it is written.

    Raises:
        InvalidInput: It cannot be read, or is not a statement.
    """
    from orderctl.payments import statements
    from orderctl.payments.statements.options import LOCAL

    currency = app.settings.display.currency
    zone = how.time_zone or LOCAL
    wanted = statements.Options(how.columns, how.encoding, how.dates, how.decimal, zone, currency)
    content = _content(app, path)
    if app.err.isatty() and len(content) > _SLOW_BYTES:
        app.say(f"Reading {render.size(len(content))} ...")
    return statements.read(content, wanted)


def _content(app: App, path: str) -> bytes:
    name = "standard input" if path == STDIN else path
    try:
        _say_waits(app, path)
        with click.open_file(path, "rb") as stream:
            content = _bounded(stream)
    except (OSError, ValueError) as error:  # a folder, a file of another user, a closed stream
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot read the statement {name}: {reason}") from None
    if len(content) > MOST_BYTES:
        raise InvalidInput(
            f"the statement {name} is larger than {MOST_BYTES // 1_000_000} MB",
            hint="export fewer days at once",
        )
    return content


def _say_waits(app: App, path: str) -> None:
    """Say what the command waits for, if nothing may come for a while."""
    if path == STDIN:
        waits = sys.stdin.isatty()
        how = "from the terminal; Ctrl-D ends it"
    else:
        waits = app.err.isatty() and Path(path).is_fifo()
        how = f"from the pipe {path}"
    if waits:
        app.say(f"Reading the statement {how}.")


def _bounded(stream: IO[bytes]) -> bytes:
    """Return what a stream has, at most one byte more than is allowed."""
    parts, left = [], MOST_BYTES + 1
    while left and (part := stream.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
