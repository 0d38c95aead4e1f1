"""Lays out cells as a table that fits the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

_GAP: Final = 2
_NARROWEST: Final = 8
_STYLES: Final = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "bold": 1, "dim": 2}


@dataclass(frozen=True, slots=True)
class Cell:
    """Text that is safe to show, and its colour."""

    text: str
    style: str | None = None


def width(text: str) -> int:
    """Return the number of columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - takes 13 ms, which ASCII text does not need

    return cell_len(text)


def cut(text: str, room: int) -> str:
    """Return the text cut to ``room`` columns; an ellipsis marks the cut."""
    if width(text) <= room:
        return text
    if text.isascii():
        return text[: max(room - 1, 0)].rstrip() + "…"
    kept = text[:room]
    while kept and width(kept) > room - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def paint(text: str, style: str | None) -> str:
    """Return the text in a colour of :data:`_STYLES`."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style else text


class Layout:
    """Lays out a table, page after page.

    A column is as wide as its widest cell so far: it gets wider from one page to the next, never narrower.

    Args:
        heads: The headings.
        right: For each column, whether it is aligned to the right.
        keep: For each column, whether it is never cut.
        width: The terminal's width in columns; when None, nothing is cut.
        color: Whether headings and cells are coloured.
        style: The table format of tabulate.
    """

    def __init__(
        self,
        heads: Sequence[str],
        *,
        right: Sequence[bool],
        keep: Sequence[bool] = (),
        width: int | None = None,
        color: bool = False,
        style: str = "plain",
    ) -> None:
        self._heads = list(heads)
        self._right = right
        self._keep = keep or [False] * len(heads)
        self._room = width
        self._color = color
        self._style = style
        self._widths = [_width_of(head) for head in heads]
        self._head_lines = 0  # of each page, those that an earlier page has shown already

    def page(self, rows: Sequence[Sequence[Cell]]) -> str:
        """Return the next rows as text, with a line break at its end; the first page begins with the headings."""
        texts = [[cell.text for cell in row] for row in rows]
        widths = self._widen(texts)
        if self._room is not None:
            texts = [[cut(text, room) for text, room in zip(line, widths, strict=True)] for line in texts]
        heads = [
            _padded(head, room, right=right)
            for head, room, right in zip(self._heads, widths, self._right, strict=True)
        ]
        if self._color:
            heads = [paint(head, "bold") for head in heads]
            texts = [_painted(line, row) for line, row in zip(texts, rows, strict=True)]
        lines = _tabulate(heads, texts, self._right, self._style)
        shown, self._head_lines = lines[self._head_lines :], len(lines) - len(rows)
        return "".join(f"{line.rstrip()}\n" for line in shown)

    def _widen(self, texts: Sequence[Sequence[str]]) -> list[int]:
        """Return the widths of the columns with these cells, narrowed to fit the terminal."""
        columns = zip(self._widths, *([_width_of(text) for text in line] for line in texts), strict=True)
        self._widths = [max(column) for column in columns]
        return self._widths if self._room is None else self._fit(self._room)

    def _fit(self, room: int) -> list[int]:
        """Narrow the widest columns until the table fits, or no column can be narrowed any more."""
        widths = list(self._widths)
        floors = [
            full if kept else min(full, max(_NARROWEST, _width_of(head)))
            for full, kept, head in zip(widths, self._keep, self._heads, strict=True)
        ]
        excess = sum(widths) + _GAP * (len(widths) - 1) - room
        while excess > 0:
            widest = max(range(len(widths)), key=lambda at: widths[at] if widths[at] > floors[at] else 0)
            if widths[widest] <= floors[widest]:
                break
            widths[widest] -= 1
            excess -= 1
        return widths


def _padded(text: str, room: int, *, right: bool) -> str:
    blanks = " " * (room - _width_of(text))
    return blanks + text if right else text + blanks


def _painted(line: Sequence[str], row: Sequence[Cell]) -> list[str]:
    return [paint(text, cell.style) for text, cell in zip(line, row, strict=True)]


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
    import tabulate  # noqa: PLC0415 - takes 40 ms, which other formats do not need

    # Without wcwidth, tabulate counts letters instead of columns. It uses only this function of wcwidth. By
    # default, it also makes columns two wider than their headings.
    shim: Any = tabulate
    shim.wcwidth, shim.WIDE_CHARS_MODE = SimpleNamespace(wcswidth=_width_of), True
    shim.MIN_PADDING = 0
    return shim


_width_of = width
