"""Build the relay from the settings, and run it."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

from orderctl import database
from orderctl.payments.amounts import Rules
from orderctl.relay import lookout, metrics
from orderctl.relay.access import Gate, require_secret
from orderctl.relay.api.actions import Actions
from orderctl.relay.api.endpoints import Endpoints
from orderctl.relay.api.outlook import Outlook
from orderctl.relay.api.reader import THREADS, Reader
from orderctl.relay.bell import Bell, Ringer
from orderctl.relay.exchange import Exchange
from orderctl.relay.hub import Hub
from orderctl.relay.limits import MOST_WAITING, Door
from orderctl.relay.payments import bookings
from orderctl.relay.payments.accepted import Accepted
from orderctl.relay.payments.bookings import Bookings
from orderctl.relay.payments.webhook import Webhook
from orderctl.relay.presence import Presence
from orderctl.relay.revocations import Revocations
from orderctl.relay.server import RelayServer, stop_on_signals
from orderctl.relay.site import Probes, Site
from orderctl.relay.web import Pages
from orderctl.settings import Settings

_log = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")
#: After this number of seconds without an answer the connection to the database is closed. The client that
#: asked has its error by then.
_ANSWER_TIMEOUT: Final = 15
#: Open files beside those of clients: connections that wait, the database, Redis, the relay's own.
_OTHER_FILES: Final = MOST_WAITING + 100
_FEWEST_OTHERS: Final = 32
#: Time at the end for the workers to be woken of the last payments, in seconds.
_LAST_RING: Final = 1.0


def build(
    chosen: Settings, redis_url: str, database_url: str, *, actions: bool, accepted: Accepted | None = None
) -> RelayServer:
    """Build a relay that does not listen yet. Must be called in a running event loop.

    Args:
        chosen: The settings.
        redis_url: Where publications come from.
        database_url: Where the API reads.
        actions: Whether tasks may be retried and cancelled from the page.
        accepted: Who may tell of payments; None: nobody.

    Raises:
        Misconfigured: When other machines could reach it without a token, or a URL is not valid.
    """
    here = chosen.relay
    require_secret(here.host, here.token_secret)
    engine = database.connect(database_url, pool_size=THREADS, answer_timeout=_ANSWER_TIMEOUT)
    reader = Reader(engine)
    hub = Hub(asyncio.get_running_loop(), max_subscriptions=here.max_subscriptions)
    revocations = Revocations()
    exchange, tally = Exchange(hub, redis_url, reader.order_of_task, revocations), metrics.Tally()
    worker, bell = chosen.worker, Bell(redis_url, chosen.worker.queue)
    allowed, ringer = None, Ringer(bell)
    if actions:
        allowed = Actions(engine, bell, max_attempts=worker.max_attempts, take_all=worker.take == "all")
    secure, currency = here.token_secret is not None, chosen.display.currency
    site = Site(
        Gate(here.host, here.hosts, here.origins),
        here.token_secret,
        Pages(PAGE),
        Endpoints(reader, exchange, allowed, Outlook(redis_url, chosen), secure=secure, currency=currency),
        _webhook(chosen, database_url, accepted, tally, ringer),
        Probes(healthy=lambda: exchange.feed.up, exposition=metrics.exposition(exchange, tally)),
        actions=actions,
        revocations=revocations,
    )
    door = Door(
        tally,
        asyncio.get_running_loop().time,
        most=most_clients(here.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        most_per_address=here.max_connections_per_address,
    )

    def end_revoked() -> int:
        ended = exchange.end_revoked()
        tally.cut["revoked"] += ended
        return ended

    async def watch() -> None:
        async with asyncio.TaskGroup() as watching:
            watching.create_task(lookout.watch(hub.neighbours, reader))
            if here.token_secret is not None:
                watching.create_task(revocations.watch(reader.read, end_revoked))

    return RelayServer(
        exchange,
        site,
        door,
        tally,
        Presence(exchange, tally, secure=secure),
        max_rate=here.max_messages_per_second,
        lookout=watch,
        at_end=lambda: ringer.finish(_LAST_RING),
    )


def _webhook(
    chosen: Settings, database_url: str, accepted: Accepted | None, tally: metrics.Tally, ringer: Ringer
) -> Webhook:
    """Return what answers banks: with a database of its own, which no query of a dashboard keeps busy."""
    if accepted is None:
        return Webhook()
    ringer.prepare()
    return Webhook(accepted, Bookings(bookings.connect(database_url), Rules.of(chosen), ringer, tally), tally)


def run(
    chosen: Settings,
    redis_url: str,
    database_url: str,
    *,
    actions: bool = False,
    accepted: Accepted | None = None,
    reuse_port: bool = False,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        chosen: The settings.
        redis_url: Where publications come from.
        database_url: Where the API reads.
        actions: Whether tasks may be retried and cancelled from the page.
        accepted: Who may tell of payments; None: nobody.
        reuse_port: Share the port with other relays.
        ready: Called with the relay's URL once it listens.

    Raises:
        Misconfigured: When a setting is wrong, or Redis refuses the connection.
        OSError: When the address is taken.
    """
    _allow_files(chosen.relay.max_connections)

    async def serve() -> None:
        relay = build(chosen, redis_url, database_url, actions=actions, accepted=accepted)
        stop_on_signals(relay)
        await relay.run(chosen.relay.host, chosen.relay.port, reuse_port=reuse_port, ready=ready)

    # The imported modules stay in memory: exclude them from garbage collection, which would delay clients.
    gc.collect()
    gc.freeze()
    asyncio.run(serve())


def most_clients(wanted: int, files: int) -> int:
    """Return how many clients may connect, so that files remain for the others: a client too many gets its 503."""
    most = max(1, files - min(_OTHER_FILES, max(_FEWEST_OTHERS, files // 4)))
    if most >= wanted:
        return wanted
    _log.warning(
        "the limit of open files (LimitNOFILE, ulimit -n) is %d: at most %d clients, and not %d as the setting"
        " relay.max_connections says",
        files,
        most,
        wanted,
    )
    return most


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files as far as possible; each connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
