"""The supervisor: starts workers, a keeper, a courier and an operator, restarts them, and stops them in order.

It forks them and has no connection of its own, so that no server can block it. A worker runs jobs, the keeper
reconciles each second, the courier sends the entries of the outbox, and the operator carries out operations. All of
them die with the supervisor.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
from collections.abc import Collection
from enum import Enum, auto
from functools import partial
from typing import Final

from orderctl import clock, doorbell
from orderctl.errors import ExitStatus
from orderctl.settings import Settings
from orderctl.worker import courier, exposition, keeper, operator
from orderctl.worker.child import Child, ChildFailed, End
from orderctl.worker.scores import Board

_log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: A child that ran for at least this time did not fail at its start, in seconds.
_HEALTHY_SECONDS: Final = 10.0
#: A child that ran for at least this time has worked, in seconds.
_SETTLED_SECONDS: Final = 3.0
#: After this number of crashes in a row at its start, a child that has never worked is given up.
_MOST_CRASHES: Final = 5
_LONGEST_PAUSE: Final = 30.0
_TICK: Final = 0.5
_NUMBERS: Final = re.compile("[0-9]+")
#: The kinds of children that end after the workers.
_LAST: Final = (keeper.KIND, exposition.KIND)
#: How long children may take to release their tasks before they are killed, in seconds.
_GRACE_SECONDS: Final = 8.0


class Stage(Enum):
    """How far the end of a supervisor has come."""

    RUNNING = auto()  #: Children that exit are restarted.
    DRAINING = auto()  #: Running downloads may finish.
    ENDING = auto()  #: Running tasks are released; children that still run then are killed.


class Supervisor:
    """Runs the children until all of them have ended.

    Args:
        settings: All settings; ``worker.concurrency`` is the number of workers.
        burst: End when the queue is empty.
        metrics: Where metrics are shown; None: nowhere.
    """

    def __init__(
        self, settings: Settings, *, burst: bool = False, metrics: exposition.Target | None = None
    ) -> None:
        doorbell.load_rq(settings.redis.prefix)
        from orderctl.worker import consumer  # noqa: PLC0415 - its classes are RQ's, so the prefix comes first

        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._settings = settings
        self._burst = burst
        self._stage = Stage.RUNNING
        self._deadline: float | None = None
        self._failure: ChildFailed | None = None
        #: The kinds of children of which one has worked; without metrics, tasks are carried out all the same.
        self._proven: set[str] = {exposition.KIND}
        board = Board(settings.worker.concurrency)
        self._children = [
            Child(
                f"worker-{number}", partial(consumer.work, settings, burst=burst, score=board.score(number))
            )
            for number in range(1, settings.worker.concurrency + 1)
        ]
        if metrics is not None:
            self._children.append(Child(exposition.KIND, lambda _: exposition.show(settings, board, metrics)))
        if not burst:
            self._children.append(Child(keeper.KIND, lambda _: keeper.keep(settings, self.name)))
            self._children.append(Child("courier", lambda _: courier.send(settings)))
            self._children.append(Child(operator.KIND, lambda _: operator.operate(settings)))

    def run(self) -> None:
        """Keep the children alive. The first SIGTERM or SIGINT drains them, the second ends them.

        Raises:
            ChildFailed: A child cannot live: it ended soon after its start because of a setting, or several times
                in a row, and none of its kind has worked. In burst mode: any child failed.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        signal.signal(keeper.DRAINING, signal.SIG_IGN)  # so that it ends no keeper that is just starting
        try:
            while self._turn():
                pass
        finally:
            self._signal_all(signal.SIGKILL)
            self._reap()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if self._failure is not None:
            raise self._failure

    @property
    def _stopping(self) -> bool:
        return self._stage is not Stage.RUNNING

    def _turn(self) -> bool:
        """Run one turn of the loop; return False when no child is left."""
        self._start_due()
        received = signal.sigtimedwait(_SIGNALS, _TICK)
        if received is not None and received.si_signo in _ENDING:
            self._stop()
        self._reap()
        # Sent each turn: a signal that arrives before a child has handled an earlier one is lost.
        if self._stage is Stage.ENDING:
            self._signal_all(signal.SIGTERM)
        elif self._stage is Stage.DRAINING:
            self._drain()
        if self._deadline is not None and clock.elapsed() >= self._deadline:
            self._escalate()
        alive = any(child.pid is not None for child in self._children)
        return alive or not (self._stopping or self._burst)

    def _start_due(self) -> None:
        if self._stopping:
            return
        now = clock.elapsed()
        for child in self._children:
            if child.pid is None and child.start_at <= now and not (self._burst and child.generation):
                self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start(self.name, _SIGNALS)
        except OSError as error:  # no memory, process or file is left: that passes
            reason = f"cannot be started: {error.strerror}"
            self._note_end(child, End(child.role, ExitStatus.UNAVAILABLE, reason, None, 0.0))

    def _reap(self) -> None:
        for child in self._children:
            if (end := child.reap()) is not None:
                self._note_end(child, end)

    def _note_end(self, child: Child, end: End) -> None:
        if self._stopping:
            if end.status != ExitStatus.DONE:
                _log.warning("%s ended: %s", child.role, end.reason)
            return
        if self._burst:
            if end.status != ExitStatus.DONE and self._failure is None:
                self._failure = ChildFailed(end, "failed")
            return
        self._count(child, end)
        if self._is_hopeless(child, end):
            times = (
                f"ended {child.crashes} times in a row at its start" if child.crashes > 1 else "cannot run"
            )
            self._failure = ChildFailed(end, times)
            self._stop()
            return
        pause = min(_LONGEST_PAUSE, 0.1 * 2**child.failures) if child.failures else 0.0
        child.start_at = clock.elapsed() + pause
        # A reason may contain the worker's name, which has the number of its start.
        reason = _NUMBERS.sub("", end.reason)
        known, child.reason = child.failures > 1 and reason == child.reason, reason
        level = logging.DEBUG if known else logging.WARNING
        _log.log(level, "%s ended after %.1f s and is restarted: %s", child.role, end.lived, end.reason)

    def _count(self, child: Child, end: End) -> None:
        if end.lived > _SETTLED_SECONDS:
            self._proven.add(child.kind)
        child.failures = 0 if end.lived > _HEALTHY_SECONDS else child.failures + 1
        # Without a store it can do nothing, which passes; it may also have been asked to end.
        innocent = not end.killed and end.status in {ExitStatus.DONE, ExitStatus.UNAVAILABLE}
        child.crashes = child.crashes + 1 if child.failures and not innocent else 0

    def _is_hopeless(self, child: Child, end: End) -> bool:
        """Whether no child of this kind has ever worked here, and none is likely to."""
        if child.kind in self._proven or any(
            other.kind == child.kind and other.pid is not None and other.age > _SETTLED_SECONDS
            for other in self._children
        ):
            return False
        return end.status == ExitStatus.CONFIGURATION or child.crashes >= _MOST_CRASHES

    def _stop(self) -> None:
        if self._stage is Stage.RUNNING:
            self._stage = Stage.DRAINING
            drain = self._settings.worker.drain_timeout_seconds
            if self._failure is None:
                _log.info(
                    "draining: running downloads may take %.0f s more; a second signal ends them", drain
                )
            self._deadline = clock.elapsed() + drain
            self._signal_all(signal.SIGTERM, but=_LAST)
            self._drain()
        else:
            self._escalate()

    def _drain(self) -> None:
        """Let the keeper, which ends last, tell that the supervisor drains; the metrics end as late."""
        working = any(child.pid is not None and child.kind == "worker" for child in self._children)
        for child in self._children:
            if child.pid is not None and child.kind in _LAST and not working:
                os.kill(child.pid, signal.SIGTERM)
            elif child.pid is not None and child.kind == keeper.KIND:
                os.kill(child.pid, keeper.DRAINING)

    def _escalate(self) -> None:
        """Go from draining to ending, and from ending to killing the children."""
        if self._stage is Stage.DRAINING:
            self._stage = Stage.ENDING
            _log.info("ending: stopping the running downloads and releasing their tasks")
            self._deadline = clock.elapsed() + _GRACE_SECONDS
            self._signal_all(signal.SIGTERM)
        else:
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals, *, but: Collection[str] = ()) -> None:
        for child in self._children:
            if child.pid is not None and child.kind not in but:
                os.kill(child.pid, number)
