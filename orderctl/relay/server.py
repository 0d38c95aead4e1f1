"""The relay's server: it listens on a port, and ends all connections at a stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from orderctl.relay.closing import RESTART, SLOW
from orderctl.relay.connection import CLOSE_TIMEOUT, Connection, Shared
from orderctl.relay.exchange import Exchange
from orderctl.relay.front import Front
from orderctl.relay.limits import Door, Lobby
from orderctl.relay.metrics import Tally
from orderctl.relay.presence import Presence
from orderctl.relay.site import Site

#: Connections that the kernel holds until they are accepted.
_BACKLOG: Final = 512
#: ``accept`` fails with these while the process, or the machine, cannot open a file for another client.
_NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: Shortest time between two lines about that in the log, and between two attempts to make room, in seconds.
_LOG_INTERVAL: Final = 60.0
_ROOM_INTERVAL: Final = 0.5
#: Time for clients to take their last answers at a stop, in seconds.
_FAREWELL: Final = 1.0

_log = logging.getLogger(__name__)


class RelayServer:
    """Listens on a port, serves connections, and ends them at a stop.

    Args:
        exchange: Delivers messages to the subscribed clients.
        site: Answers HTTP requests.
        door: Limits the number of connections.
        tally: Counters for the metrics.
        presence: Reports this relay in Redis.
        max_rate: Most frames per second from one client.
        lookout: Runs beside the server, and may end before it.
        at_end: Called when all connections have ended.
    """

    def __init__(
        self,
        exchange: Exchange,
        site: Site,
        door: Door,
        tally: Tally,
        presence: Presence,
        *,
        max_rate: int,
        lookout: Callable[[], Coroutine[Any, Any, None]],
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._lookout = lookout
        self._at_end = at_end
        self._presence = presence
        self._exchange = exchange
        self._shared = Shared(exchange, door, Lobby(asyncio.get_running_loop().time), tally, max_rate)
        self._site = site
        self._stop = asyncio.Event()
        self._noted = self._made_room = -_LOG_INTERVAL

    async def run(self, host: str, port: int, *, reuse_port: bool, ready: Callable[[str], None]) -> None:
        """Serve until :meth:`stop` is called.

        Args:
            host: Address to listen on.
            port: Port to listen on; 0: any free one.
            reuse_port: Share the port with other relays.
            ready: Called with the relay's URL once it listens and has tried to reach Redis.

        Raises:
            OSError: When the address is taken, or does not belong to this machine.
            Misconfigured: When Redis refuses the first connection.
        """
        _quieten_asyncio()
        asyncio.get_running_loop().set_exception_handler(self._note)
        server = await self._listen(
            host.strip("[]"), port, reuse_port=reuse_port
        )  # an IPv6 address, as in a URL
        tasks = [
            asyncio.create_task(work) for work in (self._exchange.feed.run(), self._tick(), self._stopped())
        ]
        aside = [
            asyncio.create_task(_aside(work))
            for work in (self._lookout(), self._presence.keep(*_place(server)))
        ]
        try:
            trying = asyncio.create_task(self._exchange.feed.wait_tried())
            await asyncio.wait([trying, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if trying.done():
                ready(_url(server))
            trying.cancel()
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._take_leave()
            for task in aside:
                task.cancel()
            await _aside(self._presence.retire())
            for task in tasks:
                task.cancel()
            await self._close(server)
            self._at_end()

    async def _listen(self, host: str, port: int, *, reuse_port: bool) -> asyncio.Server:
        try:
            return await asyncio.get_running_loop().create_server(
                lambda: Front(self._shared, self._site),
                host,
                port,
                backlog=_BACKLOG,
                reuse_port=reuse_port or None,
            )
        except UnicodeError:  # such as a..b
            raise socket.gaierror(socket.EAI_NONAME, "it is not the name of a host") from None

    async def _stopped(self) -> None:
        await self._stop.wait()

    def stop(self) -> None:
        """End the server; a second call ends it at once."""
        if self._stop.is_set():
            self._abort()
        self._stop.set()

    # What is done each second.

    async def _tick(self) -> None:
        tally = self._shared.tally
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += 1
            await asyncio.sleep(due - loop.time())
            late = loop.time() - due
            tally.loop_lag = late
            tally.worst_loop_lag = max(tally.worst_loop_lag, late)
            due = max(due, loop.time() - 1)
            self._shared.wheel.turn()
            self._shared.lobby.turn()
            self._cut_stalled()

    def _cut_stalled(self) -> None:
        hub = self._exchange.hub
        for member in list(hub.paused):
            line = self._exchange.members.get(member)
            if isinstance(line, Connection) and hub.is_stalled(
                member, line.transport.get_write_buffer_size()
            ):
                line.cut(SLOW, "slow")

    # What asyncio cannot do.

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note an error in asyncio. That no file can be opened for a client it says hundreds of times a second."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NO_FILES and "socket" in context):
            loop.default_exception_handler(context)
            return
        now = loop.time()
        if now - self._made_room >= _ROOM_INTERVAL:
            self._made_room = now
            self._shared.lobby.make_room()
        if now - self._noted >= _LOG_INTERVAL:
            self._noted = now
            _log.warning(
                "clients cannot connect: %s; raise the limit of open files (LimitNOFILE, ulimit -n) or lower the"
                " setting relay.max_connections",
                error.strerror,
            )

    # The end.

    def _take_leave(self) -> None:
        self._shared.closing = True
        for connection in list(self._shared.connections):
            if isinstance(connection, Connection):
                connection.hang_up(RESTART, "the relay is restarting")
            elif isinstance(connection, Front):
                connection.hang_up()

    async def _close(self, server: asyncio.Server) -> None:
        # Not Server.wait_closed: from Python 3.12 on it waits for connections that clients keep open.
        server.close()
        loop = asyncio.get_running_loop()
        late = [
            loop.call_later(CLOSE_TIMEOUT, self._give_up),
            loop.call_later(CLOSE_TIMEOUT + _FAREWELL, self._abort),
        ]
        while self._shared.connections:
            self._shared.changed.clear()
            await self._shared.changed.wait()
        for timer in late:
            timer.cancel()

    def _give_up(self) -> None:
        for connection in list(self._shared.connections):
            if isinstance(connection, Front):
                connection.give_up()
            else:
                connection.abort()

    def _abort(self) -> None:
        for connection in list(self._shared.connections):
            connection.abort()


async def _aside(work: Coroutine[Any, Any, object]) -> None:
    """Do what the relay can do without: log an error in it, and go on."""
    try:
        await work
    except Exception:  # noqa: BLE001 - whatever it is, clients do not need it
        name = getattr(work, "__qualname__", type(work).__name__)
        _log.exception("%s has failed; the relay goes on without it", name)


def stop_on_signals(
    relay: RelayServer, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
) -> None:
    """Install signal handlers that stop the relay, in its running event loop."""
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, relay.stop)


def _place(server: asyncio.Server) -> tuple[str, int]:
    """Return the address and the port that a server listens on."""
    host, port = next(iter(server.sockets)).getsockname()[:2]
    return host, port


def _url(server: asyncio.Server) -> str:
    host, port = _place(server)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _quieten_asyncio() -> None:
    # asyncio logs a warning for each write to a connection that was just lost; clients could fill a disk with
    # them.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
