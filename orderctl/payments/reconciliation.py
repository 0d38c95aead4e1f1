"""Compare a bank's statement with the ledger and the orders, and record what only the bank knows.

Comparing writes and locks nothing. What recording a line would do is decided by the code that takes payments in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from orderctl import orders
from orderctl.audit import Origin
from orderctl.orders import OrderState
from orderctl.payments import differences, intake, ledger, likeness, strangers, unexplained
from orderctl.payments.amounts import Rules
from orderctl.payments.differences import Difference, Kind
from orderctl.payments.foresight import Foresight
from orderctl.payments.intake import Receipt
from orderctl.payments.judgement import Decision, Known
from orderctl.payments.ledger import Payment
from orderctl.payments.matching import Matching
from orderctl.payments.statements.line import Line, Statement
from orderctl.payments.transfer import STATEMENT, Direction
from orderctl.states import PaymentOutcome

__all__ = ["Difference", "Kind", "Report", "Scope", "compare", "record"]

#: Names that one query asks for.
_CHUNK: Final = 250
#: Parts in which the rows of a period are read.
_PARTS: Final = 64
_COUNTED: Final = (PaymentOutcome.PAID, PaymentOutcome.PARTIAL)
_IN_LEDGER_TWICE: Final = (
    *_COUNTED,
    PaymentOutcome.SURPLUS,
    PaymentOutcome.MISMATCH,
    PaymentOutcome.UNMATCHED,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared.

    Attributes:
        late_seconds: By how much later than the bank the ledger may learn of a transfer, in seconds.
        since: The begin of the period; None: the statement's first line.
        until: Its end, exclusive; None: the end of the statement's last line.
        accounts: The statement's accounts, if it does not name them itself.
    """

    late_seconds: float = 3600
    since: datetime | None = None
    until: datetime | None = None
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison has found.

    Attributes:
        differences: By kind in the order of :class:`Kind`, then by time.
        compared: The number of incoming lines in the period.
        outgoing: The number of outgoing lines, which are not compared.
        undecided: The number of these lines' payments that wait for a decision as ``unmatched``.
        matched: The ids of the payments that are lines of the statement, for :func:`record`.
    """

    differences: tuple[Difference, ...]
    compared: int
    outgoing: int
    undecided: int
    matched: frozenset[int] = frozenset()


def compare(
    connection: Connection,
    statement: Statement,
    rules: Rules,
    scope: Scope,
    progress: Callable[[int, int], None] | None = None,
    noticed: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare a statement with the ledger and the orders.

    Args:
        connection: A connection for reading.
        statement: The statement, as it was read.
        rules: What the shop accepts.
        scope: What is compared.
        progress: Called with the number of lines that are done, and of all.
        noticed: Called early, once, with the number of lines in the period that the ledger does not know, and of all.
    """
    calls = progress or _silent, noticed or _silent
    return _Comparison(connection, statement, rules, scope, *calls).run()


def record(
    connection: Connection, line: Line, rules: Rules, origin: Origin, others: Collection[int] = ()
) -> Receipt:
    """Take a line of a statement in as a payment, as if the bank told of it now.

    Args:
        connection: In a transaction of its own.
        line: The line, which is incoming.
        rules: What the shop accepts.
        origin: Who records it.
        others: The payments that are other lines of the statement: :attr:`Report.matched`.
    """
    return intake.receive(connection, [line.transfer()], rules, origin, others=others)[0]


def _silent(_done: int, _total: int) -> None:
    pass


class _Comparison:
    def __init__(
        self,
        connection: Connection,
        statement: Statement,
        rules: Rules,
        scope: Scope,
        progress: Callable[[int, int], None],
        noticed: Callable[[int, int], None],
    ) -> None:
        self.connection, self.rules, self.progress, self.noticed = connection, rules, progress, noticed
        incoming = [line for line in statement.lines if line.direction == Direction.IN]
        self.lines = sorted(incoming, key=lambda line: (line.begin, line.number))
        every = statement.lines
        now = datetime.now(UTC)
        self.since = scope.since or min((line.begin for line in every), default=now)
        self.until = scope.until or max((line.end for line in every), default=now)
        self.outgoing = sum(line.direction != Direction.IN and self._is_within(line) for line in every)
        self.late = timedelta(seconds=scope.late_seconds)
        accounts = {line.account for line in every if line.account} | set(scope.accounts)
        self.matching = Matching(self.lines, [], self.late, accounts)
        self.foresight = Foresight(connection, rules, lambda: self.matching.matched)
        self.paid = list(unexplained.find(connection, self.since - likeness.DAY, self.until + likeness.DAY))
        self.shops_names = {key for paid in self.paid for name in paid.names for key in likeness.keys(name)}

    def run(self) -> Report:
        rows = self._rows()
        self.matching = Matching(self.lines, rows, self.late, self.matching.accounts, self.foresight.order_of)
        self.matching.run()
        left = self.matching.left_lines
        unknown = strangers.find(self.connection, left, rows)
        self.noticed(sum(map(self._is_within, unknown)), sum(map(self._is_within, self.lines)))
        missing = list(self._missing(left, unknown))
        twins = self._twins()
        twice = self._twice(twins)
        rest = self._without_twins(twins)
        # Read at the end, in few queries: most rows need no order.
        known = self._orders([*self.matching.pairs.values(), *(row for row, _ in twins), *rest])
        found = [*missing]
        found += [
            differences.twice(line, *rows, known.get(rows[0].order_id or 0))
            for line, rows in twice.items()
            if self._is_within(line)
        ]
        found += self._of_pairs(twice, known)
        found += [differences.untransferred(row, known.get(row.order_id or 0)) for row in rest]
        found += self._unexplained()
        ranked = list(Kind)
        found.sort(key=lambda one: (ranked.index(Kind(one.kind)), *_when(one)))
        lines = [line for line in self.lines if self._is_within(line)]
        waits = [self.matching.pairs.get(line) for line in lines]
        undecided = sum(row is not None and row.outcome == PaymentOutcome.UNMATCHED for row in waits)
        return Report(tuple(found), len(lines), self.outgoing, undecided, self.matching.matched)

    def _is_within(self, line: Line) -> bool:
        return line.end > self.since and line.begin < self.until

    def _rows(self) -> list[Payment]:
        """Return the rows that may be lines: those of the period, and those with a line's name, whenever."""
        if not self.lines:
            return self._of_period(self.since, self.until)
        begin = min(self.since, self.lines[0].begin) - 2 * likeness.DAY
        end = max(self.until, *(line.end for line in self.lines)) + likeness.MONTH
        found = {row.id: row for row in self._of_period(begin, end)}
        there = {likeness.key(name) for row in found.values() for name in likeness.names_of(row)}
        left = [
            name
            for line in self.lines
            if not any(key in there for name in line.names for key in likeness.keys(name))
            for name in line.names
        ]
        for first in range(0, len(left), _CHUNK):
            some = likeness.wanted(left[first : first + _CHUNK])
            found |= {row.id: row for row in ledger.named(self.connection, some)}
        return [found[number] for number in sorted(found)]

    def _of_period(self, begin: datetime, end: datetime) -> list[Payment]:
        width, found = max((end - begin) / _PARTS, likeness.DAY), []
        while begin < end:
            found += ledger.told_between(self.connection, begin, min(begin + width, end))
            begin += width
        return found

    def _missing(self, left: Sequence[Line], unknown: Collection[Line]) -> Iterator[Difference]:
        """Yield the lines that the ledger does not know; those that it knows otherwise become pairs."""
        done = len(self.lines) - len(left)
        for number, line in enumerate(left, 1):
            decision = self.foresight.foresee(line.transfer(), is_strange=line in unknown)
            if isinstance(decision, Known):
                self.matching.pair(line, decision.payment)
            elif decision.before is not None:
                self.matching.pair(line, decision.before)
            elif not self._is_known_to_shop(line, decision) and self._is_within(line):
                yield differences.missing(line, decision)
            self.progress(done + number, len(self.lines))

    def _is_known_to_shop(self, line: Line, decision: Decision) -> bool:
        """Whether the shop's own program has recorded a line, which may not name the order."""
        names = (key for name in line.names for key in likeness.keys(name))
        return decision.by_shop or (decision.order is None and any(key in self.shops_names for key in names))

    def _twins(self) -> list[tuple[Payment, Line]]:
        """Return the rows without a line that may be of a line which has another row."""
        found, taken = [], set()
        by_amount: dict[object, list[Line]] = {}
        for line, row in self.matching.pairs.items():
            for key in {line.amount, *map(likeness.key, line.names), row.amount}:
                by_amount.setdefault(key, []).append(line)
        for row in self.matching.left_rows:
            if row.outcome not in {*_IN_LEDGER_TWICE, PaymentOutcome.REFUSED}:
                continue
            keys = {row.amount, *(key for name in likeness.names_of(row) for key in likeness.keys(name))}
            lines = (line for key in keys for line in by_amount.get(key, ()))
            match = next(
                (line for line in lines if line not in taken and self.matching.is_twin(row, line)), None
            )
            if match is not None:
                taken.add(match)
                found.append((row, match))
        return found

    def _twice(self, twins: list[tuple[Payment, Line]]) -> dict[Line, tuple[Payment, Payment]]:
        """Return the lines that stand in two rows about which nobody has decided: first the row that paid nothing.

        Two rows of statements were two lines there: the other line may stand in another file.
        """
        found = {}
        for row, line in twins:
            both = (self.matching.pairs[line], row)
            is_two_lines = all(known.provider == STATEMENT for known in both)
            if not is_two_lines and not any(map(differences.is_decided, both)):
                one, other = sorted(both, key=lambda known: (known.outcome in _COUNTED, -known.id))
                found[line] = (one, other)
        return found

    def _without_twins(self, twins: list[tuple[Payment, Line]]) -> list[Payment]:
        """Return the rows that count as paid in the period and account, and are no line's."""
        others = {row.id for row, _ in twins}
        return [
            row
            for row in self.matching.left_rows
            if row.id not in others
            and row.outcome in _COUNTED
            and self.matching.is_of_account(row)
            and self._is_of_period(row)
        ]

    def _is_of_period(self, row: Payment) -> bool:
        if row.happened_at is not None:
            return self.since <= row.happened_at < self.until
        # What was told soon after the begin may have happened before it.
        return row.told_at is not None and self.since + self.late <= row.told_at < self.until

    def _of_pairs(self, twice: Collection[Line], known: dict[int, OrderState]) -> Iterator[Difference]:
        for line, row in self.matching.pairs.items():
            if line in twice or not self._is_within(line):
                continue
            found = differences.of_pair(line, row, known.get(row.order_id or 0), self.late)
            if found is not None:
                yield found

    def _unexplained(self) -> Iterator[Difference]:
        names = [name for line in self.lines for name in line.names]
        texts = [text for line in self.lines for text in (line.code, line.content) if text]
        explained = unexplained.Explained(names, texts)
        for paid in self.paid:
            is_of_period = self.since + self.late <= paid.paid_at < self.until
            if is_of_period and paid.order.id not in self.foresight.named and not explained(paid):
                yield differences.unpaid_order(paid.order, paid.paid_at)

    def _orders(self, rows: list[Payment]) -> dict[int, OrderState]:
        return orders.states(self.connection, {row.order_id for row in rows if row.order_id is not None})


def _when(one: Difference) -> tuple[datetime, int, int, int]:
    time = one.happened_at or one.told_at or datetime.min.replace(tzinfo=UTC)
    return time, one.line or 0, one.payment_id or 0, one.order_id or 0
