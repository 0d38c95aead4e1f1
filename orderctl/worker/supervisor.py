"""The supervisor: keeps workers, a keeper and a courier alive, and stops them in order.

It forks them and has no connection of its own, so that nothing can hang it. A worker runs jobs; the
keeper reconciles each second; the courier sends what stands in the outbox. Each dies with the supervisor.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from orderctl import clock, processes
from orderctl.settings import Settings
from orderctl.worker import consumer, courier, keeper

_log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: A child that lived so long did not die of its start.
_HEALTHY_SECONDS: Final = 10.0
_LONGEST_PAUSE: Final = 30.0
_TICK: Final = 0.5
#: How long children get to give their tasks back before they are killed.
_GRACE_SECONDS: Final = 8.0


class Stage(Enum):
    """How far a supervisor has come."""

    RUNNING = auto()  #: Children that end are started again.
    DRAINING = auto()  #: Running downloads may finish.
    ENDING = auto()  #: Running downloads are given back; what then remains is killed.


@dataclass(slots=True)
class Child:
    """One child and its past.

    Attributes:
        run: What it does, under the name that it is given.
        failures: How often in a row it died young.
        start_at: Not before, on ``clock.elapsed``.
    """

    role: str
    run: Callable[[str], None]
    pid: int | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0
    generation: int = 0


class Supervisor:
    """Runs until its children have ended.

    Args:
        settings: All settings; ``worker.concurrency`` says how many workers.
        burst: End when the queue is empty.
    """

    def __init__(self, settings: Settings, *, burst: bool = False) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._settings = settings
        self._burst = burst
        self._stage = Stage.RUNNING
        self._deadline: float | None = None
        self._children = [
            Child(f"worker-{number}", lambda name: consumer.work(settings, name, burst=burst))
            for number in range(1, settings.worker.concurrency + 1)
        ]
        if not burst:
            self._children.append(Child("keeper", lambda _: keeper.keep(settings, self.name)))
            self._children.append(Child("courier", lambda _: courier.send(settings)))

    def run(self) -> None:
        """Keep the children alive; the first SIGTERM or SIGINT drains, the second ends."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            while self._turn():
                pass
        finally:
            self._signal_all(signal.SIGKILL)
            self._reap()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    @property
    def _stopping(self) -> bool:
        return self._stage is not Stage.RUNNING

    def _turn(self) -> bool:
        """One turn of the loop; False when there is nothing left to watch."""
        self._start_due()
        received = signal.sigtimedwait(_SIGNALS, _TICK)
        if received is not None and received.si_signo in _ENDING:
            self._stop()
        self._reap()
        if self._stage is Stage.ENDING:
            # A second signal that comes before a child has taken the first is lost.
            self._signal_all(signal.SIGTERM)
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
        child.generation += 1
        child.started = clock.elapsed()
        # A name is never used twice: RQ refuses one whose last bearer was killed.
        name = f"{self.name}.{child.role}.{child.generation}"
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _be(child, name, parent)
        child.pid = pid

    def _reap(self) -> None:
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._note_exit(child, status)

    def _note_exit(self, child: Child, status: int) -> None:
        pid, child.pid = child.pid, None
        if self._stopping or self._burst:
            return
        lived = clock.elapsed() - child.started
        child.failures = 0 if lived > _HEALTHY_SECONDS else child.failures + 1
        pause = min(_LONGEST_PAUSE, 0.1 * 2**child.failures) if child.failures else 0.0
        child.start_at = clock.elapsed() + pause
        code = os.waitstatus_to_exitcode(status)
        _log.warning(
            "%s (pid %s) exited with code %s after %.1f s and is restarted", child.role, pid, code, lived
        )

    def _stop(self) -> None:
        if self._stage is Stage.RUNNING:
            self._stage = Stage.DRAINING
            drain = self._settings.worker.drain_timeout_seconds
            _log.info("draining: running downloads may take %.0f s more; a second signal ends them", drain)
            self._deadline = clock.elapsed() + drain
            self._signal_all(signal.SIGTERM)
        else:
            self._escalate()

    def _escalate(self) -> None:
        """From draining to giving tasks back, from there to killing."""
        if self._stage is Stage.DRAINING:
            self._stage = Stage.ENDING
            _log.info("ending: running downloads stop, their tasks go back to the queue")
            self._deadline = clock.elapsed() + _GRACE_SECONDS
            self._signal_all(signal.SIGTERM)
        else:
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, number)


def _be(child: Child, name: str, parent: int) -> None:
    """What a child does from its fork to its end."""
    code = 1
    try:
        processes.die_with(parent)
        os.setpgid(0, 0)  # Ctrl-C at the terminal is for the supervisor alone
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        child.run(name)
        code = 0
    except SystemExit:
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of a child may run on in its parent's code
        _log.exception("%s failed", child.role)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
