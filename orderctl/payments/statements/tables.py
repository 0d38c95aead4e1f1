"""From a statement's text to a table: CSV with any usual delimiter, the header somewhere among its first lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from orderctl.errors import InvalidInput
from orderctl.payments.statements import headers
from orderctl.payments.statements.options import Field

_DELIMITERS: Final = (",", ";", "\t", "|")
#: Records among which the header stands.
_FIRST: Final = 50
#: Columns that a statement has, at most.
MOST_COLUMNS: Final = 300
_MONEY: Final = {Field.AMOUNT, Field.CREDIT, Field.DEBIT}
#: Names of columns without which a row is not a header.
_FEWEST: Final = 2


class Row(NamedTuple):
    """A record, and the line of the file where it begins or its place in a JSON list; from 1."""

    number: int
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The records of a statement.

    Attributes:
        header: The names of the columns.
        rows: The records below it. A row may have fewer cells than the header.
        unit: What the numbers of rows count, for messages: ``line`` or ``element``.
        above: What stands above the header.
        part: Which part of the list it is, such as "page 1 of 2"; None: all of it.
        path: The names that lead to the list in a JSON document.
    """

    header: list[str]
    rows: list[Row]
    unit: str = "line"
    above: tuple[Row, ...] = ()
    part: str | None = None
    path: tuple[str, ...] = ()


def read(text: str, mapped: Collection[str] = ()) -> Table:
    """Return the table of a CSV document.

    Args:
        text: The document.
        mapped: The names of columns that the user has given, normalised: they tell the header, too.

    Raises:
        InvalidInput: It has no header, or a quotation does not end.
    """
    best = max(
        (_Candidate.of(text, delimiter, mapped) for delimiter in _DELIMITERS), key=lambda one: one.rank
    )
    if best.width < _FEWEST:
        raise InvalidInput(
            "the statement is not CSV or JSON: none of its first lines has several columns",
            hint="allowed are columns with comma, semicolon, tab or | between them",
        )
    try:
        rows = list(_records(text, best.delimiter))
    except csv.Error as error:
        raise InvalidInput(
            f"the statement is not CSV: {error}", hint="look for a quotation mark that is open"
        ) from None
    at = best.place
    return Table(list(map(str.strip, rows[at].cells)), rows[at + 1 :], above=tuple(rows[:at]))


class _Candidate(NamedTuple):
    """A row that may be the header, if this is the delimiter."""

    rank: tuple[bool, int, int]
    delimiter: str
    place: int
    width: int

    @classmethod
    def of(cls, text: str, delimiter: str, mapped: Collection[str]) -> _Candidate:
        found = []
        try:
            for place, row in enumerate(islice(_records(text, delimiter), _FIRST)):
                found.append(cls(_rank(row.cells, mapped), delimiter, place, len(row.cells)))
        except csv.Error:
            pass
        return max(found, key=lambda one: (one.rank, -one.place), default=cls((False, 0, 0), delimiter, 0, 0))


def _rank(cells: Sequence[str], mapped: Collection[str]) -> tuple[bool, int, int]:
    """Return how much a row looks like a header: it has what is needed, many known names, many names."""
    names = [cell for cell in cells if cell.strip()]
    if not _FEWEST <= len(names) <= MOST_COLUMNS:
        return False, 0, 0
    found = {meaning.field for meaning in headers.meanings(names) if meaning}
    given = sum(headers.normal(name) in mapped for name in names) if mapped else 0
    has_all = bool(found & _MONEY) and bool(found & {Field.DATE, Field.TIME})
    return has_all, len(found) + given, len(names)


def _records(text: str, delimiter: str) -> Iterator[Row]:
    """Yield the records that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    before = 0
    for cells in reader:
        if any(map(str.strip, cells)):
            yield Row(before + 1, cells)
        before = reader.line_num
