"""Records that are not transfers: totals, balances, signatures below the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from orderctl.payments.statements import headers

#: How totals and balances begin.
_BEGINS: Final = re.compile(
    r"(tong|cong (doanh so|phat sinh|so)|total|totals|subtotal|sub total|grand total|sum|summe|gesamt|so du|phat sinh|so phat sinh|doanh so|luy ke|"
    r"dau ky|cuoi ky|balance|opening balance|closing balance|ending balance|beginning balance|saldo|anfangssaldo|"
    r"endsaldo)\b"
)
#: The whole text of totals and balances; a customer's text has more.
_WHOLE: Final = re.compile(
    r"(tong|tong cong|cong|total|totals|grand total|sum|tong phat sinh|cong phat sinh|(opening|closing|ending) balance|"
    r"so du (dau|cuoi)( ky| ngay)?|balance (brought|carried) forward)"
)
_MOST: Final = 200
_THREE_NUMBERS: Final = re.compile(r"\D*\d+\D+\d+\D+\d+[^A-Za-z]*", re.ASCII)


def begins_like_one(cells: Iterable[Any]) -> bool:
    """Whether a cell of a record begins like a total or a balance."""
    return any(_BEGINS.match(text) for text in _texts(cells))


def is_one(cells: Iterable[Any]) -> bool:
    """Whether a cell of a record is the name of a total or a balance, and nothing more."""
    return any(_WHOLE.fullmatch(text) for text in _texts(cells))


def resembles_date(text: str) -> bool:
    """Whether a text that is not a date may be meant as one: three numbers, and no letters."""
    return not any(map(str.isalpha, text)) and _THREE_NUMBERS.fullmatch(text) is not None


def _texts(cells: Iterable[Any]) -> Iterable[str]:
    return (headers.normal(cell) for cell in cells if isinstance(cell, str) and 0 < len(cell) < _MOST)
