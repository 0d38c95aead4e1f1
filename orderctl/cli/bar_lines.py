"""The lines of the bars of ``orderctl tail``, each as wide as the terminal at most, in pieces with a style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from orderctl.states import TaskStatus
from orderctl.terminal import render, sanitise
from orderctl.terminal.motion import FULL
from orderctl.terminal.widths import cut, width, wrap

if TYPE_CHECKING:
    from orderctl.cli.board import Bar, Board
    from orderctl.watched import Waiting

#: Columns below which no bar is drawn, those of a percentage, and those from which bytes are shown.
_NARROW, _PERCENT, _WIDE = 40, 7, 100
_SHORTEST, _LONGEST = 6, 40
#: Seconds without a message after which this is said of a running task; one comes every few seconds.
_SILENT: Final = 20.0
_COLOURS: Final = {"completed": "green", "failed": "red", "cancelled": "yellow"}

_INDENT: Final = "  "

FILLED, EMPTY = "━", "─"


class Piece(NamedTuple):
    """A text and its style in rich's words."""

    text: str
    style: str = ""


Line = list[Piece]


def lines(board: Board, now: float, columns: int, rows: int) -> list[Line]:
    """Return the lines for a screen of this size."""
    room = max(1, columns - 1)  # in its last column a terminal may wrap
    waits = [line for waiting in board.waits.values() for line in _waiting(waiting, room)][
        : max(1, rows // 2)
    ]
    bars, more = board.shown(now, max(1, rows - len(waits)))
    if more:
        bars, more = bars[:-1], more + 1
    drawn = list(_drawn(bars, board, now, room, max(1, rows - len(waits)) - len(bars) - bool(more)))
    if more:
        drawn.append([Piece(cut(f"{more} more", room), "dim")])
    if not drawn and not waits and board.begun:
        drawn.append([Piece(cut("Nothing is running. New messages appear here; Ctrl-C ends.", room), "dim")])
    return drawn + waits


def _drawn(bars: Sequence[Bar], board: Board, now: float, room: int, spare: int) -> Iterator[Line]:
    """Yield the bars' lines; where there are spare lines, a reason that was cut stands in full below its bar."""
    label_room = _label_room(bars, room)
    for bar in bars:
        line = _line(bar, board, now, room, label_room)
        yield line
        if bar.status != TaskStatus.FAILED or not bar.note or not line[-1].text.endswith("…"):
            continue
        reason = wrap(sanitise.line(bar.note), max(2, room - len(_INDENT)))
        if len(reason) <= spare:
            spare -= len(reason)
            style = line[-1].style
            yield from ([Piece(cut(_INDENT + part, room), style)] for part in reason)


def _label_room(bars: Sequence[Bar], room: int) -> int:
    widest = max((width(sanitise.line(bar.label)) for bar in bars), default=0)
    return min(widest, max(8, room * 3 // 10 if room > _NARROW else room // 2))


def _line(bar: Bar, board: Board, now: float, room: int, label_room: int) -> Line:
    label = cut(sanitise.line(bar.label), label_room)
    pieces = [Piece(label + " " * (label_room - width(label)))]
    length = min(_LONGEST, max(_SHORTEST, (room - 50) // 2 + 6)) if room >= _NARROW else 0
    percent = bar.motion.at(now)
    if length:
        pieces += [Piece(" "), *_bar(percent, length, _COLOURS.get(bar.status, "cyan"))]
    pieces.append(Piece(f"{_shown(percent, bar):5.1f} %".rjust(_PERCENT + 1)))
    left = room - sum(width(piece.text) for piece in pieces) - 1
    if left > 1 and (text := "  ".join(_words(bar, now, room))):
        pieces += [Piece(" "), Piece(cut(text, left), _style(bar))]
    return [Piece(piece.text, "dim") for piece in pieces] if board.is_dim(bar, now) else pieces


def _bar(percent: float, length: int, colour: str) -> Iterator[Piece]:
    filled = int(length * percent / FULL)
    yield Piece(FILLED * filled, colour)
    yield Piece(EMPTY * (length - filled), "dim")


def _shown(percent: float, bar: Bar) -> float:
    """Return a percentage that is never rounded up to 100 before the end."""
    return percent if percent >= FULL or bar.status == TaskStatus.COMPLETED else min(99.9, percent)


def _words(bar: Bar, now: float, room: int) -> Iterator[str]:
    if bar.rank > 0 or bar.note:
        yield sanitise.line(" ".join(part for part in (bar.status, bar.note) if part))
        return
    if now - bar.heard_at > _SILENT and bar.heard_at > 0:
        yield f"no message for {render.duration(now - bar.heard_at)}"
    elif bar.speed:
        yield f"{render.size(bar.speed)}/s"
    left = bar.motion.left(now)
    if left is not None:
        # A message has no bytes: the rest is about what the speed makes of the time.
        rest = f" (~{render.size(bar.speed * left)})" if bar.speed and left and room >= _WIDE else ""
        yield f"{render.duration(left)} left{rest}"
    yield sanitise.line(bar.file or (bar.status if bar.heard_at < 0 else ""))


def _style(bar: Bar) -> str:
    return _COLOURS.get(bar.status, "" if bar.rank == 0 else "dim")


def _waiting(waiting: Waiting, room: int) -> list[Line]:
    """Return what is waited for; on two lines if the command does not fit behind the reason."""
    text, hint = sanitise.line(f"Waiting: {waiting.text}"), sanitise.line(waiting.hint or "")
    if not hint or width(text) + width(hint) + 2 <= room:
        return [[Piece(cut(f"{text}: {hint}" if hint else text, room), "yellow")]]
    return [[Piece(cut(text, room), "yellow")], [Piece(cut(f"  {hint}", room), "yellow")]]
