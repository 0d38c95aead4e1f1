"""Whether two accounts of a transfer are of the same one: a bank's statement writes names and texts in its own way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from orderctl.payments import readings
from orderctl.payments.ledger import Names, Payment
from orderctl.payments.transfer import AUDIT_LOG, MANUAL, STATEMENT, Direction, Transfer
from orderctl.states import PaymentOutcome

#: Begins the name of what has none of its own, see ``texts.identifier``.
_NAMELESS: Final = "sha256:"
#: Characters that the beginning of a name needs to be a name: what follows is the bank's own addition.
_LEAST_BEGINNING: Final = 6
#: Characters of a name that no other bank has given, too.
_UNIQUE: Final = 10
#: Characters that a text needs to be recognised in another one.
_LEAST_TEXT: Final = 8
_SEPARATOR: Final = re.compile(r"[\W_]+")
DAY: Final = timedelta(days=1)
#: How much later a person may type a transfer, and a name may mean the same transfer.
MONTH: Final = timedelta(days=31)


def key(name: str) -> str:
    """Return a name without case, blanks and separators."""
    return _SEPARATOR.sub("", name.casefold())


def beginnings(name: str) -> list[str]:
    """Return the parts of a name that may be all of it elsewhere, the longest first: ``FT1234`` of ``FT1234/1``."""
    found = []
    for match in _SEPARATOR.finditer(name):
        part = name[: match.start()]
        if len(key(part)) >= _LEAST_BEGINNING and any(letter.isdigit() for letter in part):
            found.append(part)
    return found[::-1]


def keys(name: str) -> list[str]:
    """Return the keys of a name and of its beginnings."""
    return list(filter(None, map(key, (name, *beginnings(name)))))


def wanted(names: Iterable[str]) -> Names:
    """Return how names may be written in the ledger, for a query; compare what it finds with :func:`is_one_name`."""
    equal: set[str] = set()
    begun: set[str] = set()
    for name in names:
        equal |= {name, name.upper(), name.lower(), *beginnings(name)}
        begun |= {name} if len(key(name)) >= _LEAST_BEGINNING else set()
    return Names(sorted(equal), sorted(begun))


def is_one_name(one: str, other: str) -> bool:
    """Whether two names are the same, or one is the other with the bank's addition."""
    first, second = key(one), key(other)
    if not first or not second:
        return False
    return first == second or first in map(key, beginnings(other)) or second in map(key, beginnings(one))


def is_name(text: str | None) -> bool:
    """Whether it is a name that somebody gave, and not a digest of what was told."""
    return bool(text) and not str(text).startswith(_NAMELESS)


def names_of(told: Payment | Transfer) -> list[str]:
    """Return the ids and references of a row or a transfer, the bank's first."""
    alias = told.alias if isinstance(told, Transfer) else None
    return list(dict.fromkeys(name for name in (told.reference, told.provider_id, alias) if is_name(name)))  # type: ignore[misc]


def banks_name(known: Payment) -> str | None:
    """Return by what a bank may call the transfer of a row; None: nobody has told. A provider's id is its own."""
    is_banks = known.provider in {MANUAL, STATEMENT}
    return known.reference or (known.provider_id if is_banks and is_name(known.provider_id) else None)


def have_one_name(one: Payment | Transfer, other: Payment | Transfer) -> bool:
    """Whether a row and a transfer have a name in common."""
    return any(is_one_name(first, second) for first in names_of(one) for second in names_of(other))


def may_have_one_name(known: Payment, account: str | None, names: Iterable[str]) -> bool:
    """Whether a row that has one of these names may be of an account: two banks may have one short name.

    The account of a row may be one that the bank keeps within the statement's.
    """
    if known.account is None or account is None or key(known.account) == key(account):
        return True
    return has_long_name(known, names)


def may_be_for(known: Payment, order_id: int | None, names: Iterable[str]) -> bool:
    """Whether a row that has one of these names may be for an order: short names are given twice.

    What a person has typed or decided may be for another order than its text names.
    """
    if order_id is None or known.order_id in {None, order_id}:
        return True
    if known.provider in {MANUAL, AUDIT_LOG} or known.decided_by is not None:
        return True
    return has_long_name(known, names)


def has_long_name(known: Payment, names: Iterable[str]) -> bool:
    """Whether one of these names is a row's, and so long that no other transfer has it."""
    return any(
        len(key(name)) >= _UNIQUE and is_one_name(name, own) for name in names for own in names_of(known)
    )


def is_money_in(known: Payment) -> bool:
    """Whether a row is a transfer to the shop."""
    return known.direction == Direction.IN and known.outcome != PaymentOutcome.IGNORED


def may_be_of_one_account(known: Payment, transfer: Transfer) -> bool:
    """Whether a row and a transfer may be of one account. Providers have names of their own for a bank."""
    if known.account is not None and known.account == transfer.account:
        return True
    one, other = known.bank, transfer.bank
    return one is None or other is None or one.casefold() == other.casefold()


def is_near(known: Payment, begin: datetime | None, end: datetime | None = None) -> bool:
    """Whether a row may be of a transfer that the bank booked between two times, or in the day from the first one.

    What a person typed is told when it is typed, which may be much later.
    """
    time = known.happened_at or known.told_at
    if begin is None or time is None:
        return True
    is_typed = known.happened_at is None and known.provider in {MANUAL, AUDIT_LOG}
    until = begin + MONTH if is_typed else (end or begin + DAY) + DAY
    return begin - DAY <= time <= until


def have_one_text(one: str | None, other: str | None) -> bool:
    """Whether one of two texts contains the other one: banks add to them, and cut them."""
    shorter, longer = sorted((compact(one or ""), compact(other or "")), key=len)
    return len(shorter) >= _LEAST_TEXT and shorter in longer


def names_code(text: str | None, code: str) -> bool:
    """Whether a text names an order by its code, also with the blanks, dots and dashes that banks put inside.

    A code of digits only is not found in a text: it may be an amount, a date or a phone number.
    """
    if not text or not readings.has_letter(code) or compact(code) not in compact(text):
        return False
    return _code(code).search(_plain(text)) is not None


def compact(text: str) -> str:
    """Return a text without case, blanks and separators, for comparisons."""
    return readings.SEPARATORS.sub("", _plain(text))


@lru_cache(maxsize=10_000)
def _plain(text: str) -> str:
    return readings.plain(text).casefold()


@lru_cache(maxsize=10_000)
def _code(code: str) -> re.Pattern[str]:
    inside = r"[-_./ ]{0,3}".join(map(re.escape, compact(code)))
    return re.compile(rf"(?<![^\W_]){inside}(?![^\W_])")
