"""Turns rows into text: tables, JSON, JSON lines, CSV, TSV, Markdown and names.

This module writes to no stream.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from orderctl.terminal import render, sanitise
from orderctl.terminal.render import PLAIN, Column, Format, View
from orderctl.terminal.table import Cell, Head, Layout

_Head: TypeAlias = Callable[[Sequence[Column]], str]
_Line: TypeAlias = Callable[[Any, Sequence[Column]], str]

_MARKDOWN_SPECIAL: Final = str.maketrans({"|": "\\|", "<": "&lt;", "\\": "\\\\", "`": "\\`", "*": "\\*"})
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TSV_SPECIAL: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def rows(items: Iterable[Any], columns: Sequence[Column], form: Format, view: View = PLAIN) -> Iterator[str]:
    """Yield rows as text, in pieces that each end with a line break.

    Args:
        items: The rows: mappings, or objects with attributes.
        columns: The columns to show, in order. The first column is the name of the row.
        form: The format. JSON, tables and Markdown need all rows before they yield the first piece; for any number of
            rows there is :func:`pages`.
        view: How values are shown to people.
    """
    if form not in _LINES:
        yield from pages([list(items)], columns, form, view)
        return
    head, line = _LINES[form]
    yield from filter(None, [head(columns)])
    for row in items:
        yield line(row, columns)


def pages(
    lists: Iterable[Sequence[Any]], columns: Sequence[Column], form: Format, view: View = PLAIN
) -> Iterator[str]:
    """Yield pages of rows as text: a piece for each page, before the next page is asked for.

    If a page cannot be read, a JSON list stays open: a program that reads it notices.

    Args:
        lists: The pages; they may be empty.
        columns: As in :func:`rows`.
        form: As in :func:`rows`. Columns of tables and Markdown get wider from page to page, if they have to.
        view: As in :func:`rows`.
    """
    filled = (page for page in lists if page)
    if form in _LINES:
        return _lines(filled, columns, *_LINES[form])
    return _PAGES[form](filled, columns, view)


def _lines(
    lists: Iterable[Sequence[Any]], columns: Sequence[Column], head: _Head, line: _Line
) -> Iterator[str]:
    begin = head(columns)
    for page in lists:
        yield begin + "".join(line(row, columns) for row in page)
        begin = ""
    if begin:
        yield begin


def _table(lists: Iterable[Sequence[Any]], columns: Sequence[Column], view: View) -> Iterator[str]:
    heads = [
        Head(column.heading, column.right, column.keep, column.least, column.priority) for column in columns
    ]
    layout = Layout(heads, room=view.width, color=view.color)
    for page in lists:
        yield layout.page([[render.cell(column, row, view) for column in columns] for row in page])


def _markdown(lists: Iterable[Sequence[Any]], columns: Sequence[Column], view: View) -> Iterator[str]:
    layout = Layout([Head(column.heading, column.right) for column in columns], style="github")
    empty = True
    for page in lists:
        empty = False
        yield layout.page([[_markdown_cell(column, row, view) for column in columns] for row in page])
    if empty:
        yield layout.page([])


def _markdown_cell(column: Column, row: Any, view: View) -> Cell:
    return Cell(render.cell(column, row, view).text.translate(_MARKDOWN_SPECIAL))


def _json(lists: Iterable[Sequence[Any]], columns: Sequence[Column], _view: View) -> Iterator[str]:
    before, end = "[", "[]\n"
    try:
        for page in lists:
            text = render.document([render.record(row, columns) for row in page])
            yield before + text.removeprefix("[").removesuffix("\n]")
            before, end = ",", "\n]\n"
    except (Exception, KeyboardInterrupt):
        if before == ",":  # the message that follows gets a line of its own
            yield "\n"
        raise
    yield end


def _json_line(row: Any, columns: Sequence[Column]) -> str:
    return render.document(render.record(row, columns), indent=None) + "\n"


def _csv_head(columns: Sequence[Column]) -> str:
    return _csv_line([column.name for column in columns])


def _csv_row(row: Any, columns: Sequence[Column]) -> str:
    return _csv_line([_spreadsheet(column.value(row)) for column in columns])


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


def _tsv_head(columns: Sequence[Column]) -> str:
    return "\t".join(column.name for column in columns) + "\n"


def _tsv_row(row: Any, columns: Sequence[Column]) -> str:
    fields = (_field(column.value(row)).translate(_TSV_SPECIAL) for column in columns)
    return "\t".join(map(sanitise.line, fields)) + "\n"


def _name(row: Any, columns: Sequence[Column]) -> str:
    return sanitise.line(_field(columns[0].value(row))) + "\n"


def _no_head(_columns: Sequence[Column]) -> str:
    return ""


#: The formats with a line for each row: the text before the first one, and the line.
_LINES: Final[dict[Format, tuple[_Head, _Line]]] = {
    Format.JSONL: (_no_head, _json_line),
    Format.CSV: (_csv_head, _csv_row),
    Format.TSV: (_tsv_head, _tsv_row),
    Format.NAME: (_no_head, _name),
}
_PAGES: Final[dict[Format, Callable[[Iterable[Sequence[Any]], Sequence[Column], View], Iterator[str]]]] = {
    Format.TABLE: _table,
    Format.WIDE: _table,
    Format.JSON: _json,
    Format.MARKDOWN: _markdown,
}
