"""Which row of the ledger is which line of a statement, one to one. Pure.

In stages, each with what the one before has left over: by a name and the amount, by a name with another amount, and by
amount, time and text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from orderctl.payments import likeness
from orderctl.payments.ledger import Payment
from orderctl.payments.statements.line import Line
from orderctl.payments.transfer import MANUAL

#: How much two programs may differ in when a transfer happened that has one name: a bank books on working days.
_WEEK: Final = timedelta(days=7)
#: Rows of a provider that show that it calls all transfers otherwise than the statement.
_STRANGE: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _no_order(_line: Line) -> int | None:
    return None


@dataclass
class Matching:
    """Pairs of lines and rows.

    Attributes:
        lines: The incoming lines.
        rows: The rows that may be theirs.
        late: How late the ledger may learn of a transfer.
        accounts: The statement's accounts, as far as they are known.
        order_of: Returns the id of the order that a line names.
        pairs: The rows that were found, by line.
    """

    lines: Sequence[Line]
    rows: Iterable[Payment]
    late: timedelta
    accounts: set[str] = field(default_factory=set)
    order_of: Callable[[Line], int | None] = _no_order
    pairs: dict[Line, Payment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Leave out what is no money for the shop."""
        kept = (row for row in self.rows if likeness.is_money_in(row) and row.amount is not None)
        self._free = {row.id: row for row in kept}
        self._by_name: set[str] = set()  # the providers whose rows have the statement's names
        self._named_rows = Counter(
            row.provider for row in self._free.values() if likeness.banks_name(row) is not None
        )

    @property
    def left_lines(self) -> list[Line]:
        """The lines without a row."""
        return [line for line in self.lines if line not in self.pairs]

    @property
    def left_rows(self) -> list[Payment]:
        """The rows without a line."""
        return list(self._free.values())

    @property
    def matched(self) -> frozenset[int]:
        """The ids of the rows that are lines."""
        return frozenset(row.id for row in self.pairs.values())

    def pair(self, line: Line, row: Payment) -> None:
        """Note that a row is a line."""
        self.pairs[line] = row
        self._free.pop(row.id, None)

    def run(self) -> None:
        """Find the pairs."""
        for same_amount in (True, False):
            for whole in (True, False):
                self._match_names(same_amount=same_amount, whole=whole)
        self._match_texts()

    def is_of_account(self, row: Payment) -> bool:
        """Whether a row is of the statement's account, as far as both are known."""
        if row.account is None or not self.accounts:
            return True
        key = likeness.key(row.account)
        return any(key == likeness.key(one) for one in self.accounts)

    def is_twin(self, row: Payment, line: Line) -> bool:
        """Whether a row may be of a line that has another one already."""
        if any(likeness.is_one_name(one, other) for one in likeness.names_of(row) for other in line.names):
            return _is_possible(row, line) and self._may_be_for(row, line)
        return row.amount == line.amount and self._is_alike(row, line)

    def _match_names(self, *, same_amount: bool, whole: bool) -> None:
        """Match by names: the whole ones first, then those to which the bank has added something."""
        index: dict[str, list[Payment]] = defaultdict(list)
        for row in self._free.values():
            for key in {key for name in likeness.names_of(row) for key in _keys(name, whole=whole)}:
                index[key].append(row)
        for line in self.left_lines:
            known = self._named(line, index, same_amount=same_amount, whole=whole)
            if known is not None:
                self._by_name.add(known.provider)
                self.accounts |= {known.account} if known.account is not None else set()
                self.pair(line, known)

    def _named(
        self, line: Line, index: dict[str, list[Payment]], *, same_amount: bool, whole: bool
    ) -> Payment | None:
        found = [
            row
            for name in line.names
            for key in _keys(name, whole=whole)
            for row in index.get(key, ())
            if row.id in self._free
            and (row.amount == line.amount) == same_amount
            and any(likeness.is_one_name(name, other) for other in likeness.names_of(row))
            and self._may_be_of_account(row, line)
            and _is_possible(row, line)
            and self._may_be_for(row, line)
        ]
        return min(found, key=lambda row: (_distance(row, line), row.id), default=None)

    def _may_be_of_account(self, row: Payment, line: Line) -> bool:
        if line.account is None and self.is_of_account(row):
            return True
        return likeness.may_have_one_name(row, line.account or min(self.accounts), line.names)

    def _may_be_for(self, row: Payment, line: Line) -> bool:
        """Whether a row with a name of the line may be of the line's order. Only a short name is worth a query."""
        if row.order_id is None or likeness.has_long_name(row, line.names):
            return True
        return likeness.may_be_for(row, self.order_of(line), line.names)

    def _match_texts(self) -> None:
        """Match by amount, time and text, the nearest first."""
        index: dict[Decimal | None, list[Payment]] = defaultdict(list)
        for row in sorted(self._free.values(), key=_time):
            index[row.amount].append(row)
        found = (
            sorted(
                (_distance(row, line), number, row.id, line, row)
                for number, line in enumerate(self.left_lines)
                for row in self._in_time(index.get(line.amount, []), line)
                if self._is_alike(row, line)
            )
            if index
            else []
        )
        for _, _, _, line, row in found:
            if line not in self.pairs and row.id in self._free:
                self.pair(line, row)

    def _in_time(self, rows: Sequence[Payment], line: Line) -> Iterator[Payment]:
        """Return the rows of a time that may be the line's; the index spares the others."""
        begin = bisect_left(rows, line.begin - likeness.DAY, key=_time)
        end = bisect_right(rows, line.begin + likeness.MONTH, key=_time)
        return (row for row in rows[begin:end] if likeness.is_near(row, line.begin, self._until(line)))

    def _until(self, line: Line) -> datetime:
        return line.end + max(self.late, likeness.DAY) - likeness.DAY

    def _is_alike(self, row: Payment, line: Line) -> bool:
        """Whether a row of the line's amount may be the line, by its time, account and text."""
        if not likeness.is_near(row, line.begin, self._until(line)) or not self._may_be_called_so(row, line):
            return False
        if not self.is_of_account(row):
            return False
        code = row.order_code
        if code and (line.code or "").casefold() == code.casefold():
            return True
        named = code is not None and any(
            likeness.names_code(text, code) for text in (line.code, line.content)
        )
        return named or likeness.have_one_text(line.content, row.content)

    def _may_be_called_so(self, row: Payment, line: Line) -> bool:
        """Whether the names allow it: what a bank calls otherwise is another transfer.

        A person may mistype a name. A provider none of whose rows has a name of the statement calls all otherwise.
        """
        if not line.names or likeness.banks_name(row) is None:
            return True
        is_strange = row.provider not in self._by_name and self._named_rows[row.provider] >= _STRANGE
        return row.provider == MANUAL or is_strange


def _keys(name: str, *, whole: bool) -> list[str]:
    return likeness.keys(name)[:1] if whole else likeness.keys(name)


def _time(row: Payment) -> datetime:
    return row.happened_at or row.told_at or _EPOCH


def _distance(row: Payment, line: Line) -> timedelta:
    time = _time(row)
    if time < line.begin:
        return line.begin - time
    return max(time - line.end, timedelta(0))


def _is_possible(row: Payment, line: Line) -> bool:
    """Whether a row with a name of the line may be it: references may begin anew after a time."""
    if row.happened_at is not None:
        return abs(row.happened_at - line.begin) <= _WEEK
    return row.told_at is None or line.begin - _WEEK <= row.told_at <= line.end + 2 * likeness.MONTH
