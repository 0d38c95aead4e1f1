"""Reads the fields of a provider's JSON strictly: what is ambiguous or of another type is refused by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from orderctl import money, texts
from orderctl.errors import InvalidInput
from orderctl.payments.transfer import LIMITS, Direction

#: Why a provider's event is ignored.
A_TEST: Final = "a test"
NOT_A_TRANSFER: Final = "not a transfer"

#: Times without a zone are those of Vietnam's banks.
_LOCAL: Final = timezone(timedelta(hours=7))
#: Years that every database holds, and that a bank may mean.
_YEARS: Final = range(1970, 9999)
_PLAIN: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WITH_COMMAS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", re.ASCII)
#: 300.000 is three hundred thousand in Vietnam, and three hundred elsewhere.
_WITH_DOTS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")
#: More digits than any id has; with more, a calculation may take all memory.
_MOST_DIGITS: Final = 200


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a JSON object.

    Attributes:
        values: The object.
        place: What stands before a field's name in messages, such as ``the payment's data[0].``.
    """

    values: Mapping[str, Any]
    place: str

    @classmethod
    def of(cls, document: Any, what: str = "the payment", *, place: str | None = None) -> Fields:
        """Return the fields of an object.

        Args:
            document: Any JSON value.
            what: What it is, for messages.
            place: What stands before a field's name in messages; None: ``what`` with an s.

        Raises:
            InvalidInput: It is not an object.
        """
        if not isinstance(document, dict):
            raise InvalidInput(f"{what} is not a JSON object")
        return cls(document, f"{what}'s " if place is None else place)

    def has_any(self, names: Iterable[str]) -> bool:
        """Whether one of the fields is there, even if it is null."""
        return any(name in self.values for name in names)

    def text(self, *names: str) -> str | None:
        """Return the first of these fields that is not empty: a text, or the digits of a whole number.

        So ``7``, ``"7"`` and ``7.0`` are one id.

        Raises:
            InvalidInput: A field up to there has another type.
        """
        return next((found for name in names if (found := self._text(name)) is not None), None)

    def needed(self, *names: str) -> str:
        """Return the first of these fields that is not empty.

        Raises:
            InvalidInput: All are missing, or a field has another type.
        """
        found = self.text(*names)
        if found is None:
            raise InvalidInput(f"{self.place}{names[0]} is missing")
        return found

    def money(self, name: str, direction: str | None = None) -> tuple[Decimal, Direction]:
        """Return an amount without its sign, and whether it came in.

        A JSON number is exact. A text has no grouping or commas between groups of three digits: ``300000``,
        ``300,000``, ``12.50``. A text such as ``300.000`` is refused, because it has two meanings.

        Args:
            name: The field of the amount. A negative one is outgoing.
            direction: The field with ``in`` or ``out``; it may be missing.

        Raises:
            InvalidInput: The amount is missing, ambiguous, not a number or more than the ledger holds; or the direction
                is another word.
        """
        amount = self._amount(name)
        try:
            LIMITS.check(amount.copy_abs())
        except InvalidInput as error:
            raise InvalidInput(f"{self.place}{name}: {error}") from None
        word = Direction.IN if direction is None else self._direction(direction)
        return amount.copy_abs(), Direction.OUT if amount < 0 else word

    def currency(self, name: str) -> str | None:
        """Return the code of a currency in capitals, or None for the shop's.

        Raises:
            InvalidInput: It is not the code of a currency.
        """
        code = self.text(name)
        if code is None:
            return None
        if not _CURRENCY.fullmatch(code):
            raise InvalidInput(
                f"{self.place}{name} {texts.shown(code)} is not the code of a currency, such as VND"
            )
        return code.upper()

    def moment(self, *names: str) -> datetime | None:
        """Return the first of these times in UTC; None for what is not a time, for which no money is refused.

        A time without a zone is in that of Vietnam.
        """
        value = next((self.values[name] for name in names if self.values.get(name)), None)
        if not isinstance(value, str):
            return None
        try:
            found = datetime.fromisoformat(value.strip())
            found = found if found.tzinfo else found.replace(tzinfo=_LOCAL)
            utc = found.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        return utc if utc.year in _YEARS else None

    def _text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None:
            return None
        found = value.strip() if isinstance(value, str) else _digits(value)
        if found is None:
            raise InvalidInput(
                f"{self.place}{name} is neither a text nor a whole number of at most {_MOST_DIGITS} digits"
            )
        return found or None

    def _amount(self, name: str) -> Decimal:
        value = self.values.get(name)
        if value is None or value == "":
            raise InvalidInput(f"{self.place}{name} is missing")
        try:
            return money.parse(_notation(value) if isinstance(value, str) else value)
        except TypeError:
            raise InvalidInput(f"{self.place}{name} is not a number") from None
        except ValueError as error:
            raise InvalidInput(f"{self.place}{name} {error}") from None

    def _direction(self, name: str) -> Direction:
        word = self.text(name)
        if word is None:
            return Direction.IN
        try:
            return Direction(word.casefold())
        except ValueError:
            raise InvalidInput(f"{self.place}{name} {texts.shown(word)} is neither in nor out") from None


def _notation(text: str) -> str:
    """Return an amount's text as ``Decimal`` reads it; raises ValueError, whose text follows the field's name."""
    stripped = text.strip()
    if _WITH_DOTS.fullmatch(stripped):
        raise ValueError(
            f"{texts.shown(text)} is ambiguous: the dot may group digits or begin the decimals; send a JSON number"
        )
    if not _PLAIN.fullmatch(stripped) and not _WITH_COMMAS.fullmatch(stripped):
        raise ValueError(f"{texts.shown(text)} is not a number such as 300000, 300,000 or 12.50")
    return stripped.replace(",", "")


def _digits(value: object) -> str | None:
    """Return the digits of a whole number; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    if not exact.is_finite() or exact.adjusted() > _MOST_DIGITS or exact != exact.to_integral_value():
        return None
    return str(int(exact))
