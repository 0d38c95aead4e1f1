"""A relay whose Redis goes away, hangs or is not there yet."""

from __future__ import annotations

import asyncio
import contextlib

import hiredis
import pytest
import redis

from orderctl import publications
from orderctl.channels import PATTERNS, task_progress
from tests.relay.conftest import Plain, StartRelay, play, progress
from tests.servers.process import free_port
from tests.servers.redis import RedisServer


class StandIn:
    """A Redis that sends a publication right after its answer to the subscription.

    Args:
        loading: Number of connections on which it answers LOADING; it accepts subscriptions nevertheless.
    """

    def __init__(self, *, loading: int = 0) -> None:
        self.loading = loading

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = hiredis.Reader()
        self.loading -= 1
        with contextlib.closing(writer):
            while data := await reader.read(65536):
                requests.feed(data)
                while (request := requests.gets()) is not False:
                    writer.write(self._answer(*request))
                await writer.drain()

    def _answer(self, command: bytes, *arguments: bytes) -> bytes:
        match command:
            case b"HELLO":
                return b"%1\r\n+mode\r\n+standalone\r\n"
            case b"PSUBSCRIBE":
                [pattern] = arguments
                told = b">3\r\n+psubscribe\r\n+%b\r\n:1\r\n" % pattern
                said = progress(7).encode()
                published = b">4\r\n+pmessage\r\n+task:*\r\n+task:456:progress\r\n+%b\r\n" % said
                return told + published if pattern == PATTERNS[-1].encode() else told
        if self.loading >= 0:
            return b"-LOADING Redis is loading the dataset in memory\r\n"
        if command == b"MGET":
            return b"*%d\r\n" % len(arguments) + b"_\r\n" * len(arguments)
        return b"+PONG\r\n"


class TestOutage:
    def test_clients_stay_connected_and_get_what_they_missed(self, start_relay: StartRelay, own_redis):
        server: RedisServer = own_redis(persistent=True)
        relay = start_relay(redis_url=server.url)

        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            with redis.Redis.from_url(server.url) as store:
                publications.publish(store, task_progress(456), {"percent": 10, "timestamp": 1})
            first = await client.hear()
            server.kill()
            degraded = await client.hear()
            late = await Plain.connect(relay)
            told = await late.hear()
            await late.subscribe(task=456)
            health = await asyncio.to_thread(relay.ask, "/healthz")
            server.start()
            with redis.Redis.from_url(server.url) as store:
                publications.publish(store, task_progress(456), {"percent": 20, "timestamp": 2})
            restored = [await client.hear() for _ in range(2)]
            return first, degraded, told, health, restored, [await late.hear() for _ in range(3)]

        first, degraded, told, health, restored, late = play(scenario())

        assert first["data"]["data"]["percent"] == 10
        assert degraded["event"] == told["event"] == "relay:degraded"
        assert (health.status, health.json["status"]) == (503, "degraded")
        assert restored[0]["event"] == "relay:restored"
        assert restored[1]["data"]["data"]["percent"] == 20
        assert late[0]["data"]["data"]["percent"] == 10
        assert late[1:] == restored
        assert relay.ask("/healthz").json == {"status": "ok"}

    @pytest.mark.parametrize("loading", [0, 3])
    def test_it_is_said_to_be_back_once_and_before_anything_passes(
        self, start_relay: StartRelay, loading: int
    ):
        port = free_port()
        relay = start_relay(redis_url=f"redis://127.0.0.1:{port}/0")

        async def scenario():
            client = await Plain.connect(relay)
            told = await client.hear()
            await client.subscribe(task=456)
            async with await asyncio.start_server(StandIn(loading=loading).talk, "127.0.0.1", port):
                heard = [told, await client.hear(), await client.hear()]
                await asyncio.sleep(0.5)  # time for another, wrong event
                return heard

        events = [one["event"] for one in play(scenario())]

        assert events == ["relay:degraded", "relay:restored", "progress"]
        assert relay.close().count("Redis answers again") == 1

    def test_a_hung_redis_is_an_outage(self, start_relay: StartRelay, own_redis):
        server: RedisServer = own_redis()
        relay = start_relay(redis_url=server.url)

        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            server.pause()
            heard = [await client.hear()]
            server.resume()
            return [*heard, await client.hear()]

        assert [one["event"] for one in play(scenario())] == ["relay:degraded", "relay:restored"]

    def test_it_starts_without_redis(self, start_relay: StartRelay, own_redis):
        server: RedisServer = own_redis()
        server.kill()
        relay = start_relay(redis_url=server.url)

        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            await relay.until("redis_up", lambda up: up == 0)
            server.start()
            await relay.until("redis_up", lambda up: up == 1)
            with redis.Redis.from_url(server.url) as store:
                store.publish("task:456:progress", progress(5))
            while (heard := await client.hear())["event"] != "progress":
                pass
            return heard

        assert play(scenario())["data"]["data"]["percent"] == 5
        assert "Redis does not answer" in relay.close()
