"""Draws live bars on a terminal, with rich."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from orderctl.channels import MessageKind, Scope
from orderctl.follow import End, Update, in_words
from orderctl.messages import Data
from orderctl.states import ENDED_TASK
from orderctl.terminal import render, sanitise

#: Most bars on the screen at once. Beyond that, the bar that ended first is removed.
_MOST_BARS: Final = 30
#: Longest label before a bar, in characters.
_LABEL_WIDTH: Final = 28


class _Plain(ProgressColumn):
    """A text field of a bar. It has no markup, since file names are not trusted."""

    def __init__(self, field: str, style: str = "") -> None:
        super().__init__()
        self._field = field
        self._style = style

    def render(self, task: Task) -> Text:
        """Return the field's text, cut to the width of the terminal."""
        return Text(
            str(task.fields.get(self._field, "")), style=self._style, overflow="ellipsis", no_wrap=True
        )


def draw(
    stream: TextIO, events: Iterable[Update | End], labels: Mapping[tuple[Scope, int], str], *, color: bool
) -> None:
    """Draw the events as bars until they end.

    Args:
        stream: A terminal.
        events: From ``follow``.
        labels: Labels of bars; a bar without one is labelled like "task 4".
        color: Whether to use colours.
    """
    console = Console(file=stream, no_color=not color, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>5.1f} %"),
        _Plain("speed", "cyan"),
        _Plain("state"),
    )
    with Progress(*columns, console=console, expand=True, refresh_per_second=8) as progress:
        bars = _Bars(progress, labels)
        for event in events:
            bars.show(event)


class _Bars:
    """One bar for each order or task of which a message arrived."""

    def __init__(self, progress: Progress, labels: Mapping[tuple[Scope, int], str]) -> None:
        self._drawing = progress
        self._labels = labels
        self._bars: dict[tuple[Scope, int], TaskID] = {}
        self._ended: list[tuple[Scope, int]] = []
        self._drawn: dict[MessageKind, Callable[[tuple[Scope, int], Data], None]] = {
            MessageKind.PROGRESS: self._progress,
            MessageKind.STATUS: self._status,
            MessageKind.COMPLETE: self._complete,
        }

    def show(self, event: Update | End) -> None:
        """Draw one event."""
        if isinstance(event, End):
            self._end(event)
            return
        subject = (event.channel.scope, event.channel.id)
        draw = self._drawn.get(event.channel.kind)
        if draw and (event.channel.scope, event.channel.kind) != (Scope.TASK, MessageKind.COMPLETE):
            draw(subject, event.data)
        else:
            self._set(subject, None, state=in_words(event.channel, event.data))

    def _progress(self, subject: tuple[Scope, int], data: Data) -> None:
        speed = f"{render.size(data['speed'])}/s" if data.get("speed") else ""
        self._set(subject, data["percent"], speed=speed, state=data.get("currentFile") or "")

    def _status(self, subject: tuple[Scope, int], data: Data) -> None:
        status, error = str(data["newStatus"]), str(data.get("error") or "")
        percent = 100.0 if status == "completed" else None
        self._set(subject, percent, speed="", state=f"{status} {error}".strip())
        if status in ENDED_TASK:
            self._ended.append(subject)

    def _complete(self, subject: tuple[Scope, int], data: Data) -> None:
        self._set(subject, None, state=f"complete: {data['completedTasks']} of {data['totalTasks']}")

    def _end(self, event: End) -> None:
        percent = 100.0 if event.status == "completed" else None
        state = f"{event.status}: {event.detail}" if event.detail else event.status
        self._set((event.scope, event.id), percent, speed="", state=state)

    def _set(self, subject: tuple[Scope, int], percent: float | None, **fields: str) -> None:
        clean = {name: sanitise.line(text) for name, text in fields.items()}
        if subject not in self._bars:
            self._make_room()
            self._bars[subject] = self._drawing.add_task(self._label(subject), total=100)
        self._drawing.update(self._bars[subject], completed=percent, **clean)  # type: ignore[arg-type]

    def _label(self, subject: tuple[Scope, int]) -> str:
        text = sanitise.line(self._labels.get(subject, f"{subject[0]} {subject[1]}"))
        return text if len(text) <= _LABEL_WIDTH else f"{text[: _LABEL_WIDTH - 1]}…"

    def _make_room(self) -> None:
        if len(self._bars) >= _MOST_BARS and self._ended:
            bar = self._bars.pop(self._ended.pop(0), None)
            if bar is not None:
                self._drawing.remove_task(bar)
