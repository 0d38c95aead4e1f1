"""The first look at each record: its date and its amounts as they are written, and whether it is a transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from orderctl import texts
from orderctl.payments.statements import amounts, dates, totals
from orderctl.payments.statements.cells import Cell, Record
from orderctl.payments.statements.columns import Columns
from orderctl.payments.statements.options import Field
from orderctl.payments.statements.tables import Table

_MONEY: Final = (Field.CREDIT, Field.DEBIT, Field.AMOUNT)
_A_DATE: Final = "expected is a date such as 2026-11-30, 30/11/2026 or 30/11/2026 10:33:05"
_AN_AMOUNT: Final = "expected is an amount such as 300000, 300.000 or 300,000.00"


class Amount(NamedTuple):
    """An amount as it is written, and its cell."""

    cell: Cell
    written: amounts.Written


class Draft(NamedTuple):
    """A record that is a transfer, before the notation of the whole statement is known.

    Attributes:
        record: The record.
        cell: Its date's cell.
        date: The date.
        money: Its amounts.
        document: The number of a document that stands in the date's cell, too.
    """

    record: Record
    cell: Cell
    date: dates.Written
    money: Mapping[Field, Amount]
    document: str | None = None


class Drafts(NamedTuple):
    """All transfers, and the numbers of records that are not."""

    drafts: list[Draft]
    skipped: list[int]


def read(table: Table, columns: Columns) -> Drafts:
    """Return the transfers of a table.

    Raises:
        InvalidInput: A date or an amount cannot be read, or is missing beside the other.
    """
    found = Drafts([], [])
    for row in table.rows:
        record = Record(row, columns, table.unit)
        draft = None if _is_header(row.cells, table.header) else _draft(record)
        if draft is None:
            found.skipped.append(row.number)
        else:
            found.drafts.append(draft)
    return found


def _is_header(cells: Sequence[object], header: Sequence[str]) -> bool:
    """Whether the header is there again, as at the begin of each printed page."""
    return (
        len(cells) == len(header)
        and str(cells[0]).strip() == header[0]
        and [str(cell).strip() for cell in cells] == header
    )


def _draft(record: Record) -> Draft | None:
    cell = record.cell(Field.DATE)
    money = {field: found for field in _MONEY if (found := record.cell(field))}
    date, document = _date(cell)
    read_money = {field: written for field, one in money.items() if (written := amounts.read(one.value))}
    if date is None and _is_other(record, cell, money, read_money):
        return None
    if date is not None and not money and totals.begins_like_one(record.row.cells):
        return None
    _refuse_shifted(record)
    if cell is None:
        record.refuse(f"the date is missing: {_A_DATE}")
    if date is None:
        record.refuse(f"{texts.shown(cell.text)} in the column {cell.column} is not a date: {_A_DATE}")
    if not money:
        record.refuse(f"the amount is missing: {_AN_AMOUNT}")
    for field, one in money.items():
        if field not in read_money:
            record.refuse(
                f"{texts.shown(one.text)} in the column {one.column} is not an amount: {_AN_AMOUNT}"
            )
    if _is_nothing(record, list(read_money.values())):
        return None
    filled = {field: Amount(money[field], written) for field, written in read_money.items()}
    return Draft(record, cell, date.with_clock(_clock(record)), filled, document)


def _date(cell: Cell | None) -> tuple[dates.Written | None, str | None]:
    """Return a record's date, and the number of a document that stands in its cell, too."""
    if cell is None:
        return None, None
    if date := dates.read(cell.text):
        return date, None
    return dates.read_first(cell.text) or (None, None)


def _is_other(
    record: Record,
    cell: Cell | None,
    money: Mapping[Field, Cell],
    read_money: Mapping[Field, amounts.Written],
) -> bool:
    """Whether a record without a date is a total, or a text below the table."""
    if not money:
        return cell is None or not totals.resembles_date(cell.text)
    if totals.begins_like_one(record.row.cells):
        return True
    digits = any(letter.isdigit() for one in (cell, *money.values()) if one for letter in one.text)
    return not read_money and not digits


def _is_nothing(record: Record, money: list[amounts.Written]) -> bool:
    """Whether a record with a date and an amount is 0 or a total."""
    if all(written.is_zero for written in money):
        return True
    has_name = record.cell(Field.REFERENCE) or record.cell(Field.ID)
    return not has_name and totals.is_one(record.row.cells)


def _refuse_shifted(record: Record) -> None:
    """Refuse a record with more cells than the header: its cells may stand below wrong names."""
    more = record.row.cells[len(record.columns.names) :]
    if any(map(str.strip, more)):
        record.refuse(
            f"it has {len(record.row.cells)} cells, the header {len(record.columns.names)}",
            hint="put cells that contain the delimiter into double quotation marks",
        )


def _clock(record: Record) -> dates.Clock | None:
    cell = record.cell(Field.TIME)
    if cell is None:
        return None
    clock = dates.read_clock(cell.text)
    if clock is None:
        record.refuse(
            f"{texts.shown(cell.text)} in the column {cell.column} is not a time: expected is a time such as 10:33:05"
        )
    return clock
