"""Lays out cells as a table that fits the terminal, or as a card for each row where no table does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from orderctl.terminal.widths import cut, cut_middle, paint, width

_GAP: Final = 2
#: Text is cut to no less than this before a less important column leaves.
_NARROWEST: Final = 12
#: What the table is about, such as a message, gets more.
_NARROWEST_MAIN: Final = 24
#: Codes and ids are better whole, if possible up to the length of a UUID: text is cut before them.
UUID: Final = 36
#: They are cut to no less than this before a less important column leaves: an ordinary code stays whole;
NARROW_KEY: Final = 20
#: and to no less than this before the table becomes cards.
_NARROWEST_KEY: Final = 12
_EMPTY: Final = {"", "-"}
#: A column with nothing but this leaves first.
_LITTLE: Final = {*_EMPTY, "0"}
#: The priority of a column that never leaves.
STAYS: Final = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """Text that is safe to show.

    Attributes:
        text: The text, in one line.
        style: Its colour.
        whole: Whether the text is of no use when it is cut, as a number or a time.
    """

    text: str
    style: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A column of the layout.

    Attributes:
        text: The heading.
        right: Whether the column is aligned to the right.
        keep: Whether the column never leaves, and is cut in its middle, after text.
        least: To how many columns a column that is kept is cut before a less important one leaves.
        priority: Columns of the lowest priority leave first; those of :data:`STAYS` never do.
    """

    text: str
    right: bool = False
    keep: bool = False
    least: int = NARROW_KEY
    priority: int = STAYS

    @property
    def stays(self) -> bool:
        """Whether the column never leaves."""
        return self.keep or self.priority >= STAYS


class Layout:
    """Lays out a table, page after page.

    The first page decides which columns there are. A column is as wide as its widest cell so far: it gets wider from
    one page to the next, never narrower.

    Args:
        heads: The columns.
        room: The terminal's width in columns; when None, nothing is left out or cut.
        color: Whether headings and cells are coloured.
        style: The table format of tabulate.
    """

    def __init__(
        self, heads: Sequence[Head], *, room: int | None = None, color: bool = False, style: str = "plain"
    ) -> None:
        self._heads = heads
        self._room = room
        self._color = color
        self._style = style
        self._widths = [width(head.text) for head in heads]
        self._whole = [head.right for head in heads]
        self._filled = [False] * len(heads)
        self._shown: list[int] | None = None  # the positions of the columns; empty: there are cards
        self._head_lines = 0  # of each page, those that an earlier page has shown already

    def page(self, rows: Sequence[Sequence[Cell]]) -> str:
        """Return the next rows as text, with a line break at its end; the first page begins with the headings."""
        self._measure(rows)
        begins = self._shown is None
        if self._shown is None:
            self._shown = list(range(len(self._heads))) if self._room is None else self._choose(self._room)
        if not self._shown and self._room is not None:
            return ("" if begins else "\n") + "\n".join(self._card(row, self._room) for row in rows)
        return self._table(rows, self._shown)

    def _table(self, rows: Sequence[Sequence[Cell]], shown: Sequence[int]) -> str:
        rooms = self._fit(shown)
        heads = [
            _padded(cut(self._heads[at].text, rooms[at]), rooms[at], right=self._heads[at].right)
            for at in shown
        ]
        texts = [[self._cut(row[at].text, at, rooms[at]) for at in shown] for row in rows]
        if self._color:
            heads = [paint(head, "bold") for head in heads]
            texts = [
                [paint(text, row[at].style) for text, at in zip(line, shown, strict=True)]
                for line, row in zip(texts, rows, strict=True)
            ]
        lines = _tabulate(heads, texts, [self._heads[at].right for at in shown], self._style)
        new, self._head_lines = lines[self._head_lines :], len(lines) - len(rows)
        return "".join(f"{line.rstrip()}\n" for line in new)

    def _card(self, row: Sequence[Cell], room: int) -> str:
        """Return a row with a line for each column that has a value in it."""
        wide = min(max(width(head.text) for head in self._heads), room // 2 - 1)
        lines = []
        for head, cell in zip(self._heads, row, strict=True):
            if cell.text not in _EMPTY:
                label = _padded(cut(head.text, wide), wide, right=False)
                text = (cut_middle if head.keep else cut)(cell.text, room - wide - _GAP)
                lines.append(f"{label}{' ' * _GAP}{paint(text, cell.style if self._color else None)}\n")
        return "".join(lines)

    def _measure(self, rows: Sequence[Sequence[Cell]]) -> None:
        for row in rows:
            for at, cell in enumerate(row):
                self._widths[at] = max(self._widths[at], width(cell.text))
                self._whole[at] = self._whole[at] or cell.whole
                self._filled[at] = self._filled[at] or cell.text not in _LITTLE

    def _choose(self, room: int) -> list[int]:
        """Return the columns for which there is room; none if there is none even for those that stay."""
        shown = list(range(len(self._heads)))
        floors = [self._floor(at) for at in shown]
        while _total(floors, shown) > room:
            leaving = [at for at in shown if not self._heads[at].stays]
            if not leaving:
                break
            shown.remove(min(leaving, key=self._rank))
        lowest = [self._lowest(at) for at in range(len(self._heads))]
        return shown if _total(lowest, shown) <= room else []

    def _rank(self, at: int) -> tuple[bool, int, int]:
        """Return by what columns leave: those that say nothing first, then those of low priority, then the last ones."""
        return self._filled[at], self._heads[at].priority, -at

    def _floor(self, at: int) -> int:
        """Return how wide a column has to be before a less important one leaves."""
        full, head = self._widths[at], self._heads[at]
        if self._whole[at]:
            return full
        least = head.least if head.keep else _NARROWEST_MAIN if head.stays else _NARROWEST
        return min(full, max(least, width(head.text)))

    def _gentle(self, at: int) -> int:
        """Return how wide a column is while text can be cut instead."""
        is_code = self._heads[at].keep and not self._whole[at]
        return min(self._widths[at], UUID) if is_code else self._floor(at)

    def _lowest(self, at: int) -> int:
        """Return how wide a column has to be in a table."""
        return self._floor(at) if self._whole[at] else min(self._floor(at), _NARROWEST_KEY)

    def _fit(self, shown: Sequence[int]) -> list[int]:
        """Return the widths: the widest columns narrowed until the table fits, text before codes before numbers."""
        rooms = list(self._widths)
        if self._room is None:
            return rooms
        every = range(len(rooms))
        for floors in (
            [self._gentle(at) for at in every],
            [self._floor(at) for at in every],
            [self._lowest(at) for at in every],
            [1] * len(rooms),
        ):
            _narrow(rooms, floors, shown, self._room)
        return rooms

    def _cut(self, text: str, at: int, room: int) -> str:
        if self._room is None:
            return text
        return (cut_middle if self._heads[at].keep else cut)(text, room)


def _total(rooms: Sequence[int], shown: Sequence[int]) -> int:
    return sum(rooms[at] for at in shown) + _GAP * (len(shown) - 1)


def _narrow(rooms: list[int], floors: Sequence[int], shown: Sequence[int], most: int) -> None:
    excess = _total(rooms, shown) - most
    while excess > 0:
        wide = [at for at in shown if rooms[at] > floors[at]]
        if not wide:
            return
        widest = max(wide, key=lambda at: rooms[at])
        rooms[widest] -= 1
        excess -= 1


def _padded(text: str, room: int, *, right: bool) -> str:
    blanks = " " * (room - width(text))
    return blanks + text if right else text + blanks


def _tabulate(heads: list[str], rows: list[list[str]], right: Sequence[bool], style: str) -> list[str]:
    tabulate = _import_tabulate()
    align = ["right" if flag else "left" for flag in right]
    text: str = tabulate.tabulate(
        rows,
        headers=heads,
        tablefmt=style,
        disable_numparse=True,
        colalign=align if rows else None,
        preserve_whitespace=True,
    )
    return text.split("\n")


def _import_tabulate() -> Any:
    modules: dict[str, Any] = sys.modules
    with_wcwidth = "wcwidth" in modules
    modules.setdefault("wcwidth", None)  # where it is installed, tabulate would import it, which takes 25 ms
    import tabulate  # noqa: PLC0415 - takes 40 ms, which other formats do not need

    if not with_wcwidth:
        del modules["wcwidth"]

    # Without wcwidth, tabulate counts letters instead of columns. It uses only this function of wcwidth. By
    # default, it also makes columns two wider than their headings.
    shim: Any = tabulate
    shim.wcwidth, shim.WIDE_CHARS_MODE = SimpleNamespace(wcswidth=width), True
    shim.MIN_PADDING = 0
    return shim
