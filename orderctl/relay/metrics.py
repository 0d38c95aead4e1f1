"""The metrics of ``/metrics``, in Prometheus' text format. Counters are plain numbers between two scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from orderctl.relay.exchange import Exchange
from orderctl.relay.rooms import Dialect

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Tally:
    """The server's counters.

    Attributes:
        connections: Open connections.
        accepted: Connections accepted so far.
        refused: Connections that were refused, by reason.
        cut: Connections that the relay closed, by reason.
        payments: Transfers that banks have told of, by outcome.
        refused_payments: Requests of banks that were refused, by reason.
        frames: Frames that clients have sent.
        loop_lag: Delay of the event loop at the last tick, in seconds.
        worst_loop_lag: Longest delay since the last scrape, in seconds.
    """

    connections: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    payments: Counter[str] = field(default_factory=Counter)
    refused_payments: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    loop_lag: float = 0.0
    worst_loop_lag: float = 0.0


class _Collector:
    def __init__(self, exchange: Exchange, tally: Tally) -> None:
        self._exchange = exchange
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        yield from self._gauges()
        yield from self._counters()

    def _gauges(self) -> Iterator[Metric]:
        exchange, tally = self._exchange, self._tally
        clients = GaugeMetricFamily("orderctl_relay_clients", "Connected clients.", labels=["protocol"])
        for dialect in Dialect:
            number = sum(member.dialect is dialect for member in exchange.members)
            clients.add_metric([dialect.name.lower()], number)
        yield clients
        worst, tally.worst_loop_lag = tally.worst_loop_lag, 0.0
        for name, text, value in (
            ("connections", "Open connections, including those of probes.", tally.connections),
            ("subscriptions", "Subscriptions of all connected clients.", exchange.hub.counts.subscriptions),
            ("rooms", "Orders and tasks with at least one subscribed client.", len(exchange.hub.rooms)),
            (
                "paused_clients",
                "Clients whose socket is full, because they do not read.",
                len(exchange.hub.paused),
            ),
            ("redis_up", "1 while the connection to Redis is up, else 0.", int(exchange.feed.up)),
            ("redis_lag_seconds", "Round-trip time of the last ping to Redis.", exchange.feed.lag),
            ("event_loop_lag_seconds", "Delay of the event loop at its last tick.", tally.loop_lag),
            ("event_loop_lag_max_seconds", "Longest delay of the event loop since the last scrape.", worst),
        ):
            yield GaugeMetricFamily(f"orderctl_relay_{name}", text, value=value)

    def _counters(self) -> Iterator[Metric]:
        counts, tally = self._exchange.hub.counts, self._tally
        for name, text, value in (
            ("publications", "Messages received from Redis.", counts.publications),
            ("frames_sent", "Messages sent to clients.", counts.frames),
            ("bytes_sent", "Bytes of the messages sent to clients.", counts.bytes),
            ("frames_received", "Frames received from clients.", tally.frames),
            ("accepted_connections", "Connections accepted.", tally.accepted),
            ("redis_reconnects", "Lost connections to Redis.", self._exchange.feed.reconnects),
        ):
            yield CounterMetricFamily(f"orderctl_relay_{name}", text, value=value)
        dropped = {
            "invalid": counts.invalid,
            "overtaken": counts.overtaken,
            "coalesced": counts.coalesced,
        }
        yield _labelled("dropped", "Messages from Redis that were not sent to clients.", dropped)
        yield _labelled("refused_connections", "Connections refused by a limit.", tally.refused)
        yield _labelled("cut_connections", "Connections closed by the relay.", tally.cut)
        yield _labelled("payments", "Transfers that banks have reported.", tally.payments, "outcome")
        refused = "Requests to the payment webhook that were refused."
        yield _labelled("refused_payment_requests", refused, tally.refused_payments)


def _labelled(name: str, text: str, values: dict[str, int] | Counter[str], label: str = "reason") -> Metric:
    family = CounterMetricFamily(f"orderctl_relay_{name}", text, labels=[label])
    for reason, value in values.items():
        family.add_metric([reason], value)
    return family


def exposition(exchange: Exchange, tally: Tally) -> Callable[[], bytes]:
    """Return a function that returns the present values of all metrics as text."""
    registry = CollectorRegistry()
    registry.register(_Collector(exchange, tally))
    return lambda: generate_latest(registry)
