"""Conditions on numbers, for ``--fail-if``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
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

    def is_met(self, counts: Mapping[str, Mapping[str, int]], at_least: Collection[str] = ()) -> bool | None:
        """Return whether the counts of orders and tasks, by status, meet the condition.

        Args:
            counts: Numbers of orders and tasks, by status.
            at_least: Those that are lower bounds, such as ``tasks.pending``.

        Returns:
            None when lower bounds cannot decide it.
        """
        found = self._counted(counts)
        met = _COMPARE[self.operator](found, self.number)
        if not self._is_bound(counts, at_least):
            return met
        # Above the limit the comparison has the same result for every higher number.
        above = found > self.number or (found == self.number and self.operator in {">=", "<"})
        return met if above else None

    def explain(self, counts: Mapping[str, Mapping[str, int]], at_least: Collection[str] = ()) -> str:
        """Return the number that was compared and the limit, such as ``failed is 7 (> 5)``.

        Args:
            counts: Numbers of orders and tasks, by status.
            at_least: Those that are lower bounds, such as ``tasks.pending``.
        """
        name = self.status if self.scope == "orders" else f"{self.scope}.{self.status}"
        bound = "at least " if self._is_bound(counts, at_least) else ""
        return f"{name} is {bound}{self._counted(counts)} ({self.operator} {self.number})"

    def _is_bound(self, counts: Mapping[str, Mapping[str, int]], at_least: Collection[str]) -> bool:
        return any(f"{self.scope}.{status}" in at_least for status in self._chosen(counts))

    def _chosen(self, counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        """Return the numbers that are compared, by status."""
        group = counts[self.scope]
        total = self.status == _TOTAL
        return {name: number for name, number in group.items() if total or name.casefold() == self.status}

    def _counted(self, counts: Mapping[str, Mapping[str, int]]) -> int:
        return sum(self._chosen(counts).values())


def _invalid(text: str, scope: str, statuses: Iterable[str]) -> InvalidInput:
    return InvalidInput(
        f"{text!r} is not a valid condition: a status, an operator and a number",
        hint=f"such as 'failed>5'; the statuses of {scope} are {', '.join((*sorted(filter(None, statuses)), _TOTAL))}",
    )
