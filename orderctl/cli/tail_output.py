"""How ``orderctl tail`` shows what it watches: as bars, as lines for people, or as records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from orderctl import clock
from orderctl.channels import MessageKind, Scope
from orderctl.terminal import render, sanitise
from orderctl.terminal.render import Format
from orderctl.terminal.widths import wrap
from orderctl.watched import End, Happened, Key, Remark, Update, Waiting, Watched, in_words

if TYPE_CHECKING:
    from orderctl.cli.app import App

#: Most failed tasks of an order that are listed.
_MOST_FAILED: Final = 10


def draws_bars(app: App) -> bool:
    """Whether there are bars: on a terminal, unless the user wants records."""
    return app.format is Format.TABLE and app.out.isatty() and app.ambient.terminal != "dumb"


def show(app: App, events: Iterable[Watched], names: Mapping[Key, str] | None = None) -> bool:
    """Show the events in the chosen format.

    Args:
        app: The application.
        events: From ``follow``.
        names: The names of the subjects; None: everything is watched.

    Returns:
        Whether a subject has failed or was cancelled.
    """
    shown = _Shown(app, names)
    heard = shown.noting(events)
    if draws_bars(app):
        from orderctl.cli import bars

        color = app.colored(app.out)
        try:
            bars.draw(app.out, heard, color=color, subjects=names is not None, line=event_line)
        finally:
            for end in shown.ends:
                shown.conclude(end)
    elif app.format is Format.TABLE:
        for event in heard:
            shown.write(event)
    else:
        app.render(record for event in heard for record in shown.records(event))
    return any(end.is_failure for end in shown.ends)


class _Shown:
    """What has been shown."""

    def __init__(self, app: App, names: Mapping[Key, str] | None) -> None:
        self._app = app
        self._names = names or {}
        self._causes: dict[Key | None, str] = {}
        self.ends: list[End] = []

    def noting(self, events: Iterable[Watched]) -> Iterator[Watched]:
        """Yield the events but the remarks, which go to stderr, and note the ends."""
        for event in events:
            if isinstance(event, Remark):
                self._app.say(event.text)
                continue
            if isinstance(event, End):
                self.ends.append(event)
            yield event

    def write(self, event: Watched) -> None:
        """Write an event as lines for people."""
        match event:
            case Update():
                self._app.write(f"{line(event)}\n")
            case Happened():
                self._app.write(f"{event_line(event)}\n")
            case End():
                self.conclude(event)
            case Waiting() if self._is_fresh(event):
                named = len(self._names) > 1 and event.key is not None
                name = f"{self._names[event.key]}: " if named and event.key else ""
                hint = f": {event.hint}" if event.hint else ""
                self._app.say(f"{name}waiting: {event.text}{hint}")
            case _:
                pass

    def conclude(self, end: End) -> None:
        """Write how a subject has ended, why tasks have failed, and which command is the next one."""
        self._write(end_line(end))
        for failed in end.failed[:_MOST_FAILED]:
            self._write(f"task {failed.task_id}: {failed.reason}", "  ")
        if len(end.failed) > _MOST_FAILED:
            self._write(f"and {len(end.failed) - _MOST_FAILED} more", "  ")
        if end.hint:
            self._app.say(f"next: {end.hint}")

    def _write(self, text: str, indent: str = "") -> None:
        """Write a text, wrapped at the terminal's width: a reason is copied and searched for."""
        width = self._app.view.width
        room = None if width is None else max(2, width - len(indent))
        for part in wrap(sanitise.line(text), room):
            self._app.write(f"{indent}{part}\n")

    def records(self, event: Watched) -> Iterator[Mapping[str, Any]]:
        """Yield an event as a record for programs."""
        match event:
            case Update():
                channel = event.channel
                yield _record(
                    (channel.scope, channel.id), str(channel.kind), event.data, snapshot=event.snapshot
                )
            case End():
                yield _record((event.scope, event.id), "end", _end_data(event))
            case Happened():
                yield _record((Scope.ORDER, event.event.order_id), "event", _event_data(event))
            case Waiting() if self._is_fresh(event):
                data = {"cause": event.cause, "text": event.text, "hint": event.hint}
                yield _record(event.key or (None, None), "waiting", data)
            case _:
                pass

    def _is_fresh(self, waiting: Waiting) -> bool:
        """Whether it is another cause than before; numbers and times in its text change all the time."""
        last = self._causes.get(waiting.key, "")
        self._causes[waiting.key] = waiting.cause
        return bool(waiting.cause) and waiting.cause != last


def _record(
    key: tuple[Scope | None, int | None], kind: str, data: Mapping[str, Any], *, snapshot: bool = False
) -> dict[str, Any]:
    return {"scope": key[0], "id": key[1], "type": kind, "snapshot": snapshot, "data": data}


def _end_data(end: End) -> dict[str, Any]:
    data: dict[str, Any] = {"status": end.status, "detail": end.detail}
    if end.failed:
        data["failed"] = [{"task_id": one.task_id, "reason": one.reason} for one in end.failed]
    return data


def _event_data(happened: Happened) -> dict[str, Any]:
    event = happened.event
    return {
        "id": event.id,
        "task_id": event.task_id,
        "event_type": event.event_type,
        "severity": event.severity,
        "message": event.message,
        "created_at": event.created_at and clock.iso(event.created_at),
    }


def line(update: Update) -> str:
    """Return a message as one line for people."""
    data, channel = update.data, update.channel
    draw = _DRAWN.get((channel.scope, channel.kind)) or _DRAWN.get((None, channel.kind))
    return sanitise.line(f"{channel.scope} {channel.id}  {draw(data) if draw else in_words(channel, data)}")


def end_line(end: End) -> str:
    """Return the end of a subject as one line for people."""
    detail = f": {end.detail}" if end.detail else ""
    return sanitise.line(f"{end.name} {end.status}{detail}")


def event_line(happened: Happened) -> str:
    """Return an event of the audit log as one line for people."""
    event = happened.event
    at = event.created_at.strftime("%H:%M:%SZ") if event.created_at else "-"
    return sanitise.line(f"{at}  {event.event_type}  {event.message}")


def _progress(data: Mapping[str, Any]) -> str:
    speed = data.get("speed")
    rate = f"  {render.size(speed)}/s" if speed else ""
    return f"{data['percent']:5.1f} %  {data.get('currentFile') or ''}{rate}"


def _status(data: Mapping[str, Any]) -> str:
    error = f": {data['error']}" if data.get("error") else ""
    return f"{data.get('previousStatus') or '-'} -> {data['newStatus']}{error}"


def _complete(data: Mapping[str, Any]) -> str:
    return f"complete: {data['completedTasks']} of {data['totalTasks']} tasks"


_DRAWN: Final[Mapping[tuple[Scope | None, MessageKind], Callable[[Mapping[str, Any]], str]]] = {
    (None, MessageKind.PROGRESS): _progress,
    (None, MessageKind.STATUS): _status,
    (Scope.ORDER, MessageKind.COMPLETE): _complete,
}
