"""How a statement writes amounts. What its separators mean is decided for all amounts together.

``300.000`` alone has two meanings. One amount with both separators, or with a group of other than three digits, tells
what they mean in the whole file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from orderctl import money
from orderctl.errors import InvalidInput
from orderctl.payments.transfer import Direction

#: Currencies without decimals (ISO 4217).
_WITHOUT_DECIMALS: Final = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_SYMBOLS: Final = {
    "\u20ab": "VND", "\u0111": "VND", "vn\u0111": "VND", "d": "VND", "dong": "VND", "\u0111\u1ed3ng": "VND",
    "$": "USD", "\u20ac": "EUR", "\xa3": "GBP", "\xa5": "JPY",
}  # fmt: skip
_DIRECTIONS: Final = {"cr": Direction.IN, "c": Direction.IN, "dr": Direction.OUT, "db": Direction.OUT}
#: Longer cells are not amounts.
_MOST: Final = 100
#: Digits of a group, and of decimals that may be a group.
_GROUP: Final = 3
_PARTS: Final = re.compile(r"([^\d.,]*)([.,]?\d[\d.,' ]*)(.*)", re.ASCII | re.DOTALL)
_PLAIN: Final = re.compile(r"(\d+[.,])*\d+", re.ASCII)
_MARK: Final = re.compile(r"[^\W\d_]+|\S")
_SAME: Final = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2019": "'", "\ufe63": "-"})
_CODE: Final = re.compile(r"[a-z]{3}", re.ASCII)


class Written(NamedTuple):
    """An amount as it is written.

    Attributes:
        digits: Its digits with the separators in between.
        negative: Whether it has a minus, or stands in parentheses.
        direction: What CR or DR beside it says; None: neither stands there.
        currency: The code of the currency beside it.
    """

    digits: str
    negative: bool = False
    direction: Direction | None = None
    currency: str | None = None

    @property
    def is_zero(self) -> bool:
        """Whether it is 0, whatever its separators mean."""
        return not self.digits.strip("0., '")


class Mark(NamedTuple):
    """An amount whose separators tell something: the decimal separator, and whether it may as well group digits."""

    separator: str
    ambiguous: bool


def read(value: object) -> Written | None:
    """Return an amount as it is written; None for what is not an amount.

    Args:
        value: The text of a cell, or a number of JSON.
    """
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Written(f"{Decimal(value).copy_abs():f}", value < 0)
    if not isinstance(value, str) or len(value) > _MOST:
        return None
    return _read(value)


@lru_cache(maxsize=4096)
def _read(value: str) -> Written | None:
    if _PLAIN.fullmatch(value):
        return Written(value)
    text = value if value.isascii() else unicodedata.normalize("NFKC", value).translate(_SAME)
    match = _PARTS.fullmatch(text.strip())
    if match is None:
        return None
    before, digits, after = match.groups()
    if digits[-1] in ".," and after.startswith("-"):  # 300,- is 300
        after = after.lstrip("-")
    return _marked(digits.rstrip("., '"), _MARK.findall(before.casefold()), _MARK.findall(after.casefold()))


def _marked(digits: str, before: list[str], after: list[str]) -> Written | None:
    """Return the amount with what stands before and after it; None if something else stands there."""
    marks = before + after
    signs = [mark for mark in marks if mark in {"+", "-", "("}]
    if marks.count("(") != marks.count(")") or len(signs) > 1 or ")" in before or "(" in after:
        return None
    words = [mark for mark in marks if mark not in {"+", "-", "(", ")"}]
    directions = {_DIRECTIONS[word] for word in words if word in _DIRECTIONS}
    currencies = {_currency(word) for word in words if word not in _DIRECTIONS}
    if len(directions) > 1 or len(currencies) > 1 or None in currencies:
        return None
    negative = bool(signs) and signs[0] != "+"
    return Written(digits, negative, next(iter(directions), None), next(iter(currencies), None))


def _currency(word: str) -> str | None:
    if word in _SYMBOLS:
        return _SYMBOLS[word]
    return word.upper() if _CODE.fullmatch(word) else None


def code(text: str) -> str | None:
    """Return the code of a currency in capitals; None for what is not one."""
    word = unicodedata.normalize("NFKC", text).strip().casefold()
    return _currency(word) if word not in _DIRECTIONS else None


def has_decimals(currency: str) -> bool:
    """Whether amounts of a currency may have decimals."""
    return currency.strip().upper() not in _WITHOUT_DECIMALS


@lru_cache(maxsize=4096)
def mark(digits: str) -> Mark | None:
    """Return what an amount tells of the decimal separator; None: nothing.

    Args:
        digits: The digits with the separators in between.
    """
    found = [letter for letter in digits if letter in ".,"]
    if not found or not digits.strip("0., '"):
        return None
    if len(set(found)) > 1:
        return Mark(found[-1], ambiguous=False)
    [separator] = set(found)
    if len(found) > 1:
        return Mark(_other(separator), ambiguous=False)
    whole, _, fraction = digits.partition(separator)
    may_group = len(fraction) == _GROUP and whole.isdigit() and len(whole) <= _GROUP and whole[0] != "0"
    return Mark(separator, ambiguous=may_group)


def _other(separator: str) -> str:
    return "," if separator == "." else "."


class Notation(NamedTuple):
    """What the separators of all amounts mean.

    Attributes:
        decimal: The decimal separator; None: no amount tells it.
        asked: Whether the user has named it.
    """

    decimal: str | None
    asked: bool = False

    @classmethod
    def of(cls, amounts: Iterable[tuple[str, Written]], decimal: str | None) -> Notation:
        """Return the notation of a statement.

        Args:
            amounts: All amounts, each with the place where it stands, for messages.
            decimal: The decimal separator if the user has named it.

        Raises:
            InvalidInput: Two amounts contradict each other.
        """
        if decimal is not None:
            return cls(decimal, asked=True)
        sure: dict[str, str] = {}
        maybe: dict[str, str] = {}
        for place, written in amounts:
            if found := mark(written.digits):
                seen = maybe if found.ambiguous else sure
                seen.setdefault(found.separator, f"{written.digits} ({place})")
        # An ambiguous separator alone groups; with both, one of them would be the decimal one.
        for places in (sure, {} if sure else maybe):
            if len(places) > 1:
                raise InvalidInput(
                    f"the amounts {places['.']} and {places[',']} mean different things by dot and comma",
                    hint="--decimal . or --decimal ,",
                )
        return cls(next(iter(sure), None))

    def value(self, written: Written, currency: str) -> Decimal | None:
        """Return an amount without its sign; None if it is not written in this notation.

        Args:
            written: The amount.
            currency: Its currency.

        Raises:
            InvalidInput: It is ambiguous.
        """
        if written.is_zero:
            return Decimal(0)
        found, decimal = mark(written.digits), self.decimal
        if found is not None and decimal is None:
            decimal = _other(found.separator) if found.ambiguous else found.separator
        if found is not None and found.ambiguous and self._is_doubtful(found.separator, currency):
            raise InvalidInput(
                f"{written.digits} is ambiguous: {found.separator} may group digits or begin the decimals",
                hint="--decimal . or --decimal ,",
            )
        return _value(written.digits, decimal or ".")

    def shrinks(self, written: Written, currency: str) -> bool:
        """Whether the user has named as decimal separator what rather groups digits: 220,000 VND is not 220.

        Args:
            written: An amount.
            currency: Its currency.
        """
        found = mark(written.digits) if self.asked and not has_decimals(currency) else None
        return found is not None and found.ambiguous and found.separator == self.decimal

    def _is_doubtful(self, separator: str, currency: str) -> bool:
        """Whether one separator before three digits may mean two things in this currency.

        If no other amount tells, it groups where the currency has no decimals. If others tell that it begins the
        decimals, 300.000 VND is more likely a mistake in the file than 300.
        """
        if self.asked:
            return False
        return (
            has_decimals(currency)
            if self.decimal is None
            else separator == self.decimal and not has_decimals(currency)
        )


def _value(digits: str, decimal: str) -> Decimal | None:
    whole, _, fraction = digits.partition(decimal)
    groups = re.split(r"[., ']", whole)
    separators = set(whole) & set("., '")
    is_grouped = (
        len(separators) == 1 and 0 < len(groups[0]) <= _GROUP and {len(g) for g in groups[1:]} == {_GROUP}
    )
    if (separators and not is_grouped) or (fraction and not fraction.isdigit()):
        return None
    try:
        return money.parse("".join(groups) + (f".{fraction}" if fraction else ""))
    except ValueError:
        return None
