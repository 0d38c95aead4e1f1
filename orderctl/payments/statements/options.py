"""How a statement is to be read, where its file does not say it, and the fields that a column may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Final


class Field(StrEnum):
    """What a column of a statement contains."""

    DATE = "date"
    TIME = "time"  #: The time of day, where the date's column has none.
    AMOUNT = "amount"  #: With a sign, or beside a column with the direction.
    CREDIT = "credit"  #: What came in.
    DEBIT = "debit"  #: What went out.
    DIRECTION = "direction"
    CONTENT = "content"
    CODE = "code"  #: The order's code.
    REFERENCE = "reference"  #: The bank's reference.
    ID = "id"  #: Another name of the transfer.
    ACCOUNT = "account"
    BANK = "bank"
    CURRENCY = "currency"
    BALANCE = "balance"
    IGNORE = "ignore"


#: The names of the fields, as ``--map`` takes them.
FIELDS: Final = tuple(map(str, Field))
#: Values of ``--dates``.
ORDERS: Final = ("dmy", "mdy", "ymd")
#: Times without a zone are those of Vietnam's banks.
LOCAL: Final = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class Options:
    """How a statement is to be read.

    Attributes:
        columns: The field of a column, by the column's name in the file, or by its place such as ``#3``.
        encoding: The file's encoding; None: UTF-8, or UTF-16 with a byte order mark.
        dates: The order of day, month and year: ``dmy``, ``mdy`` or ``ymd``; None: found out from the whole column.
        decimal: The decimal separator, ``.`` or ``,``; None: found out from all amounts.
        zone: The zone of times without one.
        currency: The shop's currency, which decides whether 300.000 may have decimals.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    dates: str | None = None
    decimal: str | None = None
    zone: tzinfo = LOCAL
    currency: str = "VND"
