"""Rows into text: tables, JSON, JSON lines, CSV, TSV, Markdown, names and trees.

The machine formats carry stable keys and plain values; the human ones carry what reads best, and pass
all text through :mod:`orderctl.terminal.sanitise`. Nothing here writes anywhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from orderctl import clock
from orderctl.terminal import sanitise
from orderctl.terminal.table import Cell, layout, paint


class Format(StrEnum):
    """What ``-o`` takes."""

    TABLE = "table"  #: For people; cut to the terminal's width.
    WIDE = "wide"  #: For people; every column, nothing cut.
    JSON = "json"  #: One document.
    JSONL = "jsonl"  #: One document on each line.
    CSV = "csv"  #: For spreadsheets; formulas neutralised.
    TSV = "tsv"  #: For cut and awk: no quotes, tabs and line breaks as escapes.
    MARKDOWN = "markdown"  #: For tickets.
    NAME = "name"  #: Only the first column, for xargs.


class Where(StrEnum):
    """The widest kind of output in which a column is left out."""

    TABLE = "table"  #: Everywhere.
    WIDE = "wide"  #: In wide tables and in data.
    DATA = "data"  #: In JSON, CSV and TSV only.


@dataclass(frozen=True, slots=True)
class Column:
    """One column; its name is its key in JSON and what ``--fields`` takes.

    Attributes:
        name: Key.
        header: Heading for people; the name in capitals when None.
        get: From a row to the value; the attribute or the key of that name when None.
        show: From the value to text for people, where the usual way will not do.
        instead: From the row to what people see where there is no value.
        style: From the value to a colour (``red``, ``green``, ``yellow``, ``blue``, ``dim``), or None.
        right: Whether the column is aligned to the right.
        where: Where the column is shown unless ``--fields`` names it.
        keep: Whether the column is never cut to fit the terminal.
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

    def value(self, row: Any) -> Any:
        """The row's value in this column."""
        if self.get is not None:
            return self.get(row)
        return row.get(self.name) if isinstance(row, Mapping) else getattr(row, self.name)

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.header if self.header is not None else self.name.replace("_", " ").upper()


@dataclass(frozen=True, slots=True)
class View:
    """How values look to people, and how much room there is.

    Attributes:
        width: Columns of the terminal, None where there is none: nothing is cut then.
        color: Whether to colour.
        times: ``relative``, ``iso`` or ``local``.
        zone: Time zone for ``local``; the machine's own when None.
        now: The moment from which relative times count.
    """

    width: int | None = None
    color: bool = False
    times: str = "relative"
    zone: Any = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


PLAIN: Final = View(times="iso")
_MARKDOWN_SPECIAL: Final = str.maketrans({"|": "\\|", "<": "&lt;", "\\": "\\\\", "`": "\\`", "*": "\\*"})
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TSV_SPECIAL: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NOTHING: Final = "-"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def rows(items: Iterable[Any], columns: Sequence[Column], form: Format, view: View = PLAIN) -> Iterator[str]:
    """Rows as text, in pieces that each end with a line break and can be written as they come.

    Args:
        items: Rows: mappings, or objects with attributes.
        columns: What of them, in order. The first column is the name.
        form: The format. JSON, tables and Markdown read all rows before the first piece.
        view: How it looks to people.
    """
    return _FORMATS[form](items, columns, view)


def shown_in(columns: Sequence[Column], form: Format) -> tuple[Column, ...]:
    """The columns that a format shows when nobody chose."""
    seen = {
        Format.TABLE: {Where.TABLE},
        Format.MARKDOWN: {Where.TABLE},
        Format.WIDE: {Where.TABLE, Where.WIDE},
    }.get(form, set(Where))
    return tuple(column for column in columns if column.where in seen)


def document(value: Any, *, indent: int | None = 2) -> str:
    """A value as JSON: times in UTC with Z, decimals as numbers, unsafe characters escaped."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(
        value, default=plain, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False
    )
    return sanitise.json(text)


def plain(value: Any) -> Any:
    """What JSON has for a value of ours."""
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
    """A moment for people, as the view wants it; a dash for none."""
    if value is None:
        return human(None)
    if view.times == "relative":
        return relative(value, view.now)
    if view.times == "local":
        return value.astimezone(view.zone).strftime("%Y-%m-%d %H:%M:%S")
    return clock.iso(value.replace(microsecond=0))


def relative(value: datetime, now: datetime) -> str:
    """How long ago (or ahead) a moment is, in its largest unit: ``3m ago``, ``in 2h``."""
    seconds = (now - value).total_seconds()
    text = duration(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def duration(seconds: float) -> str:
    """A span in its largest unit: ``45s``, ``3m``, ``2h``, ``12d``."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def size(count: float) -> str:
    """Bytes for people: ``512 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def amount(value: Any) -> str:
    """Money: thousands apart, cents only where there are some."""
    return f"{value:,.2f}".removesuffix(".00") if isinstance(value, int | float | Decimal) else human(value)


def human(value: Any, view: View = PLAIN) -> str:
    """Any value for people, on one line."""
    for kind, show in _HUMAN:
        if isinstance(value, kind):
            return show(value, view) or NOTHING
    return sanitise.line(str(value))


def cell(column: Column, row: Any, view: View) -> Cell:
    """A row's value in a column, for people."""
    value = column.value(row)
    if value is None and column.instead is not None:
        value = column.instead(row)
    text = human(value, view) if column.show is None or value is None else sanitise.line(column.show(value))
    style = column.style(value) if column.style and view.color else None
    return Cell(text, style)


def _table(items: Iterable[Any], columns: Sequence[Column], view: View) -> Iterator[str]:
    cells = [[cell(column, row, view) for column in columns] for row in items]
    if cells:
        heads = [column.heading for column in columns]
        yield layout(
            heads,
            cells,
            right=[column.right for column in columns],
            keep=[column.keep for column in columns],
            width=view.width,
            color=view.color,
        )


def _markdown(items: Iterable[Any], columns: Sequence[Column], view: View) -> Iterator[str]:
    cells = [
        [Cell(cell(column, row, view).text.translate(_MARKDOWN_SPECIAL)) for column in columns]
        for row in items
    ]
    heads = [column.heading for column in columns]
    yield layout(heads, cells, right=[column.right for column in columns], style="github")


def record(row: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """A row as an object: each column's name with its value."""
    return {column.name: column.value(row) for column in columns}


def _json(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    yield document([record(row, columns) for row in items]) + "\n"


def _jsonl(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    for row in items:
        yield document(record(row, columns), indent=None) + "\n"


def _csv(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    yield _csv_line([column.name for column in columns])
    for row in items:
        yield _csv_line([_spreadsheet(column.value(row)) for column in columns])


def _csv_line(values: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


def _spreadsheet(value: Any) -> str:
    text = sanitise.block(_field(value))
    # A program that opens the file would run a cell that begins like this.
    return f"'{text}" if isinstance(value, str) and value.lstrip().startswith(_FORMULA) else text


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    text = document(value, indent=None)
    return text[1:-1] if text.startswith('"') else text


def _tsv(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    yield "\t".join(column.name for column in columns) + "\n"
    for row in items:
        fields = (_field(column.value(row)).translate(_TSV_SPECIAL) for column in columns)
        yield "\t".join(map(sanitise.line, fields)) + "\n"


def _names(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    for row in items:
        yield sanitise.line(_field(columns[0].value(row))) + "\n"


_HUMAN: Final[tuple[tuple[Any, Callable[[Any, View], str]], ...]] = (
    (str, lambda value, _: sanitise.line(value)),
    (type(None), lambda _value, _: NOTHING),
    (bool, lambda value, _: "yes" if value else "no"),
    (datetime, moment),
    (float, lambda value, _: f"{value:g}"),
    (Decimal, lambda value, _: amount(value)),
    ((dict, list, tuple), lambda value, _: document(value, indent=None)),
)
_FORMATS: Final[dict[Format, Callable[[Iterable[Any], Sequence[Column], View], Iterator[str]]]] = {
    Format.TABLE: _table,
    Format.WIDE: _table,
    Format.JSON: _json,
    Format.JSONL: _jsonl,
    Format.CSV: _csv,
    Format.TSV: _tsv,
    Format.MARKDOWN: _markdown,
    Format.NAME: _names,
}


def card(item: Any, columns: Sequence[Column], view: View) -> str:
    """One thing for people: a line for each column."""
    wide = max((len(column.name) for column in columns), default=0)
    lines = []
    for column in columns:
        shown = cell(column, item, view)
        lines.append(f"{column.name.ljust(wide)}  {paint(shown.text, shown.style)}\n")
    return "".join(lines)


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a tree, and what hangs below it."""

    text: str
    below: tuple[Branch, ...] = ()


def tree(root: Branch) -> str:
    """A tree with its lines drawn; the texts are expected to be safe already (:func:`human`)."""
    return "\n".join([root.text, *_limbs(root.below, "")]) + "\n"


def _limbs(branches: Sequence[Branch], indent: str) -> Iterator[str]:
    for position, branch in enumerate(branches):
        last = position == len(branches) - 1
        first, *others = branch.text.split("\n")
        yield f"{indent}{'└─ ' if last else '├─ '}{first}"
        below = f"{indent}{'   ' if last else '│  '}"
        yield from (f"{below}{other}" for other in others)
        yield from _limbs(branch.below, below)
