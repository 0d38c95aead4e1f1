"""Measures text in columns of a terminal, cuts it and wraps it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_STYLES: Final = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "bold": 1, "dim": 2}
_PAINT: Final = re.compile("\x1b\\[[0-9]+m")
_RESET: Final = "\x1b[0m"
_BLANK_END: Final = re.compile("\\s+((?:\x1b\\[[0-9]+m)*)\\Z")
_WORDS: Final = re.compile(r"(\s+)")
#: Letters that belong to the one before: variation selectors, the joiner of emoji, and their skin tones.
_ATTACHED: Final = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\u20e3]")
_JOINER: Final = "\u200d"


def width(text: str) -> int:
    """Return the number of columns of a terminal that a text without colours takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - takes 13 ms, which ASCII text does not need

    return cell_len(text)


def cut(text: str, room: int) -> str:
    """Return the text cut to ``room`` columns; an ellipsis marks the cut."""
    if width(text) <= room:
        return text
    return text[: _fitting(text, room - 1)].rstrip() + "…"


def cut_middle(text: str, room: int) -> str:
    """Return the text cut to ``room`` columns in its middle: codes often differ only at their ends."""
    if width(text) <= room:
        return text
    ending = _tail(text, (room - 1) // 2)
    return text[: _fitting(text, room - 1 - width(ending))] + "…" + ending


def paint(text: str, style: str | None) -> str:
    """Return the text in a colour of :data:`_STYLES`."""
    return f"\x1b[{_STYLES[style]}m{text}{_RESET}" if style else text


def bare(text: str) -> str:
    """Return the text without the colours of :func:`paint`."""
    return _PAINT.sub("", text) if "\x1b" in text else text


def wrap(text: str, room: int | None) -> list[str]:
    """Return the text in lines of at most ``room`` columns, broken between words; longer words are broken, too.

    Args:
        text: One line; it may have the colours of :func:`paint`, which go on in the next line.
        room: At least two; None: the text stays one line.
    """
    if room is None or width(bare(text)) <= room:
        return [text]
    lines, line, used, style = [], "", 0, ""
    for piece in _pieces(text, max(room, 2)):
        if piece.startswith("\x1b"):
            style = "" if piece == _RESET else piece
            line += piece
            continue
        takes = width(piece)
        if used + takes > room:
            lines.append(_ended(line, style))
            line, used = style, 0
        if used or not piece.isspace():
            line += piece
            used += takes
    return [*lines, _ended(line, "")] if used else lines


def _ended(line: str, style: str) -> str:
    return _BLANK_END.sub(r"\1", line) + (_RESET if style else "")


def _pieces(text: str, room: int) -> Iterator[str]:
    """Yield colours, blanks, and words, of which none is wider than the room."""
    position = 0
    for found in (*_PAINT.finditer(text), None):
        for word in _WORDS.split(text[position : found.start() if found else None]):
            yield from _broken(word, room)
        if found:
            yield found[0]
            position = found.end()


def _broken(word: str, room: int) -> Iterator[str]:
    while word:
        end = len(word) if width(word) <= room else _fitting(word, room) or _first(word)
        yield word[:end]
        word = word[end:]


def _fitting(text: str, room: int) -> int:
    """Return how many characters of a text fit, without a letter that lost its accents or a part of an emoji."""
    if text.isascii():
        return min(max(room, 0), len(text))
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle]) <= room else (low, middle - 1)
    while 0 < low < len(text) and _is_inside(text, low):
        low -= 1
    return low


def _first(text: str) -> int:
    """Return how many characters the first letter of a text has."""
    end = 1
    while end < len(text) and _is_inside(text, end):
        end += 1
    return end


def _tail(text: str, room: int) -> str:
    begin = len(text)
    while begin > 0 and width(text[begin - 1 :]) <= room:
        begin -= 1
    while begin < len(text) and _is_inside(text, begin):
        begin += 1
    return text[begin:]


def _is_inside(text: str, at: int) -> bool:
    """Whether the character at a position belongs to the one before it."""
    import unicodedata  # noqa: PLC0415 - ASCII text does not need it

    letter = text[at]
    return text[at - 1] == _JOINER or bool(_ATTACHED.match(letter) or unicodedata.combining(letter))
