"""The supervisor: starts workers, a keeper and a courier, restarts them, and stops them in order.

It forks them and has no connection of its own, so that no server can block it. A worker runs jobs, the keeper
reconciles each second, and the courier sends the entries of the outbox. All of them die with the supervisor.
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

from orderctl import clock, doorbell, processes
from orderctl.settings import Settings
from orderctl.worker import courier, keeper

_log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: A child that ran for at least this time did not fail at its start, in seconds.
_HEALTHY_SECONDS: Final = 10.0
_LONGEST_PAUSE: Final = 30.0
_TICK: Final = 0.5
#: How long children may take to release their tasks before they are killed, in seconds.
_GRACE_SECONDS: Final = 8.0


class Stage(Enum):
    """How far the end of a supervisor has come."""

    RUNNING = auto()  #: Children that exit are restarted.
    DRAINING = auto()  #: Running downloads may finish.
    ENDING = auto()  #: Running tasks are released; children that still run then are killed.


@dataclass(slots=True)
class Child:
    """One child process and its history.

    Attributes:
        run: What the child does; called with the child's name.
        failures: How often in a row it exited soon after its start.
        start_at: Earliest time of its next start, by ``clock.elapsed``.
    """

    role: str
    run: Callable[[str], None]
    pid: int | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0
    generation: int = 0


class Supervisor:
    """Runs the children until all of them have ended.

    Args:
        settings: All settings; ``worker.concurrency`` is the number of workers.
        burst: End when the queue is empty.
    """

    def __init__(self, settings: Settings, *, burst: bool = False) -> None:
        doorbell.load_rq(settings.redis.prefix)
        from orderctl.worker import consumer  # noqa: PLC0415 - its classes are RQ's, so the prefix comes first

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
        """Keep the children alive. The first SIGTERM or SIGINT drains them, the second ends them."""
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
        """Run one turn of the loop; return False when no child is left."""
        self._start_due()
        received = signal.sigtimedwait(_SIGNALS, _TICK)
        if received is not None and received.si_signo in _ENDING:
            self._stop()
        self._reap()
        if self._stage is Stage.ENDING:
            # Sent each turn: a signal that arrives before a child has handled an earlier one is lost.
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
        # A name is never used twice: RQ refuses the name of a worker that was killed.
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
        """Go from draining to ending, and from ending to killing the children."""
        if self._stage is Stage.DRAINING:
            self._stage = Stage.ENDING
            _log.info("ending: stopping the running downloads and releasing their tasks")
            self._deadline = clock.elapsed() + _GRACE_SECONDS
            self._signal_all(signal.SIGTERM)
        else:
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, number)


def _be(child: Child, name: str, parent: int) -> None:
    """Run a child from its fork to its end; does not return."""
    code = 1
    try:
        processes.die_with(parent)
        os.setpgid(0, 0)  # Ctrl-C at the terminal must reach only the supervisor
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        child.run(name)
        code = 0
    except SystemExit:
        code = 0
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's code
        _log.exception("%s failed", child.role)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
