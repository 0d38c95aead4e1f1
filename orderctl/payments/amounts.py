"""How much a transfer pays of its order. Pure: no database, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeGuard

from orderctl import money
from orderctl.states import PaymentOutcome

if TYPE_CHECKING:
    from orderctl.settings import Settings

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the shop accepts as a payment.

    Attributes:
        accept: ``exact``, ``at-least``, or ``sum``: several transfers together.
        tolerance: How much an amount may differ from the order's, in the shop's currency; 0 or more.
        code_pattern: What the codes of orders look like in a transfer's text; None: each existing code is looked for.
        pending: The payment statuses of orders that can be paid, in lower case.
        currency: The shop's currency.
        keep_raw: Whether the ledger keeps what providers sent, as it came.
    """

    accept: str
    tolerance: Decimal
    code_pattern: re.Pattern[str] | None
    pending: tuple[str, ...]
    currency: str
    keep_raw: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Return the rules that the settings state."""
        there = settings.payments
        pending = tuple(status.lower() for status in there.pending_statuses)
        currency, keep_raw = settings.display.currency, there.keep_raw_days > 0
        return cls(there.accept, there.tolerance, there.code_pattern, pending, currency, keep_raw)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a transfer does for its order.

    Attributes:
        outcome: PAID, PARTIAL or MISMATCH.
        reason: How the amount differs from the order's, with both numbers; None: it does not.
    """

    outcome: PaymentOutcome
    reason: str | None = None


def judge(
    amount: Decimal,
    expected: Decimal | None,
    *,
    received: Decimal = _NOTHING,
    currency: str | None = None,
    rules: Rules,
) -> Verdict:
    """Return what a transfer does for an order.

    Args:
        amount: What was transferred.
        expected: What the order costs, in the shop's currency; None: the shop's row does not tell.
        received: The sum of the order's partial transfers before, in the shop's currency.
        currency: The currency of ``amount``; None: the shop's.
        rules: What the shop accepts.
    """
    if currency is not None and currency.strip().casefold() != rules.currency.strip().casefold():
        named = f"{_shown(amount)} {currency.strip()} was transferred"
        return _mismatch(f"{named}, the shop's currency is {rules.currency}: compare the amounts yourself")
    if not _is_amount(amount) or not _is_amount(expected):
        costs = _shown(expected)
        return _mismatch(
            f"{_shown(amount)} was transferred, the order costs {costs}: correct its total_amount"
        )
    if not amount and expected:
        return _mismatch(f"0 was transferred, the order costs {_shown(expected)}: 0 pays nothing")
    if rules.accept == "sum":
        total = money.EXACT.add(received, amount)
        return _verdict(total, expected, f"{_shown(total)} of {_shown(expected)} received", rules)
    told = f"{_shown(amount)} was transferred, the order costs {_shown(expected)}"
    return _verdict(amount, expected, told, rules)


def _verdict(paid: Decimal, expected: Decimal, told: str, rules: Rules) -> Verdict:
    """Compare what was paid for an order, by one transfer or by several, with what it costs."""
    more = money.EXACT.subtract(paid, expected)
    if not more:
        return Verdict(PaymentOutcome.PAID)
    missing = f"{_shown(more.copy_abs())} is missing" if more < 0 else f"{_shown(more)} too much"
    reason = f"{told}: {missing}"
    if more < rules.tolerance.copy_negate():
        short = PaymentOutcome.PARTIAL if rules.accept == "sum" else PaymentOutcome.MISMATCH
        return Verdict(short, reason)
    if more > rules.tolerance and rules.accept == "exact":
        return _mismatch(reason)
    # What at-least and sum take beyond the cost is a fact for the shop's bookkeeping, not a tolerance.
    allowed = more < 0 or rules.accept == "exact"
    return Verdict(PaymentOutcome.PAID, f"{reason}, within the tolerance" if allowed else reason)


def _mismatch(reason: str) -> Verdict:
    return Verdict(PaymentOutcome.MISMATCH, reason)


def _is_amount(value: Decimal | None) -> TypeGuard[Decimal]:
    return value is not None and value.is_finite() and value >= 0


def _shown(value: Decimal | None) -> str:
    if value is None:
        return "an unknown amount"
    return money.shown(value) if value.is_finite() else str(value)
