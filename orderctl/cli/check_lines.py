"""The checks of ``orderctl doctor`` as lines for people: each when it has been made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from orderctl import masking
from orderctl.counting import counted
from orderctl.doctor.checks import Check, Verdict
from orderctl.errors import ExitStatus
from orderctl.terminal import sanitise
from orderctl.terminal.render import View
from orderctl.terminal.widths import paint, wrap

#: The mark and the colour of each verdict.
_MARKS: Final = {
    Verdict.WELL: ("ok", "green"),
    Verdict.NOTE: ("note", "blue"),
    Verdict.WARNING: ("warn", "yellow"),
    Verdict.FAULT: ("FAULT", "red"),
    Verdict.SKIPPED: ("skip", "dim"),
}
_UNWELL: Final = {Verdict.WARNING, Verdict.FAULT}
_INDENT: Final = 8


def style(verdict: Any) -> str | None:
    """Return the colour of a verdict."""
    return _MARKS[Verdict(verdict)][1]


def unwell(checks: Iterable[Check]) -> Iterator[Check]:
    """Return the checks that found something wrong."""
    return (check for check in checks if check.verdict in _UNWELL)


class Counts:
    """How many checks were made, by what they found; complete when all have passed through :meth:`of`."""

    def __init__(self) -> None:
        self._found: Counter[Verdict] = Counter()
        self._faults: list[Check] = []

    def of(self, checks: Iterable[Check]) -> Iterator[Check]:
        """Pass the checks on, and count them."""
        for check in checks:
            self._found[check.verdict] += 1
            if check.verdict is Verdict.FAULT:
                self._faults.append(check)
            yield check

    @property
    def status(self) -> ExitStatus:
        """The exit code of the command."""
        from orderctl.doctor import examination

        return examination.status(self._faults)

    @property
    def summary(self) -> str:
        """One line with the numbers."""
        made = sum(self._found.values()) - self._found[Verdict.SKIPPED]
        parts = [
            counted(made, "check"),
            counted(self._found[Verdict.FAULT], "fault"),
            counted(self._found[Verdict.WARNING], "warning"),
        ]
        if skipped := self._found[Verdict.SKIPPED]:
            parts.append(f"{skipped} skipped")
        return ", ".join(parts)


def lines(checks: Iterable[Check], view: View) -> Iterator[str]:
    """Yield the text of each check, and before the first one of an area its name."""
    area = None
    for check in checks:
        if check.area != area:
            area = check.area
            yield f"{paint(area, 'bold') if view.color else area}\n"
        yield "".join(f"{line}\n" for line in _of_check(check, view))


def _of_check(check: Check, view: View) -> Iterator[str]:
    mark, color = _MARKS[check.verdict]
    shown = f"  {mark:<{_INDENT - 2}}"
    yield from _block(check.text, paint(shown, color) if view.color else shown, view)
    if check.verdict is Verdict.WELL:
        return
    if check.repair is not None:  # never wrapped: it is there to be pasted
        repair = _clean(check.repair)
        yield f"{' ' * _INDENT}{paint(repair, 'bold') if view.color else repair}"
    if check.explanation is not None:
        yield from _block(check.explanation, " " * _INDENT, view)


def _block(text: str, first: str, view: View) -> Iterator[str]:
    room = None if view.width is None else max(view.width - _INDENT, 20)
    for number, line in enumerate(wrap(_clean(text), room)):
        yield f"{' ' * _INDENT if number else first}{line}"


def _clean(text: str) -> str:
    return sanitise.line(masking.foreign(text))
