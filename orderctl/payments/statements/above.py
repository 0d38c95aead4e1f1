"""What stands above a statement's header: the account and its currency, if they are named plainly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from orderctl.payments.statements import amounts, headers
from orderctl.payments.statements.options import Field
from orderctl.payments.statements.tables import Row

_ACCOUNT: Final = re.compile(r"['=\"]*(\d{6,24})\b", re.ASCII)
_MOST: Final = 200


class Above(NamedTuple):
    """The account and the code of the currency that all lines have; None if it is not said."""

    account: str | None = None
    currency: str | None = None


def read(rows: Iterable[Row]) -> Above:
    """Return what the rows above the header say.

    Args:
        rows: The rows.
    """
    accounts, currencies = set(), set()
    for row in rows:
        for label, value in _pairs(row.cells):
            meaning = headers.meaning(label)
            if meaning and meaning.field == Field.ACCOUNT and (match := _ACCOUNT.match(value)):
                accounts.add(match[1])
            elif meaning and meaning.field == Field.CURRENCY and (code := amounts.code(value)):
                currencies.add(code)
    return Above(_only(accounts), _only(currencies))


def _pairs(cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield labels with their values: in one cell with a colon between, or in two."""
    filled = [cell.strip() for cell in cells if cell.strip() and len(cell) < _MOST]
    for place, cell in enumerate(filled):
        label, _, value = cell.partition(":")
        yield label, value.strip() or " ".join(filled[place + 1 : place + 2])


def _only(found: set[str]) -> str | None:
    return found.pop() if len(found) == 1 else None
