"""From JSON to a table: a list of objects, an object with one such list inside, one object, or JSON Lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from orderctl import documents, texts
from orderctl.errors import InvalidInput
from orderctl.payments.statements import headers, pages
from orderctl.payments.statements.options import Field
from orderctl.payments.statements.tables import MOST_COLUMNS, Row, Table

_WHAT: Final = "the statement"
_BEGIN: Final = re.compile(r"\s*(\{|\[\s*([\[\]{\"\d-]|$|true|false|null))")
#: Which list it is, if there are several.
_LISTS: Final = ("transactions", "records", "payments", "data", "items", "lines", "results")


def is_json(text: str) -> bool:
    """Whether a text begins like a JSON document."""
    return _BEGIN.match(text) is not None


def read(text: str) -> Table:
    """Return the table of a JSON document. Numbers are exact.

    Raises:
        InvalidInput: It is not JSON, or has no list of objects.
    """
    if (lines := _json_lines(text)) is not None:
        return _table(lines, "line")
    document = documents.parse(text, _WHAT)
    path, elements = _find(document)
    table = _table([Row(number, (element,)) for number, element in enumerate(elements, 1)], "element")
    if not path:
        return table
    return replace(table, part=pages.part(document, path, len(elements)), path=path)


def _json_lines(text: str) -> list[Row] | None:
    """Return the documents of JSON Lines with their lines; None if it is one document."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) < 2 or not lines[0][1].rstrip().endswith("}"):  # noqa: PLR2004 - one line is one document
        return None
    try:
        first = documents.parse(lines[0][1], _WHAT)
    except InvalidInput:
        return None
    rest = (Row(number, (documents.parse(line, f"line {number} of {_WHAT}"),)) for number, line in lines[1:])
    return [Row(lines[0][0], (first,)), *rest]


def _find(document: Any) -> tuple[tuple[str, ...], list[Any]]:
    """Return the path and the elements of the document's list, or the object that is a transfer itself."""
    if isinstance(document, list):
        return (), document
    lists: dict[tuple[str, ...], list[Any]] = dict(_inner(document, _is_list))
    chosen = [path for path in lists if len(lists) == 1 or (path[-1:] and path[-1] in _LISTS)]
    if len(chosen) > 1:
        best = min(map(_preference, chosen))
        chosen = [path for path in chosen if _preference(path) == best]
    if len(chosen) == 1:
        return chosen[0], lists[chosen[0]]
    if lists:
        named = ", ".join(".".join(path) for path in list(lists)[:10])
        raise InvalidInput(
            f"{_WHAT} has several lists, and none is named transactions: {named}", hint="give one of them"
        )
    single = next((found for _, found in _inner(document, _is_transfer)), None)
    if single is None:
        raise InvalidInput(
            f"{_WHAT} has no list of transfers",
            hint='[{"date": "2026-11-30", "amount": 300000, "reference": "FT1"}]',
        )
    return (), [single]


def _preference(path: tuple[str, ...]) -> int:
    return _LISTS.index(path[-1])


def _inner(document: Any, wanted: Callable[[Any], bool]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the wanted values of an object, and of the objects in it, with their paths; nothing inside of them."""
    values: list[tuple[tuple[str, ...], Any]] = [((), document)]
    for path, value in values:  # grows meanwhile
        if wanted(value):
            yield path, value
        elif isinstance(value, dict):
            values += [((*path, name), inner) for name, inner in value.items()]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(element, dict) for element in value)


def _is_transfer(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) > MOST_COLUMNS:
        return False
    found = {meaning.field for meaning in headers.meanings(list(value)) if meaning}
    return bool(found & {Field.DATE, Field.TIME}) and bool(found & {Field.AMOUNT, Field.CREDIT, Field.DEBIT})


def _table(elements: list[Row], unit: str) -> Table:
    """Return the table whose columns are all names of the objects."""
    columns: dict[str, None] = {}
    for number, (element,) in elements:
        if not isinstance(element, dict):
            raise InvalidInput(f"{unit} {number} of {_WHAT} is not a JSON object: {texts.shown(element)}")
        columns.update(dict.fromkeys(element))
        if len(columns) > MOST_COLUMNS:
            raise InvalidInput(
                f"{_WHAT} has more than {MOST_COLUMNS} different fields: it is not a list of transfers"
            )
    rows = [Row(number, tuple(map(element.get, columns))) for number, (element,) in elements]
    return Table(list(columns), rows, unit)
