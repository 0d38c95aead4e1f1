"""Which columns of a table are read as which field."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from orderctl import texts
from orderctl.errors import InvalidInput
from orderctl.payments.statements import dates, directions, headers
from orderctl.payments.statements.options import FIELDS, Field
from orderctl.payments.statements.tables import Table

#: Fields of which several columns count: each is a name of the transfer.
_MANY: Final = {Field.REFERENCE, Field.ID}
#: Fields where the wrong one of two columns would make another transfer.
_ONE: Final = {Field.DATE, Field.TIME, Field.AMOUNT, Field.CREDIT, Field.DEBIT, Field.DIRECTION}
#: Columns that a message lists.
_MOST_LISTED: Final = 30
#: Records that are looked at to see what a column contains.
_SAMPLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of each field.

    Attributes:
        names: The names of all columns, as messages call them.
        places: The columns of a field, the best first: in a record the first that is not empty counts.
        currency: The currency that the name of an amount's column has.
    """

    names: Sequence[str]
    places: Mapping[Field, Sequence[int]]
    currency: str | None

    def of(self, field: Field) -> Sequence[int]:
        """Return the columns of a field, the best first."""
        return self.places.get(field, ())


def find(table: Table, given: Mapping[str, str]) -> Columns:
    """Return which columns are which fields.

    Args:
        table: The statement.
        given: What the user says: a column's name or place (``#3``), and its field.

    Raises:
        InvalidInput: A given column or field is unknown, a needed one is not there, or two are equally good.
    """
    names = _names(table.header)
    mapped = _mapped(names, table.header, given)
    places: dict[Field, list[tuple[int, int]]] = defaultdict(list)
    meanings = headers.meanings(table.header)
    for place, meaning in enumerate(meanings):
        if (
            meaning
            and place not in mapped
            and (meaning.field in _MANY or meaning.field not in mapped.values())
        ):
            field, tier = _looked_at(table, place, meaning)
            places[field].append((tier, place))
    for place, field in mapped.items():
        places[field].append((-1, place))
    _promote_time(places)
    chosen = {field: _chosen(table, names, field, sorted(found)) for field, found in places.items()}
    chosen.pop(Field.IGNORE, None)
    _check(names, chosen)
    amounts = {
        place for field in (Field.AMOUNT, Field.CREDIT, Field.DEBIT) for place in chosen.get(field, ())
    }
    currency = next(
        (m.currency for place, m in enumerate(meanings) if m and m.currency and place in amounts), None
    )
    return Columns(names, chosen, currency)


def remarks(columns: Columns) -> list[str]:
    """Return what is to be said about the columns: without a text, no order's code is found."""
    taken = {place for places in columns.places.values() for place in places}
    unused = [
        name for place, name in enumerate(columns.names) if place not in taken and name.strip("#0123456789")
    ]
    if columns.places.keys() & {Field.CONTENT, Field.CODE} or not unused:
        return []
    listed = ", ".join(unused[:_MOST_LISTED])
    example = shlex.quote(f"{unused[0]}={Field.CONTENT}")
    return [f"no column is recognised as the transfer's text; not used: {listed} (--map {example})"]


def _names(header: Sequence[str]) -> list[str]:
    """Return the columns' names in one line; a column without one, or with one that occurs twice, by its place."""
    plain = [headers.normal(name) or name.strip() for name in header]
    seen: dict[str, int] = defaultdict(int)
    for name in plain:
        seen[name] += 1
    return [
        (texts.line(name, 60) or f"#{place}") if seen[plain[place - 1]] == 1 else f"#{place}"
        for place, name in enumerate(header, 1)
    ]


def _mapped(names: Sequence[str], header: Sequence[str], given: Mapping[str, str]) -> dict[int, Field]:
    found: dict[int, Field] = {}
    for column, field in given.items():
        if field not in FIELDS:
            allowed = ", ".join(FIELDS)
            raise InvalidInput(f"{texts.shown(field)} is not a field of a statement: allowed is {allowed}")
        found[_place(names, header, column)] = Field(field)
    for field in set(found.values()) & _ONE:
        if list(found.values()).count(field) > 1:
            raise InvalidInput(f"--map names two columns for {field}: only one can be read")
    return found


def _place(names: Sequence[str], header: Sequence[str], column: str) -> int:
    wanted = headers.normal(column) or column.strip()
    same = [place for place, name in enumerate(header) if (headers.normal(name) or name.strip()) == wanted]
    if column.startswith("#") and column[1:].isdecimal() and len(column) < 5:  # noqa: PLR2004 - three digits
        same = [place for place in (int(column[1:]) - 1,) if 0 <= place < len(names)]
    if len(same) != 1 or not wanted:
        many = "occurs several times" if len(same) > 1 else "is not there"
        raise InvalidInput(f"the column {texts.shown(column)} {many}: {_listed(names)}")
    return same[0]


def _listed(names: Sequence[str]) -> str:
    rest = "" if len(names) <= _MOST_LISTED else f" and {len(names) - _MOST_LISTED} more"
    return f"the statement's columns are {', '.join(names[:_MOST_LISTED])}{rest}"


def _sample(table: Table, place: int) -> list[str]:
    """Return what stands in a column, without empty cells."""
    cells = (
        str(row.cells[place]).strip()
        for row in table.rows
        if place < len(row.cells) and _is_filled(row.cells[place])
    )
    return list(islice(cells, _SAMPLE))


def _is_filled(cell: Any) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def _looked_at(table: Table, place: int, meaning: headers.Meaning) -> tuple[Field, int]:
    """Return a column's field and tier, where what stands in it says more than its name."""
    if meaning.field == Field.TIME and any(dates.read(cell) for cell in _sample(table, place)):
        return Field.DATE, 0
    if (meaning.field, meaning.tier) == (Field.DIRECTION, headers.SOFT):
        cells = _sample(table, place)
        if not cells or not all(directions.read(cell) for cell in cells):
            return Field.IGNORE, 0
    return meaning.field, meaning.tier


def _promote_time(places: dict[Field, list[tuple[int, int]]]) -> None:
    """Take a column of times for that of dates where there is none, so that the message is about its cells."""
    if not places.get(Field.DATE) and Field.TIME in places:
        places[Field.DATE] = places.pop(Field.TIME)


def _chosen(table: Table, names: Sequence[str], field: Field, found: list[tuple[int, int]]) -> list[int]:
    best = [place for tier, place in found if tier == found[0][0]]
    if field in _ONE and len(best) > 1:
        filled = [place for place in best if _sample(table, place)]
        if len(filled) > 1:
            one, other = (names[place] for place in filled[:2])
            raise InvalidInput(
                f"the columns {one} and {other} may both be the {field}",
                hint=f"--map {shlex.quote(f'{one}={field}')}",
            )
        best = filled or best[:1]
    if found[0][0] < 0 and field not in _MANY:
        return best
    return best + [place for tier, place in found if tier != found[0][0]]


def _check(names: Sequence[str], chosen: Mapping[Field, Sequence[int]]) -> None:
    taken = {place for places in chosen.values() for place in places}
    free = next((name for place, name in enumerate(names) if place not in taken), names[0])
    for field, fields in ((Field.DATE, {Field.DATE}), (Field.AMOUNT, {Field.AMOUNT, Field.CREDIT})):
        if not fields & chosen.keys():
            what = "the date" if field == Field.DATE else "the amount (or what came in)"
            raise InvalidInput(
                f"no column is recognised as {what}: {_listed(names)}",
                hint=f"--map {shlex.quote(f'{free}={field}')}",
            )
