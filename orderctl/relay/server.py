"""The relay's server. Only it and :mod:`orderctl.relay.connection` use the ``websockets`` library."""

from __future__ import annotations

import asyncio
import email.utils
import http
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request as HandshakeRequest
from websockets.http11 import Response

from orderctl.relay.closing import RESTART, SLOW
from orderctl.relay.codecs.calls import MAX_BYTES
from orderctl.relay.connection import CLOSE_TIMEOUT, Connection, Shared
from orderctl.relay.exchange import Exchange
from orderctl.relay.limits import Door
from orderctl.relay.metrics import Tally
from orderctl.relay.site import Site, Upgrade
from orderctl.relay.web import Reply, Request, read_target

#: Longest time for the handshake, in seconds.
OPEN_TIMEOUT: Final = 10.0
#: Sizes of a write buffer, in bytes: above the first a member is paused, below the second it is resumed.
_WRITE_LIMIT: Final = (128 * 1024, 32 * 1024)


class RelayServer:
    """Listens on a port, serves connections, and ends them at a stop.

    Args:
        exchange: Delivers messages to the subscribed clients.
        site: Answers HTTP requests.
        door: Limits the number of connections.
        tally: Counters for the metrics.
        max_rate: Most frames per second from one client.
        lookout: Runs beside the server, and may end before it.
    """

    def __init__(
        self,
        exchange: Exchange,
        site: Site,
        door: Door,
        tally: Tally,
        *,
        max_rate: int,
        lookout: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._lookout = lookout
        self._exchange = exchange
        self._shared = Shared(exchange, door, tally, max_rate)
        self._site = site
        self._stop = asyncio.Event()

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
        server = await serve(
            self._handle,
            host,
            port,
            process_request=self._answer,
            create_connection=partial(Connection, self._shared),  # type: ignore[arg-type]
            compression=None,
            max_size=MAX_BYTES,
            ping_interval=None,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            write_limit=_WRITE_LIMIT,
            server_header=None,
            logger=_quiet_logger(),
            backlog=512,
            reuse_port=reuse_port or None,
        )
        tasks = [
            asyncio.create_task(work) for work in (self._exchange.feed.run(), self._tick(), self._stopped())
        ]
        lookout = asyncio.create_task(self._lookout())
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
            for task in (lookout, *tasks):
                task.cancel()
            await self._close(server)

    async def _stopped(self) -> None:
        await self._stop.wait()

    def stop(self) -> None:
        """End the server; a second call ends it at once."""
        if self._stop.is_set():
            self._abort()
        self._stop.set()

    # Connections.

    async def _answer(self, connection: ServerConnection, request: HandshakeRequest) -> Response | None:
        assert isinstance(connection, Connection)  # noqa: S101 - for mypy
        try:
            found = await self._site.answer(_read_request(request))
        except ValueError:
            found = Reply(400, b"malformed request\n")
        if isinstance(found, Upgrade):
            connection.upgrade = found
            return None
        return _write_reply(found, with_body=request.method != "HEAD")

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)  # noqa: S101 - for mypy
        if connection.upgrade is not None:
            connection.begin(connection.upgrade, self._site.verify)
            self._shared.wheel.add(connection)
            await connection.wait_closed()

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
            self._cut_stalled()

    def _cut_stalled(self) -> None:
        hub = self._exchange.hub
        for member in list(hub.paused):
            line = self._exchange.members.get(member)
            if isinstance(line, Connection) and hub.is_stalled(
                member, line.transport.get_write_buffer_size()
            ):
                line.cut(SLOW, "slow")

    # The end.

    def _take_leave(self) -> None:
        for connection in list(self._shared.connections):
            if connection.client is not None:
                connection.hang_up(RESTART, "the relay is restarting")

    async def _close(self, server: Server) -> None:
        server.close(code=RESTART)
        loop = asyncio.get_running_loop()
        abort = loop.call_later(CLOSE_TIMEOUT, self._abort)
        await server.wait_closed()
        abort.cancel()

    def _abort(self) -> None:
        for connection in list(self._shared.connections):
            connection.transport.abort()


def stop_on_signals(
    relay: RelayServer, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
) -> None:
    """Install signal handlers that stop the relay, in its running event loop."""
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, relay.stop)


def _read_request(request: HandshakeRequest) -> Request:
    path, query = read_target(request.path)
    headers: dict[str, str] = {}
    for name, value in request.headers.raw_items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Request(request.method, path, query, headers)


def _write_reply(reply: Reply, *, with_body: bool) -> Response:
    headers = Headers({"Date": email.utils.formatdate(usegmt=True), "Connection": "close"})
    if reply.body or reply.status not in {204, 304}:
        headers["Content-Length"] = str(len(reply.body))
        headers["Content-Type"] = reply.type
    for name, value in reply.headers.items():
        headers[name] = value
    body = reply.body if with_body else b""
    return Response(reply.status, http.HTTPStatus(reply.status).phrase, headers, body)


def _url(server: Server) -> str:
    host, port = next(iter(server.sockets)).getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _quiet_logger() -> logging.Logger:
    # asyncio logs a warning for each write to a connection that was just lost; clients could fill a disk with
    # them.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    logger = logging.getLogger("orderctl.relay.websockets")
    logger.setLevel(logging.ERROR)
    return logger
