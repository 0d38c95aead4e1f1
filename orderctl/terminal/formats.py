"""Turns rows into text: tables, JSON, JSON lines, CSV, TSV, Markdown and names.

This module writes to no stream.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from orderctl.terminal import render, sanitise
from orderctl.terminal.render import PLAIN, Column, Format, View
from orderctl.terminal.table import Cell, layout

_MARKDOWN_SPECIAL: Final = str.maketrans({"|": "\\|", "<": "&lt;", "\\": "\\\\", "`": "\\`", "*": "\\*"})
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TSV_SPECIAL: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def rows(items: Iterable[Any], columns: Sequence[Column], form: Format, view: View = PLAIN) -> Iterator[str]:
    """Yield rows as text, in pieces that each end with a line break.

    Args:
        items: The rows: mappings, or objects with attributes.
        columns: The columns to show, in order. The first column is the name of the row.
        form: The format. JSON, tables and Markdown need all rows before they yield the first piece.
        view: How values are shown to people.
    """
    return _FORMATS[form](items, columns, view)


def _table(items: Iterable[Any], columns: Sequence[Column], view: View) -> Iterator[str]:
    cells = [[render.cell(column, row, view) for column in columns] for row in items]
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
        [Cell(render.cell(column, row, view).text.translate(_MARKDOWN_SPECIAL)) for column in columns]
        for row in items
    ]
    heads = [column.heading for column in columns]
    yield layout(heads, cells, right=[column.right for column in columns], style="github")


def _json(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    yield render.document([render.record(row, columns) for row in items]) + "\n"


def _jsonl(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    for row in items:
        yield render.document(render.record(row, columns), indent=None) + "\n"


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
    # A spreadsheet program would evaluate a cell that begins like this.
    return f"'{text}" if isinstance(value, str) and value.lstrip().startswith(_FORMULA) else text


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    text = render.document(value, indent=None)
    return text[1:-1] if text.startswith('"') else text


def _tsv(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    yield "\t".join(column.name for column in columns) + "\n"
    for row in items:
        fields = (_field(column.value(row)).translate(_TSV_SPECIAL) for column in columns)
        yield "\t".join(map(sanitise.line, fields)) + "\n"


def _names(items: Iterable[Any], columns: Sequence[Column], _view: View) -> Iterator[str]:
    for row in items:
        yield sanitise.line(_field(columns[0].value(row))) + "\n"


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
