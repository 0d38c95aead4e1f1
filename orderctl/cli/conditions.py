"""Conditions on numbers, for ``--fail-if``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
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
    r"\s*(?:(orders|tasks)\.)?([a-z]+)\s*(>=|<=|!=|==|>|<|=)\s*([0-9]{1,12})\s*\Z", re.ASCII
)
_KNOWN: Final = {"orders": set(map(str, OrderStatus)), "tasks": set(map(str, TaskStatus))}
_TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one number with another, as it was written."""

    text: str
    scope: str
    status: str
    compare: Callable[[int, int], bool]
    number: int

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read one, such as ``failed>5`` or ``tasks.pending>=100``.

        Raises:
            InvalidInput: When it is none.
        """
        match = _WRITTEN.match(text.lower())
        scope = (match and match[1]) or "orders"
        if match is None or match[2] not in _KNOWN[scope] | {_TOTAL}:
            allowed = ", ".join((*sorted(_KNOWN[scope]), _TOTAL))
            raise InvalidInput(f"{text!r} is no condition", hint=f"such as 'failed>5'; {scope}: {allowed}")
        return cls(text, scope, match[2], _COMPARE[match[3]], int(match[4]))

    def holds(self, counts: Mapping[str, Mapping[str, int]]) -> bool:
        """Whether it is so."""
        group = counts[self.scope]
        found = sum(group.values()) if self.status == _TOTAL else group.get(self.status, 0)
        return self.compare(found, self.number)
