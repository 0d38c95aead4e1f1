"""Conditions on numbers, for ``--fail-if``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from orderctl.errors import InvalidInput
from orderctl.states import OrderStatus, TaskStatus

_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_WRITTEN: Final = re.compile(
    r"\s*(?:(orders|tasks)\.)?([^\s<>=!.]+)\s*(>=|<=|!=|==|>|<|=)\s*([0-9]{1,12})\s*\Z", re.ASCII
)
_KNOWN: Final = {"orders": set(map(str, OrderStatus)), "tasks": set(map(str, TaskStatus))}
_TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a number of orders or tasks with a limit.

    Attributes:
        scope: ``orders`` or ``tasks``.
        status: Of what is counted, or ``total``.
        operator: Such as ``>=``.
        number: The limit.
    """

    scope: str
    status: str
    operator: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition such as ``failed>5`` or ``tasks.pending>=100``.

        Raises:
            InvalidInput: When the text is not a condition.
        """
        match = _WRITTEN.match(text.lower())
        scope = (match and match[1]) or "orders"
        if match is None:
            raise _invalid(text, scope, _KNOWN[scope])
        return cls(scope, match[2], match[3], int(match[4]))

    def check(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Refuse a status that orderctl does not know and that stands in no row: it is probably misspelt.

        Args:
            counts: Numbers of orders and tasks, by status.

        Raises:
            InvalidInput: When the status is neither known nor counted.
        """
        there = {status.casefold() for status in counts[self.scope]}
        if self.status not in there | _KNOWN[self.scope] | {_TOTAL}:
            written = f"{self.status}{self.operator}{self.number}"
            raise _invalid(written, self.scope, there | _KNOWN[self.scope])

    def is_met(self, counts: Mapping[str, Mapping[str, int]]) -> bool:
        """Return whether the counts of orders and tasks, by status, meet the condition."""
        return _COMPARE[self.operator](self._counted(counts), self.number)

    def explain(self, counts: Mapping[str, Mapping[str, int]], *, capped: bool = False) -> str:
        """Return the number that was compared and the limit, such as ``failed is 7 (> 5)``.

        Args:
            counts: Numbers of orders and tasks, by status.
            capped: Whether counting stopped at a limit, so that the number may be larger.
        """
        name = self.status if self.scope == "orders" else f"{self.scope}.{self.status}"
        found = f"{'at least ' if capped else ''}{self._counted(counts)}"
        return f"{name} is {found} ({self.operator} {self.number})"

    def _counted(self, counts: Mapping[str, Mapping[str, int]]) -> int:
        group = counts[self.scope]
        if self.status == _TOTAL:
            return sum(group.values())
        return sum(number for status, number in group.items() if status.casefold() == self.status)


def _invalid(text: str, scope: str, statuses: Iterable[str]) -> InvalidInput:
    return InvalidInput(
        f"{text!r} is not a valid condition: a status, an operator and a number",
        hint=f"such as 'failed>5'; the statuses of {scope} are {', '.join((*sorted(filter(None, statuses)), _TOTAL))}",
    )
