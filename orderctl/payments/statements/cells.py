"""The cells of a record, by field, and how messages name them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, NoReturn

from orderctl import texts
from orderctl.errors import InvalidInput
from orderctl.payments.statements.columns import Columns
from orderctl.payments.statements.options import Field
from orderctl.payments.statements.tables import Row

#: What banks write into a cell that has nothing to say.
_NOTHING: Final = {"-", "--", "---", "n/a", "na", "null", "none", "nan", "\u2013", "\u2014"}
#: Fields where such a cell says something: a minus is a direction, and an order's code may be NA.
_ANY_TEXT: Final = {Field.DIRECTION, Field.CONTENT, Field.CODE}
#: More digits than any id has.
_MOST_DIGITS: Final = 200


class Cell(NamedTuple):
    """What stands in a column of a record. ``text`` is empty for nothing; ``value`` is a number of JSON as it is."""

    column: str
    text: str
    value: str | int | Decimal


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a statement, read by field."""

    row: Row
    columns: Columns
    unit: str

    def cell(self, field: Field) -> Cell | None:
        """Return the first cell of a field that is not empty; None if all are.

        Raises:
            InvalidInput: A value of JSON is neither a text nor a number.
        """
        for place in self.columns.places.get(field, ()):
            if cell := self._cell(place, field):
                return cell
        return None

    def cells(self, field: Field) -> list[Cell]:
        """Return the cells of a field that are not empty, the best first.

        Raises:
            InvalidInput: A value of JSON is neither a text nor a number.
        """
        return [cell for place in self.columns.places.get(field, ()) if (cell := self._cell(place, field))]

    def text(self, field: Field, most: int) -> str | None:
        """Return a field's text in one line; None for nothing.

        Args:
            field: The field.
            most: The number of characters that are kept.
        """
        cell = self.cell(field)
        if cell is None:
            return None
        if cell.text.isprintable() and "  " not in cell.text:  # in one line already, as nearly all are
            return cell.text[:most].rstrip()
        return texts.line(cell.text, most)

    def refuse(self, message: str, *, hint: str | None = None) -> NoReturn:
        """Raise InvalidInput that names the record.

        Args:
            message: What is wrong.
            hint: What to do.
        """
        raise InvalidInput(f"{self.unit} {self.row.number} of the statement: {message}", hint=hint)

    def _cell(self, place: int, field: Field) -> Cell | None:
        if place >= len(self.row.cells) or (not (value := self.row.cells[place]) and value != 0):
            return None
        text = _text(value)
        if text is None:
            self.refuse(f"{self.columns.names[place]} is neither a text nor a number: {texts.shown(value)}")
        if not text or (text.casefold() in _NOTHING and field not in _ANY_TEXT):
            return None
        return Cell(self.columns.names[place], text, text if isinstance(value, str) else value)


def _text(value: Any) -> str | None:
    """Return the text of a cell; None for values of JSON that no cell has."""
    if isinstance(value, str):
        return _bare(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if number.adjusted() <= _MOST_DIGITS and number == number.to_integral_value():
        return str(int(number))
    return f"{number:f}"


def _bare(text: str) -> str:
    """Return a cell without what keeps a spreadsheet program from reading it as a formula or a number."""
    if text.startswith('="') and text.endswith('"') and len(text) > 2:  # noqa: PLR2004 - the quotation itself
        return text[2:-1].strip()
    return text[1:].strip() if text.startswith("'") and not text.endswith("'") else text
