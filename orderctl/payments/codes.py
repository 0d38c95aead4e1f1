"""Which order a transfer is for: by its code, never by its id."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from orderctl import deletion, shape, texts
from orderctl.payments import readings
from orderctl.payments.readings import MOST_CODE, Reading
from orderctl.payments.transfer import Transfer
from orderctl.schema import orders

#: Codes that one query asks for: MariaDB makes a temporary table of 1,000 and more.
_CHUNK: Final = 500
#: Spellings that one text may have. A real one has a few hundred; a stranger may write any.
_MOST_SPELLINGS: Final = 20_000
#: Orders whose codes show where the shop's codes have separators.
_SAMPLE: Final = 100
#: The last character that a column in utf8mb3 can hold.
_LAST_OF_THREE_BYTES: Final = "\uffff"
#: Whether a code begins with an ASCII letter or digit, so that the index answers it in any collation.
_BEGINS_WITH: Final = "EXISTS (SELECT 1 FROM orders WHERE order_code LIKE '{0}%%')"
#: The same, with the next character: LIKE uses no index of SQLite.
_SQLITE_BEGINS_WITH: Final = "EXISTS (SELECT 1 FROM orders WHERE order_code >= '{0}' AND order_code < '{1}')"
#: Orders that a reason names.
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Found:
    """The order that a transfer is for; without one, the reason why."""

    order_id: int | None
    reason: str | None = None


class Habits:
    """How the shop writes its codes. It is asked for once, where many transfers are looked at.

    Args:
        connection: A connection to the database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begins: dict[str, bool] = {}

    @cached_property
    def forms(self) -> list[readings.Form]:
        """How the newest codes have separators inside."""
        return readings.forms(_newest_codes(self._connection))

    def begins(self, initials: AbstractSet[str]) -> set[str]:
        """Return those characters with which a code may begin.

        Args:
            initials: Characters in lower case.
        """
        if asked := initials - self._begins.keys():
            there = _begins(self._connection, asked)
            self._begins |= {initial: initial in there for initial in asked}
        return {initial for initial in initials if self._begins[initial]}


class _Candidate(NamedTuple):
    """An order whose code may be meant."""

    id: int
    code: str
    deleted: bool


def find(
    connection: Connection,
    transfer: Transfer,
    pattern: re.Pattern[str] | None,
    habits: Habits | None = None,
) -> Found:
    """Return the order that a transfer names by its code: one that the shop has deleted, if it names no other.

    The provider's field for the code comes first; if it is no order's code, it is a text like the transfer's own. In
    texts the codes of existing orders are looked for. Of a code and another that begins with it, the longer one
    counts; if the texts name several orders, none is found. A code of digits only is found in a text only by a pattern.
    A code with letters behind it (``DH3va DH4``) is none, but then the other one is not found either.

    Args:
        connection: A connection to the database.
        transfer: The transfer, checked.
        pattern: What the codes of orders look like in a text; None: each existing code that stands there as a word.
        habits: What is known of the shop's codes; None: nothing yet.
    """
    habits = habits or Habits(connection)
    if named := _by_field(connection, transfer.code):
        return _decide(named)
    told = dict.fromkeys(readings.plain(text) for text in (transfer.code, transfer.content) if text)
    found = _read(habits, list(told), pattern)
    wanted = _spellings(connection, [reading for of_text in found for reading in of_text])
    if wanted is None:
        return Found(None, "too many words of the text may be codes")
    there = _by_key(_with_codes(connection, wanted), of_digits=pattern is not None)
    named = [order for of_text in found for order in _longest(of_text, there)]
    if not named:
        return Found(None, _missing(transfer, pattern, found))
    return _decide([*named, *(_with_tails(connection, found, there, habits) if pattern is None else ())])


def _with_tails(
    connection: Connection,
    found: Iterable[Iterable[Reading]],
    there: Mapping[str, list[_Candidate]],
    habits: Habits,
) -> list[_Candidate]:
    """Return the orders that texts name besides, with letters behind their codes."""
    tailed: list[Reading] = []
    for of_text in found:
        meant = [reading for reading in of_text if reading.key in there]
        apart = (one for one in of_text if not any(one.overlaps(other) for other in meant))
        tailed += filter(readings.has_tail, apart)
    if not tailed:
        return []
    bare = [readings.without_tail(reading, habits.forms) for reading in tailed]
    by_key = _by_key(_with_codes(connection, _spellings(connection, bare) or ()), of_digits=False)
    return list(_longest(bare, by_key))


def _by_field(connection: Connection, code: str | None) -> list[_Candidate]:
    """Return the orders whose code the provider's field is: as it stands there, else in another case."""
    if not code:
        return []
    if equal := _with_codes(connection, [code]):
        return equal
    others = _with_codes(connection, readings.cases(code)) if len(code) <= MOST_CODE else []
    return [order for order in others if order.code.casefold() == code.casefold()]


def _read(habits: Habits, told: Sequence[str], pattern: re.Pattern[str] | None) -> list[list[Reading]]:
    """Return the readings of each text."""
    if not told:
        return []
    if pattern is not None:
        return [list(readings.matches(text, pattern, habits.forms)) for text in told]
    begins = habits.begins(set().union(*map(readings.initials, told)))
    return [list(readings.of(text, begins, habits.forms)) for text in told]


def _begins(connection: Connection, initials: AbstractSet[str]) -> set[str]:
    """Return those characters with which a code may begin: it spares the spellings of nearly all words of a text."""
    kept = {initial for initial in initials if not initial.isascii()}
    asked = [(letter, case) for letter in sorted(initials - kept) for case in sorted(readings.cases(letter))]
    if not asked:
        return kept
    begins_with = _SQLITE_BEGINS_WITH if connection.dialect.name == "sqlite" else _BEGINS_WITH
    # Expressions of SQLAlchemy would take ten times as long as the query.
    each = ", ".join(begins_with.format(case, chr(ord(case) + 1)) for _, case in asked)
    answers = zip(asked, connection.exec_driver_sql(f"SELECT {each}").one(), strict=True)
    return kept | {letter for (letter, _), is_there in answers if is_there}


def _spellings(connection: Connection, found: Iterable[Reading]) -> set[str] | None:
    """Return the spellings to look up, as far as the database tells them apart; None for more than are looked up."""
    column = _column(connection)
    ignores_case = column is not None and column.ignores_case
    wanted: set[str] = set()
    for reading in found:
        for spelling in reading.spellings:
            wanted |= {spelling} if ignores_case else readings.cases(spelling)
        if len(wanted) > _MOST_SPELLINGS:
            return None
    return wanted


def _by_key(candidates: Iterable[_Candidate], *, of_digits: bool) -> dict[str, list[_Candidate]]:
    found: dict[str, list[_Candidate]] = {}
    for order in candidates:
        if of_digits or readings.has_letter(order.code):
            found.setdefault(readings.key(order.code), []).append(order)
    return found


def _longest(found: Iterable[Reading], by_key: Mapping[str, list[_Candidate]]) -> Iterator[_Candidate]:
    """Yield the orders whose codes are readings that no longer one takes in.

    A deleted order's code takes in a shorter one, too: the shorter one was not meant.
    """
    meant = [reading for reading in found if reading.key in by_key]
    for reading in meant:
        if not any(reading.is_within(other) for other in meant):
            yield from by_key[reading.key]


def _with_codes(connection: Connection, codes: Collection[str]) -> list[_Candidate]:
    """Return the orders that have one of the codes, as the database compares them."""
    column = _column(connection)
    query = select(orders.c.id, orders.c.order_code, deletion.is_deleted(orders).label("deleted"))
    found: dict[int, _Candidate] = {}
    fitting = sorted(code for code in codes if _fits(code, column))
    for begin in range(0, len(fitting), _CHUNK):
        asked = orders.c.order_code.in_(fitting[begin : begin + _CHUNK])
        for row in connection.execute(query.where(asked)):
            found[row.id] = _Candidate(*row)
    return sorted(found.values())


def _column(connection: Connection) -> shape.Column | None:
    return shape.of(connection.dialect).column("orders", "order_code")


def _fits(code: str, column: shape.Column | None) -> bool:
    """Whether a column may contain a code. Servers scan the table, or fail, for letters that it cannot have."""
    charset = (column.charset if column is not None else None) or "utf8mb4"
    if not charset.startswith("utf8"):
        return code.isascii() and texts.is_storable(code)
    return texts.is_storable(code) and (charset == "utf8mb4" or max(code) <= _LAST_OF_THREE_BYTES)


def _newest_codes(connection: Connection) -> Sequence[str]:
    query = select(orders.c.order_code).order_by(orders.c.id.desc()).limit(_SAMPLE)
    return connection.execute(query).scalars().all()


def _decide(named: Iterable[_Candidate]) -> Found:
    """Return the only order; of several, those that are not deleted count."""
    every = sorted(set(named))
    counted = [order for order in every if not order.deleted] or every
    if len(counted) == 1:
        return Found(counted[0].id)
    codes = list(dict.fromkeys(_shown(order.code) for order in counted))
    if len(codes) == 1:
        ids = _listed(str(order.id) for order in counted)
        return Found(None, f"{len(counted)} orders have the code {codes[0]}: {ids}")
    return Found(None, f"{len(counted)} orders in the text: {_listed(codes)}")


def _missing(transfer: Transfer, pattern: re.Pattern[str] | None, found: Iterable[Iterable[Reading]]) -> str:
    """Return why a transfer names no order."""
    matched = [reading.part for of_text in found for reading in of_text] if pattern is not None else []
    field = [transfer.code] if transfer.code and " " not in transfer.code else []
    codes = [code for code in (*field, *matched) if len(code) <= MOST_CODE]
    if codes:
        return f"no order has the code {codes[0]}"
    if pattern is not None and (transfer.code or transfer.content):
        return "payments.code_pattern finds no code in the text"
    return "no order's code in the text" if transfer.code or transfer.content else "neither a code nor a text"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def _shown(code: str) -> str:
    return code if len(code) <= MOST_CODE else f"{code[:MOST_CODE]}..."
