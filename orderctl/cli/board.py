"""What the bars of ``orderctl tail`` show: one for each order or task, in the order of the screen. Nothing is drawn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orderctl.channels import MessageKind, Scope
from orderctl.states import ENDED_ORDER, ENDED_TASK, OrderStatus, TaskStatus
from orderctl.terminal.motion import FULL, Motion
from orderctl.watched import End, Found, Key, Standing, Update, Waiting

#: Seconds for which a bar that has ended stands among all, and for which it is dim before it leaves.
_STAYS, _DIM = 6.0, 4.0
#: Seconds without a message after which a bar leaves all, if no worker carries out its task.
_FORGOTTEN: Final = 30.0
_ENDED: Final = {*ENDED_ORDER, *ENDED_TASK}
_RUNNING: Final = {TaskStatus.ENROLLED.value, TaskStatus.DOWNLOADING.value, OrderStatus.PROCESSING.value}


@dataclass(slots=True)
class Bar:
    """One order or task.

    Attributes:
        status: As the database or the newest message has it; empty: not known.
        note: What is said of it instead of file and speed: an error, for example.
        ended_at: When it ended before our eyes; None: it has not, or had before.
        heard_at: When the last message came.
    """

    key: Key
    number: int  #: In the order in which they came.
    label: str
    order_id: int | None = None
    status: str = ""
    file: str = ""
    speed: float | None = None
    note: str = ""
    motion: Motion = field(default_factory=Motion)
    ended_at: float | None = None
    heard_at: float = -math.inf

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.status in _ENDED

    @property
    def rank(self) -> int:
        """The place among others: what runs, what waits, what has ended."""
        return 2 if self.has_ended else 0 if self.status in _RUNNING else 1


class Board:
    """The bars.

    Args:
        subjects: Whether only some orders and tasks are watched. Else those that have ended leave, and an order of
            which a task is there is not shown itself.
    """

    def __init__(self, *, subjects: bool) -> None:
        self._subjects = subjects
        self._bars: dict[Key, Bar] = {}
        self.waits: dict[Key | None, Waiting] = {}
        self._running: set[Key] = set()
        self._numbers = itertools.count()
        self.begun = False

    def find(self, found: Found) -> None:
        """Take in what the database says; what messages have said stays."""
        for one in found.standings:
            if found.first or one.key in self._bars:
                self._place(one)
        if found.first:
            self._running = {one.key for one in found.standings}
            self.begun = True

    def _place(self, one: Standing) -> None:
        bar = self._bar(one.key)
        bar.label, bar.order_id = one.label, one.order_id
        if not bar.status:
            bar.status = one.status
        if bar.heard_at == -math.inf and not bar.has_ended:
            bar.motion.jump(one.percent)
        if bar.has_ended:
            _settle(bar, one)

    def update(self, update: Update, now: float, words: str) -> None:
        """Take in a message; ``words`` is the same for people, for kinds that have no bar."""
        bar, data = self._bar((update.channel.scope, update.channel.id)), update.data
        bar.heard_at = now
        kind = update.channel.kind
        if kind is MessageKind.PROGRESS:
            self._progress(bar, data, now)
        elif kind is MessageKind.STATUS:
            self._status(bar, data, now)
        elif kind is MessageKind.COMPLETE and bar.key[0] is Scope.ORDER:
            bar.note = f"{data['completedTasks']} of {data['totalTasks']} tasks"
        else:
            bar.note = words

    def _progress(self, bar: Bar, data: Mapping[str, Any], now: float) -> None:
        file = str(data.get("currentFile") or "")
        if bar.has_ended and (data["percent"] >= FULL or file.startswith("Failed")):
            return
        if bar.rank > 0:
            running = bar.key[0] is Scope.TASK
            bar.status = str(TaskStatus.DOWNLOADING if running else OrderStatus.PROCESSING)
            bar.note, bar.ended_at = "", None
        bar.file, bar.speed = file, data.get("speed")
        bar.motion.tell(data["percent"], now, data.get("timestamp"))
        self._lower(bar)

    def _lower(self, of: Bar) -> None:
        """Lower an order's bar to what its tasks say after one was put back: messages of the order still count it."""
        order = self._bars.get((Scope.ORDER, of.order_id or 0))
        if order is None or order.has_ended:
            return
        own = [bar for bar in self._bars.values() if bar.key[0] is Scope.TASK and bar.order_id == of.order_id]
        own = [bar for bar in own if bar.status != TaskStatus.CANCELLED]
        was_put_back = any(bar.status == TaskStatus.PENDING and bar.heard_at > -math.inf for bar in own)
        mean = sum(bar.motion.truth for bar in own if bar.status != TaskStatus.FAILED) / max(1, len(own))
        if was_put_back and mean < order.motion.truth:
            order.motion.jump(mean)

    def _status(self, bar: Bar, data: Mapping[str, Any], now: float) -> None:
        had_ended = bar.has_ended
        bar.status = str(data["newStatus"])
        bar.note = str(data.get("error") or "")
        if bar.has_ended or bar.rank == 1:
            bar.file, bar.speed = "", None
        if bar.status == TaskStatus.COMPLETED:
            bar.motion.jump(FULL)
        elif bar.status == TaskStatus.PENDING:
            bar.motion.jump(0.0)
            self._lower(bar)
        if not bar.has_ended:
            bar.ended_at = None
        elif not had_ended:
            bar.ended_at = now

    def end(self, end: End, now: float) -> None:
        """Take in the end of a subject."""
        reasons = {(Scope.TASK, failed.task_id): failed.reason for failed in end.failed}
        reasons[end.scope, end.id] = end.detail or ""
        for one in end.standings:
            bar = self._bar(one.key)
            bar.label, bar.order_id, bar.status = one.label, one.order_id, one.status
            bar.file, bar.speed, bar.note, bar.ended_at = "", None, reasons.get(one.key, ""), now
            _settle(bar, one)
        self.waits.pop((end.scope, end.id), None)

    def wait(self, waiting: Waiting) -> None:
        """Take in what a subject waits for."""
        if waiting.cause:
            self.waits[waiting.key] = waiting
        else:
            self.waits.pop(waiting.key, None)

    def is_dim(self, bar: Bar, now: float) -> bool:
        """Whether a bar is about to leave."""
        return not self._subjects and bar.has_ended and now - (bar.ended_at or 0) > _STAYS

    def shown(self, now: float, room: int) -> tuple[list[Bar], int]:
        """Return at most ``room`` bars in the order of the screen, and how many there are besides."""
        self._sweep(now)
        bars = sorted(self._candidates(), key=self._importance)
        shown = bars[:room]
        if self._subjects:
            shown.sort(key=lambda bar: (bar.order_id or 0, bar.key[0] is Scope.TASK, self._importance(bar)))
        return shown, len(bars) - len(shown)

    def _importance(self, bar: Bar) -> tuple[bool, int, int]:
        is_order = self._subjects and bar.key[0] is Scope.ORDER
        return not is_order, bar.rank, bar.number

    def _candidates(self) -> Iterable[Bar]:
        if self._subjects:
            return self._bars.values()
        with_tasks = {bar.order_id for bar in self._bars.values() if bar.key[0] is Scope.TASK}
        return [
            bar for bar in self._bars.values() if bar.key[0] is Scope.TASK or bar.key[1] not in with_tasks
        ]

    def _sweep(self, now: float) -> None:
        """Remove, of all, what has ended some seconds ago, and what is forgotten."""
        if not self._subjects:
            gone = [key for key, bar in self._bars.items() if self._is_gone(bar, now)]
            for key in gone:
                del self._bars[key]

    def _is_gone(self, bar: Bar, now: float) -> bool:
        if bar.has_ended:
            return now - (bar.ended_at or 0) > _STAYS + _DIM
        return bar.key not in self._running and now - bar.heard_at > _FORGOTTEN

    def _bar(self, key: Key) -> Bar:
        if key not in self._bars:
            label = f"{key[0]} {key[1]}"
            self._bars[key] = Bar(key, next(self._numbers), label, key[1] if key[0] is Scope.ORDER else None)
        return self._bars[key]


def _settle(bar: Bar, one: Standing) -> None:
    """Draw what has ended as the database has it; of a failed task only messages say how far it came."""
    if one.scope is Scope.ORDER or one.percent >= FULL:
        bar.motion.jump(one.percent)
