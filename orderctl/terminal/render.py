"""Turns values into text: cells of tables, JSON, cards and trees; :mod:`orderctl.terminal.formats` has whole lists.

Programs get stable keys and plain values. People see values in the most readable form; all text for them passes through
:mod:`orderctl.terminal.sanitise`. This module writes to no stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from orderctl import clock
from orderctl.terminal import sanitise
from orderctl.terminal.table import NARROW_KEY, STAYS, Cell
from orderctl.terminal.widths import paint, width, wrap


class Format(StrEnum):
    """The formats of ``-o``."""

    TABLE = "table"  #: For people; cut to the terminal's width.
    WIDE = "wide"  #: For people; every column, nothing cut.
    JSON = "json"  #: One document.
    JSONL = "jsonl"  #: One document on each line.
    CSV = "csv"  #: For spreadsheets; formulas neutralised.
    TSV = "tsv"  #: For cut and awk: no quotes, tabs and line breaks as escapes.
    MARKDOWN = "markdown"  #: For tickets.
    NAME = "name"  #: Only the first column, for xargs.


class Where(StrEnum):
    """The kinds of output in which a column is shown."""

    TABLE = "table"  #: In all of them.
    WIDE = "wide"  #: In wide tables and in data.
    DATA = "data"  #: In data only: JSON, CSV and TSV.


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: The key in JSON, and the name for ``--fields``.
        header: The heading for people; the name in capitals when None.
        get: Returns the value for a row; when None, the value is the attribute or the key of that name.
        show: Returns the text of a value for people; when None, it depends on the type of the value.
        instead: Returns, for a row without a value, what people see instead.
        style: Returns the colour of a value (``red``, ``green``, ``yellow``, ``blue``, ``dim``) or None.
        right: Whether the column is aligned to the right.
        where: Where the column is shown unless ``--fields`` names it.
        keep: Whether the column is a key of the row: on a narrow terminal it never leaves, and is cut last.
        least: To how many columns a key is cut before a less important column leaves.
        priority: Where there is no room for all columns, those of the lowest priority leave first, of equal ones the
            last; from 1 to 9. One of 10 never leaves.
    """

    name: str
    header: str | None = None
    get: Callable[[Any], Any] | None = None
    show: Callable[[Any], str] | None = None
    instead: Callable[[Any], Any] | None = None
    style: Callable[[Any], str | None] | None = None
    right: bool = False
    where: Where = Where.TABLE
    keep: bool = False
    least: int = NARROW_KEY
    priority: int = 5

    def value(self, row: Any) -> Any:
        """Return the value of a row in this column."""
        if self.get is not None:
            return self.get(row)
        return row.get(self.name) if isinstance(row, Mapping) else getattr(row, self.name)

    @property
    def heading(self) -> str:
        """The heading of the column."""
        return self.header if self.header is not None else self.name.replace("_", " ").upper()


@dataclass(frozen=True, slots=True)
class View:
    """How values are shown to people.

    Attributes:
        width: The terminal's width in columns; when None, nothing is cut.
        color: Whether to use colours.
        times: ``relative``, ``iso`` or ``local``.
        zone: The time zone for ``local``; the machine's own when None.
        now: The moment that relative times refer to.
    """

    width: int | None = None
    color: bool = False
    times: str = "relative"
    zone: Any = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


PLAIN: Final = View(times="iso")
NOTHING: Final = "-"
_GAP: Final = 2
#: A card with less room than this beside its names has its values below them.
_LEAST_ROOM: Final = 16
_FURTHER: Final = "  "
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def shown_in(columns: Sequence[Column], form: Format) -> tuple[Column, ...]:
    """Return the columns that a format shows when ``--fields`` is not given."""
    seen = {
        Format.TABLE: {Where.TABLE},
        Format.MARKDOWN: {Where.TABLE},
        Format.WIDE: {Where.TABLE, Where.WIDE},
    }.get(form, set(Where))
    return tuple(column for column in columns if column.where in seen)


def staying(column: Column) -> Column:
    """Return the column as one that never leaves, because the user has named it."""
    return replace(column, priority=STAYS)


def document(value: Any, *, indent: int | None = 2) -> str:
    """Return a value as JSON: times in UTC with Z, decimals as numbers, unsafe characters escaped."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(
        value, default=plain, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False
    )
    return sanitise.json(text)


def plain(value: Any) -> Any:
    """Return the value that JSON has for a value of another type."""
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def moment(value: datetime | None, view: View = PLAIN) -> str:
    """Return a moment as text for people, in the form that the view asks for; a dash for None."""
    if value is None:
        return human(None)
    if view.times == "relative":
        return relative(value, view.now)
    if view.times == "local":
        with suppress(OverflowError, ValueError):  # in the years 1 and 9999, which mean "never"
            return value.astimezone(view.zone).strftime("%Y-%m-%d %H:%M:%S")
    return clock.iso(value.replace(microsecond=0))


def relative(value: datetime, now: datetime) -> str:
    """Return how long ago a moment was, or how far ahead it is: ``3m ago``, ``in 2h``."""
    seconds = (now - value).total_seconds()
    text = duration(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit: ``45s``, ``3m``, ``2h``, ``12d``."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def size(count: float) -> str:
    """Return a number of bytes as text for people: ``512 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def amount(value: Any) -> str:
    """Return an amount of money with separated thousands, with its decimals (at least two) unless zero."""
    if not isinstance(value, int | float | Decimal):
        return human(value)
    exact = isinstance(value, Decimal) and int(value.as_tuple().exponent) < -2  # noqa: PLR2004
    return f"{value:,f}" if exact else f"{value:,.2f}".removesuffix(".00")


def human(value: Any, view: View = PLAIN) -> str:
    """Return any value as text for people, on one line."""
    for kind, show in _HUMAN:
        if isinstance(value, kind):
            return show(value, view) or NOTHING
    return sanitise.line(str(value))


def cell(column: Column, row: Any, view: View) -> Cell:
    """Return the cell of a row in a column, for people."""
    value = column.value(row)
    if value is None and column.instead is not None:
        value = column.instead(row)
    text = human(value, view) if column.show is None or value is None else sanitise.line(column.show(value))
    style = column.style(value) if column.style and view.color else None
    return Cell(text, style, whole=isinstance(value, _WHOLE))


def record(row: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """Return a row as an object: the name of each column with its value."""
    return {column.name: column.value(row) for column in columns}


#: Values of which a part means something else.
_WHOLE: Final = (bool, int, float, Decimal, datetime, timedelta)
_HUMAN: Final[tuple[tuple[Any, Callable[[Any, View], str]], ...]] = (
    (str, lambda value, _: sanitise.line(value)),
    (type(None), lambda _value, _: NOTHING),
    (bool, lambda value, _: "yes" if value else "no"),
    (datetime, moment),
    (float, lambda value, _: f"{value:g}"),
    (Decimal, lambda value, _: amount(value)),
    ((dict, list, tuple), lambda value, _: document(value, indent=None)),
)


def card(item: Any, columns: Sequence[Column], view: View) -> str:
    """Return one item for people: a line for each column, or more where the terminal is too narrow for its value."""
    wide = max((len(column.name) for column in columns), default=0) + _GAP
    if view.width is not None and view.width - wide < _LEAST_ROOM:
        return "".join(f"{column.name}\n  {_value(item, column, view, 2)}\n" for column in columns)
    return "".join(f"{column.name.ljust(wide)}{_value(item, column, view, wide)}\n" for column in columns)


def _value(item: Any, column: Column, view: View, indent: int) -> str:
    shown = cell(column, item, view)
    lines = wrap(paint(shown.text, shown.style), view.width and view.width - indent)
    return f"\n{' ' * indent}".join(lines)


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a tree, with the branches below it."""

    text: str
    below: tuple[Branch, ...] = ()


def tree(root: Branch, room: int | None = None) -> str:
    """Return a tree with its lines drawn.

    Args:
        root: Its texts must be safe already (see :func:`human`).
        room: The terminal's width in columns; longer lines go on below, indented. None: they stay as they are.
    """
    return "\n".join([*_lines(root.text, "", "", room), *_limbs(root.below, "", room)]) + "\n"


def _limbs(branches: Sequence[Branch], indent: str, room: int | None) -> Iterator[str]:
    for position, branch in enumerate(branches):
        last = position == len(branches) - 1
        below = f"{indent}{'   ' if last else '│  '}"
        yield from _lines(branch.text, f"{indent}{'└─ ' if last else '├─ '}", below, room)
        yield from _limbs(branch.below, below, room)


def _lines(text: str, first: str, below: str, room: int | None) -> Iterator[str]:
    """Yield the lines of a branch; what is too long for one goes on in the next, a little further to the right."""
    begin = first
    for line in text.split("\n"):
        pieces = wrap(line, room and room - width(below) - len(_FURTHER))
        for piece in pieces:
            yield begin + piece
            begin = below + _FURTHER
        begin = below
