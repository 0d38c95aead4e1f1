"""The gaps in what is counted or followed of the audit log: ids that no event had when they were passed.

A transaction that is undone leaves its ids empty for ever. One that has not ended yet fills them later. So a gap is
remembered for a day, and what appears in it is counted, or shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

#: Most gaps of the last minutes. All of them are remembered; with more the counting waits.
MOST: Final = 500
#: Most older gaps that are remembered, the newest. Each makes each count a little slower.
MOST_OLD: Final = 50
#: How long a gap is remembered, in seconds.
KEPT_SECONDS: Final = 86_400


class Gap(NamedTuple):
    """Ids without an event.

    Attributes:
        first: The lowest id.
        last: The highest id.
        seen: When it was noticed, in seconds of the database's clock since 1970.
    """

    first: int
    last: int
    seen: int


def read(text: str | None) -> tuple[Gap, ...]:
    """Return the gaps of a text from :func:`write`."""
    return tuple(Gap(*gap) for gap in json.loads(text or "[]"))


def write(gaps: Iterable[Gap]) -> str:
    """Return gaps as a text."""
    return json.dumps([list(gap) for gap in gaps], separators=(",", ":"))


def without(gaps: Sequence[Gap], ids: Iterable[int]) -> tuple[Gap, ...]:
    """Return what is left of gaps.

    Args:
        gaps: The gaps, lowest first.
        ids: Ids that are counted now, lowest first; those outside of the gaps change nothing.
    """
    left: list[Gap] = []
    filled = iter(ids)
    now = next(filled, None)
    for gap in gaps:
        first = gap.first
        while now is not None and now <= gap.last:
            if first < now:
                left.append(gap._replace(first=first, last=now - 1))
            first, now = max(first, now + 1), next(filled, None)
        if first <= gap.last:
            left.append(gap._replace(first=first))
    return tuple(left)


def condition(gaps: Iterable[Gap]) -> str:
    """Return the condition in SQL that an event of ``order_audit_logs`` is in one of these gaps; empty without any.

    It is a text, because SQLAlchemy would take longer than the database for hundreds of gaps.
    """
    name, kept = "order_audit_logs.id", list(gaps)
    single = ", ".join(str(gap.first) for gap in kept if gap.first == gap.last)
    parts = [f"{name} IN ({single})"] if single else []
    parts += [f"{name} BETWEEN {gap.first} AND {gap.last}" for gap in kept if gap.first != gap.last]
    return f"({' OR '.join(parts)})" if parts else ""


def excess(gaps: Sequence[Gap], old_to: int) -> Gap | None:
    """Return the first gap behind ``old_to`` that is one too many to be remembered; None if they are not too many."""
    young = [gap for gap in gaps if gap.last > old_to]
    return young[MOST] if len(young) > MOST else None


def remembered(gaps: Sequence[Gap], old_to: int, now: int) -> tuple[Gap, ...]:
    """Return the gaps that are remembered.

    Args:
        gaps: The gaps, lowest first.
        old_to: Ids up to this one were given more than some minutes ago.
        now: The time, as in :class:`Gap`.
    """
    young = [gap for gap in gaps if gap.last > old_to]
    old = [gap for gap in gaps if gap.last <= old_to and now - gap.seen < KEPT_SECONDS]
    return (*old[-MOST_OLD:], *young)
