"""Puts the relay together from the settings, and runs it."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

from orderctl import settings
from orderctl.errors import DatabaseUnavailable
from orderctl.relay import metrics
from orderctl.relay.access import Gate, require_secret
from orderctl.relay.api import Api
from orderctl.relay.exchange import Exchange
from orderctl.relay.hub import Hub
from orderctl.relay.server import Relay, stop_on_signals
from orderctl.relay.site import Site
from orderctl.relay.upkeep import Door
from orderctl.relay.web import Pages

PAGE = Path(__file__).with_name("page")


def build(chosen: settings.Relay, redis_url: str, *, actions: bool) -> Relay:
    """A relay that is not yet listening; to be called in a running event loop.

    Args:
        chosen: The section ``relay`` of the settings.
        redis_url: Where publications come from.
        actions: Whether tasks may be retried and cancelled from the page.

    Raises:
        Misconfigured: When it would be open to others without a secret.
    """
    require_secret(chosen.host, chosen.token_secret)
    hub = Hub(asyncio.get_running_loop(), max_subscriptions=chosen.max_subscriptions)
    exchange, tally = Exchange(hub, redis_url, _find_order), metrics.Tally()
    site = Site(
        Gate(chosen.host, chosen.hosts, chosen.origins),
        chosen.token_secret,
        Pages(PAGE),
        Api(),
        healthy=lambda: exchange.feed.up,
        exposition=metrics.exposition(exchange, tally),
        actions=actions,
    )
    door = Door(tally, most=chosen.max_connections, most_per_address=chosen.max_connections_per_address)
    return Relay(exchange, site, door, tally, max_rate=chosen.max_messages_per_second)


def run(
    chosen: settings.Relay,
    redis_url: str,
    *,
    actions: bool = False,
    reuse_port: bool = False,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        chosen: The section ``relay`` of the settings.
        redis_url: Where publications come from.
        actions: Whether tasks may be retried and cancelled from the page.
        reuse_port: Share the port with other relays.
        ready: Called with the relay's URL when it listens.

    Raises:
        Misconfigured: When a setting is wrong, or Redis refuses us.
        OSError: When the address is taken.
    """
    _allow_files(chosen.max_connections)

    async def serve() -> None:
        relay = build(chosen, redis_url, actions=actions)
        stop_on_signals(relay)
        await relay.run(chosen.host, chosen.port, reuse_port=reuse_port, ready=ready)

    asyncio.run(serve())


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files as far as that goes; a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 100
    if soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


async def _find_order(_task_id: int) -> int | None:
    raise DatabaseUnavailable
