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


def layout(
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Sequence[bool],
    keep: Sequence[bool] = (),
    width: int | None = None,
    color: bool = False,
    style: str = "plain",
) -> str:
    """Return a table as text, with a line break at its end.

    Args:
        heads: The headings.
        rows: The cells of each row.
        right: For each column, whether it is aligned to the right.
        keep: For each column, whether it is never cut.
        width: The terminal's width in columns; when None, nothing is cut.
        color: Whether headings and cells are coloured.
        style: The table format of tabulate.
    """
    texts = [list(heads), *([cell.text for cell in row] for row in rows)]
    if width is not None:
        texts = _fit(texts, keep or [False] * len(heads), width)
    if color:
        texts = [
            [paint(head, "bold") for head in texts[0]],
            *(
                [paint(text, cell.style) for text, cell in zip(line, row, strict=True)]
                for line, row in zip(texts[1:], rows, strict=True)
            ),
        ]
    return _tabulate(texts[0], texts[1:], right, style)


def _tabulate(heads: list[str], rows: list[list[str]], right: Sequence[bool], style: str) -> str:
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
    return "\n".join(line.rstrip() for line in text.split("\n")) + "\n"


def _import_tabulate() -> Any:
    import tabulate  # noqa: PLC0415 - takes 40 ms, which other formats do not need

    # Without wcwidth, tabulate counts letters instead of columns. It uses only this function of wcwidth. By
    # default, it also makes columns two wider than their headings.
    shim: Any = tabulate
    shim.wcwidth, shim.WIDE_CHARS_MODE = SimpleNamespace(wcswidth=_width_of), True
    shim.MIN_PADDING = 0
    return shim


_width_of = width


def _fit(texts: list[list[str]], keep: Sequence[bool], room: int) -> list[list[str]]:
    """Narrow the widest columns until the table fits, or no column can be narrowed any more."""
    widths = [max(map(width, column)) for column in zip(*texts, strict=True)]
    floors = [
        full if kept else min(full, max(_NARROWEST, width(head)))
        for full, kept, head in zip(widths, keep, texts[0], strict=True)
    ]
    excess = sum(widths) + _GAP * (len(widths) - 1) - room
    while excess > 0:
        widest = max(range(len(widths)), key=lambda at: widths[at] if widths[at] > floors[at] else 0)
        if widths[widest] <= floors[widest]:
            break
        widths[widest] -= 1
        excess -= 1
    return [[cut(text, widths[at]) for at, text in enumerate(line)] for line in texts]
