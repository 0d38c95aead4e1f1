"""The metrics of a supervisor for Prometheus: a process of its own, which ends after the workers.

The counters are the supervisor's (``scores``). The gauges are those of the whole shop, so that each supervisor shows the
same ones: they are read every few seconds, whoever asks how often. While a store does not answer, what it would say is
missing.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, select

from orderctl import __version__, broker, clock, database, readiness, statuses, unsent
from orderctl.errors import OrderctlError
from orderctl.payments import waiting
from orderctl.settings import Settings
from orderctl.worker import fleet, rounds, scraping
from orderctl.worker.fleet import SupervisorSign
from orderctl.worker.scores import BOUNDS, Board, Outcome, Phase

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: What the supervisor calls this child.
KIND: Final = "metrics"
#: Time between two looks at the stores, and between two texts in the file, in seconds.
INTERVAL: Final = 10.0
#: Tasks and messages that wait are shown up to here: their counts go a little beyond, to tell that there are more.
MOST: Final = 100_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the metrics go.

    Attributes:
        listener: The socket on which Prometheus asks; None: it does not.
        file: The file that node_exporter reads; None: there is none.
    """

    listener: socket.socket | None = None
    file: Path | None = None

    @property
    def url(self) -> str | None:
        """The URL of the metrics, if Prometheus can ask for them."""
        if self.listener is None:
            return None
        host, port = self.listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"


def target(settings: Settings) -> Target | None:
    """Return where the metrics go as the settings say; None: nowhere.

    Args:
        settings: All settings.

    Raises:
        Misconfigured: The port is taken, or the file cannot be written.
    """
    chosen = settings.worker
    if chosen.metrics_file is not None:
        scraping.check_file(chosen.metrics_file)
    if chosen.metrics_port is None:
        return None if chosen.metrics_file is None else Target(file=chosen.metrics_file)
    return Target(scraping.listen(chosen.metrics_host, chosen.metrics_port), chosen.metrics_file)


@dataclass(slots=True)
class _Seen:
    """What a look at the stores has found; None: it is not known."""

    at: float = 0.0
    database: bool | None = None
    redis: bool | None = None
    queue: tuple[int, float] | None = None
    messages: unsent.Messages | None = None
    late_seconds: float = 0.0
    payments: dict[str, int] | None = None
    signs: Sequence[SupervisorSign] | None = None
    held: Mapping[str, Sequence[int]] | None = None
    paused: bool | None = None


def show(settings: Settings, board: Board, where: Target) -> None:
    """Look at the stores every few seconds, and show the metrics, until SIGTERM.

    Args:
        settings: All settings.
        board: The supervisor's counters.
        where: Where they are shown.
    """
    stop = rounds.stop_on_sigterm()
    shown = Exposition(board)
    if where.listener is not None:
        scraping.serve(where.listener, shown.text)
    engine = rounds.open_database(settings)
    trouble = ""
    while not stop.made:
        shown.seen = _look(settings, engine)
        try:
            if where.file is not None:
                scraping.write(where.file, shown.text())
            trouble = ""
        except OSError as error:
            if str(error) != trouble:
                _log.warning("cannot write %s: %s", where.file, error.strerror)
            trouble = str(error)
        clock.rest(INTERVAL, lambda: stop.made)
    if where.file is not None:
        with suppress(OSError):
            where.file.unlink()  # node_exporter would show for ever what was true at the end


# --- The stores


def _look(settings: Settings, engine: Engine) -> _Seen:
    """Ask each store by itself: one that is down hides nothing of the other."""
    seen = _Seen(database=False, redis=False)
    _ask_redis(settings, seen)
    try:
        with database.reading(engine) as connection:
            _ask_database(connection, seen)
            seen.database = True
    except OrderctlError as error:
        _log.debug("no metrics of the database: %s", error)
    seen.at = time.time()
    return seen


def _ask_database(connection: Connection, seen: _Seen) -> None:
    now = connection.execute(_NOW).scalar_one()
    number, since = readiness.depth(connection, most=MOST)
    seen.queue = number, 0.0 if since is None else max(0.0, (now - since).total_seconds())
    seen.messages = unsent.count(connection, now, most=MOST)
    if (due := seen.messages.since) is not None:
        seen.late_seconds = (now - due).total_seconds()
    seen.payments = waiting.count(connection)
    seen.held = fleet.held(connection)


def _ask_redis(settings: Settings, seen: _Seen) -> None:
    try:
        if (url := broker.running_url(settings)) is None:
            return
        with closing(broker.brisk(url)) as client:
            seen.paused = fleet.is_paused(client, settings.worker.queue)
            seen.signs = fleet.reported(client)
            seen.redis = True
    except OrderctlError as error:
        _log.debug("no metrics of Redis: %s", error)


_NOW: Final = select(database.utc_now())


# --- The text


class Exposition:
    """The metrics as text.

    Attributes:
        seen: What the last look has found.

    Args:
        board: The supervisor's counters.
    """

    def __init__(self, board: Board) -> None:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - in the process that shows metrics only

        self.seen = _Seen()
        self._board = board
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Return the present values in Prometheus' text format."""
        from prometheus_client import generate_latest  # noqa: PLC0415 - as above

        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; prometheus_client calls this."""
        yield from self._counters()
        yield from self._gauges(self.seen)

    def _counters(self) -> Iterator[Metric]:
        from prometheus_client.core import (  # noqa: PLC0415 - as above
            CounterMetricFamily,
            HistogramMetricFamily,
        )

        ends = CounterMetricFamily(
            "orderctl_worker_attempts", "Attempts that ended.", labels=["outcome", "error_type"]
        )
        lost = 0
        for outcome, error_type, number in self._board.ends():
            ends.add_metric([str(outcome), error_type], number)
            lost += number if outcome is Outcome.LEASE_LOST else 0
        yield ends
        yield CounterMetricFamily(
            "orderctl_worker_lease_losses", "Attempts whose task another worker has taken over.", value=lost
        )
        phases = HistogramMetricFamily(
            "orderctl_worker_phase_seconds", "Lengths of the phases of attempts.", labels=["phase"]
        )
        for phase in Phase:
            bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
            buckets = [*zip(bounds, map(float, self._board.buckets(phase)), strict=True)]
            phases.add_metric([str(phase)], buckets, self._board.seconds(phase))
        yield phases

    def _gauges(self, seen: _Seen) -> Iterator[Metric]:
        yield _gauge("worker_info", "The supervisor's version.", {(__version__,): 1}, "version")
        yield _gauge("worker_start_time_seconds", "When the supervisor started.", {(): self._board.began})
        yield _gauge("last_look_timestamp_seconds", "When the stores were looked at last.", {(): seen.at})
        yield _gauge("database_up", "1 if the database has answered, else 0.", _known(seen.database))
        yield _gauge("redis_up", "1 if Redis has answered, else 0.", _known(seen.redis))
        yield from _of_queue(seen)
        yield from _of_messages(seen)
        yield _of_payments(seen)
        yield from _of_workers(seen)


def _of_queue(seen: _Seen) -> Iterator[Metric]:
    tasks, oldest = seen.queue or (None, None)
    counted = None if tasks is None else min(tasks, MOST)
    yield _gauge("queue_tasks", "Tasks that are due and wait for a worker.", _known(counted))
    yield _gauge("queue_oldest_seconds", "For how long the oldest of them has been due.", _known(oldest))
    yield _gauge("queue_paused", "1 while the queue is paused, else 0.", _known(seen.paused))


def _of_messages(seen: _Seen) -> Iterator[Metric]:
    found = seen.messages
    counts = {} if found is None else {"waiting": found.waiting, "given_up": found.given_up}
    numbers = {(state,): min(number, MOST) for state, number in counts.items()}
    yield _gauge("outbox_messages", "Mails, webhooks and messages that were not sent.", numbers, "state")
    late = None if found is None else seen.late_seconds
    yield _gauge("outbox_oldest_due_seconds", "For how long the oldest has been due.", _known(late))


def _of_payments(seen: _Seen) -> Metric:
    numbers = {
        (outcome,): min(number, statuses.COUNT_LIMIT) for outcome, number in (seen.payments or {}).items()
    }
    return _gauge("payments_waiting", "Payments that wait for a decision.", numbers, "outcome")


def _of_workers(seen: _Seen) -> Iterator[Metric]:
    numbers: dict[Any, float] = {}
    supervisors: float | None = None
    if seen.signs is not None:
        numbers[("alive",)] = sum(sign.concurrency or 0 for sign in seen.signs)
        numbers[("draining",)] = sum(sign.concurrency or 0 for sign in seen.signs if sign.draining)
        if seen.held is not None:
            numbers[("busy",)] = sum(len(seen.held.get(sign.name, ())) for sign in seen.signs)
        supervisors = len(seen.signs)
    yield _gauge("workers", "Workers of all supervisors that send heartbeats.", numbers, "state")
    yield _gauge("supervisors", "Supervisors that send heartbeats.", _known(supervisors))


def _known(value: float | None) -> dict[Any, float]:
    return {} if value is None else {(): value}


def _gauge(name: str, text: str, values: Mapping[Any, float], *labels: str) -> Metric:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as above

    family = GaugeMetricFamily(f"orderctl_{name}", text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family
