"""From a statement's bytes to its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Final

from orderctl import money, texts
from orderctl.counting import counted
from orderctl.errors import InvalidInput
from orderctl.payments.statements import (
    above,
    amounts,
    columns,
    dates,
    directions,
    drafts,
    encodings,
    headers,
    identity,
    records,
    tables,
)
from orderctl.payments.statements.above import Above
from orderctl.payments.statements.amounts import Notation
from orderctl.payments.statements.cells import Cell, Record
from orderctl.payments.statements.drafts import Amount, Draft
from orderctl.payments.statements.line import Line, Statement
from orderctl.payments.statements.options import ORDERS, Field, Options
from orderctl.payments.transfer import LIMITS, MOST_CONTENT, Direction

_MOST_BANK: Final = 120
_MOST_ACCOUNT: Final = 64
_MIDNIGHT: Final = time()
_ORDER_NAMES: Final = {"dmy": "day/month/year", "mdy": "month/day/year", "ymd": "year/month/day"}
#: Ids that mean nothing, and those of tests.
_NOT_NAMES: Final = {"0"}
#: A long number that a spreadsheet program has shortened: it is that of many transfers.
_SHORTENED: Final = re.compile(r"\d([.,]\d+)?[Ee]\+\d+", re.ASCII)
_Span = tuple[datetime, datetime]


def read(data: bytes, options: Options) -> Statement:
    """Return the transfers that a bank's statement lists.

    Args:
        data: The file: CSV or JSON.
        options: What the file does not say itself.

    Raises:
        InvalidInput: It is not a statement, ambiguous, or a record cannot be read: with its line and column.
    """
    _check(options)
    text = encodings.decode(data, options.encoding)
    given = {headers.normal(name) for name in options.columns}
    table = records.read(text) if records.is_json(text) else tables.read(text, given)
    if not table.rows or not table.header:
        why = "its list is empty" if table.unit == "element" else "nothing stands below its header"
        raise InvalidInput(f"the statement has no transfers: {why}")
    found = columns.find(table, options.columns)
    listed = drafts.read(table, found)
    reading = _Reading.of(listed.drafts, options, above.read(table.above), found.currency)
    identified = identity.identify(reading.lines(listed.drafts))
    remarks = columns.remarks(found) + reading.remarks(
        listed.drafts, has_direction=any(map(found.of, (Field.DIRECTION, Field.DEBIT, Field.CREDIT)))
    )
    remarks += _shortened(listed.drafts)
    if identified.shared:
        names = counted(len(identified.shared), "reference")
        remarks.append(
            f"{names} of several transfers each identify none: {texts.shown(identified.shared[0])}"
        )
    skipped = tuple(listed.skipped)
    return Statement(
        identified.lines, skipped, identified.repeated, tuple(remarks), part=table.part, path=table.path
    )


def _check(options: Options) -> None:
    if options.dates not in {None, *ORDERS}:
        raise InvalidInput(
            f"{texts.shown(options.dates)} is not an order of dates: allowed is {', '.join(ORDERS)}"
        )
    if options.decimal not in {None, ".", ","}:
        raise InvalidInput(f"{texts.shown(options.decimal)} is not a decimal separator: allowed is . or ,")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is decided for the whole statement."""

    options: Options
    order: dates.Order
    notation: Notation
    above: Above
    currency: str | None
    whole_days: bool

    @classmethod
    def of(cls, found: Sequence[Draft], options: Options, above: Above, currency: str | None) -> _Reading:
        order = dates.Order.of(
            ((_place(one.record), one.cell.text, one.date) for one in found), options.dates
        )
        notation = Notation.of(_written(found), options.decimal)
        whole_days = all(one.date.clock is None or one.date.clock.time == _MIDNIGHT for one in found)
        return cls(options, order, notation, above, currency or above.currency, whole_days)

    def lines(self, found: Sequence[Draft]) -> list[Line]:
        """Return the lines, not yet with their keys."""
        spans = self._spans(found)
        return [self._line(draft, span) for draft, span in zip(found, spans, strict=True)]

    def remarks(self, found: Sequence[Draft], *, has_direction: bool) -> list[str]:
        """Return what is assumed, for people."""
        remarks = []
        if self.order.assumed:
            remarks.append("dates are read as day/month/year: if they are not, give --dates mdy")
        signed = (amount.written for one in found for amount in one.money.values())
        if found and not has_direction and not any(one.negative or one.direction for one in signed):
            remarks.append("all amounts are read as incoming: no column and no sign tells the direction")
        return remarks + self._shrunk(found)

    def _shrunk(self, found: Sequence[Draft]) -> list[str]:
        """Return what is said about an amount that only --decimal makes a thousandth of what it looks like."""
        every = (
            ((one, amount) for one in found for amount in one.money.values()) if self.notation.asked else ()
        )
        for draft, amount in every:
            currency = self._currency(draft.record, amount) or self.options.currency
            if isinstance(amount.cell.value, str) and self.notation.shrinks(amount.written, currency):
                read = money.shown(self._value(draft.record, amount, currency))
                what = f"{amount.written.digits} ({_place(draft.record)}) is read as {read}"
                return [f"{what}, as --decimal {self.notation.decimal} says; {currency} has no decimals"]
        return []

    def _spans(self, found: Sequence[Draft]) -> list[_Span]:
        spans = [self._span(draft) for draft in found]
        zone = self.options.zone
        if self.whole_days or any(begin.astimezone(zone).time() != _MIDNIGHT for begin, _ in spans):
            return spans
        return [(begin, begin + timedelta(days=1)) for begin, _ in spans]

    def _span(self, draft: Draft) -> _Span:
        span = self.order.moment(draft.date, self.options.zone, whole_days=self.whole_days)
        if span is None:
            expected = f"expected is {_ORDER_NAMES[self.order.name]} or 2026-11-30, from 1970 on"
            shown = texts.shown(draft.cell.text)
            draft.record.refuse(
                f"{shown} in the column {draft.cell.column} is not a date: {expected}",
                hint="--dates dmy, mdy or ymd",
            )
        return span

    def _line(self, draft: Draft, span: _Span) -> Line:
        record = draft.record
        amount, direction = _chosen(draft)
        currency = self._currency(record, amount)
        return Line(
            number=record.row.number,
            direction=direction,
            amount=self._value(record, amount, currency),
            begin=span[0],
            end=span[1],
            names=_names(draft),
            content=record.text(Field.CONTENT, MOST_CONTENT),
            code=record.text(Field.CODE, MOST_CONTENT),
            currency=currency,
            account=record.text(Field.ACCOUNT, _MOST_ACCOUNT) or self.above.account,
            bank=record.text(Field.BANK, _MOST_BANK),
            balance=self._balance(record, currency),
            key="",
        )

    def _currency(self, record: Record, amount: Amount) -> str | None:
        cell = record.cell(Field.CURRENCY)
        listed = amounts.code(cell.text) if cell else None
        if cell and listed is None:
            record.refuse(
                f"{texts.shown(cell.text)} in the column {cell.column} is not the code of a currency, such as VND"
            )
        beside = amount.written.currency
        if listed and beside and listed != beside:
            record.refuse(f"the amount {texts.shown(amount.cell.text)} is not in {listed}")
        return beside or listed or self.currency

    def _value(self, record: Record, amount: Amount, currency: str | None) -> Decimal:
        cell = amount.cell
        if not isinstance(cell.value, str):
            value: Decimal | None = Decimal(cell.value).copy_abs()
        else:
            try:
                value = self.notation.value(amount.written, currency or self.options.currency)
            except InvalidInput as error:
                record.refuse(f"column {cell.column}: {error}", hint=error.hint)
        if value is None:
            separator = self.notation.decimal
            rule = (
                f"the decimal separator is {separator}"
                if separator
                else "its separators do not group by 3 digits"
            )
            record.refuse(f"{texts.shown(cell.text)} in the column {cell.column} is not an amount: {rule}")
        try:
            LIMITS.check(value)
        except InvalidInput as error:
            record.refuse(f"column {cell.column}: {error}")
        return value

    def _balance(self, record: Record, currency: str | None) -> Decimal | None:
        """Return the balance; None for one that cannot be read, for which no statement is refused."""
        cell = record.cell(Field.BALANCE)
        if cell is None:
            return None
        if not isinstance(cell.value, str):
            return Decimal(cell.value)
        written = amounts.read(cell.text)
        try:
            value = written and self.notation.value(written, currency or self.options.currency)
        except InvalidInput:
            return None
        if value is None or written is None:
            return None
        return value.copy_negate() if written.negative or written.direction is Direction.OUT else value


def _written(found: Sequence[Draft]) -> Iterator[tuple[str, amounts.Written]]:
    """Yield all amounts and balances with their places. A number of JSON has no notation."""
    for draft in found:
        place = _place(draft.record)
        for amount in draft.money.values():
            if isinstance(amount.cell.value, str):
                yield f"{place}, column {amount.cell.column}", amount.written
        balance = draft.record.cell(Field.BALANCE)
        if balance and isinstance(balance.value, str) and (written := amounts.read(balance.text)):
            yield f"{place}, column {balance.column}", written


def _place(record: Record) -> str:
    return f"{record.unit} {record.row.number}"


def _chosen(draft: Draft) -> tuple[Amount, Direction]:
    """Return the amount of a record that counts, and its direction."""
    filled = {field: amount for field, amount in draft.money.items() if not amount.written.is_zero}
    credit, debit, amount = (filled.get(field) for field in (Field.CREDIT, Field.DEBIT, Field.AMOUNT))
    if credit and debit:
        one, other = credit.cell, debit.cell
        draft.record.refuse(f"both {one.column} and {other.column} are filled in: {one.text}, {other.text}")
    if debit:
        return debit, Direction.OUT
    chosen = credit or amount
    if chosen is None:
        draft.record.refuse("the amount is missing")
    is_out = chosen.written.negative or chosen.written.direction is Direction.OUT
    word = _direction(draft.record) if chosen is amount else Direction.IN
    return chosen, Direction.OUT if is_out else word


def _direction(record: Record) -> Direction:
    cell = record.cell(Field.DIRECTION)
    if cell is None:
        return Direction.IN
    found = directions.read(cell.text)
    if found is None:
        allowed = "expected is in or out, credit or debit, C or D, + or -"
        record.refuse(f"{texts.shown(cell.text)} in the column {cell.column} is not a direction: {allowed}")
    return found


def _named(draft: Draft) -> list[Cell]:
    return [*draft.record.cells(Field.REFERENCE), *draft.record.cells(Field.ID)]


def _shortened(found: Sequence[Draft]) -> list[str]:
    """Return what is said about references that are shortened."""
    cells = [cell for draft in found for cell in _named(draft) if _SHORTENED.fullmatch(cell.text)]
    if not cells:
        return []
    what = f"{counted(len(cells), 'reference')} in the column {cells[0].column}"
    shown = f"{texts.shown(cells[0].text)}; make it a column of text there"
    return [f"{what} shortened by a spreadsheet program, and not used: {shown}"]


def _names(draft: Draft) -> tuple[str, ...]:
    given = [cell.text for cell in _named(draft) if cell.text not in _NOT_NAMES]
    kept = [name for name in given if not _SHORTENED.fullmatch(name)]
    found = (texts.identifier(name) for name in [*kept, draft.document])
    return tuple(dict.fromkeys(name for name in found if name))
