"""Connections as clients see them, before they are WebSockets: what ends them, and when."""

from __future__ import annotations

import asyncio
import http.client
import re
import signal
import socket
import struct
from contextlib import AsyncExitStack

import pytest

from orderctl.relay.front import BODY_TIMEOUT, HEAD_TIMEOUT, IDLE_TIMEOUT
from tests.relay.conftest import Plain, RunningRelay, StartRelay, play
from tests.relay.held import HeldRelay, play_held

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
STATS = b"GET /api/admin/dashboard/stats HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /api/session HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "sent", "patience", "answer"),
    [
        (b"", b"", HEAD_TIMEOUT, b""),
        (b"", GET[:9], HEAD_TIMEOUT, b"408"),
        (b"", POST + b"hell", BODY_TIMEOUT, b"408"),
        (GET, b"", IDLE_TIMEOUT, b""),
        (GET, GET[:9], HEAD_TIMEOUT, b"408"),
    ],
)
def test_a_request_that_does_not_arrive_is_not_waited_for(
    redis_url: str, before: bytes, sent: bytes, patience: float, answer: bytes
):
    async def scenario(relay: HeldRelay) -> tuple[bool, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(before)
        if before:
            await reader.readuntil(b'"ok"}')
        writer.write(sent)
        rest = asyncio.create_task(reader.read())
        await relay.settle()
        await relay.pass_time(patience - 2)
        waited = not rest.done()
        await relay.pass_time(4)
        data = await rest
        writer.close()
        return waited, data

    waited, data = play_held(scenario, redis_url)

    assert waited
    assert data.partition(b"\r\n")[0].split(b" ")[1:2] == ([answer] if answer else [])


async def drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def test_an_answer_that_is_not_taken_is_not_kept(redis_url: str):
    """A client that asks and asks and never reads is not read any more, and ends."""

    async def scenario(relay: HeldRelay) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=1024)
        asked = 0
        while writer.transport.get_write_buffer_size() == 0 and asked < 100_000:
            writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n" * 1)
            asked += 1
            await asyncio.sleep(0)
        await relay.pass_time(40)
        await relay.pass_time(40)
        with pytest.raises(ConnectionError):
            await drain(reader)
        writer.close()
        return asked

    assert play_held(scenario, redis_url) > 10


def ask_often(port: int, times: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(times):
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        assert connection.getresponse().read() == b'{"status":"ok"}'
    connection.close()


def test_answers_that_are_taken_late_all_arrive(relay: RunningRelay):
    """Requests in one go, more than the buffers hold answers for; the relay goes on when the client does."""
    number = 1000
    wanted = relay.ask("/app.js").body

    async def scenario() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=1024)
        writer.write((b"GET /app.js HTTP/1.1\r\n" + HOST + b"\r\n") * number)
        await asyncio.to_thread(
            ask_often, relay.port, number
        )  # meanwhile the relay answers until the buffers are full
        for _ in range(number):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(wanted)) == wanted
        writer.close()
        return number

    assert play(scenario()) == number


def test_clients_that_reset_the_connection_cause_no_error(relay: RunningRelay):
    """At any moment, also between a request and its answer; what the relay logs is looked at in the end."""
    last = GET.replace(b"Host", b"Connection: close\r\nHost")
    for data in (b"", GET[:9], GET, last, POST, b"nonsense\r\n\r\n", GET * 50) * 20:
        with socket.create_connection(("127.0.0.1", relay.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(data)
            if data is last:
                client.recv(1)  # the relay is about to end the stream

    assert relay.ask("/healthz").status == 200


class TestLimits:
    def test_only_those_that_are_here_count(self, start_relay: StartRelay):
        """An answered request is no client any more, and neither is a WebSocket connection that has ended."""
        relay = start_relay("--max-connections-per-address", "2")

        async def scenario() -> None:
            for _ in range(3):
                client = await Plain.connect(relay)
                await client.socket.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            for _ in range(5):
                writer.write(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
                assert b" 404 " in (await reader.readuntil(b"}")).partition(b"\r\n")[0]
            writer.close()

        play(scenario())

    def test_silent_connections_keep_no_client_out(self, start_relay: StartRelay):
        """Nor the health check, where clients of that address are at their limit."""
        relay = start_relay("--max-connections-per-address", "2")

        async def scenario() -> None:
            async with AsyncExitStack() as stack:
                for _ in range(500):
                    _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
                    stack.callback(writer.close)
                for _ in range(2):
                    await Plain.connect(relay)
                health = await asyncio.to_thread(relay.ask, "/healthz")
                refused = await asyncio.to_thread(relay.ask, "/api/admin/orders/paid")
            assert health.status == 200
            assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
            assert refused.json["data"] == []
            assert "address" in refused.json["error"]

        play(scenario())
        said = relay.close()
        assert said.count("relay.max_connections_per_address") == 1
        assert "127.0.0.1" in said


def test_a_stop_ends_kept_connections(start_relay: StartRelay):
    """What was asked gets an answer, also in the middle of a request, or while the database does not answer."""
    sent = [b"", GET, GET[:9], POST + b"hell", STATS, GET * 3]
    mute = socket.create_server(("127.0.0.1", 0))
    port = mute.getsockname()[1]
    relay = start_relay(database_url=f"mysql+pymysql://a:b@127.0.0.1:{port}/shop")

    async def scenario() -> list[bytes]:
        pairs = [await asyncio.open_connection("127.0.0.1", relay.port) for _ in sent]
        for data, (_, writer) in zip(sent, pairs, strict=True):
            writer.write(data)
        await asyncio.to_thread(relay.ask, "/healthz")
        assert await asyncio.to_thread(relay.stop, signal.SIGTERM, 10) == 0
        return [await rest(*pair) for pair in pairs]

    with mute:
        answers = play(scenario())
    assert [re.findall(rb"HTTP/1.1 (\d+) ", data) for data in answers] == [
        [],
        [b"200"],
        [b"503"],
        [b"503"],
        [b"503"],
        [b"200"] * 3,
    ]
    assert answers[4].endswith(b',"connections":0,"countedAt":null}}')


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
