"""The feed from Redis: each kind of address, refusals, and the order of answers and publications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
import redis

from orderctl.errors import Misconfigured, OrderctlError, RedisUnavailable
from orderctl.redis_urls import Prefixed
from orderctl.relay.feed import Feed, Wire
from tests.relay.conftest import SOON, play
from tests.relay.members import FakeClock
from tests.servers.process import free_port
from tests.servers.redis import RedisServer, TlsRedis, fill_disk, find_redis
from tests.waiting import eventually_async


class Ear:
    """Records what it receives, and when a read ends."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes] | str] = []

    def publish(self, channel: bytes, payload: bytes) -> None:
        self.heard.append((channel, payload))

    def flush(self) -> None:
        self.heard.append("flush")

    @property
    def payloads(self) -> list[bytes]:
        return [one[1] for one in self.heard if one != "flush"]


@asynccontextmanager
async def listening(
    url: str, ear: Ear, went_down: Callable[[OrderctlError], object] = lambda _why: None
) -> AsyncIterator[Feed]:
    """Run a feed; begin the block when it is connected."""
    up = asyncio.Event()

    async def went_up() -> None:
        up.set()

    feed = Feed(url, ear, went_up=went_up, went_down=went_down)
    running = asyncio.create_task(feed.run())
    rising = asyncio.create_task(up.wait())
    try:
        async with asyncio.timeout(SOON):
            await asyncio.wait([running, rising], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield feed
    finally:
        for task in (running, rising):
            task.cancel()
            with suppress(asyncio.CancelledError, Misconfigured):
                await task


class SpecialRedis(RedisServer):
    """A server with additional options."""

    def __init__(self, *options: str) -> None:
        super().__init__(find_redis())
        self.options = options

    def command(self) -> list[str]:
        return [*super().command(), *self.options]


@pytest.fixture
def special() -> Iterator[Callable[..., SpecialRedis]]:
    servers: list[SpecialRedis] = []

    def make(*options: str) -> SpecialRedis:
        servers.append(SpecialRedis(*options))
        return servers[-1].start()

    yield make
    for server in servers:
        server.close()


def hears(url: str, server_url: str) -> list[bytes]:
    ear = Ear()

    async def scenario() -> None:
        async with listening(url, ear) as feed:
            with redis.Redis.from_url(server_url) as store:
                store.publish("task:1:progress", "a")
                store.publish("order:1:status", "b")
                store.publish("other:1", "c")
            await feed.ask("PING")

    play(scenario())
    return ear.payloads


class TestAddresses:
    def test_tcp(self, redis_server: RedisServer):
        assert hears(redis_server.url, redis_server.url) == [b"a", b"b"]

    def test_a_unix_socket(self, redis_server: RedisServer):
        assert hears(redis_server.socket_url, redis_server.url) == [b"a", b"b"]

    def test_a_password_and_a_user(self, own_redis):
        server: RedisServer = own_redis()
        with redis.Redis.from_url(server.url) as store:
            store.acl_setuser(
                "relay",
                enabled=True,
                passwords=["+p@ss/word"],
                keys=["*"],
                channels=["*"],
                commands=["+@all"],
            )
            store.config_set("requirepass", "secret")

        by_password = server.url.replace("//", "//:secret@")
        by_user = server.url.replace("//", "//relay:p%40ss%2Fword@")

        assert hears(by_password, by_password) == [b"a", b"b"]
        assert hears(by_user, by_password) == [b"a", b"b"]

    def test_a_server_that_cannot_save(self, own_redis, monkeypatch):
        monkeypatch.setattr("orderctl.relay.feed._PING_EVERY", 0.02)
        server: RedisServer = own_redis()
        fill_disk(server)

        async def scenario() -> None:
            async with listening(server.url, Ear()) as feed:
                await asyncio.sleep(0.1)
                assert feed.up
                assert not feed.reconnects

        play(scenario())

    def test_a_database_of_its_own(self, redis_server: RedisServer):
        url = redis_server.url.replace("/0", "/3")

        async def scenario() -> bytes:
            async with listening(url, Ear()) as feed:
                with redis.Redis.from_url(url) as store:
                    store.set("x", "three")
                answer: bytes = await feed.ask("GET", "x")
                return answer

        assert play(scenario()) == b"three"

    def test_tls(self, tls_redis: TlsRedis):
        assert hears(tls_redis.tls_url, tls_redis.url) == [b"a", b"b"]

    @pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0?nonsense=1", "redis://127.0.0.1:x/0"])
    def test_what_is_not_an_address(self, url: str):
        async def scenario() -> None:
            async with listening(url, Ear()):
                pass

        with pytest.raises(Misconfigured):
            play(scenario())


def test_a_feed_with_a_prefix_hears_its_own_shop_only(redis_server: RedisServer):
    ear = Ear()

    async def scenario() -> bytes:
        async with listening(Prefixed(redis_server.url, "shop2:"), ear) as feed:
            with redis.Redis.from_url(redis_server.url) as store:
                for name in ("task:1:progress", "shop2:task:1:progress", "shop22:task:1:progress"):
                    store.publish(name, name)
                store.set("shop2:task:1:progress", "kept")
            answer: bytes = await feed.ask("GET", feed.key("task:1:progress"))
            return answer

    assert play(scenario()) == b"kept"
    assert [one for one in ear.heard if one != "flush"] == [(b"task:1:progress", b"shop2:task:1:progress")]


class TestRefusals:
    @pytest.mark.parametrize("password", ["", ":wrong@"])
    def test_a_wrong_password(self, own_redis, password: str):
        server: RedisServer = own_redis()
        with redis.Redis.from_url(server.url) as store:
            store.config_set("requirepass", "secret")

        async def scenario() -> None:
            async with listening(server.url.replace("//", f"//{password}"), Ear()):
                pass

        with pytest.raises(Misconfigured, match=r"redis\.url"):
            play(scenario())

    def test_a_cluster(self, special: Callable[..., SpecialRedis]):
        server = special("--cluster-enabled", "yes", "--cluster-port", str(free_port()))

        async def scenario() -> None:
            async with listening(server.url, Ear()):
                pass

        with pytest.raises(Misconfigured, match="Cluster"):
            play(scenario())

    def test_a_database_that_is_not_there(self, redis_server: RedisServer):
        async def scenario() -> None:
            async with listening(redis_server.url.replace("/0", "/99"), Ear()):
                pass

        with pytest.raises(Misconfigured, match="database with this number"):
            play(scenario())

    @pytest.mark.parametrize("greets", [True, False])
    def test_a_server_of_another_kind(self, greets: bool):
        async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not greets:
                await reader.read(1)
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

        async def scenario() -> None:
            async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                async with listening(f"redis://127.0.0.1:{port}/0", Ear()):
                    pass

        with pytest.raises(Misconfigured, match="is not Redis"):
            play(scenario())

    def test_a_server_that_says_nothing(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("orderctl.relay.feed.CONNECT_TIMEOUT", 0.05)
        down: list[OrderctlError] = []

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

        async def scenario() -> None:
            async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                feed = Feed(
                    f"redis://127.0.0.1:{port}/0", Ear(), went_up=asyncio.Event().wait, went_down=down.append
                )
                running = asyncio.create_task(feed.run())
                await feed.wait_tried()
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

        play(scenario())
        assert str(down[0]) == "Redis does not answer: no answer"

    def test_a_question_that_is_refused(self, redis_server: RedisServer):
        async def scenario() -> None:
            async with listening(redis_server.url, Ear()) as feed:
                with pytest.raises(RedisUnavailable, match="unknown command"):
                    await feed.ask("NONSENSE")
                assert await feed.ask("PING") == b"PONG"

        play(scenario())


def test_an_answer_stands_where_the_store_was(redis_server: RedisServer):
    """A publication before the question comes before the answer; a later one comes after it."""
    ear = Ear()

    async def scenario() -> list[tuple[bytes, int]]:
        answers = []
        async with listening(redis_server.url, ear) as feed:
            with redis.Redis.from_url(redis_server.url) as store:
                for number in range(100):
                    pipe = store.pipeline()
                    pipe.set("task:1:progress", number)
                    pipe.publish("task:1:progress", number)
                    pipe.execute()
                    answer = feed.ask("GET", "task:1:progress")
                    answers.append((await answer, len(ear.payloads)))
        return answers

    for value, heard in play(scenario()):
        assert heard == int(value) + 1


def test_what_was_asked_when_the_connection_went_is_an_error(own_redis):
    server: RedisServer = own_redis()

    async def scenario() -> None:
        async with listening(server.url, Ear()) as feed:
            server.pause()
            asked = feed.ask("GET", "x")
            server.kill()
            with pytest.raises(RedisUnavailable):
                await asked
            await eventually_async(lambda: not feed.up, "the outage")
            with pytest.raises(RedisUnavailable):
                feed.ask("GET", "x")
            with pytest.raises(RedisUnavailable):
                await feed.wait_up(0.05)

    play(scenario())


class Pipe(asyncio.Transport):
    """Notes whether it is read."""

    read = True

    def pause_reading(self) -> None:
        self.read = False

    def resume_reading(self) -> None:
        self.read = True


def test_what_follows_a_read_closely_gathers_for_three_milliseconds(monkeypatch: pytest.MonkeyPatch):
    clock, pipe, ear = FakeClock(), Pipe(), Ear()
    monkeypatch.setattr("asyncio.get_running_loop", lambda: clock)
    wire = Wire(lambda: None)
    wire.connection_made(pipe)
    wire.hand_on(ear)
    message = b">4\r\n+pmessage\r\n+task:*\r\n+task:1:progress\r\n+x\r\n"

    read = []
    for milliseconds in (5, 2, 0.5, 2, 2):
        clock.pass_time(milliseconds / 1000)
        if pipe.read:
            wire.data_received(message)
        read.append(pipe.read)

    assert read == [True, True, False, False, True]
    assert ear.payloads == [b"x"] * 4


def test_nothing_is_lost_under_load(redis_server: RedisServer):
    ear = Ear()

    async def scenario() -> None:
        async with listening(redis_server.url, ear) as feed:
            with redis.Redis.from_url(redis_server.url) as store:
                for number in range(2000):
                    store.publish("task:1:progress", str(number))
                    await asyncio.sleep(0)
            await eventually_async(lambda: len(ear.payloads) == 2000, "2,000 messages")
            assert await feed.ask("PING") == b"PONG"

    play(scenario())

    assert ear.payloads == [str(number).encode() for number in range(2000)]


class TestRights:
    """The relay begins only with all rights that it needs, and waits when they are withdrawn."""

    def test_all_that_is_missing_is_named_at_once(self, own_redis):
        server: RedisServer = own_redis()
        with redis.Redis.from_url(server.url) as store:
            store.execute_command("ACL", "SETUSER", "u", "on", ">p", "+@all", "-mget", "~*", "&task:*")

        async def scenario() -> None:
            async with listening(server.url.replace("//", "//u:p@"), Ear()):
                pass

        with pytest.raises(Misconfigured, match=r"commands MGET; channels order:\*"):
            play(scenario())

    def test_a_refusal_later_on_may_be_repaired(self, own_redis):
        server: RedisServer = own_redis()
        down: list[OrderctlError] = []

        async def scenario() -> None:
            with redis.Redis.from_url(server.url) as store:
                rule = ("ACL", "SETUSER", "u", "on", ">p", "+@all", "~*")
                store.execute_command(*rule, "allchannels")
                async with listening(server.url.replace("//", "//u:p@"), Ear(), down.append) as feed:
                    store.execute_command(*rule, "resetchannels")  # Redis ends the subscription
                    await eventually_async(
                        lambda: any(isinstance(e, Misconfigured) for e in down), "the refusal"
                    )
                    assert not feed.up
                    store.execute_command(*rule, "allchannels")
                    await feed.wait_up(SOON)

        play(scenario())
        assert "channels task:*, order:*" in str(down[-1])
